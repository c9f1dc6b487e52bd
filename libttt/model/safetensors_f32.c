/* Tensors of a safetensors file as float32. */
#include "libttt/model/safetensors.h"

#include <endian.h>
#include <math.h>
#include <string.h>

#include "libttt/json.h"

static float
from_bits(uint32_t u)
{
	float f;

	memcpy(&f, &u, sizeof(f));
	return f;
}

static float
from_f16(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 0x1f, fraction = h & 0x3ff;
	float f;

	if (exponent == 0x1f)
		return from_bits(sign | 0x7f800000 | fraction << 13);
	if (exponent != 0)
		return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
	f = ldexpf((float)fraction, -24); /* subnormal */
	return sign != 0 ? -f : f;
}

static float
from_f64(uint64_t u)
{
	double d;

	memcpy(&d, &u, sizeof(d));
	/* a NaN fails the comparison too */
	return fabs(d) <= 3.4028234663852886e38 ? (float)d : (float)INFINITY;
}

/* Elements [n] of p, which need not be aligned; a loop for each type, for they run over whole models. */
static void
convert(enum ttt__tensor_type dtype, const unsigned char *p, size_t n, float *out)
{
	uint64_t u64;
	uint32_t u32;
	uint16_t u16;

	switch (dtype) {
	case TTT__F32:
		for (size_t i = 0; i < n; i++) {
			memcpy(&u32, p + 4 * i, 4);
			out[i] = from_bits(le32toh(u32));
		}
		break;
	case TTT__F64:
		for (size_t i = 0; i < n; i++) {
			memcpy(&u64, p + 8 * i, 8);
			out[i] = from_f64(le64toh(u64));
		}
		break;
	case TTT__BF16:
		for (size_t i = 0; i < n; i++) {
			memcpy(&u16, p + 2 * i, 2);
			out[i] = from_bits((uint32_t)le16toh(u16) << 16);
		}
		break;
	default:
		for (size_t i = 0; i < n; i++) {
			memcpy(&u16, p + 2 * i, 2);
			out[i] = from_f16(le16toh(u16));
		}
		break;
	}
}

/* Bit 31 is set when x [n] holds a number that is not finite: only there does adding 1 to an exponent of all ones carry
 * into the sign. */
static inline uint32_t
carries(const float *x, size_t n)
{
	uint32_t any = 0, u;

	for (size_t i = 0; i < n; i++) {
		memcpy(&u, x + i, sizeof(u));
		any |= (u & 0x7fffffff) + 0x00800000;
	}
	return any;
}

/* The place of the first number that is not finite; n when all are. */
static size_t
first_not_finite(const float *x, size_t n)
{
	enum { BLOCK = 1024 }; /* known to the compiler, which then makes vector code of it */
	size_t at = 0;

	while (n - at >= BLOCK && carries(x + at, BLOCK) >> 31 == 0)
		at += BLOCK;
	while (at < n && isfinite(x[at]))
		at++;
	return at;
}

/* x [n]: the elements of t from number first on. */
static enum ttt_status
check_finite(const struct ttt__safetensors *s, const struct ttt__tensor *t, size_t first, const float *x, size_t n,
    struct ttt_error *err)
{
	char name[TTT__EXCERPT];
	size_t at = first_not_finite(x, n);

	if (at == n)
		return TTT_OK;
	return ttt__fail(err, TTT_E_FORMAT, "%s: tensor '%s': element %zu is not a finite number", s->label,
	    ttt__excerpt(name, t->name), first + at);
}

enum ttt_status
ttt__safetensors_convert(const struct ttt__safetensors *s, const struct ttt__tensor *t, size_t first, size_t n,
    float *out, struct ttt_error *err)
{
	char name[TTT__EXCERPT];

	if (t->dtype != TTT__F32 && t->dtype != TTT__F16 && t->dtype != TTT__BF16 && t->dtype != TTT__F64)
		return ttt__fail(err, TTT_E_FORMAT,
		    "%s: tensor '%s' is not of a floating-point type that is read (F32, F16, BF16, "
		    "F64)", s->label, ttt__excerpt(name, t->name));
	if (n == 0)
		return TTT_OK;
	convert(t->dtype, s->data + t->offset + first * (t->n_byte / t->n_element), n, out);
	return check_finite(s, t, first, out, n, err);
}

enum ttt_status
ttt__safetensors_check_f32(const struct ttt__safetensors *s, const struct ttt__tensor *t, struct ttt_error *err)
{
	return check_finite(s, t, 0, (const float *)(const void *)(s->data + t->offset), t->n_element, err);
}

enum ttt_status
ttt__safetensors_f32(const struct ttt__safetensors *s, const struct ttt__tensor *t, float *out, struct ttt_error *err)
{
	return ttt__safetensors_convert(s, t, 0, t->n_element, out, err);
}
