/* Rotary embedding of interleaved pairs (SEMANTICS section 1). It is linear: the tangent is the same map, the backward its transpose. */
#include "kernels/cpu/cpu.h"

static void
rope(struct ttt_device *d, float *y, int64_t ldy, const float *x, int64_t ldx, const float *table, int64_t p0, int64_t T, int64_t H,
    int64_t K, bool back, bool add)
{
	float sign = back ? -1.0f : 1.0f;

#pragma omp parallel for schedule(static) num_threads(d->n_thread) if (T * H * K > TTT__PARALLEL_MIN)
	for (int64_t t = 0; t < T; t++) {
		const float *angle = table + (p0 + t) * K;

		for (int64_t h = 0; h < H; h++) {
			const float *xi = x + t * ldx + h * K;
			float *yi = y + t * ldy + h * K;

#pragma omp simd
			for (int64_t i = 0; i < K; i += 2) {
				float c = angle[i], s = sign * angle[i + 1], a = xi[i], b = xi[i + 1];
				float first = a * c - b * s, second = a * s + b * c;

				yi[i] = add ? yi[i] + first : first;
				yi[i + 1] = add ? yi[i + 1] + second : second;
			}
		}
	}
}

void
ISA(ttt__cpu_rope)(struct ttt__ops *o)
{
	o->rope = rope;
}
