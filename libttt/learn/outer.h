/* The outer gradient of one sequence at a time: the reverse sweep of METAGRAD.md section 3. Private. */
#ifndef TTT_LEARN_OUTER_H
#define TTT_LEARN_OUTER_H
#include "libttt/learn/ngram.h"

/* Everything one sequence needs, made once: one lane drives the device by itself. */
struct ttt__lane {
	const struct ttt__net *net;
	bool meta;                   /* chunks and inner steps; else one ordinary pass over the sequence */
	int64_t T, C, n;             /* tokens, tokens of a chunk, chunks */
	struct ttt__work whole, chunk;
	struct ttt__tape prefix;     /* all T tokens, layers before the split (all of them in an ordinary pass) */
	struct ttt__tape *suffix;    /* [n] C tokens each */
	struct ttt__tape tangent;    /* one chunk's */
	struct ttt__tape *kept;      /* [n], of which n_kept are filled: as many as the memory for it allows */
	int64_t n_kept;
	float *kv_memory;
	struct ttt__kv *kv, *adjoint;         /* [net.n_layer] T rows each; adjoints of suffix attention only */
	struct ttt__kv *kv_at, *adjoint_at;   /* the same at a chunk's oldest cached row */
	float *memory;
	float *h, *dh;               /* [T, D] the prefix's output and its adjoint */
	float *w, *v, *steps;        /* [n_fast] fast weights, tangent; [n - 1, n_fast] inner gradients */
	float *held, *held_lambda;   /* [n_fast] the weights of the held tail, and their adjoint */
	float *gradient;             /* [n_float], added to (+=); its fast part is lambda's sum over sequences */
	float *lambda;               /* [n_fast] */
	float *om;                   /* [4, T] device: weights of the inner loss and of the outer one, each with its negative */
	double *norm;                /* [n] inner gradient norms */
	int32_t *ids;                /* [T + 1] device */
	struct ttt__ngram ngram;     /* learned in the sweep, from an empty table on */
	struct ttt__biases *biases;  /* [n] those that each chunk was read with: constants on the way back */
	float *host;                 /* [5, T] */
};

struct ttt__outer {
	const float *weights;        /* [n_float] device, slow and initial fast */
	double inner_rate, inner_clip;
	double seed;                 /* 1 / (chunks * sequences) */
	bool first_order;
	double held_tail;            /* share of the chunks at the end that are read with the weights held at their mean; 0: none */
};

/* The net's rotary table must cover T. keep: bytes at most for what the sweep makes and the way back would otherwise make again. */
enum ttt_status ttt__lane_create(struct ttt__lane *out, const struct ttt__net *n, bool meta, int64_t T, int64_t keep, struct ttt_error *err);
void ttt__lane_free(struct ttt__lane *l);
/* Loss (mean of chunk losses) of ids [T + 1] (host), its gradient times seed * chunks added to lane->gradient. */
void ttt__outer_gradient(struct ttt__lane *l, const struct ttt__outer *o, const int32_t *ids, double *loss);

#endif
