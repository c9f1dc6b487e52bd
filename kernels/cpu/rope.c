/* Rotary embedding of interleaved pairs (SEMANTICS section 1). It is linear: the tangent is the same map, the backward its transpose. */
#include "kernels/cpu/cpu.h"

struct rope {
	float *y;
	const float *x, *angle;
	int64_t ldy, ldx, H, K;
	bool back;
};

static void
rope_range(const void *args, int64_t from, int64_t to)
{
	const struct rope *o = args;
	float sign = o->back ? -1.0f : 1.0f;
	int64_t K = o->K;

	for (int64_t t = from; t < to; t++) {
		const float *angle = o->angle + t * K;

		for (int64_t h = 0; h < o->H; h++) {
			const float *xi = o->x + t * o->ldx + h * K;
			float *yi = o->y + t * o->ldy + h * K;

#pragma omp simd
			for (int64_t i = 0; i < K; i += 2) {
				float c = angle[i], s = sign * angle[i + 1], a = xi[i], b = xi[i + 1];

				yi[i] = a * c - b * s;
				yi[i + 1] = a * s + b * c;
			}
		}
	}
}

static void
rope(struct ttt_device *d, float *y, int64_t ldy, const float *x, int64_t ldx, const float *angle, int64_t T, int64_t H, int64_t K, bool back)
{
	ttt__cpu_split(d, T, 2 * H * K, rope_range, &(struct rope){y, x, angle, ldy, ldx, H, K, back});
}

void
ISA(ttt__cpu_rope)(struct ttt__ops *o)
{
	o->rope = rope;
}
