/* Random numbers that are the same everywhere for the same seed: xoshiro256** filled by splitmix64. Private. */
#ifndef TTT_RANDOM_H
#define TTT_RANDOM_H
#include "libttt/base.h"

struct ttt__random {
	uint64_t s[4];
	double spare; /* the second of a pair of normal numbers */
	bool has_spare;
};

void ttt__random_seed(struct ttt__random *r, uint64_t seed);
uint64_t ttt__random_bits(struct ttt__random *r);
double ttt__random_uniform(struct ttt__random *r); /* [0, 1), multiples of 2^-53 */
double ttt__random_normal(struct ttt__random *r);  /* Box-Muller */

#endif
