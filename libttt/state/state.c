/* The state as an object: bytes in, tokens to the session, text to the passages, losses to the curve. */
#include "libttt/state/state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libttt/learn/session.h"
#include "libttt/text/split.h"

enum { PIECE = 65536 }; /* bytes tokenized at a time */
static const size_t PASSAGES_MAX = (size_t)256 << 20;

static enum ttt_status
take_options(struct ttt_state *s, const struct ttt_state_options *o, size_t *passages_max, struct ttt_error *err)
{
	static const struct ttt_state_options plain;

	if (o == NULL)
		o = &plain;
	if (!(o->rate >= 0 && o->rate <= 1e6))
		return ttt__fail(err, TTT_E_RANGE, "the rate %.9g is outside 0 .. 1e6", o->rate);
	if (o->rule != TTT_RULE_SGD)
		return ttt__fail(err, TTT_E_UNSUPPORTED, "the only rule supported is sgd");
	s->learn = !o->no_learn;
	s->keeps_passages = !o->no_passages;
	s->rate = o->rate > 0 ? o->rate : 1;
	*passages_max = o->passages_max > 0 ? o->passages_max : PASSAGES_MAX;
	if (*passages_max > INT64_MAX) /* of a file's numbers the largest */
		*passages_max = INT64_MAX;
	return TTT_OK;
}

enum ttt_status
ttt_state_create(struct ttt_state **out, const struct ttt_model *m, const struct ttt_state_options *o,
    struct ttt_error *err)
{
	struct ttt_state *s = ttt__new(1, sizeof(*s));
	enum ttt_status status;
	size_t passages_max = 0;

	*out = NULL;
	if (s == NULL)
		return ttt__fail_memory(err, "the state");
	s->model = m;
	s->extra_fd = s->passages.fd = -1;
	s->loss_first = s->loss_last = NAN;
	ttt__curve_start(&s->curve);
	status = take_options(s, o, &passages_max, err);
	if (status == TTT_OK)
		status = ttt_session_create(&s->session, m, TTT_WINDOW, err);
	if (status == TTT_OK && s->learn)
		status = ttt_session_keep_mean(s->session, err);
	if (status == TTT_OK && ttt_model_tokenizer(m) != NULL)
		status = ttt_encoder_create(&s->encoder, ttt_model_tokenizer(m), err);
	if (status == TTT_OK)
		status = ttt__passages_start(&s->passages, passages_max, err);
	if (status == TTT_OK) {
		s->tail_capacity = ttt__state_n_recent_max(s) + m->config.chunk;
		s->tail = ttt__new((size_t)s->tail_capacity, sizeof(*s->tail));
		s->text = ttt__new(TTT__RECORD_MAX, 1);
		if (s->tail == NULL || s->text == NULL)
			status = ttt__fail_memory(err, "the state");
	}
	if (status != TTT_OK) {
		ttt_state_free(s);
		return status;
	}
	*out = s;
	return TTT_OK;
}

void
ttt_state_free(struct ttt_state *s)
{
	if (s == NULL)
		return;
	ttt_session_free(s->session);
	ttt_encoder_free(s->encoder);
	ttt__sources_free(&s->sources);
	ttt__passages_free(&s->passages);
	free(s->text);
	free(s->ids.id);
	free(s->tail);
	free(s->extra);
	if (s->extra_fd >= 0)
		close(s->extra_fd);
	free(s);
}

int64_t
ttt__state_n_recent_max(const struct ttt_state *s)
{
	const struct ttt_config *c = &s->model->config;
	int64_t rows = c->window > 1 ? c->window - 1 : 1;

	return (rows + c->chunk - 1) / c->chunk * c->chunk;
}

const int32_t *
ttt__state_recent(const struct ttt_state *s, int64_t *n)
{
	int64_t n_pending, n_run, max = ttt__state_n_recent_max(s);

	(void)ttt_session_pending(s->session, &n_pending);
	n_run = s->n_tail > n_pending ? s->n_tail - n_pending : 0;
	*n = n_run < max ? n_run : max;
	return s->tail + (n_run - *n);
}

void
ttt__state_note(struct ttt_state *s, const int32_t *ids, int64_t n)
{
	int64_t keep;

	s->n_fed += n;
	if (n > s->tail_capacity) {
		ids += n - s->tail_capacity;
		n = s->tail_capacity;
	}
	keep = s->n_tail + n > s->tail_capacity ? s->tail_capacity - n : s->n_tail;
	memmove(s->tail, s->tail + (s->n_tail - keep), (size_t)keep * sizeof(*s->tail));
	if (n > 0)
		memcpy(s->tail + keep, ids, (size_t)n * sizeof(*s->tail));
	s->n_tail = keep + n;
}

struct feeding {
	struct ttt_state *state;
	ttt_chunk_fn *report;
	void *ctx;
};

static void
on_chunk(void *ctx, const struct ttt_chunk_report *r)
{
	struct feeding *f = ctx;

	if (isnan(f->state->loss_first))
		f->state->loss_first = r->loss;
	f->state->loss_last = r->loss;
	ttt__curve_add(&f->state->curve, r->first - 1 + r->n, r->loss);
	if (f->report != NULL)
		f->report(f->ctx, r);
}

static enum ttt_status
feed(struct ttt_state *s, const int32_t *ids, int64_t n, ttt_chunk_fn *report, void *ctx, struct ttt_error *err)
{
	struct feeding f = { s, report, ctx };
	const struct ttt_feed how = { .learn = s->learn, .rate = s->rate, .fn = on_chunk, .ctx = &f };
	enum ttt_status status = n > 0 ? ttt_session_feed(s->session, ids, n, &how, err) : TTT_OK;

	if (status == TTT_OK)
		ttt__state_note(s, ids, n);
	return status;
}

enum ttt_status
ttt_state_source(struct ttt_state *s, const char *name, struct ttt_error *err)
{
	enum ttt_status status;
	char *cut = strndup(name, TTT__NAME_MAX);

	if (cut == NULL)
		return ttt__fail_memory(err, "the list of sources");
	status = ttt__sources_add(&s->sources, cut, 0, err);
	if (status == TTT_E_RANGE) {
		status = ttt__passages_fold(&s->passages, &s->sources, err);
		if (status == TTT_OK)
			status = ttt__sources_add(&s->sources, cut, 0, err);
	}
	free(cut);
	return status == TTT_OK ? ttt__passages_source(&s->passages, s->sources.n - 1, err) : status;
}

/* Text needs a tokenizer. */
static enum ttt_status
check_tokenizer(const struct ttt_state *s, struct ttt_error *err)
{
	if (s->encoder != NULL)
		return TTT_OK;
	return ttt__fail(err, TTT_E_USAGE, "model '%s' has no tokenizer: it can absorb token ids, not text",
	    ttt_model_name(s->model));
}

/* n bytes through the tokenizer and the model. */
static enum ttt_status
feed_text(struct ttt_state *s, const unsigned char *p, size_t n, ttt_chunk_fn *report, void *ctx, struct ttt_error *err)
{
	enum ttt_status status;

	s->ids.n = 0;
	status = ttt_encoder_feed(s->encoder, &s->ids, p, n, err);
	return status == TTT_OK ? feed(s, s->ids.id, s->ids.n, report, ctx, err) : status;
}

/* The text so far has ended: its last bytes become tokens. */
static enum ttt_status
end_text(struct ttt_state *s, ttt_chunk_fn *report, void *ctx, struct ttt_error *err)
{
	enum ttt_status status = TTT_OK;

	s->ids.n = 0;
	if (s->encoder != NULL)
		status = ttt_encoder_end(s->encoder, &s->ids, err);
	return status == TTT_OK ? feed(s, s->ids.id, s->ids.n, report, ctx, err) : status;
}

static enum ttt_status
absorb_piece(struct ttt_state *s, const unsigned char *p, size_t n, ttt_chunk_fn *report, void *ctx,
    struct ttt_error *err)
{
	enum ttt_status status = feed_text(s, p, n, report, ctx, err);

	if (status == TTT_OK && s->keeps_passages)
		status = ttt__passages_add(&s->passages, p, n, err);
	if (status != TTT_OK)
		return status;
	s->n_byte += (int64_t)n;
	s->sources.p[s->sources.n - 1].n_byte += (int64_t)n;
	return TTT_OK;
}

enum ttt_status
ttt_state_absorb(struct ttt_state *s, const void *bytes, size_t n, ttt_chunk_fn *report, void *ctx,
    struct ttt_error *err)
{
	const unsigned char *p = bytes;
	int32_t bos = (int32_t)s->model->config.bos;
	enum ttt_status status = TTT_OK;

	if (n == 0)
		return TTT_OK;
	status = check_tokenizer(s, err);
	if (status == TTT_OK && s->sources.n == 0)
		status = ttt_state_source(s, "-", err);
	if (status == TTT_OK && s->n_fed == 0 && bos >= 0)
		status = feed(s, &bos, 1, report, ctx, err);
	while (n > 0 && status == TTT_OK) {
		size_t part = n < PIECE ? n : PIECE;

		status = absorb_piece(s, p, part, report, ctx, err);
		p += part;
		n -= part;
	}
	return status;
}

enum ttt_status
ttt_state_again(struct ttt_state *s, struct ttt_error *err)
{
	int32_t bos = (int32_t)s->model->config.bos;
	enum ttt_status status = end_text(s, NULL, NULL, err);

	return status == TTT_OK && bos >= 0 ? feed(s, &bos, 1, NULL, NULL, err) : status;
}

enum ttt_status
ttt_state_reread(struct ttt_state *s, const void *bytes, size_t n, ttt_chunk_fn *report, void *ctx, struct ttt_error *err)
{
	const unsigned char *p = bytes;
	enum ttt_status status = check_tokenizer(s, err);

	for (size_t at = 0; at < n && status == TTT_OK; at += PIECE)
		status = feed_text(s, p + at, n - at < PIECE ? n - at : PIECE, report, ctx, err);
	return status;
}

enum ttt_status
ttt_state_absorb_ids(struct ttt_state *s, const int32_t *ids, int64_t n, ttt_chunk_fn *report, void *ctx,
    struct ttt_error *err)
{
	enum ttt_status status;

	if (n < 0)
		return ttt__fail(err, TTT_E_USAGE, "%lld ids are less than none", (long long)n);
	status = n > 0 ? end_text(s, report, ctx, err) : TTT_OK;
	return status == TTT_OK ? feed(s, ids, n, report, ctx, err) : status;
}

struct ttt_session *
ttt_state_session(struct ttt_state *s)
{
	return s->session;
}

bool
ttt_state_begun(const struct ttt_state *s)
{
	return s->encoder != NULL && ttt__encoder_begun(s->encoder);
}

const unsigned char *
ttt_state_pending(const struct ttt_state *s, size_t *n)
{
	if (s->encoder != NULL)
		return ttt_encoder_pending(s->encoder, n);
	*n = 0;
	return (const unsigned char *)"";
}

bool
ttt_state_source_at(const struct ttt_state *s, int64_t i, const char **name, int64_t *n_byte)
{
	if (i < 0 || (uint64_t)i >= s->sources.n)
		return false;
	*name = s->sources.p[i].name;
	*n_byte = s->sources.p[i].n_byte;
	return true;
}

bool
ttt_state_curve_at(const struct ttt_state *s, int64_t i, int64_t *n_token, double *loss)
{
	if (i < 0 || i >= s->curve.n)
		return false;
	*n_token = s->curve.n_token[i];
	*loss = s->curve.loss[i];
	return true;
}

bool
ttt_state_record_next(struct ttt_state *s, int64_t *cursor, struct ttt_record *r, struct ttt_error *err)
{
	struct ttt__record_at at;

	if (err != NULL)
		err->status = TTT_OK;
	if (*cursor < 0 || (uint64_t)*cursor >= ttt__passages_count(&s->passages))
		return false;
	if (ttt__passages_read(&s->passages, (size_t)*cursor, &at, s->text, err) != TTT_OK)
		return false;
	*r = (struct ttt_record){ .name = s->sources.p[at.source].name, .first_line = at.first_line,
	    .text = (const char *)s->text,
		.n = at.n };
	++*cursor;
	return true;
}
