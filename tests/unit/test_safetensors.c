/* safetensors: every malformed file refused for its reason, nothing read outside the buffer, numbers exact. */
#include <dirent.h>
#include <math.h>

#include "libttt/model/safetensors.h"
#include "tests/unit/scratch.h"

/* Parse from an exact allocation, so that a sanitizer sees any byte read past the end. */
static enum ttt_status
parse_copy(const unsigned char *p, size_t n, struct ttt_error *err)
{
	unsigned char *copy = malloc(n > 0 ? n : 1);
	struct ttt__safetensors s;
	enum ttt_status status;

	assert_non_null(copy);
	if (n > 0)
		memcpy(copy, p, n);
	status = ttt__safetensors_parse(&s, copy, n, "f.safetensors", err);
	if (status == TTT_OK)
		ttt__safetensors_free(&s);
	free(copy);
	return status;
}

static void
test_cases(void **state)
{
	DIR *d = opendir(data_path("files/safetensors"));
	struct dirent *e;
	int n_bad = 0, n_good = 0;

	(void)state;
	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		struct ttt_error err = { 0 };
		struct ttt__bytes b;
		enum ttt_status status;
		bool good = strncmp(e->d_name, "ok_", 3) == 0 || strncmp(e->d_name, "shape_wrong", 11) == 0 ||
		    strncmp(e->d_name, "missing_tensor", 14) == 0;

		if (e->d_name[0] == '.')
			continue;
		b = slurp(in(data_path("files/safetensors"), e->d_name));
		status = parse_copy(b.p, b.n, &err);
		if (good != (status == TTT_OK))
			fail_msg("%s: status %d: %s", e->d_name, (int)status, err.text);
		if (!good)
			assert_fails(status, TTT_E_FORMAT, &err, "f.safetensors: ");
		*(good ? &n_good : &n_bad) += 1;
		ttt__bytes_free(&b);
	}
	closedir(d);
	assert_int_equal(n_bad, 33);
	assert_int_equal(n_good, 7);
}

static void
test_reasons(void **state)
{
	static const struct {
		const char *header, *reason;
		size_t n_data;
	} cases[] = {
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}", "is not JSON", 4 },
		{ " {\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "does not begin with '{'", 4 },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", "do not fit the offsets", 4 },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", "negative", 4 },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", "reversed", 4 },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "beyond the end", 3 },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "after the last tensor", 5 },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", "unused bytes", 8 },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
		  "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "overlaps", 4 },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1],\"data_offsets\":[0,4]}}", "4 dimensions", 4 },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,4]}}",
		    "can be counted", 4 },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387905],\"data_offsets\":[0,4]}}", "do not fit",
		    4 },
		{ "{\"\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "1 to 128", 4 },
		{ "{\"a\":{\"dtype\":\"X\\n\",\"shape\":[1],\"data_offsets\":[0,4]}}", "unknown dtype 'X\\x0a'", 4 },
		{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", "not an integer", 4 },
		{ "{\"__metadata__\":{\"a\":1}}", "not a string", 0 },
		{ "{\"__metadata__\":{\"a\":{\"b\":{\"c\":{\"d\":1}}}}}", "nested", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = strlen(cases[i].header);
		unsigned char file[512] = { (unsigned char)(n & 0xff), (unsigned char)(n >> 8) };
		struct ttt_error err = { 0 };

		memcpy(file + 8, cases[i].header, n);
		assert_fails(parse_copy(file, 8 + n + cases[i].n_data, &err), TTT_E_FORMAT, &err, cases[i].reason);
	}
}

/* Cut anywhere: refused. Any bit flipped in length and header: refused or taken, never a byte read outside. */
static void
test_damage(void **state)
{
	struct ttt__bytes b = slurp(data_path("files/safetensors/ok_no_metadata.safetensors"));
	struct ttt_error err = { 0 };

	(void)state;
	assert_ok(parse_copy(b.p, b.n, &err), &err);
	for (size_t n = 0; n < b.n; n++)
		if (parse_copy(b.p, n, &err) == TTT_OK)
			fail_msg("cut to %zu bytes it is taken", n);
	for (size_t i = 0; i < 8 + (size_t)(b.p[0] | b.p[1] << 8); i++) {
		b.p[i] ^= (unsigned char)(1 << i % 8);
		(void)parse_copy(b.p, b.n, &err);
		b.p[i] ^= (unsigned char)(1 << i % 8);
	}
	ttt__bytes_free(&b);
}

static void
check_number(enum ttt__tensor_type dtype, uint64_t bits, size_t size, bool finite, float want)
{
	struct ttt__safetensors s = { .label = (char *)"f.safetensors" };
	struct ttt__tensor t = { .name = (char *)"x", .dtype = dtype, .n_element = 1, .n_byte = size };
	unsigned char raw[8];
	struct ttt_error err = { 0 };
	float got = 0;

	for (size_t i = 0; i < 8; i++)
		raw[i] = (unsigned char)(bits >> 8 * i & 0xff);
	s.data = raw;
	if (!finite) {
		assert_fails(ttt__safetensors_f32(&s, &t, &got, &err), TTT_E_FORMAT, &err, "not a finite number");
		return;
	}
	assert_ok(ttt__safetensors_f32(&s, &t, &got, &err), &err);
	assert_memory_equal(&got, &want, sizeof(got));
}

static void
test_numbers(void **state)
{
	(void)state;
	check_number(TTT__F32, 0x3fc00000, 4, true, 1.5F);
	check_number(TTT__F32, 0x7f800000, 4, false, 0);
	check_number(TTT__F32, 0x7fc00001, 4, false, 0);
	check_number(TTT__BF16, 0xc040, 2, true, -3.0F);
	check_number(TTT__BF16, 0x7f80, 2, false, 0);
	check_number(TTT__F16, 0x3c00, 2, true, 1.0F);
	check_number(TTT__F16, 0x8000, 2, true, -0.0F);
	check_number(TTT__F16, 0x7bff, 2, true, 65504.0F);
	check_number(TTT__F16, 0x0001, 2, true, 0x1p-24F);
	check_number(TTT__F16, 0x83ff, 2, true, -0x3ffp-24F);
	check_number(TTT__F16, 0x0400, 2, true, 0x1p-14F);
	check_number(TTT__F16, 0x7c00, 2, false, 0);
	check_number(TTT__F16, 0xfe00, 2, false, 0);
	check_number(TTT__F64, 0x3ff8000000000000, 8, true, 1.5F);
	check_number(TTT__F64, 0x7fe0000000000000, 8, false, 0); /* finite, but not as a float */
	check_number(TTT__F64, 0x7ff8000000000000, 8, false, 0);
}

static void
test_round_trip(void **state)
{
	static const char *const metadata[] = { "format", "pt", "a\"b", "c\\\n", NULL };
	const float x[6] = { 1, -2, 3.5F, 0, 1e-30F, 7 }, y = 4;
	const int32_t id[2] = { -1, 65536 };
	const struct ttt__tensor_out t[] = {
		{ .name = "x", .n_dim = 2, .dim = { 2, 3 }, .data = x },
		{ .name = "ids", .n_dim = 1, .dim = { 2 }, .data_i32 = id },
		{ .name = "y", .n_dim = 0, .data = &y },
	};
	struct ttt__bytes a = { 0 }, b = { 0 };
	struct ttt__safetensors s;
	struct ttt_error err = { 0 };
	float got[6];

	(void)state;
	assert_ok(ttt__safetensors_write(&a, t, 3, metadata, &err), &err);
	assert_ok(ttt__safetensors_write(&b, t, 3, metadata, &err), &err);
	assert_int_equal(a.n, b.n);
	assert_memory_equal(a.p, b.p, a.n);
	assert_ok(ttt__safetensors_parse(&s, a.p, a.n, "a", &err), &err);
	assert_int_equal(s.n, 3);
	assert_int_equal((s.data - a.p) % 64, 0);
	assert_ok(ttt__safetensors_f32(&s, ttt__safetensors_find(&s, "x"), got, &err), &err);
	assert_memory_equal(got, x, sizeof(x));
	assert_int_equal(ttt__safetensors_find(&s, "ids")->dtype, TTT__I32);
	assert_memory_equal(s.data + ttt__safetensors_find(&s, "ids")->offset, "\xff\xff\xff\xff\0\0\1\0", 8);
	assert_int_equal(ttt__safetensors_find(&s, "y")->n_element, 1);
	assert_null(ttt__safetensors_find(&s, "z"));
	assert_fails(ttt__safetensors_f32(&s, ttt__safetensors_find(&s, "ids"), got, &err), TTT_E_FORMAT, &err,
	    "'ids'");
	ttt__safetensors_free(&s);
	ttt__bytes_free(&a);
	ttt__bytes_free(&b);
}

static void
test_bf16(void **state)
{
	static const struct {
		uint32_t from;
		uint16_t to;
	} cases[] = {
		{ 0x00000000, 0x0000 }, { 0x80000000, 0x8000 }, { 0x3f800000, 0x3f80 }, { 0x3f807fff, 0x3f80 },
		{ 0x3f808000, 0x3f80 }, { 0x3f808001, 0x3f81 }, { 0x3f818000, 0x3f82 }, { 0xbf818000, 0xbf82 },
		{ 0x3fffffff, 0x4000 }, { 0x00008000, 0x0000 }, { 0x00018000, 0x0002 }, { 0x007fffff, 0x0080 },
		{ 0x7f7f7fff, 0x7f7f }, { 0xff7f7fff, 0xff7f },
	};
	enum { N = 1500 }; /* more than are rounded at a time */
	float x[N], huge, got[N];
	const struct ttt__tensor_out t = { .name = "x", .bf16 = true, .n_dim = 1, .dim = { N }, .data = x };
	const uint32_t beyond = 0x7f7f8000;
	struct ttt__bytes b = { 0 };
	struct ttt__safetensors s;
	struct ttt_error err = { 0 };

	(void)state;
	for (size_t i = 0; i < N; i++)
		memcpy(&x[i], &cases[i % (sizeof(cases) / sizeof(cases[0]))].from, 4);
	assert_ok(ttt__safetensors_write(&b, &t, 1, NULL, &err), &err);
	assert_ok(ttt__safetensors_parse(&s, b.p, b.n, "b", &err), &err);
	assert_int_equal(s.tensor[0].dtype, TTT__BF16);
	assert_int_equal(s.tensor[0].n_byte, 2 * N);
	assert_ok(ttt__safetensors_f32(&s, &s.tensor[0], got, &err), &err);
	for (size_t i = 0; i < N; i++) {
		uint32_t want = (uint32_t)cases[i % (sizeof(cases) / sizeof(cases[0]))].to << 16;

		assert_memory_equal(&got[i], &want, 4);
		/* What is bfloat16 already stays as it is. */
		b.n = 0;
		assert_ok(ttt__safetensors_write_bf16(&b, &got[i], 1, &err), &err);
		assert_int_equal(b.p[0] | b.p[1] << 8, want >> 16);
	}
	memcpy(&huge, &beyond, 4);
	assert_fails(ttt__safetensors_write_bf16(&b, &huge, 1, &err), TTT_E_RANGE, &err, "beyond the range of bfloat16");
	ttt__safetensors_free(&s);
	ttt__bytes_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_bf16),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
