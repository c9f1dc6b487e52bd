/* bfloat16: the upper half of a float32. Private. */
#ifndef TTT_MODEL_BF16_H
#define TTT_MODEL_BF16_H
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* To the nearest, ties to even; false where that is beyond the range (and for what is not finite). */
static inline bool
ttt__bf16_round(uint16_t *out, float x)
{
	uint32_t u;

	memcpy(&u, &x, sizeof(u));
	u += 0x7fff + (u >> 16 & 1); /* half of the last bit kept, less a bit when that one is even */
	*out = (uint16_t)(u >> 16);
	return (u & 0x7f800000) != 0x7f800000;
}

static inline float
ttt__bf16_value(uint16_t x)
{
	uint32_t u = (uint32_t)x << 16;
	float f;

	memcpy(&f, &u, sizeof(f));
	return f;
}

#endif
