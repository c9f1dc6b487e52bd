/* How badly the model of a digest predicts lines of kinds that were not there. */
#include "libttt/use/digest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "libttt/state/state.h"

enum {
	MODEL_BYTES = 1024,    /* of a line, that the model reads */
	TOKENS = 1 << 15,      /* that it reads at once in any case; so that time goes by lines, beyond that .. */
	TOKENS_A_LINE = 12     /* .. so many on the average of all lines: of a log in which no line is like another it sees a part */
};

enum ttt_status
ttt__digest_add_text(struct ttt__bytes *b, const unsigned char *mask, size_t n, struct ttt_error *err)
{
	enum ttt_status s = ttt__bytes_add(b, mask, n < MODEL_BYTES ? n : MODEL_BYTES, err);

	return s != TTT_OK ? s : ttt__bytes_add(b, "\n", 1, err);
}

static void
on_chunk(void *ctx, const struct ttt_chunk_report *r)
{
	struct ttt_digest *d = ctx;

	for (int64_t i = 0; i < r->n; i++) {
		int64_t at = r->first + i - d->base;

		if (at >= 0 && at < d->ids.n)
			d->nll[at] = r->nll[i];
	}
}

enum ttt_status
ttt__digest_make_tokens(struct ttt_digest *d, struct ttt_error *err)
{
	int64_t most = d->o.no_model ? 0 : TOKENS + TOKENS_A_LINE * (d->n_line - d->n_before) - d->n_read;
	enum ttt_status s = TTT_OK;

	d->ids.n = 0;
	for (size_t i = 0; i < d->n_fresh && s == TTT_OK; i++) {
		struct ttt__fresh *f = &d->fresh[i];
		const struct ttt__lexicon_line *x = &d->lexicon.line[f->place];

		f->first = (size_t)d->ids.n;
		if (d->ids.n >= most)
			continue;
		d->learn.n = 0;
		s = ttt__digest_add_text(&d->learn, x->mask, x->n, err);
		if (s == TTT_OK) {
			ttt_encoder_continue(d->encoder);
			s = ttt_encoder_feed(d->encoder, &d->ids, d->learn.p, d->learn.n, err);
		}
		if (s == TTT_OK)
			s = ttt_encoder_end(d->encoder, &d->ids, err);
		f->n = (size_t)d->ids.n - f->first;
	}
	d->n_read += d->ids.n;
	return s;
}

enum ttt_status
ttt__digest_score_tokens(struct ttt_digest *d, struct ttt_error *err)
{
	struct ttt_session *session = NULL;
	struct ttt_feed how = {.fn = on_chunk, .ctx = d};
	enum ttt_status s = TTT_OK;

	if ((size_t)d->ids.n > d->nll_capacity) {
		free(d->nll);
		d->nll_capacity = (size_t)d->ids.capacity;
		d->nll = ttt__new(d->nll_capacity, sizeof(*d->nll));
		if (d->nll == NULL) {
			d->nll_capacity = 0;
			s = ttt__fail_memory(err, "the digest");
		}
	}
	if (s == TTT_OK)
		s = ttt_session_clone(&session, ttt_state_session(d->state), err);
	if (s == TTT_OK) {
		memset(d->nll, 0, (size_t)d->ids.n * sizeof(*d->nll));
		d->base = ttt_session_n_token(session);
		s = ttt_session_feed(session, d->ids.id, d->ids.n, &how, err);
	}
	if (s == TTT_OK)
		s = ttt_session_peek(session, d->base, on_chunk, d, err);
	ttt_session_free(session);
	return s;
}

double
ttt__digest_surprise(const struct ttt_digest *d, const struct ttt__fresh *f)
{
	double sum = 0;

	if (f->n == 0 || d->threshold <= 0)
		return TTT__DIGEST_HALF;
	for (size_t i = 0; i < f->n; i++)
		sum += fmax(0, (double)d->nll[f->first + i] - TTT__DIGEST_NATS);
	return sum / (double)f->n;
}
