#include "libttt/use/lexicon.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PARTS = 512 }; /* different words of a line that count */

void
ttt__lexicon_free(struct ttt__lexicon *l)
{
	for (size_t i = 0; i < l->n_line; i++) {
		free(l->line[i].mask);
		free(l->line[i].part);
	}
	for (size_t i = 0; i < l->n_word; i++) {
		free(l->word[i].text);
		free(l->word[i].line);
	}
	free(l->line);
	free(l->word);
	free(l->dot);
	ttt__names_free(&l->lines);
	ttt__names_free(&l->words);
	*l = (struct ttt__lexicon){0};
}

/* ---------------------------------------------------------------------------------------------- words */

static bool
is_word(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c >= 0x80;
}

size_t
ttt__lexicon_next(const unsigned char *mask, size_t n, size_t *at, size_t *start, unsigned char *word)
{
	size_t size = 0;

	while (*at < n && !is_word(mask[*at]))
		++*at;
	*start = *at;
	for (; *at < n && is_word(mask[*at]); ++*at) {
		unsigned char c = mask[*at];

		if (c >= 'A' && c <= 'Z')
			c = (unsigned char)(c + ('a' - 'A'));
		if (size < TTT__LEXICON_WORD && (c != '0' || size == 0 || word[size - 1] != '0'))
			word[size++] = c;
	}
	return size;
}

bool
ttt__lexicon_knows(const struct ttt__lexicon *l, const unsigned char *word, size_t n)
{
	int32_t place = ttt__names_find(&l->words, word, n);

	return place >= 0 && l->word[place].known;
}

static void *
copy(const void *p, size_t n)
{
	void *c = ttt__new(n + 1, 1);

	if (c != NULL && n > 0)
		memcpy(c, p, n);
	return c;
}

static enum ttt_status
enter_word(struct ttt__lexicon *l, const unsigned char *text, size_t n, int32_t *place, struct ttt_error *err)
{
	struct ttt__lexicon_word *w;
	enum ttt_status s;

	*place = ttt__names_find(&l->words, text, n);
	if (*place >= 0)
		return TTT_OK;
	if (l->n_word == l->word_capacity) {
		size_t capacity = 2 * l->word_capacity + 256;

		w = capacity > INT32_MAX ? NULL : ttt__grow(l->word, capacity, sizeof(*w));
		if (w == NULL)
			return ttt__fail_memory(err, "the words of the log");
		l->word = w;
		l->word_capacity = capacity;
	}
	s = ttt__names_reserve(&l->words, l->n_word + 1, err);
	if (s != TTT_OK)
		return s;
	w = &l->word[l->n_word];
	*w = (struct ttt__lexicon_word){.text = copy(text, n), .n = (uint32_t)n};
	if (w->text == NULL)
		return ttt__fail_memory(err, "the words of the log");
	*place = (int32_t)l->n_word++;
	ttt__names_add(&l->words, w->text, n, *place);
	return TTT_OK;
}

static enum ttt_status
note_line(struct ttt__lexicon_word *w, int32_t line, double often, struct ttt_error *err)
{
	if (w->n_line == w->line_capacity) {
		size_t capacity = 2 * w->line_capacity + 4;
		struct ttt__lexicon_use *grown = ttt__grow(w->line, capacity, sizeof(*grown));

		if (grown == NULL)
			return ttt__fail_memory(err, "the words of the log");
		w->line = grown;
		w->line_capacity = capacity;
	}
	w->line[w->n_line++] = (struct ttt__lexicon_use){line, often};
	return TTT_OK;
}

/* ---------------------------------------------------------------------------------------------- lines */

int32_t
ttt__lexicon_find(const struct ttt__lexicon *l, const void *mask, size_t n)
{
	return ttt__names_find(&l->lines, mask, n);
}

static double
idf_of(const struct ttt__lexicon *l, const struct ttt__lexicon_word *w)
{
	return w->idf > 0 ? w->idf : l->top;
}

static double
weight(const struct ttt__lexicon *l, const struct ttt__lexicon_part *p)
{
	return p->often * idf_of(l, &l->word[p->word]);
}

static void
set_norm(const struct ttt__lexicon *l, struct ttt__lexicon_line *x)
{
	double sum = 0;

	for (size_t i = 0; i < x->n_part; i++) {
		double w = weight(l, &x->part[i]);

		sum += w * w;
	}
	x->norm = sqrt(sum);
}

static enum ttt_status
grow_lines(struct ttt__lexicon *l, struct ttt_error *err)
{
	size_t capacity = 2 * l->line_capacity + 256;
	struct ttt__lexicon_line *line = capacity > INT32_MAX ? NULL : ttt__grow(l->line, capacity, sizeof(*line));
	double *dot;

	if (line != NULL)
		l->line = line;
	dot = line == NULL ? NULL : ttt__grow(l->dot, capacity, sizeof(*dot));
	if (dot == NULL)
		return ttt__fail_memory(err, "the lines of the log");
	memset(dot, 0, capacity * sizeof(*dot));
	l->dot = dot;
	l->line_capacity = capacity;
	return TTT_OK;
}

/* Words of a line with their counts, in parts [PARTS]; words of which none has been entered are entered. */
static enum ttt_status
count_parts(struct ttt__lexicon *l, const unsigned char *mask, size_t n, struct ttt__lexicon_part *parts, size_t *n_part,
    struct ttt_error *err)
{
	unsigned char word[TTT__LEXICON_WORD];
	enum ttt_status s = TTT_OK;
	size_t at = 0, start, size;

	*n_part = 0;
	while (s == TTT_OK && (size = ttt__lexicon_next(mask, n, &at, &start, word)) > 0) {
		size_t i = 0;
		int32_t place = ttt__names_find(&l->words, word, size);

		if (place < 0 && *n_part == PARTS)
			continue; /* it would not count */
		s = enter_word(l, word, size, &place, err);
		while (i < *n_part && parts[i].word != place)
			i++;
		if (s == TTT_OK && i < PARTS) {
			if (i == *n_part)
				parts[(*n_part)++] = (struct ttt__lexicon_part){.word = place};
			parts[i].count++;
		}
	}
	for (size_t i = 0; i < *n_part; i++)
		parts[i].often = 1 + log((double)parts[i].count);
	return s;
}

enum ttt_status
ttt__lexicon_add(struct ttt__lexicon *l, const void *mask, size_t n, int64_t count, int64_t last, int32_t *place, struct ttt_error *err)
{
	struct ttt__lexicon_part parts[PARTS];
	struct ttt__lexicon_line *x;
	size_t n_part;
	enum ttt_status s = l->n_line == l->line_capacity ? grow_lines(l, err) : TTT_OK;

	if (s == TTT_OK)
		s = ttt__names_reserve(&l->lines, l->n_line + 1, err);
	if (s == TTT_OK)
		s = count_parts(l, mask, n, parts, &n_part, err);
	if (s != TTT_OK)
		return s;
	x = &l->line[l->n_line];
	*x = (struct ttt__lexicon_line){.mask = copy(mask, n), .n = (uint32_t)n, .count = count, .last = last, .n_part = n_part};
	x->part = ttt__new(n_part + 1, sizeof(*x->part));
	*place = (int32_t)l->n_line++;
	l->n_byte += n;
	if (x->mask == NULL || x->part == NULL)
		return ttt__fail_memory(err, "the lines of the log");
	memcpy(x->part, parts, n_part * sizeof(*parts));
	ttt__names_add(&l->lines, x->mask, n, *place);
	for (size_t i = 0; i < n_part && s == TTT_OK; i++) {
		l->word[parts[i].word].df += count;
		s = note_line(&l->word[parts[i].word], *place, parts[i].often, err);
	}
	l->n_seen += count;
	set_norm(l, x);
	return s;
}

void
ttt__lexicon_again(struct ttt__lexicon *l, int32_t place, int64_t last)
{
	struct ttt__lexicon_line *x = &l->line[place];

	for (size_t i = 0; i < x->n_part; i++)
		l->word[x->part[i].word].df++;
	x->count++;
	x->last = last;
	l->n_seen++;
}

void
ttt__lexicon_learned(struct ttt__lexicon *l, int32_t place)
{
	struct ttt__lexicon_line *x = &l->line[place];

	x->known = true;
	for (size_t i = 0; i < x->n_part; i++)
		l->word[x->part[i].word].known = true;
}

enum ttt_status
ttt__lexicon_distance(struct ttt__lexicon *l, const void *mask, size_t n, double *known, double *any, struct ttt_error *err)
{
	struct ttt__lexicon_part parts[PARTS];
	size_t n_part;
	double sum = 0, root, best_known = 0, best_any = 0;
	enum ttt_status s = count_parts(l, mask, n, parts, &n_part, err);

	if (s != TTT_OK)
		return s;
	for (size_t i = 0; i < n_part; i++) {
		const struct ttt__lexicon_word *w = &l->word[parts[i].word];
		double mine = weight(l, &parts[i]), idf = idf_of(l, w);

		sum += mine * mine;
		for (size_t j = 0; j < w->n_line; j++)
			l->dot[w->line[j].line] += mine * (w->line[j].often * idf);
	}
	root = sqrt(sum);
	for (size_t i = 0; i < n_part; i++) {
		const struct ttt__lexicon_word *w = &l->word[parts[i].word];

		for (size_t j = 0; j < w->n_line; j++) {
			const struct ttt__lexicon_line *x = &l->line[w->line[j].line];
			double dot = l->dot[w->line[j].line], cosine;

			if (dot == 0) /* met at another of the words */
				continue;
			l->dot[w->line[j].line] = 0;
			cosine = dot / (x->norm * root);
			best_any = cosine > best_any ? cosine : best_any;
			if (x->known && cosine > best_known)
				best_known = cosine;
		}
	}
	*known = n_part == 0 ? 0 : fmax(0, 1 - best_known);
	*any = n_part == 0 ? 0 : fmax(0, 1 - best_any);
	return TTT_OK;
}

void
ttt__lexicon_settle(struct ttt__lexicon *l)
{
	l->top = log(1 + (double)l->n_seen) + 1;
	for (size_t i = 0; i < l->n_word; i++)
		l->word[i].idf = l->word[i].df == 0 ? 0 : log((1 + (double)l->n_seen) / (1 + (double)l->word[i].df)) + 1;
	for (size_t i = 0; i < l->n_line; i++)
		set_norm(l, &l->line[i]);
}

static int
later_first(const void *a, const void *b)
{
	const struct ttt__lexicon_line *x = *(struct ttt__lexicon_line *const *)a, *y = *(struct ttt__lexicon_line *const *)b;

	return x->last != y->last ? (x->last < y->last ? 1 : -1) : (x < y) - (x > y);
}

enum ttt_status
ttt__lexicon_trim(struct ttt__lexicon *l, size_t most_lines, size_t most_bytes, struct ttt_error *err)
{
	struct ttt__lexicon kept = {0};
	struct ttt__lexicon_line **order = ttt__new(l->n_line + 1, sizeof(struct ttt__lexicon_line *));
	enum ttt_status s = TTT_OK;
	size_t n = 0, bytes = 0;

	if (order == NULL)
		return ttt__fail_memory(err, "the lines of the log");
	for (size_t i = 0; i < l->n_line; i++)
		if (l->line[i].known)
			order[n++] = &l->line[i];
	qsort(order, n, sizeof(struct ttt__lexicon_line *), later_first);
	for (size_t i = 0; i < n; i++) {
		bytes += order[i]->n;
		order[i]->known = i < most_lines && bytes <= most_bytes;
	}
	free(order);
	for (size_t i = 0; i < l->n_line && s == TTT_OK; i++) {
		const struct ttt__lexicon_line *x = &l->line[i];
		int32_t place;

		if (!x->known)
			continue;
		s = ttt__lexicon_add(&kept, x->mask, x->n, x->count, x->last, &place, err);
		if (s == TTT_OK)
			ttt__lexicon_learned(&kept, place);
	}
	if (s != TTT_OK) {
		ttt__lexicon_free(&kept);
		return s;
	}
	ttt__lexicon_settle(&kept);
	ttt__lexicon_free(l);
	*l = kept;
	return TTT_OK;
}
