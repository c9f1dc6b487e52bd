/* exp and the logistic function as straight-line code that a compiler turns into vector code. Private. */
#ifndef TTT_CPU_EXP_H
#define TTT_CPU_EXP_H
#include <stdint.h>
#include <string.h>

/* e^x for float x, relative error below 2e-7; 0 below -87.3, finite above 88.3. x = n ln 2 + f, |f| <= ln 2 / 2, ln 2 in two parts; e^f by
 * its series to f^7 (the remainder is below 1e-8). */
static inline float
ttt__exp(float x)
{
	const float round = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer held in the low bits */
	float clamped = x < -87.3f ? -87.3f : x > 88.3f ? 88.3f : x;
	float shifted = clamped * 1.44269504f + round, n = shifted - round, f, p, power;
	uint32_t bits;

	f = clamped - n * 0.693359375f;
	f = f + n * 2.12194440e-4f;
	p = 1.0f / 5040;
	p = p * f + 1.0f / 720;
	p = p * f + 1.0f / 120;
	p = p * f + 1.0f / 24;
	p = p * f + 1.0f / 6;
	p = p * f + 0.5f;
	p = p * f + 1.0f;
	p = p * f + 1.0f;
	memcpy(&bits, &shifted, sizeof bits); /* n in the low bits; the shift drops the rest */
	bits = (bits << 23) + 0x3f800000u;
	memcpy(&power, &bits, sizeof power);
	return x < -87.3f ? 0.0f : p * power;
}

/* 1 / (1 + e^-x) */
static inline float
ttt__sigmoid(float x)
{
	return 1.0f / (1.0f + ttt__exp(-x));
}

#endif
