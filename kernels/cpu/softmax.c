/* Softmax over tiles of the vocabulary, so that the logits of a whole chunk are never stored (METAGRAD.md section 4, tied head). */
#include <math.h>
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/exp.h"

static void
softmax_start(struct ttt_device *d, float *max, float *sum, int64_t T)
{
	(void)d;
	for (int64_t t = 0; t < T; t++) {
		max[t] = -INFINITY;
		sum[t] = 0;
	}
}

struct tile {
	float *z, *rz, *max, *sum, *keep;
	const float *lse, *e, *from_max;
	int64_t n;
};

static void
tile_range(const void *args, int64_t from, int64_t to)
{
	const struct tile *o = args;
	int64_t n = o->n;

	for (int64_t t = from; t < to; t++) {
		float *zt = o->z + t * n, m = o->max[t], s = 0;

#pragma omp simd reduction(max : m)
		for (int64_t i = 0; i < n; i++)
			m = zt[i] > m ? zt[i] : m;
		o->keep[t] = ttt__exp(o->max[t] - m);
#pragma omp simd reduction(+ : s)
		for (int64_t i = 0; i < n; i++) {
			zt[i] = ttt__exp(zt[i] - m);
			s += zt[i];
		}
		o->sum[t] = o->sum[t] * o->keep[t] + s;
		o->max[t] = m;
	}
}

static void
softmax_tile(struct ttt_device *d, float *z, float *max, float *sum, float *keep, int64_t T, int64_t n)
{
	ttt__cpu_split(d, T, 10 * n, tile_range, &(struct tile){.z = z, .max = max, .sum = sum, .keep = keep, .n = n});
}

static void
softmax_end(struct ttt_device *d, float *lse, float *inverse, const float *max, const float *sum, int64_t T)
{
	(void)d;
	for (int64_t t = 0; t < T; t++) {
		double s = sum[t];

		lse[t] = (float)((double)max[t] + log(s));
		inverse[t] = (float)(1 / s);
	}
}

static void
known_range(const void *args, int64_t from, int64_t to)
{
	const struct tile *o = args;
	int64_t n = o->n;

	for (int64_t t = from; t < to; t++) {
		float *zt = o->z + t * n, l = o->lse[t];

#pragma omp simd
		for (int64_t i = 0; i < n; i++)
			zt[i] = ttt__exp(zt[i] - l);
		if (o->rz) {
			float *rzt = o->rz + t * n;

#pragma omp simd
			for (int64_t i = 0; i < n; i++)
				rzt[i] *= zt[i];
		}
	}
}

static void
softmax_known(struct ttt_device *d, float *z, float *rz, const float *lse, int64_t T, int64_t n)
{
	ttt__cpu_split(d, T, 9 * n, known_range, &(struct tile){.z = z, .rz = rz, .lse = lse, .n = n});
}

static void
kept_range(const void *args, int64_t from, int64_t to)
{
	const struct tile *o = args;
	int64_t n = o->n;

	for (int64_t t = from; t < to; t++) {
		const float *et = o->e + t * n;
		float *zt = o->z + t * n, factor = ttt__exp(o->from_max[t] - o->lse[t]);

#pragma omp simd
		for (int64_t i = 0; i < n; i++)
			zt[i] = et[i] * factor;
		if (o->rz) {
			float *rzt = o->rz + t * n;

#pragma omp simd
			for (int64_t i = 0; i < n; i++)
				rzt[i] *= zt[i];
		}
	}
}

static void
softmax_kept(struct ttt_device *d, float *z, float *rz, const float *e, const float *max, const float *lse, int64_t T, int64_t n)
{
	ttt__cpu_split(d, T, 2 * n, kept_range, &(struct tile){.z = z, .rz = rz, .e = e, .from_max = max, .lse = lse, .n = n});
}

struct sum {
	float *y;
	const float *e, *max, *lse;
	const int32_t *id;
	int64_t skip, T, n;
};

/* Columns from .. to - 1. */
static void
sum_range(const void *args, int64_t from, int64_t to)
{
	const struct sum *o = args;

	memset(o->y + from, 0, (size_t)(to - from) * sizeof *o->y);
	for (int64_t t = 0; t < o->T; t++) {
		const float *et = o->e + t * o->n;
		float factor = ttt__exp(o->max[t] - o->lse[t]);

		if (o->id[t] == o->skip)
			continue;
#pragma omp simd
		for (int64_t i = from; i < to; i++)
			o->y[i] += et[i] * factor;
	}
}

static void
softmax_sum(struct ttt_device *d, float *y, const float *e, const float *max, const float *lse, const int32_t *id, int64_t skip, int64_t T, int64_t n)
{
	ttt__cpu_split(d, n, 2 * T, sum_range, &(struct sum){.y = y, .e = e, .max = max, .lse = lse, .id = id, .skip = skip, .T = T, .n = n});
}

void
ISA(ttt__cpu_softmax)(struct ttt__ops *o)
{
	o->softmax_start = softmax_start;
	o->softmax_tile = softmax_tile;
	o->softmax_end = softmax_end;
	o->softmax_known = softmax_known;
	o->softmax_kept = softmax_kept;
	o->softmax_sum = softmax_sum;
}
