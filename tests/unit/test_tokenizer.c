/* Tokenizers against Hugging Face's ids, however the text is cut; bytes that are not text; files that must be refused;
 * training. */
#include "tokens.h"

static json_t *
load_line(const char *line, size_t n, const char *name)
{
	json_error_t why;
	json_t *o = json_loadb(line, n, JSON_ALLOW_NUL, &why);
	if (o == NULL)
		fail_msg("%s: %s", name, why.text);
	return o;
}

/* U+FFFD for what is not UTF-8 is Hugging Face's; ours are the bytes. So only texts without it are compared. */
static void
check_decoded(const struct ttt_tokenizer *t, const json_t *vector, const struct ttt_ids *ids, const char *name,
    size_t line)
{
	const json_t *decoded = json_object_get(vector, "decoded");
	if (strstr(json_string_value(decoded), "\xef\xbf\xbd") != NULL)
		return;
	struct ttt__bytes b = decode(t, ids->id, ids->n);
	if (b.n != json_string_length(decoded) || (b.n > 0 && memcmp(b.p, json_string_value(decoded), b.n) != 0))
		fail_msg("%s, vector %zu: decoded otherwise", name, line);
	ttt__bytes_free(&b);
}

/* A vector of kind "bytes": what is not UTF-8 goes through unharmed. */
static void
check_lossless(const struct ttt_tokenizer *t, struct ttt_encoder *e, const char *hex, const char *name, size_t line)
{
	unsigned char bytes[1024];
	size_t n = strlen(hex) / 2;
	assert_true(n <= sizeof bytes);
	for (size_t i = 0; i < n; i++) {
		unsigned value;
		assert_int_equal(sscanf(hex + 2 * i, "%2x", &value), 1);
		bytes[i] = (unsigned char)value;
	}
	struct ttt_ids ids = encode(e, bytes, n);
	struct ttt__bytes b = decode(t, ids.id, ids.n);
	if (b.n != n || memcmp(b.p, bytes, n) != 0)
		fail_msg("%s, vector %zu: the bytes come back otherwise", name, line);
	check_pieces(e, bytes, n, 1, &ids, name, line);
	ttt__bytes_free(&b);
	free(ids.id);
}

static size_t
check_line(const struct ttt_tokenizer *t, struct ttt_encoder *e[2], const json_t *vector, const char *name, size_t line)
{
	const char *kind = json_string_value(json_object_get(vector, "kind"));
	const json_t *text = json_object_get(vector, "text");
	struct ttt_ids want = json_ids(json_object_get(vector, "ids"));
	bool compared = false;
	if (strcmp(kind, "bytes") == 0) {
		check_lossless(t, e[0], json_string_value(json_object_get(vector, "bytes_hex")), name, line);
	} else {
		compared = strcmp(kind, "decode_only") != 0;
		if (compared)
			check_vector(t, e[0], e[1], (const unsigned char *)json_string_value(text), json_string_length(text), &want,
			    name, line);
		check_decoded(t, vector, &want, name, line);
	}
	free(want.id);
	return compared;
}

static void
test_vectors(void **state)
{
	static const struct {
		const char *tokenizer, *vectors;
		size_t n;
	} styles[] = {
		{ "golden/tokenizers/gpt2/tokenizer.json", "golden/tokenizers/gpt2/vectors.jsonl", 334 },
		{ "golden/tokenizers/llama3/tokenizer.json", "golden/tokenizers/llama3/vectors.jsonl", 350 },
		{ "golden/tokenizers/qwen2/tokenizer.json", "golden/tokenizers/qwen2/vectors.jsonl", 350 },
	};
	(void)state;
	for (size_t s = 0; s < sizeof styles / sizeof *styles; s++) {
		struct ttt_tokenizer *t = open_tokenizer(styles[s].tokenizer);
		struct ttt_encoder *e[2] = { new_encoder(t), new_encoder(t) };
		struct ttt__bytes file = slurp(data_path(styles[s].vectors));
		size_t line = 0, n = 0;
		for (unsigned char *p = file.p, *q; (q = memchr(p, '\n', file.n - (size_t)(p - file.p))) != NULL; p = q + 1) {
			json_t *vector = load_line((const char *)p, (size_t)(q - p), styles[s].vectors);
			n += check_line(t, e, vector, styles[s].vectors, ++line);
			json_decref(vector);
		}
		assert_int_equal(n, styles[s].n);
		ttt__bytes_free(&file);
		ttt_encoder_free(e[0]);
		ttt_encoder_free(e[1]);
		ttt_tokenizer_free(t);
	}
}

/* The tokenizer.json of style with members of o in place of its own. */
static struct ttt_tokenizer *
open_variant(const char *style, const json_t *o)
{
	static const char *const members[] = { "pre_tokenizer", "normalizer", "added_tokens", "post_processor" };
	char name[128];
	snprintf(name, sizeof name, "golden/tokenizers/%s/tokenizer.json", style);
	struct ttt__bytes file = slurp(data_path(name));
	json_t *root = load_line((const char *)file.p, file.n, name);
	for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
		json_t *v = json_object_get(o, members[i]);
		if (v != NULL)
			json_object_set(root, members[i], v);
	}
	char *text = json_dumps(root, JSON_COMPACT);
	struct ttt_tokenizer *t;
	struct ttt_error err = { 0 };
	assert_ok(ttt_tokenizer_parse(&t, text, strlen(text), json_string_value(json_object_get(o, "name")), &err), &err);
	free(text);
	json_decref(root);
	ttt__bytes_free(&file);
	return t;
}

static void
test_variants(void **state)
{
	(void)state;
	struct ttt__bytes file = slurp(data_path("golden/tokenizers/variants.json"));
	json_t *variants = load_line((const char *)file.p, file.n, "variants.json");
	assert_int_equal(json_array_size(variants), 11);
	for (size_t i = 0; i < json_array_size(variants); i++) {
		const json_t *o = json_array_get(variants, i), *vectors = json_object_get(o, "vectors");
		const char *name = json_string_value(json_object_get(o, "name"));
		struct ttt_tokenizer *t = open_variant(json_string_value(json_object_get(o, "of")), o);
		struct ttt_encoder *e[2] = { new_encoder(t), new_encoder(t) };
		assert_int_equal(json_array_size(vectors), 60);
		for (size_t k = 0; k < json_array_size(vectors); k++) {
			const json_t *vector = json_array_get(vectors, k), *text = json_object_get(vector, "text");
			struct ttt_ids want = json_ids(json_object_get(vector, "ids"));
			check_vector(t, e[0], e[1], (const unsigned char *)json_string_value(text), json_string_length(text), &want,
			    name, k + 1);
			free(want.id);
		}
		ttt_encoder_free(e[0]);
		ttt_encoder_free(e[1]);
		ttt_tokenizer_free(t);
	}
	json_decref(variants);
	ttt__bytes_free(&file);
}

/* Text that holds every kind of piece: words past the size that is held back, marks, broken UTF-8, added tokens and
 * parts of them. */
static struct ttt__bytes
hard_stream(size_t n, uint64_t seed)
{
	static const char *const part[] = { " ", "\n", "a", "word ", "\r\n\t", "<|endoftext|>", "<|endoft", "\xff",
		"\xe2\x82", "\xf0\x9f\x98", "e\xcc\x81\xcc\xb2", "\xcc\xb2\xcc\x81", "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab",
		    "\xe4\xbd\xa0", "12345", "'ll", "'",
		"<think>", "<|im_start|>", "\xe2\x80\xa8", "\xc3\xa9", "}\n\n" };
	struct ttt__bytes b = { 0 };
	struct ttt_error err = { 0 };
	while (b.n < n) {
		uint64_t r = next_random(&seed);
		const char *p = part[r % (sizeof part / sizeof *part)];
		size_t times = (r >> 8) % 400 == 0 ? 30000 : (r >> 20) % 9 == 0 ? 300 : 1 + (r >> 30) % 3;
		while (times-- > 0)
			assert_ok(ttt__bytes_add(&b, p, strlen(p), &err), &err);
		unsigned char zero = 0;
		if ((r >> 40) % 20 == 0)
			assert_ok(ttt__bytes_add(&b, &zero, 1, &err), &err);
	}
	return b;
}

static void
test_cuts(void **state)
{
	static const char *const names[] = { "golden/tokenizers/gpt2/tokenizer.json",
		"golden/tokenizers/llama3/tokenizer.json", "golden/tokenizers/qwen2/tokenizer.json" };
	(void)state;
	for (size_t s = 0; s < 3; s++) {
		struct ttt_tokenizer *t = open_tokenizer(names[s]);
		struct ttt_encoder *e = new_encoder(t), *resumed = new_encoder(t);
		struct ttt__bytes text = hard_stream(600000, 1 + s);
		struct ttt_ids want = encode(e, text.p, text.n);
		struct ttt__bytes back = decode(t, want.id, want.n);
		if (s < 2) { /* the third normalizes */
			assert_int_equal(back.n, text.n);
			assert_memory_equal(back.p, text.p, text.n);
		}
		for (size_t most = 2000; most <= 200000; most *= 10)
			check_pieces(e, text.p, text.n, most, &want, names[s], most);
		uint64_t seed = 99 + s;
		for (int i = 0; i < 12; i++)
			check_resume(e, resumed, text.p, text.n, (size_t)(next_random(&seed) % text.n), &want, names[s], (size_t)i);
		ttt__bytes_free(&back);
		ttt__bytes_free(&text);
		free(want.id);
		ttt_encoder_free(e);
		ttt_encoder_free(resumed);
		ttt_tokenizer_free(t);
	}
}

static void
test_vocabulary(void **state)
{
	(void)state;
	struct ttt_tokenizer *t = open_tokenizer("golden/tokenizers/llama3/tokenizer.json");
	size_t n = 1;
	assert_int_equal(ttt_tokenizer_n_vocab(t), 1400);
	assert_null(ttt_tokenizer_bytes(t, -1, &n));
	assert_null(ttt_tokenizer_bytes(t, 1400, &n));
	assert_int_equal(n, 0);
	assert_memory_equal(ttt_tokenizer_bytes(t, 1399, &n), "<|eot_id|>", 10);
	assert_int_equal(n, 10);
	ttt_tokenizer_free(t);
	ttt_tokenizer_free(NULL);
	ttt_encoder_free(NULL);
}

/* Every file is refused in one line that names it and the defect. */
static void
test_refused(void **state)
{
	static const struct {
		const char *name, *part;
	} cases[] = {
		{ "added_empty", "added token 2 is the empty string" }, { "added_id_huge", "'<big>' has id 1099511627776" },
		{ "added_not_object", "added token 0 is not an object" }, { "cut", "not JSON" },
		{ "decoder_unknown", "decoder is of type 'Warp'" }, { "empty", "empty" }, { "giant_array", "ByteLevel" },
		{ "merge_empty_part", "merge 0 has an empty side" }, { "merge_missing_left", "merge 4 ('qqq' + 'e')" },
		{ "merge_string_no_space", "merge 0 ('th')" }, { "merge_three_parts", "merge 4 is not a pair" },
		{ "merges_object", "array of merges" }, { "model_missing", "no model" }, { "model_null", "no model" },
		{ "nesting", "nested deeper than" }, { "normalizer_nested", "nested deeper than" },
		{ "normalizer_unknown", "normalizer is of type 'Warp'" },
		{ "not_utf8", "0xff" }, { "pre_tokenizer_unknown", "pre-tokenizer is of type 'Warp'" },
		{ "regex_bad_property", "property" }, { "regex_bad_repeat", "range" }, { "regex_catastrophic", "anchor" },
		{ "regex_nested_parens", "nested" }, { "template_id_out_of_range", "template's token '<s>'" },
		{ "vocab_empty", "no token for byte 0x00" }, { "vocab_id_duplicate", "'B' has id 66" },
		{ "vocab_id_float", "'A'" }, { "vocab_id_huge", "'A' has id 2147483647" },
		{ "vocab_id_negative", "'A' has id -1" },
		{ "vocab_id_string", "'A'" }, { "vocab_missing", "no vocabulary" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char name[128];
		struct ttt_tokenizer *t = NULL;
		struct ttt_error err = { 0 };
		snprintf(name, sizeof name, "files/tokenizer/%s.tokenizer.json", cases[i].name);
		enum ttt_status status = ttt_tokenizer_open(&t, data_path(name), &err);
		assert_fails(status, status == TTT_E_UNSUPPORTED ? status : TTT_E_FORMAT, &err, cases[i].part);
		assert_non_null(strstr(err.text, cases[i].name));
		assert_null(t);
	}
}

static void
test_taken(void **state)
{
	static const char *const names[] = { "ok_old_merges", "ok_escaped_unicode", "vocab_over_model" };
	static const int32_t want[] = { 257, 32, 258 };
	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char name[128];
		snprintf(name, sizeof name, "files/tokenizer/%s.tokenizer.json", names[i]);
		struct ttt_tokenizer *t = open_tokenizer(name);
		struct ttt_encoder *e = new_encoder(t);
		struct ttt_ids ids = encode(e, "the in", 6);
		assert_int_equal(ids.n, 3);
		assert_memory_equal(ids.id, want, sizeof want);
		free(ids.id);
		ttt_encoder_free(e);
		ttt_tokenizer_free(t);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_variants),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_vocabulary),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_taken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
