/* Softmax over tiles of the vocabulary, so that the logits of a whole chunk are never stored (METAGRAD.md section 4, tied head). */
#include <math.h>

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

static void
softmax_tile(struct ttt_device *d, float *z, float *max, float *sum, float *keep, int64_t T, int64_t n)
{
#pragma omp parallel for schedule(static) num_threads(d->n_thread) if (T * n > TTT__PARALLEL_MIN / 4)
	for (int64_t t = 0; t < T; t++) {
		float *zt = z + t * n, m = max[t], s = 0;

#pragma omp simd reduction(max : m)
		for (int64_t i = 0; i < n; i++)
			m = zt[i] > m ? zt[i] : m;
		keep[t] = ttt__exp(max[t] - m);
#pragma omp simd reduction(+ : s)
		for (int64_t i = 0; i < n; i++) {
			zt[i] = ttt__exp(zt[i] - m);
			s += zt[i];
		}
		sum[t] = sum[t] * keep[t] + s;
		max[t] = m;
	}
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
softmax_known(struct ttt_device *d, float *z, float *rz, const float *lse, int64_t T, int64_t n)
{
#pragma omp parallel for schedule(static) num_threads(d->n_thread) if (T * n > TTT__PARALLEL_MIN / 4)
	for (int64_t t = 0; t < T; t++) {
		float *zt = z + t * n, l = lse[t];

#pragma omp simd
		for (int64_t i = 0; i < n; i++)
			zt[i] = ttt__exp(zt[i] - l);
		if (rz) {
			float *rzt = rz + t * n;

#pragma omp simd
			for (int64_t i = 0; i < n; i++)
				rzt[i] *= zt[i];
		}
	}
}

void
ISA(ttt__cpu_softmax)(struct ttt__ops *o)
{
	o->softmax_start = softmax_start;
	o->softmax_tile = softmax_tile;
	o->softmax_end = softmax_end;
	o->softmax_known = softmax_known;
}
