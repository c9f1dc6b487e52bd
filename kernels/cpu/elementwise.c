/* Elementwise operations, reductions, rows, AdamW. */
#include <math.h>
#include <string.h>

#include "kernels/cpu/cpu.h"

static void
zero(struct ttt_device *d, float *y, int64_t n)
{
	(void)d;
	if (n > 0)
		memset(y, 0, (size_t)n * sizeof *y);
}

static void
add(struct ttt_device *d, float *y, const float *a, const float *b, int64_t n)
{
#pragma omp parallel for simd schedule(static) num_threads(d->n_thread) if (n > TTT__PARALLEL_MIN)
	for (int64_t i = 0; i < n; i++)
		y[i] = a[i] + b[i];
}

static void
axpy(struct ttt_device *d, float *y, double a, const float *x, int64_t n)
{
	float f = (float)a;

#pragma omp parallel for simd schedule(static) num_threads(d->n_thread) if (n > TTT__PARALLEL_MIN)
	for (int64_t i = 0; i < n; i++)
		y[i] += f * x[i];
}

static void
scale(struct ttt_device *d, float *y, double a, const float *x, int64_t n)
{
	float f = (float)a;

#pragma omp parallel for simd schedule(static) num_threads(d->n_thread) if (n > TTT__PARALLEL_MIN)
	for (int64_t i = 0; i < n; i++)
		y[i] = f * x[i];
}

/* In blocks, so that the sum does not depend on the number of threads. */
static double
dot(struct ttt_device *d, const float *a, const float *b, int64_t n)
{
	double sum = 0;

	(void)d;
	for (int64_t from = 0; from < n; from += 4096) {
		int64_t to = from + 4096 < n ? from + 4096 : n;
		double part = 0;

#pragma omp simd reduction(+ : part)
		for (int64_t i = from; i < to; i++)
			part += (double)a[i] * (double)b[i];
		sum += part;
	}
	return sum;
}

/* SEMANTICS section 7: moments, bias correction, decoupled weight decay. */
static void
adamw(struct ttt_device *d, float *p, float *m, float *v, const float *g, int64_t n, const struct ttt__adamw *o)
{
	float b1 = (float)o->b1, b2 = (float)o->b2, c1 = (float)(1 - o->b1), c2 = (float)(1 - o->b2), clip = (float)o->scale;
	double correct1 = 1 / o->correct1, correct2 = 1 / o->correct2, lr = o->lr, eps = o->eps, decay = o->weight_decay;

#pragma omp parallel for simd schedule(static) num_threads(d->n_thread) if (n > TTT__PARALLEL_MIN)
	for (int64_t i = 0; i < n; i++) {
		float gi = clip * g[i];
		double w = (double)p[i];

		m[i] = b1 * m[i] + c1 * gi;
		v[i] = b2 * v[i] + c2 * gi * gi;
		p[i] = (float)(w - lr * ((double)m[i] * correct1 / (sqrt((double)v[i] * correct2) + eps) + decay * w));
	}
}

static void
copy_rows(struct ttt_device *d, float *y, int64_t ldy, const float *x, int64_t ldx, int64_t T, int64_t n)
{
	(void)d;
	for (int64_t t = 0; t < T; t++)
		memcpy(y + t * ldy, x + t * ldx, (size_t)n * sizeof *y);
}

static void
combine_rows(struct ttt_device *d, float *y, const float *a, const float *x, const float *b, const float *z, int64_t T, int64_t n)
{
#pragma omp parallel for schedule(static) num_threads(d->n_thread) if (T * n > TTT__PARALLEL_MIN)
	for (int64_t t = 0; t < T; t++) {
		const float *xt = x + t * n, *zt = z ? z + t * n : NULL;
		float *yt = y + t * n, at = a[t], bt = b ? b[t] : 0;

		if (zt)
#pragma omp simd
			for (int64_t i = 0; i < n; i++)
				yt[i] = at * xt[i] + bt * zt[i];
		else
#pragma omp simd
			for (int64_t i = 0; i < n; i++)
				yt[i] = at * xt[i];
	}
}

static void
dot_rows(struct ttt_device *d, float *y, const float *x, const float *z, int64_t T, int64_t n)
{
#pragma omp parallel for schedule(static) num_threads(d->n_thread) if (T * n > TTT__PARALLEL_MIN)
	for (int64_t t = 0; t < T; t++) {
		const float *xt = x + t * n, *zt = z + t * n;
		double sum = 0;

#pragma omp simd reduction(+ : sum)
		for (int64_t i = 0; i < n; i++)
			sum += (double)xt[i] * (double)zt[i];
		y[t] = (float)sum;
	}
}

static void
gather_rows(struct ttt_device *d, float *y, const float *E, const int32_t *id, int64_t T, int64_t n)
{
	(void)d;
	for (int64_t t = 0; t < T; t++)
		memcpy(y + t * n, E + id[t] * n, (size_t)n * sizeof *y);
}

static void
scatter_rows(struct ttt_device *d, float *E, const int32_t *id, double a, const float *x, int64_t T, int64_t n)
{
	float f = (float)a;

	(void)d;
	for (int64_t t = 0; t < T; t++) {
		float *row = E + id[t] * n;
		const float *xt = x + t * n;

#pragma omp simd
		for (int64_t i = 0; i < n; i++)
			row[i] += f * xt[i];
	}
}

void
ISA(ttt__cpu_elementwise)(struct ttt__ops *o)
{
	o->zero = zero;
	o->add = add;
	o->axpy = axpy;
	o->scale = scale;
	o->dot = dot;
	o->adamw = adamw;
	o->copy_rows = copy_rows;
	o->combine_rows = combine_rows;
	o->dot_rows = dot_rows;
	o->gather_rows = gather_rows;
	o->scatter_rows = scatter_rows;
}
