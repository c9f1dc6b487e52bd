/* Rotary embedding of interleaved pairs (SEMANTICS section 1). It is linear: the tangent is the same map, the backward its transpose. */
#include "kernels/cpu/cpu.h"

struct rope {
	float *y;
	const float *x, *table;
	int64_t ldy, ldx, p0, H, K;
	bool back, add;
};

static void
rope_range(const void *args, int64_t from, int64_t to)
{
	const struct rope *o = args;
	float sign = o->back ? -1.0f : 1.0f;
	int64_t K = o->K;
	bool add = o->add;

	for (int64_t t = from; t < to; t++) {
		const float *angle = o->table + (o->p0 + t) * K;

		for (int64_t h = 0; h < o->H; h++) {
			const float *xi = o->x + t * o->ldx + h * K;
			float *yi = o->y + t * o->ldy + h * K;

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

static void
rope(struct ttt_device *d, float *y, int64_t ldy, const float *x, int64_t ldx, const float *table, int64_t p0, int64_t T, int64_t H,
    int64_t K, bool back, bool add)
{
	ttt__cpu_split(d, T, 2 * H * K, rope_range, &(struct rope){y, x, table, ldy, ldx, p0, H, K, back, add});
}

void
ISA(ttt__cpu_rope)(struct ttt__ops *o)
{
	o->rope = rope;
}
