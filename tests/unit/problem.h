/* For unit tests: one pass through some layers, as the library does it in float32 on a device and as the trace does it in double.
 *
 * The dual pass is one walk of the trace: seed every output with (b + e u). Then a node's adjoint is (b + e u) too, because the
 * derivative part of (J + e J')'(b + e u) is J'u + (J')'b: the total adjoint of METAGRAD section 2. */
#ifndef TEST_PROBLEM_H
#define TEST_PROBLEM_H
#include "reference.h"
#include "tiny.h"

enum { LAYERS = 16 };

struct problem {
	struct ttt_config c;
	struct ttt__parameters p;
	int64_t T, S, first, last, tile; /* own tokens, cached rows, layers first .. last - 1; columns of the head at a time (0: its own) */
	bool dual;                       /* with tangents along v, and the b stream */
	bool cached;                     /* adjoints of cached rows wanted, and kappa for the own ones */
	bool inner;                      /* only gradients of fast weights wanted */
	bool head, embed;                /* ends in the loss; starts at token ids */
	float *w, *v;                    /* [n_float], [n_fast] */
	float *x, *rx;                   /* [T, D]; rx NULL: the input has no tangent */
	float *seed_u, *seed_b;          /* [T, D] adjoints of the last layer's output */
	float *om_in, *om_out;           /* [2, T] seeds of the losses, and their negatives */
	int32_t *ids, *target;
	float *k[LAYERS], *val[LAYERS], *ak[LAYERS], *av[LAYERS]; /* [S + T, D]: keys, values, what adjoints start with */
	float *g;                                                 /* [n_float] what gradients start with */
	float *direction;                                         /* the trace's own test: [n_float] a tangent in place of v; or NULL */
	struct ttt__biases biases;                                /* some, where asked for, on the host */
	bool biased;
	double shift;                                             /* the trace is made at w + shift direction, x + shift rx */
};

/* What a pass gives, by the trace. Arrays as in struct problem; bg: b's gradient. */
struct expected {
	double *out, *rout, *nll, *rnll, *u, *b, *g, *bg, *k[LAYERS], *v[LAYERS], *ak[LAYERS], *av[LAYERS];
};

static inline int64_t
problem_split(const struct ttt_config *c)
{
	return c->n_layer_suffix ? 2 * (c->n_layer - c->n_layer_suffix) + 1 : 2 * c->n_layer;
}

/* Layer i by its definition: attention, in suffix blocks the prime MLP, the MLP. */
static inline struct ttt__layer
problem_layer(const struct ttt_config *c, int64_t i)
{
	for (int64_t b = 0;; b++) {
		bool suffix = b >= c->n_layer - c->n_layer_suffix;

		if (i < 2 + suffix)
			return (struct ttt__layer){i == 0 ? TTT__ATTENTION : suffix && i == 1 ? TTT__PRIME : TTT__MLP, b};
		i -= 2 + suffix;
	}
}

static inline int64_t
problem_n_layer(const struct ttt_config *c)
{
	return 2 * c->n_layer + c->n_layer_suffix;
}

/* Of every row the target and tokens at the ends and in the middle of the vocabulary. */
static inline void
problem_bias(struct problem *q, struct ttt__random *r)
{
	int32_t last = (int32_t)q->c.n_vocab - 1;

	q->biases.row = tiny_new((size_t)(4 * q->T), sizeof(int32_t));
	q->biases.column = tiny_new((size_t)(4 * q->T), sizeof(int32_t));
	q->biases.value = tiny_normal(r, 4 * q->T, 2);
	q->biases.every = tiny_normal(r, q->c.n_vocab, 1);
	for (int64_t t = 0; t < q->T; t++) {
		const int32_t token[] = {q->target[t], 0, last / 2, last};

		for (int i = 0; i < 4; i++)
			if (i == 0 || (token[i] != token[0] && t % 5 != i)) {
				q->biases.row[q->biases.n] = (int32_t)t;
				q->biases.column[q->biases.n++] = token[i];
			}
	}
}

/* Everything random; the caller has set c, T, S, first, last and the flags. */
static inline void
problem_fill(struct problem *q, uint64_t seed)
{
	int64_t D = q->c.d_model, TD = q->T * D, all = (q->S + q->T) * D;
	struct ttt__random r;

	ttt__random_seed(&r, seed);
	TINY_OK(ttt__parameters_create(&q->p, &q->c, &err));
	q->w = tiny_weights(&r, &q->p);
	q->v = tiny_normal(&r, q->p.n_fast, 0.2);
	q->x = tiny_normal(&r, TD, 1);
	q->rx = q->first > problem_split(&q->c) && q->dual ? tiny_normal(&r, TD, 1) : NULL;
	q->seed_u = tiny_normal(&r, TD, 1);
	q->seed_b = tiny_normal(&r, TD, 1);
	q->om_in = tiny_normal(&r, 2 * q->T, 1);
	q->om_out = tiny_normal(&r, 2 * q->T, 1);
	q->ids = tiny_ids(&r, q->T, q->c.n_vocab);
	q->target = tiny_ids(&r, q->T, q->c.n_vocab);
	for (int64_t t = 0; t < q->T; t++) {
		if (t % 4 == 2) /* masked */
			q->om_in[t] = q->om_out[t] = 0;
		q->om_in[q->T + t] = -q->om_in[t];
		q->om_out[q->T + t] = -q->om_out[t];
	}
	for (int64_t i = 0; i < problem_n_layer(&q->c); i++) {
		q->k[i] = tiny_normal(&r, all, 1);
		q->val[i] = tiny_normal(&r, all, 1);
		q->ak[i] = tiny_normal(&r, all, 1);
		q->av[i] = tiny_normal(&r, all, 1);
	}
	q->g = tiny_normal(&r, q->p.n_float, 0.1);
	if (q->biased)
		problem_bias(q, &r);
}

static inline void
problem_free(struct problem *q)
{
	void *const all[] = {q->w, q->v, q->x, q->rx, q->seed_u, q->seed_b, q->om_in, q->om_out, q->ids, q->target, q->g,
	    q->biases.row, q->biases.column, q->biases.value, q->biases.every};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		free(all[i]);
	for (int64_t i = 0; i < LAYERS; i++) {
		free(q->k[i]);
		free(q->val[i]);
		free(q->ak[i]);
		free(q->av[i]);
	}
	ttt__parameters_free(&q->p);
}

static inline void
expected_free(struct expected *e)
{
	void *const all[] = {e->out, e->rout, e->nll, e->rnll, e->u, e->b, e->g, e->bg};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		free(all[i]);
	for (int64_t i = 0; i < LAYERS; i++) {
		free(e->k[i]);
		free(e->v[i]);
		free(e->ak[i]);
		free(e->av[i]);
	}
}

/* ------------------------------------------------------------------------------------------------ the trace */

/* The nodes of one traced pass. */
struct traced {
	struct trace t;
	int *w, *x, *out, *nll, *k[LAYERS], *v[LAYERS];
};

/* Inputs x + shift rx with derivative rx, or x with none. */
static inline int *
inputs(const struct problem *q, struct trace *t, const float *x, const float *rx, int64_t n)
{
	int *out = trace_array(t, n);

	for (int64_t i = 0; i < n; i++) {
		double derivative = rx ? (double)rx[i] : 0;

		out[i] = trace_node(t, (struct dual){(double)x[i] + q->shift * derivative, derivative});
	}
	return out;
}

static inline int *
trace_weights(const struct problem *q, struct trace *t)
{
	int64_t fast = q->p.fast_offset;
	int *w, *all;

	if (q->direction)
		return inputs(q, t, q->w, q->direction, q->p.n_float);
	all = trace_array(t, q->p.n_float);
	w = inputs(q, t, q->w, NULL, fast);
	memcpy(all, w, (size_t)fast * sizeof *w);
	w = inputs(q, t, q->w + fast, q->dual ? q->v : NULL, q->p.n_fast);
	memcpy(all + fast, w, (size_t)q->p.n_fast * sizeof *w);
	return all;
}

static inline void
problem_trace(const struct problem *q, struct traced *z)
{
	struct trace *t = &z->t;
	int64_t D = q->c.d_model, TD = q->T * D, cached = q->S * D, all = cached + TD;
	struct reference r = {.t = t, .c = &q->c, .p = &q->p, .window = q->c.window, .biases = &q->biases};
	int *x;

	*z = (struct traced){0};
	z->w = trace_weights(q, t);
	r.w = z->w;
	z->x = x = inputs(q, t, q->x, q->rx, TD);
	if (q->embed) {
		z->x = x = trace_array(t, TD);
		for (int64_t i = 0; i < TD; i++)
			x[i] = trace_line(t, z->w[q->p.embed + q->ids[i / D] * D + i % D], 1, z->w[q->p.embed], 0, 0);
	}
	for (int64_t i = q->first; i < q->last; i++) {
		struct ttt__layer layer = problem_layer(&q->c, i);

		z->out = trace_array(t, TD);
		if (layer.kind == TTT__ATTENTION) {
			z->k[i] = trace_array(t, all);
			z->v[i] = trace_array(t, all);
			memcpy(z->k[i], inputs(q, t, q->k[i], NULL, cached), (size_t)cached * sizeof(int));
			memcpy(z->v[i], inputs(q, t, q->val[i], NULL, cached), (size_t)cached * sizeof(int));
			reference_attention(&r, layer.block, q->T, q->S, x, z->out, z->k[i], z->v[i]);
		} else {
			reference_mlp(&r, layer.block, layer.kind == TTT__PRIME, q->T, x, z->out);
		}
		x = z->out;
	}
	if (q->head) {
		z->nll = trace_array(t, q->T);
		reference_head(&r, q->T, x, q->target, z->nll);
	}
}

/* Seed: ordinary passes carry u in the value, dual ones (b, u). += because nodes may be seeded from more than one side. */
static inline void
problem_seed(const struct problem *q, struct traced *z)
{
	int64_t D = q->c.d_model;
	struct dual *a;

	trace_start(&z->t);
	a = z->t.adjoint;
	for (int64_t i = 0; q->head ? i < q->T : i < q->T * D; i++) {
		double u = (double)(q->head ? q->om_out[i] : q->seed_u[i]), b = (double)(q->head ? q->om_in[i] : q->seed_b[i]);
		int node = q->head ? z->nll[i] : z->out[i];

		a[node] = dual_add(a[node], q->dual ? (struct dual){b, u} : (struct dual){u, 0});
	}
	for (int64_t l = q->first; l < q->last && q->cached; l++)
		for (int64_t i = q->S * D; z->k[l] && i < (q->S + q->T) * D; i++) {
			double k = (double)q->ak[l][i], v = (double)q->av[l][i];

			a[z->k[l][i]] = dual_add(a[z->k[l][i]], q->dual ? (struct dual){0, k} : (struct dual){k, 0});
			a[z->v[l][i]] = dual_add(a[z->v[l][i]], q->dual ? (struct dual){0, v} : (struct dual){v, 0});
		}
}

/* Adjoints of nodes; u: the total ones, else b's. */
static inline double *
adjoints(const struct trace *t, const int *node, int64_t n, bool derivative)
{
	double *out = tiny_new((size_t)n, sizeof *out);

	for (int64_t i = 0; i < n; i++)
		out[i] = derivative ? t->adjoint[node[i]].d : t->adjoint[node[i]].v;
	return out;
}

static inline double *
values(const struct trace *t, const int *node, int64_t n, bool derivative)
{
	double *out = tiny_new((size_t)n, sizeof *out);

	for (int64_t i = 0; i < n; i++)
		out[i] = derivative ? t->value[node[i]].d : t->value[node[i]].v;
	return out;
}

static inline void
problem_expect(const struct problem *q, struct expected *e)
{
	int64_t D = q->c.d_model, TD = q->T * D, cached = q->S * D, all = (q->S + q->T) * D;
	struct traced z;

	problem_trace(q, &z);
	problem_seed(q, &z);
	trace_back(&z.t);
	*e = (struct expected){0};
	if (q->head) {
		e->nll = values(&z.t, z.nll, q->T, false);
		e->rnll = values(&z.t, z.nll, q->T, true);
	} else {
		e->out = values(&z.t, z.out, TD, false);
		e->rout = values(&z.t, z.out, TD, true);
	}
	e->u = adjoints(&z.t, z.x, TD, q->dual);
	e->b = adjoints(&z.t, z.x, TD, false);
	e->g = adjoints(&z.t, z.w, q->p.n_float, q->dual);
	e->bg = adjoints(&z.t, z.w, q->p.n_float, false);
	for (int64_t i = 0; i < q->p.n_float; i++)
		e->g[i] += (double)q->g[i];
	for (int64_t l = q->first; l < q->last; l++) {
		if (!z.k[l])
			continue;
		e->k[l] = values(&z.t, z.k[l], all, false);
		e->v[l] = values(&z.t, z.v[l], all, false);
		e->ak[l] = adjoints(&z.t, z.k[l], all, q->dual);
		e->av[l] = adjoints(&z.t, z.v[l], all, q->dual);
		for (int64_t i = 0; i < cached; i++) {
			e->ak[l][i] += (double)q->ak[l][i];
			e->av[l][i] += (double)q->av[l][i];
		}
	}
	trace_free(&z.t);
}

#endif
