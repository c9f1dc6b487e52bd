/* The parameters of a configuration: names, shapes and places in one contiguous array of floats. Private.
 *
 * Slow parameters come first, then the fast ones (gate, up, down of every prime MLP, in block order), so that one sequence's fast
 * weights, their gradient or their tangent are one array of the same layout. */
#ifndef TTT_MODEL_PARAMETER_H
#define TTT_MODEL_PARAMETER_H
#include "libttt/base.h"

struct ttt__parameter {
	char name[96];  /* as in model.safetensors: "model.layers.3.mlp.gate_proj.weight" */
	int64_t rows;   /* out features, or the length of a vector */
	int64_t cols;   /* in features; 0 for a vector */
	int64_t offset; /* floats from the start of the array */
	int64_t n;      /* rows * max(cols, 1) */
};

/* Offsets of one block's parameters; -1 where the block has none. */
struct ttt__block_offsets {
	int64_t input_norm, q, k, v, o, q_norm, k_norm, post_attention_norm;
	int64_t pre_prime_norm, post_prime_norm, prime_gate, prime_up, prime_down;
	int64_t pre_ffn_norm, post_ffn_norm, gate, up, down;
};

struct ttt__parameters {
	struct ttt__parameter *p; /* [n] in order of offset */
	int64_t n;
	int64_t n_float;     /* floats in all */
	int64_t fast_offset; /* first float of the fast weights */
	int64_t n_fast;      /* floats of the fast weights */
	int64_t embed, final_norm;
	struct ttt__block_offsets *block; /* [L] */
};

/* Whether p is kept in bfloat16 where a device asks for that: a matrix that does not learn. */
static inline bool
ttt__parameter_halves(const struct ttt__parameters *all, const struct ttt__parameter *p)
{
	return p->cols > 0 && p->offset < all->fast_offset;
}

enum ttt_status ttt__parameters_create(struct ttt__parameters *out, const struct ttt_config *c, struct ttt_error *err);
void ttt__parameters_free(struct ttt__parameters *p);

#endif
