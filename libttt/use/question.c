/* Reading a question. */
#include "libttt/use/question.h"
#include "libttt/use/cues.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum {
	QUESTION_WORDS = 256, /* words of a question that are looked at */
	OWN_MAX = 64,         /* terms of its own, so that synonyms find room */
};

struct words {
	const char *text;
	char word[QUESTION_WORDS][TTT__WORD_MAX + 1]; /* lower-case (ASCII; the index folds the rest) */
	size_t n;
};

/* What follows the apostrophe in "doesn't", "user's" or "they're" is no word. */
static bool
is_tail(const char *text, size_t start, size_t end)
{
	unsigned char before = start >= 2 ? (unsigned char)text[start - 2] : 0;

	return before != 0 && text[start - 1] == '\'' && end - start <= 2 && (before >= 0x80 || isalnum(before));
}

static bool
add_word(void *ctx, const char *stem, size_t n_stem, size_t start, size_t end)
{
	struct words *w = ctx;
	size_t n = end - start < TTT__WORD_MAX ? end - start : TTT__WORD_MAX;
	char *out = w->word[w->n];

	(void)stem;
	(void)n_stem;
	if (is_tail(w->text, start, end))
		return true;
	for (size_t i = 0; i < n; i++) {
		char c = w->text[start + i];

		out[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
	}
	out[n] = '\0';
	w->n++;
	return w->n < QUESTION_WORDS;
}

static bool
copy_stem(void *ctx, const char *stem, size_t n, size_t start, size_t end)
{
	char *out = ctx;

	(void)start;
	(void)end;
	n = n < TTT__WORD_MAX ? n : TTT__WORD_MAX;
	memcpy(out, stem, n);
	out[n] = '\0';
	return false;
}

static enum ttt_status
add_term(struct ttt__question *q, struct ttt__fulltext *ix, const char *word, size_t n, struct ttt_error *err)
{
	struct ttt__term *t = &q->term[q->n];
	enum ttt_status s;

	if (q->n == OWN_MAX)
		return TTT_OK;
	memcpy(t->word, word, n);
	t->word[n] = t->stem[0] = '\0';
	s = ttt__fulltext_words(ix, word, n, true, copy_stem, t->stem, err);
	if (s != TTT_OK || t->stem[0] == '\0')
		return s;
	for (int i = 0; i < q->n; i++)
		if (strcmp(q->term[i].stem, t->stem) == 0)
			return TTT_OK;
	q->n++;
	return TTT_OK;
}

/* The parts of a word, then, if it has more than letters between '_', itself. */
static enum ttt_status
add_parts(struct ttt__question *q, struct ttt__fulltext *ix, const char *word, bool all, struct ttt_error *err)
{
	size_t n = strlen(word), n_part = 0;
	enum ttt_status s = TTT_OK;

	for (size_t start = 0, i = 0; i <= n && s == TTT_OK; i++) {
		if (i < n && word[i] != '_')
			continue;
		if (i > start && (all || !ttt__stop_word(word + start, i - start)))
			s = add_term(q, ix, word + start, i - start, err);
		n_part += i > start;
		start = i + 1;
	}
	if (s == TTT_OK && n_part > 0 && strchr(word, '_') != NULL)
		s = add_term(q, ix, word, n, err);
	return s;
}

struct expansion {
	struct ttt__question *q;
	int of;
};

/* A synonym of term x->of, unless the question has it itself. */
static bool
add_synonym(void *ctx, const struct ttt__term *synonym, bool same)
{
	const struct expansion *x = ctx;
	struct ttt__question *q = x->q;

	if (q->n == TTT__TERM_MAX)
		return false;
	for (int i = 0; i < q->n_own; i++)
		if (strcmp(q->term[i].stem, synonym->stem) == 0)
			return true;
	q->term[q->n] = *synonym;
	q->same[q->n] = same;
	q->of[q->n++] = x->of;
	return true;
}

/* Whether word i is the end of "what does X mean?". */
static bool
asks_meaning(const struct words *w, size_t i)
{
	bool does = false;

	for (size_t j = 0; j + 1 < i; j++)
		does = does || (strcmp(w->word[j], "what") == 0 && (strcmp(w->word[j + 1], "does") == 0 || strcmp(w->word[j + 1], "do") == 0));
	return does && i + 1 == w->n && strcmp(w->word[i], "mean") == 0;
}

enum ttt_status
ttt__question_parse(struct ttt__question *q, struct ttt__fulltext *ix, const struct ttt__thesaurus *t, const char *text,
    struct ttt_error *err)
{
	struct words *w = ttt__new(1, sizeof(*w));
	const char *list[QUESTION_WORDS];
	bool all;
	enum ttt_status s;

	memset(q, 0, sizeof(*q));
	q->text = text;
	if (w == NULL)
		return ttt__fail_memory(err, "question");
	w->text = text;
	ttt__verbatim_read(&q->verbatim, text);
	ttt__wanted_read(&q->wanted, text);
	s = ttt__fulltext_words(ix, text, strlen(text), true, add_word, w, err);
	for (size_t i = 0; i < w->n && s == TTT_OK; i++) {
		list[i] = w->word[i];
		if (!asks_meaning(w, i))
			s = add_parts(q, ix, w->word[i], false, err);
	}
	all = q->n == 0;
	for (size_t i = 0; i < w->n && s == TTT_OK && all; i++)
		s = add_parts(q, ix, w->word[i], true, err);
	q->n_own = q->n;
	for (int i = 0; i < q->n_own; i++) {
		q->of[i] = i;
		q->same[i] = true;
	}
	for (int i = 0; i < q->n_own && t != NULL && s == TTT_OK; i++)
		ttt__thesaurus_walk(t, q->term[i].stem, add_synonym, &(struct expansion){ .q = q, .of = i });
	if (s == TTT_OK) {
		q->number = ttt__asks_number(list, w->n);
		q->error = ttt__asks_error(list, w->n);
	}
	free(w);
	return s;
}

double
ttt__question_sum(const struct ttt__question *q, const double *value)
{
	double best[TTT__TERM_MAX] = { 0 }, sum = 0;

	for (int t = 0; t < q->n; t++)
		if (value[t] > best[q->of[t]])
			best[q->of[t]] = value[t];
	for (int t = 0; t < q->n_own; t++)
		sum += best[t];
	return sum;
}

bool
ttt__question_has(const struct ttt__question *q, int t, const char *stem, size_t n)
{
	return strncmp(q->term[t].stem, stem, n) == 0 && q->term[t].stem[n] == '\0';
}
