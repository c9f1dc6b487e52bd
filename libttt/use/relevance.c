/* Relevance by test-time training. For each passage: the fast weights as the state left them, or the model's, an empty window, one
 * learning pass over the passage, the window emptied again (so that only what was learned can help), then the
 * question's loss without learning. */
#include "libttt/use/relevance.h"
#include "libttt/learn/ngram.h"
#include "libttt/learn/session.h"

#include <stdlib.h>

enum { PASSAGE_TOKENS = 1024, QUESTION_TOKENS = 256 }; /* read at most */

struct ttt__relevance {
	struct ttt_session *session;
	const struct ttt_config *config;
	struct ttt_encoder *encoder;
	float *fast;               /* [n_fast] where every passage starts from, .. */
	struct ttt__guard guard;   /* .. and with what */
	struct ttt__ngram ngram;
	struct ttt_ids question, passage;
	double before;             /* nats of the question with them */
};

enum ttt_status
ttt__relevance_create(struct ttt__relevance **out, const struct ttt_session *base, bool initial, struct ttt_error *err)
{
	const struct ttt_model *m = ttt__session_model(base);
	struct ttt__relevance *r;
	enum ttt_status s;

	if (ttt_model_tokenizer(m) == NULL)
		return ttt__fail(err, TTT_E_USAGE, "%s: has no tokenizer, so that it cannot read questions",
		    ttt_model_name(m));
	r = ttt__new(1, sizeof(*r));
	if (r == NULL)
		return ttt__fail_memory(err, "relevance");
	r->config = ttt_model_config(m);
	r->fast = ttt__new((size_t)ttt_model_n_fast(m), sizeof(*r->fast));
	s = r->fast == NULL ? ttt__fail_memory(err, "relevance") : ttt_session_clone(&r->session, base, err);
	if (s == TTT_OK)
		s = ttt__ngram_create(&r->ngram, r->config, err);
	if (s == TTT_OK)
		s = ttt_encoder_create(&r->encoder, ttt_model_tokenizer(m), err);
	if (s != TTT_OK) {
		ttt__relevance_free(r);
		return s;
	}
	if (initial)
		ttt_session_reset_fast(r->session);
	ttt__session_fast_read(r->session, TTT__FAST_LAST, r->fast);
	r->guard = ttt__session_guard(r->session);
	ttt__ngram_copy(&r->ngram, ttt__session_ngram(r->session));
	*out = r;
	return TTT_OK;
}

void
ttt__relevance_free(struct ttt__relevance *r)
{
	if (r == NULL)
		return;
	ttt_session_free(r->session);
	ttt_encoder_free(r->encoder);
	ttt__ngram_free(&r->ngram);
	free(r->fast);
	free(r->question.id);
	free(r->passage.id);
	free(r);
}

/* Tokens of a text that starts a stream, at most max. */
static enum ttt_status
encode(struct ttt__relevance *r, struct ttt_ids *out, const char *text, size_t n, int64_t max, struct ttt_error *err)
{
	enum ttt_status s = TTT_OK;

	out->n = 0;
	if (r->config->bos >= 0)
		s = ttt__ids_add(out, (int32_t)r->config->bos, err);
	if (s == TTT_OK)
		s = ttt_encoder_feed(r->encoder, out, text, n, err);
	if (s == TTT_OK)
		s = ttt_encoder_end(r->encoder, out, err);
	out->n = out->n < max ? out->n : max;
	return s;
}

static void
add_loss(void *ctx, const struct ttt_chunk_report *report)
{
	double *sum = ctx;

	for (int64_t i = 0; i < report->n; i++)
		*sum += (double)report->nll[i];
}

static void
start_over(struct ttt__relevance *r)
{
	(void)ttt__session_fast_write(r->session, TTT__FAST_LAST, r->fast, NULL);
	ttt__session_guard_set(r->session, &r->guard);
	ttt__ngram_copy(ttt__session_ngram(r->session), &r->ngram);
}

/* Nats of the question at the start of a stream, under the fast weights as they are. */
static enum ttt_status
question_loss(struct ttt__relevance *r, double *loss, struct ttt_error *err)
{
	struct ttt_feed how = { .learn = false, .fn = add_loss, .ctx = loss };
	enum ttt_status s;

	*loss = 0;
	ttt_session_reset_window(r->session);
	s = ttt_session_feed(r->session, r->question.id, r->question.n, &how, err);
	return s == TTT_OK ? ttt_session_peek(r->session, 0, add_loss, loss, err) : s;
}

enum ttt_status
ttt__relevance_question(struct ttt__relevance *r, const char *text, struct ttt_error *err)
{
	size_t n = 0;
	enum ttt_status s;

	while (text[n] != '\0')
		n++;
	s = encode(r, &r->question, text, n, QUESTION_TOKENS, err);
	start_over(r);
	return s == TTT_OK ? question_loss(r, &r->before, err) : s;
}

/* Only whole chunks are learned: go over the passage's start again until the last one is whole. */
static enum ttt_status
fill_chunk(struct ttt__relevance *r, struct ttt_error *err)
{
	int64_t n = r->passage.n, want = (n - 1 + r->config->chunk - 1) / r->config->chunk * r->config->chunk + 1;
	enum ttt_status s = TTT_OK;

	for (int64_t i = 0; n > 0 && r->passage.n < want && s == TTT_OK; i++)
		s = ttt__ids_add(&r->passage, r->passage.id[i % n], err);
	return s;
}

enum ttt_status
ttt__relevance_gain(struct ttt__relevance *r, const char *text, size_t n, double *gain, struct ttt_error *err)
{
	struct ttt_feed how = { .learn = true };
	double after;
	enum ttt_status s = encode(r, &r->passage, text, n, PASSAGE_TOKENS, err);

	*gain = 0;
	if (s == TTT_OK)
		s = fill_chunk(r, err);
	if (s != TTT_OK || r->question.n == 0)
		return s;
	start_over(r);
	ttt_session_reset_window(r->session);
	s = ttt_session_feed(r->session, r->passage.id, r->passage.n, &how, err);
	if (s == TTT_OK)
		s = question_loss(r, &after, err);
	if (s == TTT_OK)
		*gain = (r->before - after) / (double)r->question.n;
	return s;
}
