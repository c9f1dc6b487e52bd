/* For unit tests: the outer loss in dual numbers. Reading with inner steps is written down chunk by chunk as it is defined (SEMANTICS section
 * 4); weights w + e direction go in, and loss + e <gradient, direction> comes out, inner gradients and clip being dual numbers
 * themselves. */
#ifndef TEST_OUTER_REFERENCE_H
#define TEST_OUTER_REFERENCE_H
#include "problem.h"

struct reading {
	const struct ttt_config *c;
	const struct ttt__parameters *p;
	const int32_t *ids;         /* [T + 1] */
	int64_t T;
	double rate;
	const struct ttt__biases *biases; /* [chunks] on the host; NULL: none */
	struct dual *w;             /* [n_float] the fast part moves */
	struct dual *h;             /* [T, D] the prefix's output */
	struct dual *k[LAYERS], *v[LAYERS]; /* [T, D] of suffix attention */
};

static inline int *
reading_inputs(struct trace *t, const struct dual *x, int64_t n)
{
	int *out = trace_array(t, n);

	for (int64_t i = 0; i < n; i++)
		out[i] = trace_node(t, x[i]);
	return out;
}

static inline struct dual *
reading_values(const struct trace *t, const int *node, struct dual *out, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		out[i] = t->value[node[i]];
	return out;
}

/* Layers first .. last - 1 of tokens at .. at + n - 1 on x; returns the output's nodes. */
static inline int *
reading_layers(struct reading *s, const struct reference *r, int *x, int64_t at, int64_t n, int64_t first, int64_t last)
{
	int64_t D = s->c->d_model, S = s->c->window && at > s->c->window - 1 ? s->c->window - 1 : at;

	for (int64_t i = first; i < last; i++) {
		struct ttt__layer layer = problem_layer(s->c, i);
		int *out = trace_array(r->t, n * D), *k, *v;

		if (layer.kind != TTT__ATTENTION) {
			reference_mlp(r, layer.block, layer.kind == TTT__PRIME, n, x, out);
		} else {
			k = trace_array(r->t, (S + n) * D);
			v = trace_array(r->t, (S + n) * D);
			memcpy(k, reading_inputs(r->t, s->k[i] + (at - S) * D, S * D), (size_t)(S * D) * sizeof *k);
			memcpy(v, reading_inputs(r->t, s->v[i] + (at - S) * D, S * D), (size_t)(S * D) * sizeof *v);
			reference_attention(r, layer.block, n, S, x, out, k, v);
			reading_values(r->t, k + S * D, s->k[i] + at * D, n * D);
			reading_values(r->t, v + S * D, s->v[i] + at * D, n * D);
		}
		x = out;
	}
	return x;
}

static inline void
reading_prefix(struct reading *s)
{
	int64_t D = s->c->d_model, TD = s->T * D;
	struct trace t = {0};
	struct reference r = {.t = &t, .c = s->c, .p = s->p, .window = s->c->window};
	int *w = reading_inputs(&t, s->w, s->p->n_float), *x = trace_array(&t, TD);

	r.w = w;
	for (int64_t i = 0; i < TD; i++)
		x[i] = w[s->p->embed + s->ids[i / D] * D + i % D];
	x = reading_layers(s, &r, x, 0, s->T, 0, problem_split(s->c));
	reading_values(&t, x, s->h, TD);
	trace_free(&t);
}

/* W <- W - rate clip(g), g the adjoints of the fast weights */
static inline void
reading_step(struct reading *s, const struct trace *t, const int *w)
{
	int64_t fast = s->p->fast_offset;
	struct dual square = {0, 0}, factor = {1, 0};

	for (int64_t i = 0; i < s->p->n_fast; i++)
		square = dual_add(square, dual_mul(t->adjoint[w[fast + i]], t->adjoint[w[fast + i]]));
	if (s->c->inner_clip > 0 && sqrt(square.v) >= s->c->inner_clip) {
		factor.v = s->c->inner_clip / sqrt(square.v);
		factor.d = -0.5 * factor.v / square.v * square.d;
	}
	for (int64_t i = 0; i < s->p->n_fast; i++) {
		struct dual step = dual_mul(factor, t->adjoint[w[fast + i]]);

		s->w[fast + i] = dual_add(s->w[fast + i], dual_scale(step, -s->rate));
	}
}

static inline struct dual
reading_chunk(struct reading *s, int64_t at, bool learn)
{
	int64_t C = s->c->chunk, D = s->c->d_model, count = 0;
	struct trace t = {0};
	struct reference r = {.t = &t, .c = s->c, .p = s->p, .window = s->c->window};
	int *w = reading_inputs(&t, s->w, s->p->n_float), *x = reading_inputs(&t, s->h + at * D, C * D), *nll = trace_array(&t, C);
	const int32_t *target = s->ids + at + 1;
	struct dual loss = {0, 0};

	r.w = w;
	r.biases = s->biases ? &s->biases[at / C] : NULL;
	x = reading_layers(s, &r, x, at, C, problem_split(s->c), problem_n_layer(s->c));
	reference_head(&r, C, x, target, nll);
	trace_start(&t);
	for (int64_t i = 0; i < C; i++)
		count += target[i] != s->c->bos;
	for (int64_t i = 0; i < C && count; i++)
		if (target[i] != s->c->bos) {
			t.adjoint[nll[i]].v = 1 / (double)count;
			loss = dual_add(loss, dual_scale(t.value[nll[i]], 1 / (double)count));
		}
	if (learn) {
		trace_back(&t);
		reading_step(s, &t, w);
	}
	trace_free(&t);
	return loss;
}

/* Loss of ids at w + shift direction, and its derivative along direction; biases: of the chunks' logits, constants. */
static inline struct dual
outer_reference_biased(const struct ttt_config *c, const struct ttt__parameters *p, const float *w, const double *direction, double shift,
    const int32_t *ids, int64_t T, double rate, int64_t held, const struct ttt__biases *biases)
{
	int64_t TD = T * c->d_model, n = T / c->chunk, steps = held ? n - held : n - 1;
	struct reading s = {.c = c, .p = p, .ids = ids, .T = T, .rate = rate, .biases = biases};
	struct dual loss = {0, 0}, *mean = tiny_new((size_t)p->n_fast + 1, sizeof *mean);

	s.w = tiny_new((size_t)p->n_float, sizeof *s.w);
	s.h = tiny_new((size_t)TD, sizeof *s.h);
	for (int64_t i = 0; i < p->n_float; i++)
		s.w[i] = (struct dual){(double)w[i] + shift * direction[i], direction[i]};
	for (int64_t i = 0; i < problem_n_layer(c); i++) {
		s.k[i] = tiny_new((size_t)TD, sizeof *s.k[i]);
		s.v[i] = tiny_new((size_t)TD, sizeof *s.v[i]);
	}
	reading_prefix(&s);
	for (int64_t j = 0; j < p->n_fast; j++)
		mean[j] = dual_scale(s.w[p->fast_offset + j], 1 - c->mean_share);
	for (int64_t i = 0; i < n; i++) {
		if (held && i == steps)
			memcpy(s.w + p->fast_offset, mean, (size_t)p->n_fast * sizeof *mean);
		loss = dual_add(loss, dual_scale(reading_chunk(&s, i * c->chunk, i < steps), 1 / (double)n));
		for (int64_t j = 0; j < p->n_fast && i < steps; j++)
			mean[j] = dual_add(mean[j], dual_scale(s.w[p->fast_offset + j], c->mean_share / (double)steps));
	}
	free(mean);
	for (int64_t i = 0; i < LAYERS; i++) {
		free(s.k[i]);
		free(s.v[i]);
	}
	free(s.w);
	free(s.h);
	return loss;
}

static inline struct dual
outer_reference(const struct ttt_config *c, const struct ttt__parameters *p, const float *w, const double *direction, double shift,
    const int32_t *ids, int64_t T, double rate, int64_t held)
{
	return outer_reference_biased(c, p, w, direction, shift, ids, T, rate, held, NULL);
}

#endif
