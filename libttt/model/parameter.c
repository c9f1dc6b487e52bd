/* The table of parameters: slow ones in the order of the computation, then the fast ones block by block. What one matrix product reads
 * lies together: q, k, v as [3D, D], gate and up as [2F, D]. */
#include <inttypes.h>
#include <stdlib.h>

#include "libttt/model/parameter.h"

struct builder {
	struct ttt__parameters *out;
	int64_t capacity;
	bool full; /* more parameters than were counted, or more floats than can be */
};

static int64_t
put(struct builder *b, int64_t layer, const char *name, int64_t rows, int64_t cols)
{
	struct ttt__parameters *out = b->out;
	struct ttt__parameter *p = &out->p[out->n];
	int64_t offset = out->n_float;

	if (out->n == b->capacity || !ttt__i64_mul(&p->n, rows, cols ? cols : 1) ||
	    !ttt__i64_add(&out->n_float, offset, p->n)) {
		b->full = true;
		return 0;
	}
	if (layer < 0)
		snprintf(p->name, sizeof p->name, "model.%s.weight", name);
	else
		snprintf(p->name, sizeof p->name, "model.layers.%" PRId64 ".%s.weight", layer, name);
	p->rows = rows;
	p->cols = cols;
	p->offset = offset;
	out->n++;
	return offset;
}

static void
put_slow(struct builder *b, const struct ttt_config *c, int64_t l, struct ttt__block_offsets *o)
{
	int64_t D = c->d_model, F = c->d_ff;

	o->input_norm = put(b, l, "input_layernorm", D, 0);
	o->q = put(b, l, "self_attn.q_proj", D, D);
	o->k = put(b, l, "self_attn.k_proj", D, D);
	o->v = put(b, l, "self_attn.v_proj", D, D);
	o->q_norm = put(b, l, "self_attn.q_norm", c->d_head, 0);
	o->k_norm = put(b, l, "self_attn.k_norm", c->d_head, 0);
	o->o = put(b, l, "self_attn.o_proj", D, D);
	o->post_attention_norm = put(b, l, "post_attention_layernorm", D, 0);
	o->pre_prime_norm = o->post_prime_norm = o->prime_gate = o->prime_up = o->prime_down = -1;
	if (l >= c->n_layer - c->n_layer_suffix) {
		o->pre_prime_norm = put(b, l, "pre_prime_layernorm", D, 0);
		o->post_prime_norm = put(b, l, "post_prime_layernorm", D, 0);
	}
	o->pre_ffn_norm = put(b, l, "pre_feedforward_layernorm", D, 0);
	o->gate = put(b, l, "mlp.gate_proj", F, D);
	o->up = put(b, l, "mlp.up_proj", F, D);
	o->down = put(b, l, "mlp.down_proj", D, F);
	o->post_ffn_norm = put(b, l, "post_feedforward_layernorm", D, 0);
}

enum ttt_status
ttt__parameters_create(struct ttt__parameters *out, const struct ttt_config *c, struct ttt_error *err)
{
	struct builder b = {.out = out, .capacity = 2 + 13 * c->n_layer + 5 * c->n_layer_suffix};
	int64_t first = c->n_layer - c->n_layer_suffix;

	*out = (struct ttt__parameters){0};
	out->p = ttt__new((size_t)b.capacity, sizeof *out->p);
	out->block = ttt__new((size_t)c->n_layer, sizeof *out->block);
	if (!out->p || !out->block) {
		ttt__parameters_free(out);
		return ttt__fail_memory(err, "the table of parameters");
	}
	out->embed = put(&b, -1, "embed_tokens", c->n_vocab, c->d_model);
	for (int64_t l = 0; l < c->n_layer; l++)
		put_slow(&b, c, l, &out->block[l]);
	out->final_norm = put(&b, -1, "norm", c->d_model, 0);
	out->fast_offset = out->n_float;
	for (int64_t l = first; l < c->n_layer; l++) {
		out->block[l].prime_gate = put(&b, l, "prime_mlp.gate_proj", c->d_prime, c->d_model);
		out->block[l].prime_up = put(&b, l, "prime_mlp.up_proj", c->d_prime, c->d_model);
		out->block[l].prime_down = put(&b, l, "prime_mlp.down_proj", c->d_model, c->d_prime);
	}
	out->n_fast = out->n_float - out->fast_offset;
	if (b.full) {
		ttt__parameters_free(out);
		return ttt__fail(err, TTT_E_MEMORY, "the model's parameters are too many to count");
	}
	return TTT_OK;
}

void
ttt__parameters_free(struct ttt__parameters *p)
{
	free(p->p);
	free(p->block);
	*p = (struct ttt__parameters){0};
}
