/* For unit tests: an oracle that knows no formula of the library. Every scalar step of a computation in double is written down with its
 * partial derivatives, then walked backwards. Values and partials are dual numbers v + e d (e^2 = 0), so that one walk gives a gradient
 * and its derivative along a direction. test_layers checks the oracle itself by finite differences. */
#ifndef TEST_TRACE_H
#define TEST_TRACE_H
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct dual {
	double v, d;
};

struct edge {
	int from;
	struct dual partial;
};

/* Node i is made from edges first[i] .. first[i + 1] - 1. */
struct trace {
	struct dual *value, *adjoint;
	int64_t *first;
	struct edge *edge;
	int64_t n, room, n_edge, edge_room;
	int **array;
	int64_t n_array, array_room;
};

static inline struct dual
dual_add(struct dual a, struct dual b)
{
	return (struct dual){a.v + b.v, a.d + b.d};
}

static inline struct dual
dual_mul(struct dual a, struct dual b)
{
	return (struct dual){a.v * b.v, a.v * b.d + a.d * b.v};
}

static inline struct dual
dual_scale(struct dual a, double s)
{
	return (struct dual){s * a.v, s * a.d};
}

static inline void *
must(void *p)
{
	if (!p) {
		fputs("no memory for the test\n", stderr);
		exit(99);
	}
	return p;
}

/* Indices [n] that live as long as the trace. */
static inline int *
trace_array(struct trace *t, int64_t n)
{
	if (t->n_array == t->array_room) {
		t->array_room = 2 * t->array_room + 64;
		t->array = must(realloc(t->array, (size_t)t->array_room * sizeof *t->array));
	}
	t->array[t->n_array] = must(malloc((size_t)(n + 1) * sizeof(int)));
	return t->array[t->n_array++];
}

static inline int
trace_node(struct trace *t, struct dual value)
{
	if (t->n + 1 >= t->room) {
		t->room = 2 * t->room + 4096;
		t->value = must(realloc(t->value, (size_t)t->room * sizeof *t->value));
		t->first = must(realloc(t->first, (size_t)t->room * sizeof *t->first));
	}
	t->value[t->n] = value;
	t->first[t->n] = t->n_edge;
	t->first[t->n + 1] = t->n_edge;
	return (int)t->n++;
}

/* One more thing that the newest node depends on. */
static inline void
trace_edge(struct trace *t, int from, struct dual partial)
{
	if (t->n_edge == t->edge_room) {
		t->edge_room = 2 * t->edge_room + 16384;
		t->edge = must(realloc(t->edge, (size_t)t->edge_room * sizeof *t->edge));
	}
	t->edge[t->n_edge++] = (struct edge){from, partial};
	t->first[t->n] = t->n_edge;
}

static inline int
trace_add(struct trace *t, int a, int b)
{
	int y = trace_node(t, dual_add(t->value[a], t->value[b]));

	trace_edge(t, a, (struct dual){1, 0});
	trace_edge(t, b, (struct dual){1, 0});
	return y;
}

static inline int
trace_mul(struct trace *t, int a, int b)
{
	int y = trace_node(t, dual_mul(t->value[a], t->value[b]));

	trace_edge(t, a, t->value[b]);
	trace_edge(t, b, t->value[a]);
	return y;
}

/* p a + q b + c; b may be a, with q = 0 */
static inline int
trace_line(struct trace *t, int a, double p, int b, double q, double c)
{
	struct dual value = dual_add(dual_scale(t->value[a], p), dual_scale(t->value[b], q));
	int y;

	value.v += c;
	y = trace_node(t, value);
	trace_edge(t, a, (struct dual){p, 0});
	trace_edge(t, b, (struct dual){q, 0});
	return y;
}

/* sum of a[i sa] b[i sb] over n */
static inline int
trace_dot(struct trace *t, const int *a, int64_t sa, const int *b, int64_t sb, int64_t n)
{
	struct dual sum = {0, 0};
	int y;

	for (int64_t i = 0; i < n; i++)
		sum = dual_add(sum, dual_mul(t->value[a[i * sa]], t->value[b[i * sb]]));
	y = trace_node(t, sum);
	for (int64_t i = 0; i < n; i++) {
		trace_edge(t, a[i * sa], t->value[b[i * sb]]);
		trace_edge(t, b[i * sb], t->value[a[i * sa]]);
	}
	return y;
}

static inline int
trace_sum(struct trace *t, const int *a, int64_t n)
{
	struct dual sum = {0, 0};
	int y;

	for (int64_t i = 0; i < n; i++)
		sum = dual_add(sum, t->value[a[i]]);
	y = trace_node(t, sum);
	for (int64_t i = 0; i < n; i++)
		trace_edge(t, a[i], (struct dual){1, 0});
	return y;
}

/* A function of one number by its value and first two derivatives there. */
static inline int
trace_map(struct trace *t, int a, double f, double f1, double f2)
{
	double d = t->value[a].d;
	int y = trace_node(t, (struct dual){f, f1 * d});

	trace_edge(t, a, (struct dual){f1, f2 * d});
	return y;
}

static inline int
trace_exp(struct trace *t, int a)
{
	double e = exp(t->value[a].v);

	return trace_map(t, a, e, e, e);
}

static inline int
trace_log(struct trace *t, int a)
{
	double x = t->value[a].v;

	return trace_map(t, a, log(x), 1 / x, -1 / (x * x));
}

/* a^p */
static inline int
trace_power(struct trace *t, int a, double p)
{
	double x = t->value[a].v;

	return trace_map(t, a, pow(x, p), p * pow(x, p - 1), p * (p - 1) * pow(x, p - 2));
}

/* Zero adjoints, ready to be seeded. */
static inline void
trace_start(struct trace *t)
{
	free(t->adjoint);
	t->adjoint = must(calloc((size_t)t->n + 1, sizeof *t->adjoint));
}

static inline void
trace_back(struct trace *t)
{
	for (int64_t i = t->n - 1; i >= 0; i--)
		for (int64_t e = t->first[i]; e < t->first[i + 1]; e++) {
			struct dual *a = &t->adjoint[t->edge[e].from];

			*a = dual_add(*a, dual_mul(t->adjoint[i], t->edge[e].partial));
		}
}

static inline void
trace_free(struct trace *t)
{
	for (int64_t i = 0; i < t->n_array; i++)
		free(t->array[i]);
	free(t->array);
	free(t->value);
	free(t->adjoint);
	free(t->first);
	free(t->edge);
	*t = (struct trace){0};
}

#endif
