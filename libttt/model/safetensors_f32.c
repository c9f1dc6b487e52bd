/* Tensors of a safetensors file as float32. */
#include "libttt/model/safetensors.h"

#include <endian.h>
#include <math.h>
#include <string.h>

#include "libttt/model/json.h"

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
element(enum ttt__dtype dtype, const unsigned char *p, size_t i)
{
	uint64_t u64;
	uint32_t u32;
	uint16_t u16;
	double d;

	switch (dtype) {
	case TTT__F32:
		memcpy(&u32, p + 4 * i, 4);
		return from_bits(le32toh(u32));
	case TTT__F64:
		memcpy(&u64, p + 8 * i, 8);
		u64 = le64toh(u64);
		memcpy(&d, &u64, 8);
		/* a NaN fails the comparison too */
		return fabs(d) <= 3.4028234663852886e38 ? (float)d : (float)INFINITY;
	case TTT__BF16:
		memcpy(&u16, p + 2 * i, 2);
		return from_bits((uint32_t)le16toh(u16) << 16);
	default:
		memcpy(&u16, p + 2 * i, 2);
		return from_f16(le16toh(u16));
	}
}

enum ttt_status
ttt__safetensors_convert(const struct ttt__safetensors *s, const struct ttt__tensor *t, const void *bytes, float *out,
    struct ttt_error *err)
{
	char name[TTT__EXCERPT];
	size_t i;

	if (t->dtype != TTT__F32 && t->dtype != TTT__F16 && t->dtype != TTT__BF16 && t->dtype != TTT__F64)
		return ttt__fail(err, TTT_E_FORMAT,
		    "%s: tensor '%s' is not of a floating-point type that is read (F32, F16, BF16, "
		    "F64)", s->label, ttt__excerpt(name, t->name));
	for (i = 0; i < t->n_element; i++)
		out[i] = element(t->dtype, bytes, i);
	for (i = 0; i < t->n_element; i++)
		if (!isfinite(out[i]))
			return ttt__fail(err, TTT_E_FORMAT, "%s: tensor '%s': element %zu is not a finite number",
			    s->label, ttt__excerpt(name, t->name), i);
	return TTT_OK;
}

enum ttt_status
ttt__safetensors_f32(const struct ttt__safetensors *s, const struct ttt__tensor *t, float *out, struct ttt_error *err)
{
	return ttt__safetensors_convert(s, t, s->data + t->offset, out, err);
}
