#include "libttt/random.h"

#include <math.h>

void
ttt__random_seed(struct ttt__random *r, uint64_t seed)
{
	for (int i = 0; i < 4; i++) {
		uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

		z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
		r->s[i] = z ^ z >> 31;
	}
	r->has_spare = false;
}

static uint64_t
rotate(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

uint64_t
ttt__random_bits(struct ttt__random *r)
{
	uint64_t *s = r->s, result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return result;
}

double
ttt__random_uniform(struct ttt__random *r)
{
	return (double)(ttt__random_bits(r) >> 11) * 0x1p-53;
}

double
ttt__random_normal(struct ttt__random *r)
{
	double radius, angle;

	if (r->has_spare) {
		r->has_spare = false;
		return r->spare;
	}
	radius = sqrt(-2 * log(1 - ttt__random_uniform(r))); /* 1 - u is never 0 */
	angle = 6.283185307179586 * ttt__random_uniform(r);
	r->spare = radius * sin(angle);
	r->has_spare = true;
	return radius * cos(angle);
}
