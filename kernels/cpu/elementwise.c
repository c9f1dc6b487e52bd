/* Operations on n floats: elementwise, reductions, AdamW. */
#include <math.h>
#include <string.h>

#include "kernels/cpu/cpu.h"

/* y, and what it is made of. */
struct vectors {
	float *y;
	const float *a, *b;
	float f, g;
};

static void
zero(struct ttt_device *d, float *y, int64_t n)
{
	(void)d;
	if (n > 0)
		memset(y, 0, (size_t)n * sizeof *y);
}

static void
add_range(const void *args, int64_t from, int64_t to)
{
	const struct vectors *v = args;
	float *y = v->y;
	const float *a = v->a, *b = v->b;

#pragma omp simd
	for (int64_t i = from; i < to; i++)
		y[i] = a[i] + b[i];
}

static void
add(struct ttt_device *d, float *y, const float *a, const float *b, int64_t n)
{
	ttt__cpu_split(d, n, 1, add_range, &(struct vectors){.y = y, .a = a, .b = b});
}

static void
axpy_range(const void *args, int64_t from, int64_t to)
{
	const struct vectors *v = args;
	float *y = v->y, f = v->f;
	const float *x = v->a;

#pragma omp simd
	for (int64_t i = from; i < to; i++)
		y[i] += f * x[i];
}

static void
axpy(struct ttt_device *d, float *y, double a, const float *x, int64_t n)
{
	ttt__cpu_split(d, n, 1, axpy_range, &(struct vectors){.y = y, .a = x, .f = (float)a});
}

static void
combine_range(const void *args, int64_t from, int64_t to)
{
	const struct vectors *v = args;
	float *y = v->y, f = v->f, g = v->g;
	const float *x = v->a, *z = v->b;

#pragma omp simd
	for (int64_t i = from; i < to; i++)
		y[i] = f * x[i] + g * z[i];
}

static void
combine(struct ttt_device *d, float *y, double a, const float *x, double b, const float *z, int64_t n)
{
	ttt__cpu_split(d, n, 1, combine_range, &(struct vectors){.y = y, .a = x, .b = z, .f = (float)a, .g = (float)b});
}

/* Sums of blocks of BLOCK, in PARTS runs of blocks: neither depends on the number of threads. */
enum { BLOCK = 4096, PARTS = 64 };

struct dot {
	const float *a, *b;
	int64_t n;
	double *part; /* [PARTS] */
};

static double
dot_block(const float *a, const float *b, int64_t n)
{
	double sum = 0;

#pragma omp simd reduction(+ : sum)
	for (int64_t i = 0; i < n; i++)
		sum += (double)a[i] * (double)b[i];
	return sum;
}

static void
dot_range(const void *args, int64_t from, int64_t to)
{
	const struct dot *o = args;
	int64_t blocks = (o->n + BLOCK - 1) / BLOCK;

	for (int64_t p = from; p < to; p++) {
		o->part[p] = 0;
		for (int64_t b = blocks * p / PARTS; b < blocks * (p + 1) / PARTS; b++) {
			int64_t at = b * BLOCK;

			o->part[p] += dot_block(o->a + at, o->b + at, o->n - at < BLOCK ? o->n - at : BLOCK);
		}
	}
}

static double
dot(struct ttt_device *d, const float *a, const float *b, int64_t n)
{
	double part[PARTS], sum = 0;

	ttt__cpu_split(d, PARTS, 2 * n / PARTS + 1, dot_range, &(struct dot){a, b, n, part});
	for (int i = 0; i < PARTS; i++)
		sum += part[i];
	return sum;
}

struct adamw {
	float *p, *m, *v;
	const float *g;
	struct ttt__adamw o;
};

/* SEMANTICS section 7: moments, bias correction, decoupled weight decay. */
static void
adamw_range(const void *args, int64_t from, int64_t to)
{
	const struct adamw *a = args;
	const struct ttt__adamw *o = &a->o;
	float *p = a->p, *m = a->m, *v = a->v;
	const float *g = a->g;
	float b1 = (float)o->b1, b2 = (float)o->b2, c1 = (float)(1 - o->b1), c2 = (float)(1 - o->b2), clip = (float)o->scale;
	double correct1 = 1 / o->correct1, correct2 = 1 / o->correct2, lr = o->lr, eps = o->eps, decay = o->weight_decay;

#pragma omp simd
	for (int64_t i = from; i < to; i++) {
		float gi = clip * g[i];
		double w = (double)p[i];

		m[i] = b1 * m[i] + c1 * gi;
		v[i] = b2 * v[i] + c2 * gi * gi;
		p[i] = (float)(w - lr * ((double)m[i] * correct1 / (sqrt((double)v[i] * correct2) + eps) + decay * w));
	}
}

static void
adamw(struct ttt_device *d, float *p, float *m, float *v, const float *g, int64_t n, const struct ttt__adamw *o)
{
	ttt__cpu_split(d, n, 8, adamw_range, &(struct adamw){.p = p, .m = m, .v = v, .g = g, .o = *o});
}

void
ISA(ttt__cpu_elementwise)(struct ttt__ops *o)
{
	o->zero = zero;
	o->add = add;
	o->axpy = axpy;
	o->combine = combine;
	o->dot = dot;
	o->adamw = adamw;
}
