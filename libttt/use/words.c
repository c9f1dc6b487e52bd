/* The tokenizer of ttt-ask. FTS5's own splits identifiers at '_' and forgets them whole; here both count:
 * "oom_badness" is found by "badness" and, better since it is rarer, by its name. */
#include "libttt/use/words.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

typedef int token_fn(void *ctx, int flags, const char *token, int n, int start, int end);

enum { LETTERS = 6 }; /* that one character may stand for */

struct run { /* a word in lower case, and where its parts end */
	char text[TTT__WORD_MAX];
	bool hump[TTT__WORD_MAX]; /* a part of a camelCase name begins here */
	int n;          /* bytes of text */
	int start;      /* its place in the input */
};

struct tokenizer {
	int64_t *n_word;
};

static int
create(void *ctx, const char **args, int n_arg, Fts5Tokenizer **out)
{
	struct tokenizer *t = malloc(sizeof(*t));

	(void)args;
	(void)n_arg;
	if (t == NULL)
		return SQLITE_NOMEM;
	t->n_word = ctx;
	*out = (Fts5Tokenizer *)t;
	return SQLITE_OK;
}

static void
delete(Fts5Tokenizer *t)
{
	free(t);
}

/* Chinese and Japanese put no blanks between words: every character counts as one. */
static bool
stands_alone(utf8proc_int32_t code)
{
	return (code >= 0x3040 && code < 0x3100) || (code >= 0x3400 && code < 0x4dc0) || (code >= 0x4e00 && code < 0xa000) ||
	    (code >= 0xf900 && code < 0xfb00) || (code >= 0x20000 && code < 0x40000);
}

/* The code's letters in lower case and without accents, so that every way to write them is the same word; -1 for an accent alone. */
static int
fold(utf8proc_int32_t code, char *out)
{
	utf8proc_int32_t part[LETTERS];
	int n = 0, boundary = 0;
	utf8proc_ssize_t n_part = utf8proc_decompose_char(code, part, LETTERS, UTF8PROC_DECOMPOSE | UTF8PROC_CASEFOLD, &boundary);

	if (n_part < 1 || n_part > LETTERS)
		return (int)utf8proc_encode_char(utf8proc_tolower(code), (utf8proc_uint8_t *)out);
	for (int i = 0; i < n_part; i++)
		if (part[i] < 0x300 || part[i] >= 0x370)
			n += (int)utf8proc_encode_char(part[i], (utf8proc_uint8_t *)out + n);
	return n > 0 ? n : -1;
}

/* The character at p as part of a word, in lower case: its bytes in out [4], how many in *n_out, and the bytes it
 * takes of the input. *n_out is 0 for what separates words; a byte that is not UTF-8 does. *alone: it is a word by itself. */
static int
word_char(const char *p, int n, char *out, int *n_out, bool *alone)
{
	unsigned char c = (unsigned char)*p;
	utf8proc_int32_t code;
	utf8proc_ssize_t used;

	*n_out = 0;
	*alone = false;
	if (c < 0x80) {
		if (c >= 'A' && c <= 'Z')
			c = (unsigned char)(c + ('a' - 'A'));
		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_') {
			out[0] = (char)c;
			*n_out = 1;
		}
		return 1;
	}
	used = utf8proc_iterate((const utf8proc_uint8_t *)p, n, &code);
	if (used < 1)
		return 1;
	switch (utf8proc_category(code)) {
	case UTF8PROC_CATEGORY_LU:
	case UTF8PROC_CATEGORY_LL:
	case UTF8PROC_CATEGORY_LT:
	case UTF8PROC_CATEGORY_LM:
	case UTF8PROC_CATEGORY_LO:
	case UTF8PROC_CATEGORY_MN:
	case UTF8PROC_CATEGORY_MC:
	case UTF8PROC_CATEGORY_ND:
	case UTF8PROC_CATEGORY_NL:
	case UTF8PROC_CATEGORY_NO:
		*n_out = fold(code, out);
		*alone = stands_alone(code);
		break;
	default:
		break;
	}
	return (int)used;
}

static bool
is_capital(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool
is_small(char c)
{
	return c >= 'a' && c <= 'z';
}

/* A capital behind a small letter, or behind a capital and before two small ones: retry|Count, HTTP|Server, but not CPUs. at > 0. */
static bool
is_hump(const char *text, int n, int at)
{
	if (!is_capital(text[at]))
		return false;
	return is_small(text[at - 1]) || (is_capital(text[at - 1]) && at + 2 < n && is_small(text[at + 1]) && is_small(text[at + 2]));
}

/* Read the next run of word characters from text[at]; returns the place after it, run->n = 0 at the end of the text. */
static int
next_run(const char *text, int n, int at, struct run *run)
{
	run->n = 0;
	run->start = at;
	while (at < n) {
		char c[4 * LETTERS];
		bool alone;
		int n_c, used = word_char(text + at, n - at, c, &n_c, &alone);

		if ((n_c == 0 || alone) && run->n > 0)
			return at;
		if (n_c > 0) {
			if (run->n == 0)
				run->start = at;
			if (run->n + n_c <= TTT__WORD_MAX) {
				run->hump[run->n] = run->n > 0 && is_hump(text, n, at);
				memset(run->hump + run->n + 1, 0, (size_t)n_c - 1);
				memcpy(run->text + run->n, c, (size_t)n_c);
				run->n += n_c;
			}
		}
		at += used;
		if (alone)
			return at;
	}
	return at;
}

static int
give(const struct tokenizer *t, const char *word, int n, int flags, int start, int end, void *ctx, token_fn *fn)
{
	if (t->n_word != NULL)
		++*t->n_word;
	return fn(ctx, flags, word, n, start, end);
}

/* Parts between '_' and, when there was one, the whole. Offsets are those of the whole run for the whole, and of
 * the part in it. */
static int
give_parts(const struct tokenizer *t, const struct run *r, int end, void *ctx, token_fn *fn)
{
	bool split = false;
	int rc = SQLITE_OK, n_part = 0;

	for (int i = 0, start = 0; i <= r->n && rc == SQLITE_OK; i++) {
		if (i < r->n && r->text[i] != '_' && !r->hump[i])
			continue;
		split = split || i < r->n;
		if (i > start) {
			rc = give(t, r->text + start, i - start, 0, r->start, end, ctx, fn);
			n_part++;
		}
		start = i < r->n && r->text[i] != '_' ? i : i + 1;
	}
	if (rc == SQLITE_OK && split && n_part > 0)
		rc = give(t, r->text, r->n, FTS5_TOKEN_COLOCATED, r->start, end, ctx, fn);
	return rc;
}

static int
tokenize(Fts5Tokenizer *tokenizer, void *ctx, int flags, const char *text, int n, token_fn *fn)
{
	const struct tokenizer *t = (const struct tokenizer *)tokenizer;
	struct run r;
	int rc = SQLITE_OK;

	for (int at = 0; rc == SQLITE_OK;) {
		at = next_run(text, n, at, &r);
		if (r.n == 0)
			break;
		if ((flags & FTS5_TOKENIZE_QUERY) != 0)
			rc = give(t, r.text, r.n, 0, r.start, at, ctx, fn);
		else
			rc = give_parts(t, &r, at, ctx, fn);
	}
	return rc;
}

int
ttt__words_register(fts5_api *api, int64_t *n_word)
{
	fts5_tokenizer t = { .xCreate = create, .xDelete = delete, .xTokenize = tokenize };

	return api->xCreateTokenizer(api, "ttt", n_word, &t, NULL);
}
