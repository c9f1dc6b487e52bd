/* ttt-ppl: documents through sessions. Every document starts from the same session. */
#include "tools/ppl.h"
#include "libttt/base.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 65536 };

struct reading { /* one document on its way */
	struct ppl *p;
	struct ttt_session *session;
	struct ttt_encoder *encoder;
	struct ttt_ids ids;
	struct ttt_feed feed;
	int64_t n_read; /* bytes of text */
	bool failed;   /* no memory for a report */
	bool infinite; /* a loss was no finite number; nothing after it is reported */
};

int
ppl_open(struct ppl *p)
{
	struct ttt_state_options o = { .no_passages = true };
	struct ttt_state_info info = { 0 };
	struct ttt_error err;
	enum ttt_status s = tool_model_open_to_read(p->t, &err);

	if (s == TTT_OK && p->state != NULL) {
		s = ttt_state_open(&p->s, p->state, p->t->model, &o, &err);
		if (s == TTT_OK)
			s = ttt_state_info(p->s, &info, &err);
		if (s == TTT_OK && p->rate == 0)
			p->rate = info.rate;
		if (s == TTT_OK && p->weights == TTT_WEIGHTS_MEAN)
			ttt_session_use_mean(ttt_state_session(p->s));
	} else if (s == TTT_OK)
		s = ttt_session_create(&p->base, p->t->model, p->mode == PPL_FULL ? TTT_FULL : TTT_WINDOW, &err);
	if (s != TTT_OK)
		return tool_fail(p->t, &err);
	return p->form == PPL_LINES && tool_tokenizer(p->t) == NULL ? TOOL_TROUBLE : TOOL_DONE;
}

static void
on_chunk(void *ctx, const struct ttt_chunk_report *r)
{
	struct reading *d = ctx;
	struct ppl *p = d->p;
	int64_t bos = ttt_model_config(p->t->model)->bos;

	for (int64_t i = 0; i < r->n; i++) {
		d->infinite |= !isfinite(r->nll[i]);
		if (r->first + i >= p->document.from && !d->infinite)
			d->failed |= !ppl_token(p, r->target[i], r->nll[i], r->target[i] == bos);
	}
	tool_progress_chunk(&p->progress, r);
}

static enum ttt_status
flush(struct reading *d, struct ttt_error *err)
{
	enum ttt_status s = ttt_session_feed(d->session, d->ids.id, d->ids.n, &d->feed, err);

	d->ids.n = 0;
	return s;
}

/* Start a document: a copy of the session, at the place where the text begins. Text goes on behind the bytes that the
 * state still holds back, and without a state behind BOS; ids stand by themselves. */
static enum ttt_status
begin(struct reading *d, struct ppl *p, const char *name, struct ttt_error *err)
{
	const struct ttt_tokenizer *k = ttt_model_tokenizer(p->t->model);
	int64_t bos = ttt_model_config(p->t->model)->bos;
	const unsigned char *held = NULL;
	size_t n_held = 0;
	int32_t first = (int32_t)bos;
	enum ttt_status s;

	*d = (struct reading){ .p = p };
	d->feed = (struct ttt_feed){ .learn = p->mode == PPL_TTT, .rate = p->rate, .fn = on_chunk, .ctx = d };
	p->document = (struct ppl_document){ .name = name, .number = p->n_document++, .n_byte = k != NULL ? 0 : -1 };
	p->line_number = 1;
	p->skip = 0;
	s = ttt_session_clone(&d->session, p->s != NULL ? ttt_state_session(p->s) : p->base, err);
	if (s == TTT_OK && p->mode == PPL_WINDOW)
		ttt_session_reset_fast(d->session);
	if (s == TTT_OK && k != NULL)
		s = ttt_encoder_create(&d->encoder, k, err);
	if (s == TTT_OK && p->s != NULL && k != NULL) {
		if (ttt_state_begun(p->s))
			ttt_encoder_continue(d->encoder);
		held = ttt_state_pending(p->s, &n_held);
		s = ttt_encoder_feed(d->encoder, &d->ids, held, n_held, err);
		if (s == TTT_OK && p->ids != NULL)
			s = ttt_encoder_end(d->encoder, &d->ids, err);
	}
	if (s == TTT_OK) {
		p->document.from = INT64_MAX; /* what comes before the document is not scored */
		if (p->s == NULL && p->ids == NULL && bos >= 0)
			s = ttt_session_feed(d->session, &first, 1, &d->feed, err);
		else if (p->ids != NULL)
			s = flush(d, err);
	}
	p->skip = p->ids == NULL ? n_held : 0;
	p->document.from = d->session != NULL ? ttt_session_n_token(d->session) : 0;
	return s;
}

/* The document has ended: what still waits is scored too. */
static enum ttt_status
end(struct reading *d, enum ttt_status s, struct ttt_error *err)
{
	struct ppl *p = d->p;
	bool empty = p->ids == NULL && d->n_read == 0; /* what a state holds back is no document */

	if (s == TTT_OK && d->encoder != NULL && p->ids == NULL)
		s = ttt_encoder_end(d->encoder, &d->ids, err);
	if (s == TTT_OK && !empty)
		s = flush(d, err);
	if (s == TTT_OK && !empty)
		s = ttt_session_peek(d->session, p->document.from, on_chunk, d, err);
	ttt_encoder_free(d->encoder);
	ttt_session_free(d->session);
	free(d->ids.id);
	if (s == TTT_OK && d->infinite)
		return ttt__fail(err, TTT_E_RANGE,
		    "%s: the loss is no longer a finite number: the rate is too large, or the weights are",
		    p->ids != NULL ? p->ids : p->document.name);
	if (s == TTT_OK && p->document.n_token > 0)
		d->failed |= !ppl_document_end(p);
	if (s == TTT_OK && d->failed)
		s = ttt__fail_memory(err, "the report");
	if (s != TTT_OK || p->document.n_token > 0)
		return s;
	if (p->ids == NULL && p->input.recursive) {
		tool_note(p->t, "%s: nothing to score: it is empty", p->document.name);
		return s;
	}
	p->n_empty++;
	if (p->ids != NULL)
		tool_error(p->t, "%s: sequence %lld: nothing to score: it has no second token", p->ids,
		    (long long)p->document.number);
	else
		tool_error(p->t, "%s: nothing to score: it is empty", p->document.name);
	return s;
}

static enum ttt_status
read_text(struct reading *d, struct ttt_error *err)
{
	static unsigned char buffer[BLOCK];
	enum ttt_status s = TTT_OK;
	size_t n = 0;

	while (!d->infinite && !ferror(stdout) && (s = ttt_input_read(d->p->in, buffer, sizeof(buffer), &n, err)) == TTT_OK && n > 0) {
		s = ttt_encoder_feed(d->encoder, &d->ids, buffer, n, err);
		if (s == TTT_OK)
			s = flush(d, err);
		if (s != TTT_OK)
			break;
		d->n_read += (int64_t)n;
		tool_progress_bytes(&d->p->progress, (int64_t)n);
	}
	return s;
}

/* What was passed over: an error, which -q does not silence, where it makes the exit status 2. */
static void
note(void *ctx, const char *text)
{
	struct ppl *p = ctx;

	if (ttt_input_n_failed(p->in) > p->n_failed)
		tool_error(p->t, "%s", text);
	else
		tool_note(p->t, "%s", text);
	p->n_failed = ttt_input_n_failed(p->in);
}

static int
text_end(struct ppl *p, enum ttt_status s, const struct ttt_error *err)
{
	if (s != TTT_OK)
		return tool_fail(p->t, err);
	if (p->total.n_token == 0 && p->n_failed + p->n_empty == 0) {
		tool_error(p->t, "%s: nothing to score: no text was found", p->n_name > 0 ? p->name[0] : "-");
		return TOOL_TROUBLE;
	}
	return TOOL_DONE;
}

int
ppl_text(struct ppl *p)
{
	struct reading d;
	struct ttt_error err;
	enum ttt_status s;
	const char *name = NULL;
	int64_t size;

	if (tool_tokenizer(p->t) == NULL)
		return TOOL_TROUBLE;
	p->input.keep_binary = !p->input.recursive;
	p->input.skip_errors = p->n_name > 1 || p->input.recursive;
	s = ttt_input_open(&p->in, p->name, p->n_name, &p->input, note, p, &err);
	tool_progress_start(&p->progress, p->t, ttt_model_tokenizer(p->t->model), tool_total(p->name, p->n_name));
	while (s == TTT_OK && !ferror(stdout) && (s = ttt_input_next(p->in, &name, &size, &err)) == TTT_OK && name != NULL) {
		s = begin(&d, p, name, &err);
		if (s == TTT_OK)
			s = read_text(&d, &err);
		s = end(&d, s, &err);
	}
	tool_progress_end(&p->progress);
	ttt_input_free(p->in);
	return text_end(p, s, &err);
}

int
ppl_ids(struct ppl *p)
{
	int64_t line = 0, n_vocab = ttt_model_config(p->t->model)->n_vocab;
	struct ttt_ids ids = { 0 };
	struct reading d;
	struct ttt_error err;
	enum ttt_status s;
	bool more = true;
	FILE *f = strcmp(p->ids, "-") == 0 ? stdin : fopen(p->ids, "re");

	if (f == NULL) {
		tool_error(p->t, "%s: cannot open: %s", p->ids, strerror(errno));
		return TOOL_TROUBLE;
	}
	tool_progress_start(&p->progress, p->t, ttt_model_tokenizer(p->t->model), -1);
	while ((s = ttt_ids_read_line(f, p->ids, &line, n_vocab, &ids, &more, &err)) == TTT_OK && more) {
		s = begin(&d, p, NULL, &err);
		if (s == TTT_OK)
			s = ttt_session_feed(d.session, ids.id, ids.n, &d.feed, &err);
		s = end(&d, s, &err);
		if (s != TTT_OK)
			break;
	}
	tool_progress_end(&p->progress);
	free(ids.id);
	if (f != stdin)
		fclose(f);
	if (s == TTT_OK && p->n_document == 0) {
		tool_error(p->t, "%s: nothing to score: it is empty", p->ids);
		return TOOL_TROUBLE;
	}
	return s == TTT_OK ? TOOL_DONE : tool_fail(p->t, &err);
}
