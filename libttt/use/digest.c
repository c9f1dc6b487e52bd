/* The score of a log line, and learning it. What was tried and what it is worth: bench/RESULTS.md.
 *
 * A line whose kind was learned gets 1/2 for its surprise; another one 3/4 to 1, by h, the mean over its masked tokens of the nats beyond 3
 * under the weights as they are before its block is learned. That is multiplied by 0.1 + its distance from the lines seen before (lexicon.h;
 * half of it from the learned ones, half from all that came, so that a new word which explains three lines counts once), and by 1.25 where
 * the line itself says that something went wrong. */
#include "libttt/use/digest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "libttt/state/state.h"
#include "libttt/text/mask.h"
#include "libttt/use/severity.h"

static const double KNOWN = 0.5, NEW = 0.75, NEAR = 0.1, SEVERE = 1.25;
static const double QUANTILE = 0.99, LEAST = 0.3, MOST = 0.4; /* of the stream's scores, above which lines are novel, within these bounds */
enum {
	SHARED = 3,            /* kinds with a word of a new message, beyond which it is no name */
	CALIBRATION = 100,     /* lines before there is a threshold */
	LINES_MAX = 65536,     /* kinds kept, .. */
	BYTES_MAX = 1 << 26    /* .. and bytes of them */
};

static double
find_threshold(const struct ttt_digest *d)
{
	int64_t n = d->n_score / 2 < TTT__SCORES ? d->n_score / 2 : TTT__SCORES, above;
	int64_t *count;
	int64_t most = 0;
	double found;

	if (d->o.threshold > 0 && d->n_score > 0) /* the caller knows; but next to nothing all is new */
		return d->o.threshold;
	if (n < CALIBRATION / 2) /* too little was read for anything to be novel */
		return 0;
	count = ttt__new(65536, sizeof(*count));
	if (count == NULL)
		return LEAST;
	for (int64_t i = d->n_score - n; i < d->n_score; i++)
		count[d->score[i % TTT__SCORES]]++;
	above = (int64_t)((1 - QUANTILE) * (double)n);
	for (most = 65535; most > 0 && (above -= count[most]) >= 0;)
		most--;
	found = (double)most / 10000 + 0.0001;
	free(count);
	return fmin(fmax(found, LEAST), MOST);
}

enum ttt_status
ttt_digest_create(struct ttt_digest **out, struct ttt_state *s, const struct ttt_digest_options *o, struct ttt_error *err)
{
	const struct ttt_model *m = s->model;
	struct ttt_digest *d;
	enum ttt_status status;

	*out = NULL;
	if (ttt_model_tokenizer(m) == NULL)
		return ttt__fail(err, TTT_E_USAGE, "%s: has no tokenizer, so that it cannot read logs", ttt_model_name(m));
	d = ttt__new(1, sizeof(*d));
	if (d == NULL)
		return ttt__fail_memory(err, "the digest");
	d->state = s;
	if (o != NULL)
		d->o = *o;
	status = ttt_encoder_create(&d->encoder, ttt_model_tokenizer(m), err);
	if (status == TTT_OK)
		status = ttt__digest_load(d, err);
	if (status != TTT_OK) {
		ttt_digest_free(d);
		return status;
	}
	d->n_before = d->n_line;
	d->threshold = find_threshold(d);
	*out = d;
	return TTT_OK;
}

void
ttt_digest_free(struct ttt_digest *d)
{
	if (d == NULL)
		return;
	ttt__lexicon_free(&d->lexicon);
	ttt_follow_free(d->follow);
	ttt_encoder_free(d->encoder);
	ttt__bytes_free(&d->mask);
	ttt__bytes_free(&d->place);
	ttt__bytes_free(&d->learn);
	free(d->cursor);
	free(d->fresh);
	free(d->at);
	free(d->ids.id);
	free(d->nll);
	free(d);
}

int64_t
ttt_digest_n_line(const struct ttt_digest *d)
{
	return d->n_line;
}

double
ttt_digest_threshold(const struct ttt_digest *d)
{
	return d->threshold;
}

struct ttt_follow *
ttt_digest_follow(struct ttt_digest *d)
{
	return d->follow;
}

const char *
ttt_digest_cursor(const struct ttt_digest *d)
{
	return d->cursor != NULL ? d->cursor : "";
}

enum ttt_status
ttt_digest_set_cursor(struct ttt_digest *d, const char *cursor, struct ttt_error *err)
{
	char *copy;

	if (strlen(cursor) > TTT__CURSOR_MAX)
		return ttt__fail(err, TTT_E_RANGE, "the journal's cursor is longer than %d bytes", TTT__CURSOR_MAX);
	copy = strdup(cursor);
	if (copy == NULL)
		return ttt__fail_memory(err, "the digest");
	free(d->cursor);
	d->cursor = copy;
	return TTT_OK;
}

static enum ttt_status
reserve(struct ttt_digest *d, size_t n, struct ttt_error *err)
{
	if (n > d->at_capacity) {
		int32_t *at = ttt__grow(d->at, n, sizeof(*at));

		if (at != NULL)
			d->at = at;
		d->at_capacity = at != NULL ? n : d->at_capacity;
	}
	if (n > d->fresh_capacity) {
		struct ttt__fresh *fresh = ttt__grow(d->fresh, n, sizeof(*fresh));

		if (fresh != NULL)
			d->fresh = fresh;
		d->fresh_capacity = fresh != NULL ? n : d->fresh_capacity;
	}
	return n <= d->at_capacity && n <= d->fresh_capacity ? TTT_OK : ttt__fail_memory(err, "the digest");
}

/* Which kind each line is of; those of kinds that were not there become fresh. */
static enum ttt_status
sort_lines(struct ttt_digest *d, const struct ttt_digest_line *line, size_t n, struct ttt_error *err)
{
	enum ttt_status s = TTT_OK;

	d->n_fresh = 0;
	for (size_t i = 0; i < n && s == TTT_OK; i++) {
		struct ttt__fresh *f = &d->fresh[d->n_fresh];

		s = ttt__mask_line(&d->mask, &d->place, line[i].text, line[i].n, err);
		if (s != TTT_OK)
			break;
		d->at[i] = ttt__lexicon_find(&d->lexicon, d->mask.p, d->mask.n);
		if (d->at[i] >= 0) {
			ttt__lexicon_again(&d->lexicon, d->at[i], d->n_line + (int64_t)i);
			continue;
		}
		*f = (struct ttt__fresh){.line = i};
		s = ttt__lexicon_distance(&d->lexicon, d->mask.p, d->mask.n, &f->known, &f->any, err);
		if (s == TTT_OK)
			s = ttt__lexicon_add(&d->lexicon, d->mask.p, d->mask.n, 1, d->n_line + (int64_t)i, &f->place, err);
		d->at[i] = f->place;
		d->n_fresh++;
	}
	return s;
}

static double
score(double new, double distance, const char *text, size_t n)
{
	return new * (NEAR + distance) * (ttt__line_severe(text, n) ? SEVERE : 1) / ((NEAR + 1) * SEVERE);
}

static void
note_score(struct ttt_digest *d, double x)
{
	d->score[d->n_score++ % TTT__SCORES] = (uint16_t)lround(x * 10000);
}

/* Lines that differ in numbers alone are alike. */
static uint64_t
kind_of(const struct ttt__lexicon_line *x)
{
	uint64_t kind = 0;
	uint32_t start = 0;

	for (uint32_t i = 1; i <= x->n; i++)
		if (i == x->n || x->mask[i - 1] == '0') { /* a number, of however many digits */
			uint64_t part = ttt__hash(x->mask + start, i - start);

			kind = ttt__hash((const uint64_t[]){kind, part}, 2 * sizeof(kind));
			while (i < x->n && x->mask[i] == '0')
				i++;
			start = i;
		}
	return kind;
}

/* The same for lines that differ in words that were never learned, a word in four at most: names of users, of files. */
static uint64_t
family_of(const struct ttt_digest *d, const struct ttt__lexicon_line *x, uint64_t kind)
{
	unsigned char word[TTT__LEXICON_WORD];
	size_t at = 0, start, n, n_word = 0, n_new = 0, from = 0;
	uint64_t family = 1;
	int32_t place;
	bool often;

	while ((n = ttt__lexicon_next(x->mask, x->n, &at, &start, word)) > 0) {
		uint64_t part = 2;

		n_word++;
		place = ttt__names_find(&d->lexicon.words, word, n);
		often = place >= 0 && d->lexicon.word[place].n_line > SHARED; /* not known yet, but no name */
		if (often || ttt__lexicon_knows(&d->lexicon, word, n) || ttt__line_severe((const char *)word, n)) /* "panic" is no name */
			part = ttt__hash(word, n);
		else
			n_new++;
		part += ttt__hash(x->mask + from, start - from);
		family = ttt__hash((const uint64_t[]){family, part}, 2 * sizeof(family));
		from = at;
	}
	return n_new > 0 && 4 * n_new <= n_word ? family : kind;
}

static enum ttt_status
score_lines(struct ttt_digest *d, struct ttt_digest_line *line, size_t n, struct ttt_error *err)
{
	enum ttt_status s = TTT_OK;
	size_t next = 0;

	for (size_t i = 0; i < d->n_fresh; i++) {
		const struct ttt__fresh *f = &d->fresh[i];
		double h = ttt__digest_surprise(d, f), new = NEW + (1 - NEW) * h / (TTT__DIGEST_HALF + h);

		d->lexicon.line[f->place].score = score(new, (f->known + f->any) / 2, line[f->line].text, line[f->line].n);
	}
	for (size_t i = 0; i < n && s == TTT_OK; i++) {
		const struct ttt__lexicon_line *x = &d->lexicon.line[d->at[i]];
		bool fresh = next < d->n_fresh && d->fresh[next].line == i;

		line[i].score = x->known ? score(KNOWN, 0, line[i].text, line[i].n) : x->score;
		line[i].novel = d->threshold > 0 && line[i].score >= d->threshold;
		line[i].kind = kind_of(x);
		line[i].family = line[i].novel ? family_of(d, x, line[i].kind) : line[i].kind;
		line[i].n_mark = 0;
		if (fresh || x->known)
			note_score(d, line[i].score);
		else if (!line[i].novel) /* it would be known by now in a smaller block; an incident, however long, counts once */
			note_score(d, score(KNOWN, 0, line[i].text, line[i].n));
		if (line[i].novel) {
			s = ttt__mask_line(&d->mask, &d->place, line[i].text, line[i].n, err);
			if (s == TTT_OK)
				ttt__digest_mark_words(d, &line[i]);
			if (s == TTT_OK && line[i].n_mark == 0 && fresh && d->fresh[next].n > 0)
				ttt__digest_mark_tokens(d, &d->fresh[next], &line[i]);
		}
		next += fresh;
	}
	return s;
}

/* The name under which the state counts what it read of logs. */
static enum ttt_status
name_source(struct ttt_state *s, struct ttt_error *err)
{
	const char *name;
	int64_t n, i = 0;
	bool is_log = false;

	while (ttt_state_source_at(s, i++, &name, &n))
		is_log = strcmp(name, "log") == 0;
	return is_log ? TTT_OK : ttt_state_source(s, "log", err);
}

/* Let the model learn d->learn. Masked lines are nobody's text: they are not kept as passages, in a state that has such either. */
static enum ttt_status
learn_text(struct ttt_digest *d, struct ttt_error *err)
{
	enum ttt_status s = d->learn.n > 0 ? name_source(d->state, err) : TTT_OK;
	bool keeps = d->state->keeps_passages;

	if (s != TTT_OK || d->learn.n == 0)
		return s;
	d->state->keeps_passages = false;
	s = ttt_state_absorb(d->state, d->learn.p, d->learn.n, NULL, NULL, err);
	d->state->keeps_passages = keeps;
	return s;
}

static enum ttt_status
learn_lines(struct ttt_digest *d, struct ttt_error *err)
{
	enum ttt_status s = TTT_OK;

	d->learn.n = 0;
	for (size_t i = 0; i < d->n_fresh && s == TTT_OK; i++) {
		struct ttt__lexicon_line *x = &d->lexicon.line[d->fresh[i].place];

		if (d->threshold > 0 && x->score >= d->threshold && !d->o.learn_all)
			continue;
		ttt__lexicon_learned(&d->lexicon, d->fresh[i].place);
		if (d->fresh[i].n > 0)
			s = ttt__digest_add_text(&d->learn, x->mask, x->n, err);
	}
	return s != TTT_OK ? s : learn_text(d, err);
}

/* What would not be one line of digest.lines. */
static enum ttt_status
check_line(const char *text, size_t n, struct ttt_error *err)
{
	if (n <= TTT__MASK_MAX && (n == 0 || memchr(text, '\n', n) == NULL))
		return TTT_OK;
	return ttt__fail(err, TTT_E_RANGE, "a line of a log is longer than %d bytes, or more than one", TTT__MASK_MAX);
}

enum ttt_status
ttt_digest_read(struct ttt_digest *d, struct ttt_digest_line *line, size_t n, struct ttt_error *err)
{
	enum ttt_status s = reserve(d, n, err);

	for (size_t i = 0; i < n && s == TTT_OK; i++)
		s = check_line(line[i].text, line[i].n, err);
	if (s != TTT_OK)
		return s;
	ttt__lexicon_settle(&d->lexicon);
	if (s == TTT_OK)
		s = sort_lines(d, line, n, err);
	if (s == TTT_OK)
		s = ttt__digest_make_tokens(d, err);
	if (s == TTT_OK && d->ids.n > 0 && d->threshold > 0)
		s = ttt__digest_score_tokens(d, err);
	if (s == TTT_OK)
		s = score_lines(d, line, n, err);
	if (s == TTT_OK)
		s = learn_lines(d, err);
	d->n_line += (int64_t)n;
	if (s == TTT_OK && (d->lexicon.n_line > (size_t)2 * LINES_MAX || d->lexicon.n_byte > (size_t)2 * BYTES_MAX))
		s = ttt__lexicon_trim(&d->lexicon, LINES_MAX, BYTES_MAX, err);
	return s;
}

enum ttt_status
ttt_digest_accept(struct ttt_digest *d, const char *text, size_t n, struct ttt_error *err)
{
	int32_t place;
	enum ttt_status s = check_line(text, n, err);

	if (s == TTT_OK)
		s = ttt__mask_line(&d->mask, &d->place, text, n, err);
	if (s != TTT_OK)
		return s;
	place = ttt__lexicon_find(&d->lexicon, d->mask.p, d->mask.n);
	if (place < 0)
		s = ttt__lexicon_add(&d->lexicon, d->mask.p, d->mask.n, 1, d->n_line, &place, err);
	if (s != TTT_OK || d->lexicon.line[place].known)
		return s;
	ttt__lexicon_learned(&d->lexicon, place);
	d->learn.n = 0;
	s = ttt__digest_add_text(&d->learn, d->mask.p, d->mask.n, err);
	return s != TTT_OK ? s : learn_text(d, err);
}

enum ttt_status
ttt_digest_finish(struct ttt_digest *d, struct ttt_error *err)
{
	enum ttt_status s = ttt__lexicon_trim(&d->lexicon, LINES_MAX, BYTES_MAX, err);

	return s != TTT_OK ? s : ttt__digest_store(d, err);
}
