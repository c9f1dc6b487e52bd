/* Continuing a text with the adapted model. */
#include "libttt/base.h"
#include "libttt/learn/session.h"
#include "libttt/random.h"

#include <math.h>
#include <stdlib.h>

struct completion {
	struct ttt_session *session;
	struct ttt_encoder *encoder;
	struct ttt_ids ids;
	float *logp;    /* [V] */
	int64_t n_vocab;
};

static void
release(struct completion *c)
{
	ttt_session_free(c->session);
	ttt_encoder_free(c->encoder);
	free(c->ids.id);
	free(c->logp);
}

/* A session that has read the state's stream, the bytes its tokenizer still holds and the text. */
static enum ttt_status
prepare(struct completion *c, struct ttt_state *state, const char *text, size_t n, struct ttt_error *err)
{
	struct ttt_session *base = ttt_state_session(state);
	const struct ttt_model *m = ttt__session_model(base);
	const struct ttt_tokenizer *t = ttt_model_tokenizer(m);
	const struct ttt_config *config = ttt_model_config(m);
	struct ttt_feed how = { .learn = false };
	size_t n_pending;
	const unsigned char *pending = ttt_state_pending(state, &n_pending);
	enum ttt_status s;

	if (t == NULL)
		return ttt__fail(err, TTT_E_USAGE, "%s: has no tokenizer, so that it cannot continue a text",
		    ttt_model_name(m));
	c->n_vocab = config->n_vocab < ttt_tokenizer_n_vocab(t) ? config->n_vocab : ttt_tokenizer_n_vocab(t);
	c->logp = ttt__new((size_t)config->n_vocab, sizeof(*c->logp));
	s = c->logp == NULL ? ttt__fail_memory(err, "completion") : ttt_session_clone(&c->session, base, err);
	if (s == TTT_OK)
		s = ttt_encoder_create(&c->encoder, t, err);
	if (s == TTT_OK && ttt_state_begun(state))
		ttt_encoder_continue(c->encoder);
	if (s == TTT_OK && ttt_session_n_token(base) == 0 && config->bos >= 0)
		s = ttt__ids_add(&c->ids, (int32_t)config->bos, err);
	if (s == TTT_OK)
		s = ttt_encoder_feed(c->encoder, &c->ids, pending, n_pending, err);
	if (s == TTT_OK)
		s = ttt_encoder_feed(c->encoder, &c->ids, text, n, err);
	if (s == TTT_OK)
		s = ttt_encoder_end(c->encoder, &c->ids, err);
	if (s == TTT_OK && ttt_session_n_token(base) == 0 && c->ids.n == 0)
		return ttt__fail(err, TTT_E_USAGE,
		    "there is nothing to continue: no text was given and the state has absorbed none");
	return s == TTT_OK ? ttt_session_feed(c->session, c->ids.id, c->ids.n, &how, err) : s;
}

/* The likeliest token, or one drawn with probability proportional to p^(1 / temperature). */
static int32_t
choose(const struct completion *c, double temperature, struct ttt__random *random)
{
	int64_t best = 0;
	double sum = 0, point;

	for (int64_t i = 1; i < c->n_vocab; i++)
		if (c->logp[i] > c->logp[best])
			best = i;
	if (!(temperature > 0))
		return (int32_t)best;
	for (int64_t i = 0; i < c->n_vocab; i++)
		sum += exp((double)(c->logp[i] - c->logp[best]) / temperature);
	point = ttt__random_uniform(random) * sum;
	for (int64_t i = 0; i < c->n_vocab; i++) {
		point -= exp((double)(c->logp[i] - c->logp[best]) / temperature);
		if (point < 0)
			return (int32_t)i;
	}
	return (int32_t)best;
}

enum ttt_status
ttt_complete(struct ttt_state *state, const char *text, size_t text_n, int64_t n, double temperature, uint64_t seed,
    bool (*fn)(void *ctx, const unsigned char *bytes, size_t n), void *ctx, struct ttt_error *err)
{
	struct completion c = { .session = NULL };
	struct ttt_feed how = { .learn = false };
	struct ttt__random random;
	enum ttt_status s;

	if (!(temperature >= 0))
		return ttt__fail(err, TTT_E_RANGE, "the temperature %g is below 0", temperature);
	s = prepare(&c, state, text, text_n, err);

	ttt__random_seed(&random, seed);
	for (int64_t i = 0; i < n && s == TTT_OK; i++) {
		const struct ttt_model *m = ttt__session_model(c.session);
		const unsigned char *bytes;
		size_t n_byte;
		int32_t id;

		s = ttt_session_next(c.session, c.logp, err);
		if (s != TTT_OK)
			break;
		id = choose(&c, temperature, &random);
		if (id == ttt_model_config(m)->bos) /* the text ends here */
			break;
		bytes = ttt_tokenizer_bytes(ttt_model_tokenizer(m), id, &n_byte);
		if (bytes != NULL && !fn(ctx, bytes, n_byte))
			break;
		s = ttt_session_feed(c.session, &id, 1, &how, err);
	}
	release(&c);
	return s;
}
