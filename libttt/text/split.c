/* How a stream is cut. The bytes held back are gone through from their start again and again, a window at a time (a
 * pass). A pass finds items: words and known tokens, decided as far as the window goes. An item after which the stream
 * can be taken up afresh, knowing nothing of what came before, is a joint; what lies before the last joint goes out,
 * the rest stays. So what a pass decides depends on the bytes from the last joint on and on nothing else, and neither
 * the cuts of the input nor a saved and restored state can change a token.
 *
 * Layers, outermost first: invalid UTF-8 and added tokens (raw text); normalization; added tokens (normalized text);
 * the stages of the pre-tokenizer, each cutting the pieces of the one before it. Each layer tells the next whether its
 * text goes on. */
#include "libttt/text/split.h"
#include "libttt/text/nfc.h"

#include <stdlib.h>
#include <string.h>

enum mode {
	MORE,   /* the stream goes on after the window */
	FORCED, /* it goes on, but what fills a whole window must end now */
	END     /* the window is the end of the stream */
};

struct item {
	size_t start, end; /* in text, for a word */
	int32_t id;        /* a known token, or -1: a word */
	size_t raw;        /* where it ends in the window */
	bool joint;
};

/* A piece of normalized text on its way through the stages, and where it came from. */
struct origin {
	size_t raw;            /* of the first byte of the text that was normalized, in the window */
	size_t skip;           /* bytes of normalized text before the piece */
	size_t text;           /* where the piece starts in text, its added blank included */
	size_t blank;          /* 1: a blank was put before it */
	size_t seam;           /* cursor: the last seam not after the place looked for */
};

struct ttt__splitter {
	const struct ttt_tokenizer *t;
	struct ttt__matcher *matcher;
	ttt__word_fn *word;
	void *ctx;
	struct ttt__bytes raw; /* bytes held back */
	bool begun;            /* this is not the start of the stream */
	struct ttt__nfc nfc;
	struct ttt__bytes text;
	struct item *item;
	size_t n_item, capacity;
	struct origin origin;
};

enum ttt_status
ttt__splitter_create(struct ttt__splitter **out, const struct ttt_tokenizer *t, ttt__word_fn *word, void *ctx,
    struct ttt_error *err)
{
	struct ttt__splitter *s = ttt__new(1, sizeof *s);
	if (s == NULL)
		return ttt__fail_memory(err, "tokenizer stream");
	s->t = t;
	s->word = word;
	s->ctx = ctx;
	enum ttt_status status = ttt__matcher_create(&s->matcher, err);
	if (status == TTT_OK)
		*out = s;
	else
		ttt__splitter_free(s);
	return status;
}

void
ttt__splitter_free(struct ttt__splitter *s)
{
	if (s == NULL)
		return;
	ttt__matcher_free(s->matcher);
	ttt__bytes_free(&s->raw);
	ttt__nfc_free(&s->nfc);
	ttt__bytes_free(&s->text);
	free(s->item);
	free(s);
}

static enum ttt_status
add_item(struct ttt__splitter *s, const struct item *item, struct ttt_error *err)
{
	if (s->n_item == s->capacity) {
		size_t capacity = s->capacity < 256 ? 256 : s->capacity * 2;
		struct item *grown = ttt__grow(s->item, capacity, sizeof *grown);
		if (grown == NULL)
			return ttt__fail_memory(err, "tokenizer stream");
		s->item = grown;
		s->capacity = capacity;
	}
	s->item[s->n_item++] = *item;
	return TTT_OK;
}

/* The token id ends at place to of the window. A text that follows it may be given a blank, which would be lost if the
 * stream were taken up between them; a token at place next that follows at once settles that there is no text. */
static enum ttt_status
add_known(struct ttt__splitter *s, int32_t id, size_t to, bool joint, struct ttt_error *err)
{
	return add_item(s, &(struct item){ .id = id, .raw = to, .joint = joint }, err);
}

static void
settle_known(struct ttt__splitter *s, size_t next)
{
	if (s->n_item > 0 && s->item[s->n_item - 1].id >= 0 && s->item[s->n_item - 1].raw == next)
		s->item[s->n_item - 1].joint = true;
}

/* Where in the window place at of normalized text, counted from where normalization began, comes from. joint: whether
 * the stream can be taken up there. Places must come in order. */
static size_t
raw_place(struct ttt__splitter *s, size_t at, bool *joint)
{
	struct origin *o = &s->origin;
	if (!s->t->nfc) {
		*joint = true;
		return o->raw + at;
	}
	const struct ttt__seam *seam = s->nfc.seam;
	while (o->seam + 1 < s->nfc.n && seam[o->seam + 1].text <= at)
		o->seam++;
	seam += o->seam;
	*joint = seam->same || seam->text == at;
	return o->raw + seam->raw + (seam->same ? at - seam->text : 0);
}

static enum ttt_status
add_word(struct ttt__splitter *s, size_t a, size_t b, struct ttt_error *err)
{
	const struct origin *o = &s->origin;
	struct item item = { .start = a, .end = b, .id = -1 };
	/* A word that is nothing but the added blank ends where the piece starts: to go on from there would add another. */
	if (b - o->text > o->blank)
		item.raw = raw_place(s, o->skip + (b - o->text - o->blank), &item.joint);
	return add_item(s, &item, err);
}

/* Cut text [a, b) by the stages from the k-th on. final: it ends at b; else only what is decided becomes words. */
static enum ttt_status
cut(struct ttt__splitter *s, size_t k, size_t a, size_t b, bool final, struct ttt_error *err)
{
	if (a == b)
		return TTT_OK;
	if (k == s->t->n_stage)
		return final ? add_word(s, a, b, err) : TTT_OK;
	const struct ttt__stage *stage = &s->t->stage[k];
	bool gaps = stage->behavior != TTT__KEPT, matches = stage->behavior == TTT__ISOLATED || !gaps;
	for (;;) {
		enum ttt__found found;
		size_t start = b, end = b;
		enum ttt_status status = ttt__pattern_find(stage->pattern, s->matcher, s->text.p, a, b, !final, &found, &start,
		    &end, err);
		if (status == TTT_OK && found != TTT__FOUND)
			return gaps ? cut(s, k + 1, a, start, final, err) : TTT_OK;
		if (status == TTT_OK && gaps)
			status = cut(s, k + 1, a, stage->behavior == TTT__MERGED_PREVIOUS ? end : start, true, err);
		if (status == TTT_OK && matches)
			status = cut(s, k + 1, start, end, true, err);
		if (status != TTT_OK)
			return status;
		a = end;
		if (a == b)
			return TTT_OK;
	}
}

/* Cut a piece of normalized text, p [n], which begins skip bytes after the start of that text. */
static enum ttt_status
cut_piece(struct ttt__splitter *s, const unsigned char *p, size_t n, size_t skip, bool at_start, bool final,
    struct ttt_error *err)
{
	if (n == 0)
		return TTT_OK;
	s->origin.skip = skip;
	s->origin.text = s->text.n;
	s->origin.blank = s->t->prefix_space && at_start && p[0] != ' ';
	enum ttt_status status = ttt__bytes_add(&s->text, " ", s->origin.blank, err);
	if (status == TTT_OK)
		status = ttt__bytes_add(&s->text, p, n, err);
	/* Compiled patterns load whole vectors, past the end too, and ignore what is there; memory checkers want it to be
	 * something. */
	if (status == TTT_OK)
		status = ttt__bytes_add(&s->text, (const char[64]){ 0 }, 64, err);
	if (status != TTT_OK)
		return status;
	s->text.n -= 64;
	return cut(s, 0, s->origin.text, s->text.n, final, err);
}

/* Find the added tokens of normalized text p [n], and cut what is between them. */
static enum ttt_status
cut_normal(struct ttt__splitter *s, const unsigned char *p, size_t n, bool at_start, bool final, struct ttt_error *err)
{
	const struct ttt__added *added = &s->t->normal;
	size_t from = 0;
	if (n == 0)
		return TTT_OK;
	for (size_t i = 0; added->n > 0 && i < n; i++) {
		if (!added->first[p[i]])
			continue;
		int32_t id;
		ptrdiff_t length = ttt__added_match(added, p + i, n - i, !final, &id);
		if (length == 0)
			continue;
		if (length < 0) {
			n = i;
			break;
		}
		enum ttt_status status = cut_piece(s, p + from, i - from, from, at_start, true, err);
		if (status != TTT_OK)
			return status;
		bool before, after;
		size_t raw = raw_place(s, i, &before), raw_end = raw_place(s, i + (size_t)length, &after);
		if (before)
			settle_known(s, raw);
		status = add_known(s, id, raw_end, after && !s->t->prefix_space, err);
		if (status != TTT_OK)
			return status;
		from = i + (size_t)length;
		i = from - 1;
		at_start = true;
	}
	return cut_piece(s, p + from, n - from, from, at_start, final, err);
}

/* Normalize window [from, to), valid UTF-8 without added tokens, and cut it. */
static enum ttt_status
cut_raw(struct ttt__splitter *s, size_t from, size_t to, bool at_start, bool final, struct ttt_error *err)
{
	if (from == to)
		return TTT_OK;
	const unsigned char *p = s->raw.p + from;
	s->origin.raw = from;
	s->origin.seam = 0;
	if (!s->t->nfc)
		return cut_normal(s, p, to - from, at_start, final, err);
	size_t used;
	enum ttt_status status = ttt__nfc_run(&s->nfc, p, to - from, !final, &used, err);
	return status == TTT_OK ? cut_normal(s, s->nfc.text.p, s->nfc.text.n, at_start, final, err) : status;
}

/* What ends a stretch of plain text in the window. */
struct event {
	size_t at, end;
	int32_t id;     /* the token [at, end) */
	bool added;     /* it is an added token; else a byte that is not UTF-8 */
	bool undecided; /* what is at at depends on later bytes; where the window ends: at == n */
};

static struct event
next_event(const struct ttt__splitter *s, size_t from, size_t n, enum mode mode)
{
	const struct ttt__added *added = &s->t->raw;
	const unsigned char *p = s->raw.p;
	struct event e = { .at = from };
	while (e.at < n) {
		unsigned char c = p[e.at];
		if (added->first[c]) {
			ptrdiff_t length = ttt__added_match(added, p + e.at, n - e.at, mode != END, &e.id);
			e.end = e.at + (size_t)length;
			e.undecided = length < 0;
			e.added = length > 0;
			if (length != 0)
				return e;
		}
		int length = c < 0x80 ? 1 : ttt__utf8_length(p + e.at, n - e.at);
		if (length <= 0) {
			e.undecided = length < 0 && mode != END;
			e.end = e.at + 1;
			e.id = s->t->byte_id[c];
			return e;
		}
		e.at += (size_t)length;
	}
	e.undecided = true;
	return e;
}

/* Find the items of window [0, n); *stop: how far a window that must end goes. */
static enum ttt_status
pass(struct ttt__splitter *s, size_t n, enum mode mode, size_t *stop, struct ttt_error *err)
{
	bool at_start = !s->begun;
	size_t from = 0;
	s->n_item = 0;
	s->text.n = 0;
	for (;;) {
		struct event e = next_event(s, from, n, mode);
		enum ttt_status status = cut_raw(s, from, e.at, at_start, !e.undecided || mode != MORE, err);
		*stop = e.at;
		if (status != TTT_OK || e.undecided)
			return status;
		at_start = e.added;
		settle_known(s, e.at);
		status = add_known(s, e.id, e.end, !e.added || !s->t->prefix_space, err);
		if (status != TTT_OK)
			return status;
		from = e.end;
	}
}

/* Hand out the items of the last pass as far as the stream is decided; *used: how many bytes that is. */
static enum ttt_status
hand_out(struct ttt__splitter *s, enum mode mode, size_t stop, size_t *used, struct ttt_error *err)
{
	size_t n = s->n_item;
	while (mode == MORE && n > 0 && !s->item[n - 1].joint)
		n--;
	*used = mode != MORE ? stop : n > 0 ? s->item[n - 1].raw : 0;
	for (size_t i = 0; i < n; i++) {
		const struct item *item = &s->item[i];
		bool known = item->id >= 0;
		enum ttt_status status = s->word(s->ctx, known ? NULL : s->text.p + item->start,
		    known ? 0 : item->end - item->start, item->id, err);
		if (status != TTT_OK)
			return status;
	}
	return TTT_OK;
}

/* Go through a window at the start of what is held back, and drop what is decided. */
static enum ttt_status
step(struct ttt__splitter *s, size_t n, enum mode mode, size_t *used, struct ttt_error *err)
{
	size_t stop;
	enum ttt_status status = pass(s, n, mode, &stop, err);
	if (status == TTT_OK)
		status = hand_out(s, mode, stop, used, err);
	if (status != TTT_OK || *used == 0)
		return status;
	memmove(s->raw.p, s->raw.p + *used, s->raw.n - *used);
	s->raw.n -= *used;
	s->begun = true;
	return TTT_OK;
}

enum ttt_status
ttt__splitter_feed(struct ttt__splitter *s, const void *bytes, size_t n, struct ttt_error *err)
{
	const unsigned char *p = bytes;
	while (n > 0) {
		/* Less than a whole window is held back between calls. */
		size_t room = TTT__SPLIT_MAX - s->raw.n, part = n < room ? n : room, used = 0;
		enum ttt_status status = ttt__bytes_add(&s->raw, p, part, err);
		if (status == TTT_OK)
			status = step(s, s->raw.n, MORE, &used, err);
		if (status == TTT_OK && used == 0 && s->raw.n == TTT__SPLIT_MAX)
			status = step(s, s->raw.n, FORCED, &used, err);
		if (status != TTT_OK)
			return status;
		p += part;
		n -= part;
	}
	return TTT_OK;
}

enum ttt_status
ttt__splitter_end(struct ttt__splitter *s, struct ttt_error *err)
{
	size_t used;
	enum ttt_status status = step(s, s->raw.n, END, &used, err);
	s->raw.n = 0;
	s->begun = false;
	return status;
}

void
ttt__splitter_continue(struct ttt__splitter *s)
{
	s->begun = true;
}

bool
ttt__splitter_begun(const struct ttt__splitter *s)
{
	return s->begun;
}

const unsigned char *
ttt__splitter_pending(const struct ttt__splitter *s, size_t *n)
{
	*n = s->raw.n;
	return s->raw.p;
}
