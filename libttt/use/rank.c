/* Scores of passages. With N passages (units and unions of two neighbours), df of a term t among them, tf its count
 * in a passage of length dl words:
 *
 * idf  = ln(1 + (N - df + 1/2) / (df + 1/2)) bm_t = idf tf (k1 + 1) / (tf + k1 (1 - b + b dl / mean dl)) bm   = sum
 * over the question's own terms t of max(bm_t, SYNONYM bm_s for each synonym s of t) score = bm + W_FILE file +
 * W_NAME name + W_NAMED [the question asks for what is in the file] + W_NUMBER [asked for a number, has one] + W_ERROR [asked for an error,
 * names one] + W_VERBATIM verbatim + W_DEFINES [has the definition that is asked for]; the last two of the best LOOKED without them
 *
 * A form of the term that no stemmer joins ("written") counts as itself. A synonym's idf is at most that of its
 * term. file is the sum over own terms of ln((F + 1) / files with the term) when the passage's file has it
 * anywhere, SYNONYM times the same of its best synonym otherwise, F files; name is the sum of the idf of own terms
 * in the file's base name. A document that a later one of its name replaced has OLDER of its score. The constants
 * were chosen on questions over C source and manual pages and are flat around their values. */
#include "libttt/use/rank_parts.h"
#include "libttt/use/cues.h"
#include "libttt/use/named.h"
#include "libttt/text/vocab.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double K1 = 0.9, B = 0.4;
static const double SYNONYM = 0.5;
static const double EVIDENCE_LEAST = 1000; /* in a smaller text, words are as rare as in one of so many passages */
static const double OLDER = 0.95; /* of the score of a document that came again, under its name, later */
static const double W_FILE = 0.6, W_NAME = 1.5, W_NAMED = 20, W_NUMBER = 3, W_ERROR = 2, W_VERBATIM = 12, W_DEFINES = 8;
enum { LOOKED = 2000 };

struct row { /* a unit with at least one term */
	int64_t unit;
	uint16_t count[];
};

static double
length(const struct ttt__ranker *r, int64_t first, int n)
{
	double sum = 0;

	for (int i = 0; i < n; i++)
		sum += (double)ttt__fulltext_length(r->index, first + i);
	return sum;
}

static enum ttt_status
mark_older(struct ttt__ranker *r, struct ttt_error *err)
{
	const struct ttt__corpus *c = r->corpus;
	struct ttt__names seen = { 0 };
	enum ttt_status status = ttt__names_reserve(&seen, (size_t)c->n_file, err);

	for (int64_t f = c->n_file; f > 0 && status == TTT_OK; f--) {
		const char *name = ttt__corpus_name(c, (int32_t)(f - 1));

		if (strcmp(name, "-") == 0) /* another stream each time */
			continue;
		name = ttt__rank_name(name);
		r->older[f - 1] = !ttt__names_add(&seen, name, strlen(name), (int32_t)(f - 1));
	}
	ttt__names_free(&seen);
	return status;
}

enum ttt_status
ttt__ranker_create(struct ttt__ranker **out, const struct ttt__corpus *c, struct ttt__fulltext *ix,
    struct ttt_error *err)
{
	struct ttt__ranker *r = ttt__new(1, sizeof(*r));
	double sum = 0;
	enum ttt_status status;

	if (r == NULL)
		return ttt__fail_memory(err, "passage ranking");
	r->corpus = c;
	r->index = ix;
	r->file_terms = ttt__new((size_t)c->n_file, TTT__TERM_MAX);
	r->file_score = ttt__new((size_t)c->n_file, sizeof(*r->file_score));
	r->named = ttt__new((size_t)c->n_file, sizeof(*r->named));
	r->older = ttt__new((size_t)c->n_file, sizeof(*r->older));
	if (r->file_terms == NULL || r->file_score == NULL || r->named == NULL || r->older == NULL)
		status = ttt__fail_memory(err, "passage ranking");
	else
		status = mark_older(r, err);
	if (status != TTT_OK) {
		ttt__ranker_free(r);
		return status;
	}
	for (int64_t i = 0; i < c->n; i++) {
		bool joins = ttt__corpus_joins(c, i);

		r->n_passage += 1 + joins;
		sum += length(r, i, 1) + (joins ? length(r, i, 2) : 0);
	}
	r->mean_length = r->n_passage > 0 && sum > 0 ? sum / (double)r->n_passage : 1;
	*out = r;
	return TTT_OK;
}

void
ttt__ranker_free(struct ttt__ranker *r)
{
	if (r == NULL)
		return;
	ttt__bytes_free(&r->rows);
	ttt__bytes_free(&r->found);
	ttt__bytes_free(&r->kept);
	free(r->file_terms);
	free(r->file_score);
	free(r->named);
	free(r->older);
	free(r);
}

const char *
ttt__candidate_text(const struct ttt__corpus *c, const struct ttt__candidate *p, size_t *n)
{
	*n = 0;
	for (int i = 0; i < p->n; i++)
		*n += c->unit[p->first + i].n_byte;
	return (const char *)c->text.p + c->unit[p->first].offset;
}

static unsigned char *
file_terms(const struct ttt__ranker *r, int64_t file)
{
	return r->file_terms + (size_t)file * TTT__TERM_MAX;
}

static enum ttt_status
note_unit(void *ctx, int64_t unit, const uint32_t *count, struct ttt_error *err)
{
	const struct ttt__search *s = ctx;
	uint64_t buffer[(sizeof(struct row) + TTT__TERM_MAX * sizeof(uint16_t)) / sizeof(uint64_t)] = { 0 };
	struct row *row = (struct row *)buffer;
	unsigned char *terms = file_terms(s->r, s->r->corpus->unit[unit].file);

	row->unit = unit;
	for (int t = 0; t < s->q->n; t++) {
		row->count[t] = (uint16_t)(count[t] < UINT16_MAX ? count[t] : UINT16_MAX);
		terms[t] |= count[t] > 0;
	}
	return ttt__bytes_add(&s->r->rows, row, s->row_size, err);
}

static const struct row *
row_at(const struct ttt__search *s, size_t i)
{
	return (const struct row *)(const void *)(s->r->rows.p + i * s->row_size);
}

/* Call fn for every passage that has a term, with its counts. A union is met at its first unit that has one. */
typedef enum ttt_status passage_fn(const struct ttt__search *s, int64_t first, int n, const uint32_t *count, void *ctx,
    struct ttt_error *err);

static enum ttt_status
each_passage(const struct ttt__search *s, passage_fn *fn, void *ctx, struct ttt_error *err)
{
	size_t n_row = s->r->rows.n / s->row_size;
	const struct ttt__corpus *c = s->r->corpus;
	enum ttt_status status = TTT_OK;

	for (size_t i = 0; i < n_row && status == TTT_OK; i++) {
		const struct row *row = row_at(s, i), *next = i + 1 < n_row ? row_at(s, i + 1) : NULL;
		uint32_t one[TTT__TERM_MAX], two[TTT__TERM_MAX];
		int64_t u = row->unit;
		bool has_last = i > 0 && row_at(s, i - 1)->unit == u - 1;
		bool has_next = next != NULL && next->unit == u + 1;

		for (int t = 0; t < s->q->n; t++) {
			one[t] = row->count[t];
			two[t] = one[t] + (has_next ? next->count[t] : 0);
		}
		status = fn(s, u, 1, one, ctx, err);
		if (status == TTT_OK && ttt__corpus_joins(c, u))
			status = fn(s, u, 2, two, ctx, err);
		if (status == TTT_OK && !has_last && u > 0 && ttt__corpus_joins(c, u - 1))
			status = fn(s, u - 1, 2, one, ctx, err);
	}
	return status;
}

static enum ttt_status
count_passage(const struct ttt__search *s, int64_t first, int n, const uint32_t *count, void *ctx, struct ttt_error *err)
{
	int64_t *df = ctx;

	(void)first;
	(void)n;
	(void)err;
	for (int t = 0; t < s->q->n; t++)
		df[t] += count[t] > 0;
	return TTT_OK;
}

/* idf in n passages of a term in df of them. */
static double
idf(double n, double df)
{
	return log1p((n - df + 0.5) / (df + 0.5));
}

static enum ttt_status
weigh_terms(struct ttt__search *s, struct ttt_error *err)
{
	int64_t df[TTT__TERM_MAX] = { 0 };
	double n = (double)s->r->n_passage, n_plain = fmax(n, EVIDENCE_LEAST), *weight = s->out->weight;
	enum ttt_status status = each_passage(s, count_passage, df, err);

	s->absent = idf(n_plain, 0);
	for (int t = 0; t < s->q->n; t++) {
		double synonym = s->q->same[t] ? 1 : SYNONYM, own;
		int of = s->q->of[t];

		weight[t] = df[t] == 0 ? 0 : idf(n, (double)df[t]);
		own = df[of] == 0 ? weight[t] : idf(n, (double)df[of]);
		weight[t] = synonym * fmin(weight[t], own);
		s->plain[t] = df[t] == 0 ? 0 : synonym * idf(n_plain, (double)df[t]);
		if (t < s->q->n_own)
			s->total += df[t] == 0 ? s->absent : s->plain[t];
	}
	return status;
}

static void
score_files(struct ttt__search *s)
{
	struct ttt__ranker *r = s->r;
	int64_t n = r->corpus->n_file, with[TTT__TERM_MAX] = { 0 };
	double rare[TTT__TERM_MAX];

	for (int64_t f = 0; f < n; f++)
		for (int t = 0; t < s->q->n; t++)
			with[t] += file_terms(r, f)[t];
	for (int t = 0; t < s->q->n; t++)
		rare[t] = with[t] == 0 ? 0 : log((double)(n + 1) / (double)with[t]) * (s->q->same[t] ? 1 : SYNONYM);
	for (int64_t f = 0; f < n; f++) {
		double value[TTT__TERM_MAX];

		for (int t = 0; t < s->q->n; t++)
			value[t] = file_terms(r, f)[t] ? rare[t] : 0;
		r->file_score[f] = W_FILE * ttt__question_sum(s->q, value);
		r->named[f] = ttt__asks_for_file(s->q->text, ttt__corpus_name(r->corpus, (int32_t)f));
		s->any_named = s->any_named || r->named[f];
		r->file_score[f] += r->named[f] ? W_NAMED : 0;
	}
}

/* A digit or a single letter in a name ("proc.5", "c") is about nothing. */
static bool
names_something(const struct ttt__term *t)
{
	return strlen(t->word) >= 2 && strspn(t->word, "0123456789") != strlen(t->word);
}

static enum ttt_status
score_name(void *ctx, int64_t file, const uint32_t *count, struct ttt_error *err)
{
	const struct ttt__search *s = ctx;

	(void)err;
	for (int t = 0; t < s->q->n_own; t++)
		if (count[t] > 0 && names_something(&s->q->term[t]))
			s->r->file_score[file] += W_NAME * s->out->weight[t];
	return TTT_OK;
}

/* Evidence of a passage: m^2 / (M w), where m is the weight of the question's terms in it, M that of all, absent
 * ones included, and w that of a word that stands nowhere. So it takes both a good share of the question and words
 * that are rare. */
static double
evidence(const struct ttt__search *s, const uint32_t *count)
{
	double value[TTT__TERM_MAX], m;
	bool has[TTT__TERM_MAX] = { false }, all = s->q->n_own > 0;

	for (int t = 0; t < s->q->n; t++) {
		value[t] = count[t] > 0 ? s->plain[t] : 0;
		has[s->q->of[t]] |= count[t] > 0;
	}
	for (int t = 0; t < s->q->n_own; t++)
		all = all && (has[t] || strchr(s->q->term[t].word, '_') != NULL);
	if (all) /* every word of the question, however common */
		return 1;
	m = ttt__question_sum(s->q, value);
	return s->total > 0 ? m * m / (s->total * s->absent) : 0;
}

static enum ttt_status
score_passage(const struct ttt__search *s, int64_t first, int n, const uint32_t *count, void *ctx, struct ttt_error *err)
{
	struct ttt__candidate p = { .first = first, .n = n };
	double norm = K1 * (1 - B + B * length(s->r, first, n) / s->r->mean_length);
	double value[TTT__TERM_MAX];

	(void)ctx;
	for (int t = 0; t < s->q->n; t++)
		value[t] = s->out->weight[t] * (double)count[t] * (K1 + 1) / ((double)count[t] + norm);
	p.score = ttt__question_sum(s->q, value);
	if (!s->bm25)
		p.score += s->r->file_score[s->r->corpus->unit[first].file];
	if (!s->bm25 && (s->q->number || s->q->error)) {
		size_t n_text;
		const char *text = ttt__candidate_text(s->r->corpus, &p, &n_text);

		if (s->q->number && ttt__has_number(text, n_text))
			p.score += W_NUMBER;
		if (s->q->error && ttt__has_errno(text, n_text))
			p.score += W_ERROR;
	}
	if (!s->bm25 && s->r->older[s->r->corpus->unit[first].file])
		p.score *= OLDER;
	s->out->evidence = fmax(s->out->evidence, evidence(s, count));
	return ttt__bytes_add(&s->r->found, &p, sizeof(p), err);
}

/* What is in a file was asked for: its units without any term of the question come too, the first one first. */
static enum ttt_status
add_named(const struct ttt__search *s, struct ttt_error *err)
{
	static const double later = 1e-6; /* less for a line */
	const struct ttt__corpus *c = s->r->corpus;
	size_t n_row = s->r->rows.n / s->row_size, i = 0;
	enum ttt_status status = TTT_OK;

	for (int64_t u = 0; u < c->n && status == TTT_OK; u++) {
		struct ttt__candidate p = {.first = u, .n = 1, .score = s->r->file_score[c->unit[u].file] - later * (double)c->unit[u].line};

		while (i < n_row && row_at(s, i)->unit < u)
			i++;
		if (!s->r->named[c->unit[u].file])
			continue;
		s->out->evidence = 1;
		if (i == n_row || row_at(s, i)->unit != u)
			status = ttt__bytes_add(&s->r->found, &p, sizeof(p), err);
	}
	return status;
}

/* What the question has word for word, or asks the definition of. */
static void
score_literal(const struct ttt__search *s)
{
	const struct ttt__corpus *c = s->r->corpus;
	struct ttt__candidate *p = (struct ttt__candidate *)(void *)s->r->found.p;
	size_t n = s->r->found.n / sizeof(*p);
	struct ttt__verbatim v = s->q->verbatim;

	if (s->any_named)
		v.n_compound = 0; /* it is the file's name */
	if (!ttt__verbatim_any(&v) && s->q->wanted.n == 0)
		return;
	ttt__rank_sort(s->r);
	for (size_t i = 0; i < n && i < LOOKED; i++) {
		int32_t file = c->unit[p[i].first].file;
		size_t n_text;
		const char *text = ttt__candidate_text(c, &p[i], &n_text);
		double more = W_VERBATIM * ttt__verbatim_in(&v, ttt__corpus_name(c, file), text, n_text);

		more += ttt__defines(&s->q->wanted, text, n_text, n_text) ? W_DEFINES : 0;
		p[i].score += s->r->older[file] ? OLDER * more : more;
	}
}

enum ttt_status
ttt__rank(struct ttt__ranker *r, const struct ttt__question *q, int64_t k, bool bm25, struct ttt__ranking *out,
    struct ttt_error *err)
{
	struct ttt__search s = { .r = r, .q = q, .out = out, .bm25 = bm25 };
	enum ttt_status status;

	memset(out, 0, sizeof(*out));
	s.row_size = sizeof(struct row) + ((size_t)q->n * sizeof(uint16_t) + 7) / 8 * 8;
	r->rows.n = r->found.n = r->kept.n = 0;
	memset(r->file_terms, 0, (size_t)r->corpus->n_file * TTT__TERM_MAX);
	status = ttt__fulltext_find(r->index, TTT__UNITS, q->term, q->n, note_unit, &s, err);
	if (status == TTT_OK)
		status = weigh_terms(&s, err);
	if (status != TTT_OK)
		return status;
	if (!bm25) {
		score_files(&s);
		status = ttt__fulltext_find(r->index, TTT__NAMES, q->term, q->n, score_name, &s, err);
	}
	if (status == TTT_OK)
		status = each_passage(&s, score_passage, NULL, err);
	if (status == TTT_OK && s.any_named)
		status = add_named(&s, err);
	if (status == TTT_OK && !bm25)
		score_literal(&s);
	if (status == TTT_OK)
		status = ttt__rank_keep_best(&s, k, err);
	out->p = (struct ttt__candidate *)(void *)r->kept.p;
	out->n = (int64_t)(r->kept.n / sizeof(*out->p));
	return status;
}
