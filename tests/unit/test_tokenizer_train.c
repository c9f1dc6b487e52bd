/* Training a tokenizer: against a slow trainer of a few lines; the file it writes; what it refuses. And the patterns
 * that tokenizers split by: what is rewritten, and what is refused. */
#include "tokens.h"
#include "libttt/text/pattern.h"

enum { N_LINE = 1500, WORD_MAX = 12, N_MERGE = 60 };

/* Lines of letters a to c, which the pattern makes words of; a line feed is a word by itself. */
static struct ttt__bytes
make_text(void)
{
	struct ttt__bytes b = { 0 };
	struct ttt_error err = { 0 };
	uint64_t seed = 7;
	for (int i = 0; i < N_LINE; i++) {
		uint64_t r = next_random(&seed);
		for (uint64_t n = 1 + r % WORD_MAX; n > 0; n--) {
			char c = (char)('a' + (next_random(&seed) % 7 + r / WORD_MAX % 3) % 5 % 3);
			assert_ok(ttt__bytes_add(&b, &c, 1, &err), &err);
		}
		assert_ok(ttt__bytes_add(&b, "\n", 1, &err), &err);
	}
	return b;
}

struct slow {
	int symbol[N_LINE][WORD_MAX];
	int n[N_LINE];
};

static void
slow_load(struct slow *s, const struct ttt__bytes *text)
{
	memset(s, 0, sizeof *s);
	for (size_t i = 0, line = 0; i < text->n; i++) {
		if (text->p[i] == '\n')
			line++;
		else
			s->symbol[line][s->n[line]++] = text->p[i];
	}
}

/* The most frequent pair, or the one of the smallest ids among equals. */
static void
slow_best(const struct slow *s, int best[2])
{
	enum { N = 256 + N_MERGE };
	int *count = calloc((size_t)N * N, sizeof *count), top = 0;
	assert_non_null(count);
	for (int w = 0; w < N_LINE; w++)
		for (int i = 0; i + 1 < s->n[w]; i++)
			count[s->symbol[w][i] * N + s->symbol[w][i + 1]]++;
	for (int i = 1; i < N * N; i++)
		top = count[i] > count[top] ? i : top;
	best[0] = top / N;
	best[1] = top % N;
	free(count);
}

static void
slow_merge(struct slow *s, const int pair[2], int id)
{
	for (int w = 0; w < N_LINE; w++) {
		int to = 0;
		for (int i = 0; i < s->n[w]; i++) {
			bool merge = i + 1 < s->n[w] && s->symbol[w][i] == pair[0] && s->symbol[w][i + 1] == pair[1];
			s->symbol[w][to++] = merge ? id : s->symbol[w][i];
			i += merge;
		}
		s->n[w] = to;
	}
}

static void
train(const char *out, const char *file, int64_t n_vocab, size_t max_bytes)
{
	static const char *const special[] = { "<|begin|>", "\xe2\x96\x81!", NULL };
	const struct ttt_tokenizer_train_options o = { .n_vocab = n_vocab, .special = special, .max_bytes = max_bytes };
	struct ttt_error err = { 0 };
	assert_ok(ttt_tokenizer_train(out, &file, 1, &o, &err), &err);
}

static void
test_merges(void **state)
{
	const char *dir = *state;
	struct ttt__bytes text = make_text();
	struct slow *s = malloc(sizeof *s);
	struct ttt_tokenizer *t;
	struct ttt_error err = { 0 };
	assert_non_null(s);
	spill(in(dir, "text"), text.p, text.n);
	train(in(dir, "t.json"), in(dir, "text"), 256 + N_MERGE + 2, 0);
	assert_ok(ttt_tokenizer_open(&t, in(dir, "t.json"), &err), &err);
	assert_int_equal(ttt_tokenizer_n_vocab(t), 256 + N_MERGE + 2);
	slow_load(s, &text);
	for (int id = 256; id < 256 + N_MERGE; id++) {
		int pair[2];
		slow_best(s, pair);
		slow_merge(s, pair, id);
		struct ttt__bytes want = decode(t, (int32_t[]){ pair[0], pair[1] }, 2), got = decode(t, &(int32_t){ id }, 1);
		if (got.n != want.n || memcmp(got.p, want.p, got.n) != 0)
			fail_msg("merge %d makes '%.*s', not '%.*s'", id - 256, (int)got.n, (char *)got.p, (int)want.n,
			    (char *)want.p);
		ttt__bytes_free(&want);
		ttt__bytes_free(&got);
	}
	/* Encoding with the merges gives the words as training left them. */
	struct ttt_encoder *e = new_encoder(t);
	struct ttt_ids ids = encode(e, text.p, text.n);
	int64_t at = 0;
	for (int w = 0; w < N_LINE; w++) {
		for (int i = 0; i < s->n[w]; i++)
			assert_int_equal(ids.id[at++], s->symbol[w][i]);
		assert_int_equal(ids.id[at++], '\n');
	}
	assert_int_equal(at, ids.n);
	free(ids.id);
	ids = encode(e, "<|begin|>\xe2\x96\x81!", 13);
	assert_int_equal(ids.n, 2);
	assert_int_equal(ids.id[0], 256 + N_MERGE);
	assert_int_equal(ids.id[1], 256 + N_MERGE + 1);
	free(ids.id);
	ttt_encoder_free(e);
	ttt_tokenizer_free(t);
	ttt__bytes_free(&text);
	free(s);
}

static void
assert_same_file(const char *a, const char *b, bool same)
{
	struct ttt__bytes x = slurp(a), y = slurp(b);
	assert_int_equal(x.n == y.n && memcmp(x.p, y.p, x.n) == 0, same);
	ttt__bytes_free(&x);
	ttt__bytes_free(&y);
}

static void
test_repeatable(void **state)
{
	const char *dir = *state;
	struct ttt__bytes text = make_text();
	size_t cut = text.n / 5;
	while (text.p[cut - 1] != '\n')
		cut++;
	spill(in(dir, "text"), text.p, text.n);
	spill(in(dir, "begin"), text.p, cut);
	train(in(dir, "1"), in(dir, "text"), 300, 0);
	train(in(dir, "2"), in(dir, "text"), 300, 0);
	assert_same_file(in(dir, "1"), in(dir, "2"), true);
	train(in(dir, "1"), in(dir, "text"), 300, cut);
	assert_same_file(in(dir, "1"), in(dir, "2"), false);
	train(in(dir, "2"), in(dir, "begin"), 300, 0);
	assert_same_file(in(dir, "1"), in(dir, "2"), true);
	ttt__bytes_free(&text);
}

static void
test_train_refuses(void **state)
{
	const char *dir = *state, *file = in(dir, "text");
	struct ttt_tokenizer_train_options o = { .n_vocab = 300 };
	struct ttt_error err = { 0 };
	char kept[512], gone[512];
	snprintf(kept, sizeof kept, "%s/kept", dir);
	snprintf(gone, sizeof gone, "%s/gone", dir);
	const char *missing = gone;
	spill(kept, "old", 3);
	spill(file, "the the the", 11);
	assert_fails(ttt_tokenizer_train(kept, &file, 1, &o, &err), TTT_E_RANGE, &err, "only 3 merges, and 44 are needed");
	assert_true(err.hint[0] != '\0');
	assert_fails(ttt_tokenizer_train(kept, &missing, 1, &o, &err), TTT_E_IO, &err, "gone: cannot open");
	assert_fails(ttt_tokenizer_train(kept, &dir, 1, &o, &err), TTT_E_IO, &err, "directory");
	o.n_vocab = 255;
	assert_fails(ttt_tokenizer_train(kept, &file, 1, &o, &err), TTT_E_RANGE, &err, "255 tokens");
	o.n_vocab = 257;
	o.special = (const char *const[]){ "a", "b", NULL };
	assert_fails(ttt_tokenizer_train(kept, &file, 1, &o, &err), TTT_E_RANGE, &err, "make 258");
	o.special = (const char *const[]){ "", NULL };
	assert_fails(ttt_tokenizer_train(kept, &file, 1, &o, &err), TTT_E_RANGE, &err, "special token 1");
	o.special = (const char *const[]){ "\xff", NULL };
	assert_fails(ttt_tokenizer_train(kept, &file, 1, &o, &err), TTT_E_FORMAT, &err, "not UTF-8");
	o.n_vocab = 258;
	o.special = (const char *const[]){ "<a>", "<a>", NULL };
	assert_fails(ttt_tokenizer_train(kept, &file, 1, &o, &err), TTT_E_FORMAT, &err, "same text");
	o.special = NULL;
	assert_fails(ttt_tokenizer_train(in(gone, "t"), &file, 1, &o, &err), TTT_E_IO, &err, "No such file");
	struct ttt__bytes b = slurp(kept);
	assert_int_equal(b.n, 3);
	assert_memory_equal(b.p, "old", 3);
	ttt__bytes_free(&b);
}

/* What PCRE2 reads otherwise than Oniguruma is rewritten. */
static void
test_patterns(void **state)
{
	static const struct {
		const char *regex, *text;
		size_t start, end;
	} cases[] = {
		{ "\\s", "\xe1\xa0\x8e\xc2\x85", 3, 5 },                /* U+180E is not White_Space, U+0085 is */
		{ "[^\\S]", "a\xe3\x80\x80", 1, 4 },
		{ "\\v", "\n\v", 1, 2 },                                /* vertical tab, not any vertical blank */
		{ "\\w+", "-\xc2\xbd_\xe2\x93\x90-", 1, 7 },            /* one half, low line, circled a */
		{ "[\\w]+", "\xc2\xbd_\xe2\x93\x90-", 2, 6 },           /* in brackets, not the half */
		{ "\\d", "\xc2\xb2\xd9\xa3", 2, 4 },                    /* Arabic three, not superscript two */
		{ ".", "\n\r", 1, 2 },
		{ "(?i:'s)", "'\xc5\xbf", 0, 3 },                       /* long s */
		{ "\\u00e9|\\x{1F600}", "e\xf0\x9f\x98\x80", 1, 5 },
		{ "\\p{^L}", "a1", 1, 2 },
		{ "[a\\-c-]+", "b-ac", 1, 4 },
		{ "\\p{Han}+", "\xe3\x83\xbc\xe4\xbd\xa0", 3, 6 },      /* a script, not its extensions */
	};
	struct ttt_error err = { 0 };
	struct ttt__matcher *m;
	(void)state;
	assert_ok(ttt__matcher_create(&m, &err), &err);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ttt__pattern *p;
		enum ttt__found found;
		size_t start = 0, end_at = 0, n = strlen(cases[i].text);
		assert_ok(ttt__pattern_create(&p, cases[i].regex, strlen(cases[i].regex), "x", &err), &err);
		assert_ok(ttt__pattern_find(p, m, (const unsigned char *)cases[i].text, 0, n, false, &found, &start, &end_at,
		    &err), &err);
		if (found != TTT__FOUND || start != cases[i].start || end_at != cases[i].end)
			fail_msg("'%s' is found (%d) at [%zu, %zu)", cases[i].regex, (int)found, start, end_at);
		ttt__pattern_free(p);
	}
	ttt__matcher_free(m);
}

static void
test_patterns_refused(void **state)
{
	static const struct {
		const char *regex;
		enum ttt_status status;
		const char *part;
	} cases[] = {
		{ "", TTT_E_FORMAT, "nothing" }, { "a|", TTT_E_UNSUPPORTED, "empty string" },
		{ "a*", TTT_E_UNSUPPORTED, "empty string" },
		{ "^a", TTT_E_UNSUPPORTED, "anchor" }, { "a$", TTT_E_UNSUPPORTED, "anchor" },
		{ "\\ba", TTT_E_UNSUPPORTED, "escape" },
		{ "\\Aa", TTT_E_UNSUPPORTED, "escape" }, { "\\h", TTT_E_UNSUPPORTED, "escape" },
		{ "(a)\\1", TTT_E_UNSUPPORTED, "escape" },
		{ "(?<=a)b", TTT_E_UNSUPPORTED, "special group" }, { "(?<n>a)", TTT_E_UNSUPPORTED, "special group" },
		{ "a{1,2}+", TTT_E_UNSUPPORTED, "repetition" }, { "a{2}?", TTT_E_UNSUPPORTED, "repetition" },
		{ "a{,2}", TTT_E_UNSUPPORTED, "brace" }, { "a{3,2}", TTT_E_FORMAT, "repetition" },
		{ "[a[b]]", TTT_E_UNSUPPORTED, "bracket" },
		{ "[a&&b]", TTT_E_UNSUPPORTED, "&&" }, { "[]", TTT_E_FORMAT, "empty brackets" },
		{ "[a", TTT_E_FORMAT, "not closed" },
		{ "[b-a]", TTT_E_FORMAT, "range" }, { "[a-\\s]", TTT_E_UNSUPPORTED, "range" },
		{ "[\\W]", TTT_E_UNSUPPORTED, "\\W" },
		{ "(a", TTT_E_FORMAT, "not closed" }, { "a)", TTT_E_FORMAT, "not opened" }, { "*a", TTT_E_FORMAT, "compile" },
		{ "\\", TTT_E_FORMAT, "backslash" }, { "\\pL", TTT_E_FORMAT, "braces" },
		{ "\\p{Klingon}", TTT_E_FORMAT, "compile" },
		{ "\\xe9", TTT_E_FORMAT, "number" }, { "\\x{110000}", TTT_E_FORMAT, "number" },
		{ "\\ud800", TTT_E_FORMAT, "number" },
		{ "(?i:ss)", TTT_E_UNSUPPORTED, "caseless" }, { "(?i:\xc3\xa9)", TTT_E_UNSUPPORTED, "caseless" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ttt__pattern *p = NULL;
		struct ttt_error err = { 0 };
		enum ttt_status status = ttt__pattern_create(&p, cases[i].regex, strlen(cases[i].regex), "t.json", &err);
		if (status == TTT_OK)
			fail_msg("'%s' is taken", cases[i].regex);
		assert_fails(status, cases[i].status, &err, cases[i].part);
		assert_non_null(strstr(err.text, "t.json"));
	}
}

static int
setup(void **state)
{
	char *dir = malloc(256);
	assert_non_null(dir);
	scratch_make(dir);
	*state = dir;
	return 0;
}

static int
teardown(void **state)
{
	scratch_remove(*state);
	free(*state);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_merges, setup, teardown),
		cmocka_unit_test_setup_teardown(test_repeatable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_train_refuses, setup, teardown),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_patterns_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
