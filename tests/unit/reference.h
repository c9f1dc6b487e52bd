/* For unit tests: the network in double as its definition reads (SEMANTICS sections 1 and 2), a scalar at a time, on a trace. */
#ifndef TEST_REFERENCE_H
#define TEST_REFERENCE_H
#include "libttt/net/network.h"
#include "trace.h"

struct reference {
	struct trace *t;
	const struct ttt_config *c;
	const struct ttt__parameters *p;
	int64_t window;
	const int *w; /* [n_float] every parameter's node */
	const struct ttt__biases *biases; /* of logits, on the host; NULL: none */
};

/* Row t's logits with what is added to them. */
static inline void
reference_biases(const struct reference *r, int64_t t, int *z)
{
	for (int64_t i = 0; r->biases && i < r->biases->n; i++)
		if (r->biases->row[i] == t) {
			int *at = &z[r->biases->column[i]];

			*at = trace_line(r->t, *at, 1, *at, 0, (double)r->biases->value[i]);
		}
	for (int64_t v = 0; r->biases && r->biases->every && v < r->c->n_vocab; v++)
		z[v] = trace_line(r->t, z[v], 1, z[v], 0, (double)r->biases->every[v]);
}

/* y = g x / sqrt(mean x^2 + eps) over n */
static inline void
reference_norm(const struct reference *r, int *y, const int *x, const int *g, int64_t n)
{
	struct trace *t = r->t;
	int square = trace_dot(t, x, 1, x, 1, n);
	int scale = trace_power(t, trace_line(t, square, 1 / (double)n, square, 0, r->c->rms_eps), -0.5);

	for (int64_t i = 0; i < n; i++)
		y[i] = trace_mul(t, trace_mul(t, x[i], scale), g[i]);
}

/* y [rows] = W [rows, cols] x */
static inline void
reference_linear(const struct reference *r, int *y, const int *x, const int *w, int64_t rows, int64_t cols)
{
	for (int64_t i = 0; i < rows; i++)
		y[i] = trace_dot(r->t, x, 1, w + i * cols, 1, cols);
}

/* Pairs (2i, 2i + 1) of one head turned by position * theta^(-2i / K). */
static inline void
reference_turn(const struct reference *r, int *y, const int *x, int64_t position)
{
	int64_t K = r->c->d_head;

	for (int64_t i = 0; i < K; i += 2) {
		double angle = (double)position * pow(r->c->rope_theta, -(double)i / (double)K);

		y[i] = trace_line(r->t, x[i], cos(angle), x[i + 1], -sin(angle), 0);
		y[i + 1] = trace_line(r->t, x[i], sin(angle), x[i + 1], cos(angle), 0);
	}
}

/* out [K] = softmax(q K' / sqrt(K)) V over n keys, rows D apart */
static inline void
reference_attend(const struct reference *r, int *out, const int *q, const int *k, const int *v, int64_t n)
{
	int64_t K = r->c->d_head, D = r->c->d_model;
	struct trace *t = r->t;
	int *e = trace_array(t, n), inverse;
	double max = -INFINITY;

	for (int64_t j = 0; j < n; j++) {
		int dot = trace_dot(t, q, 1, k + j * D, 1, K);

		e[j] = trace_line(t, dot, 1 / sqrt((double)K), dot, 0, 0);
		max = fmax(max, t->value[e[j]].v);
	}
	for (int64_t j = 0; j < n; j++)
		e[j] = trace_exp(t, trace_line(t, e[j], 1, e[j], 0, -max));
	inverse = trace_power(t, trace_sum(t, e, n), -1);
	for (int64_t i = 0; i < K; i++)
		out[i] = trace_mul(t, trace_dot(t, e, 1, v + i, D, n), inverse);
}

/* x [T, D] to out [T, D]; k, v [S + T, D] hold the cached rows and receive the own ones. */
static inline void
reference_attention(const struct reference *r, int64_t block, int64_t T, int64_t S, const int *x, int *out, int *k, int *v)
{
	int64_t D = r->c->d_model, H = r->c->n_head, K = r->c->d_head;
	const struct ttt__block_offsets *o = &r->p->block[block];
	struct trace *t = r->t;
	int *turned = trace_array(t, (S + T) * D), *row = trace_array(t, 4 * D), *q = trace_array(t, 2 * K);
	int *n = row, *kq = row + D, *a = row + 2 * D, *s = row + 3 * D;

	for (int64_t j = 0; j < S + T; j++) {
		if (j >= S) {
			reference_norm(r, n, x + (j - S) * D, r->w + o->input_norm, D);
			reference_linear(r, kq, n, r->w + o->k, D, D);
			reference_linear(r, v + j * D, n, r->w + o->v, D, D);
			for (int64_t h = 0; h < H; h++)
				reference_norm(r, k + j * D + h * K, kq + h * K, r->w + o->k_norm, K);
		}
		for (int64_t h = 0; h < H; h++)
			reference_turn(r, turned + j * D + h * K, k + j * D + h * K, j);
	}
	for (int64_t i = 0; i < T; i++) {
		int64_t end = S + i + 1, from = r->window && end > r->window ? end - r->window : 0;

		reference_norm(r, n, x + i * D, r->w + o->input_norm, D);
		reference_linear(r, kq, n, r->w + o->q, D, D);
		for (int64_t h = 0; h < H; h++) {
			reference_norm(r, q, kq + h * K, r->w + o->q_norm, K);
			reference_turn(r, q + K, q, S + i);
			reference_attend(r, a + h * K, q + K, turned + from * D + h * K, v + from * D + h * K, end - from);
		}
		reference_linear(r, s, a, r->w + o->o, D, D);
		reference_norm(r, n, s, r->w + o->post_attention_norm, D);
		for (int64_t j = 0; j < D; j++)
			out[i * D + j] = trace_add(t, x[i * D + j], n[j]);
	}
}

/* silu(a) c */
static inline int
reference_gate(struct trace *t, int a, int c)
{
	int e = trace_exp(t, trace_line(t, a, -1, a, 0, 0));

	return trace_mul(t, trace_mul(t, a, trace_power(t, trace_line(t, e, 1, e, 0, 1), -1)), c);
}

static inline void
reference_mlp(const struct reference *r, int64_t block, bool prime, int64_t T, const int *x, int *out)
{
	int64_t D = r->c->d_model, F = prime ? r->c->d_prime : r->c->d_ff;
	const struct ttt__block_offsets *o = &r->p->block[block];
	const int *gate = r->w + (prime ? o->prime_gate : o->gate), *up = r->w + (prime ? o->prime_up : o->up);
	const int *down = r->w + (prime ? o->prime_down : o->down), *post = r->w + (prime ? o->post_prime_norm : o->post_ffn_norm);
	const int *pre = r->w + (prime ? o->pre_prime_norm : o->pre_ffn_norm);
	int *n = trace_array(r->t, 2 * D), *s = n + D, *a = trace_array(r->t, 3 * F), *c = a + F, *h = c + F;

	for (int64_t i = 0; i < T; i++) {
		reference_norm(r, n, x + i * D, pre, D);
		reference_linear(r, a, n, gate, F, D);
		reference_linear(r, c, n, up, F, D);
		for (int64_t j = 0; j < F; j++)
			h[j] = reference_gate(r->t, a[j], c[j]);
		reference_linear(r, s, h, down, D, F);
		reference_norm(r, n, s, post, D);
		for (int64_t j = 0; j < D; j++)
			out[i * D + j] = trace_add(r->t, x[i * D + j], n[j]);
	}
}

/* nll [T] of the targets */
static inline void
reference_head(const struct reference *r, int64_t T, const int *x, const int32_t *target, int *nll)
{
	int64_t D = r->c->d_model, V = r->c->n_vocab;
	struct trace *t = r->t;
	int *n = trace_array(t, D), *z = trace_array(t, V), *e = trace_array(t, V);

	for (int64_t i = 0; i < T; i++) {
		double max = -INFINITY;
		int lse;

		reference_norm(r, n, x + i * D, r->w + r->p->final_norm, D);
		reference_linear(r, z, n, r->w + r->p->embed, V, D);
		reference_biases(r, i, z);
		for (int64_t j = 0; j < V; j++)
			max = fmax(max, t->value[z[j]].v);
		for (int64_t j = 0; j < V; j++)
			e[j] = trace_exp(t, trace_line(t, z[j], 1, z[j], 0, -max));
		lse = trace_log(t, trace_sum(t, e, V));
		nll[i] = trace_line(t, lse, 1, z[target[i]], -1, max);
	}
}

#endif
