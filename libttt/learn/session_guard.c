/* What guards a session against noise and drift, and the running mean of its weights, in which what was read lasts. */
#include "libttt/learn/session_parts.h"

#include <math.h>

#include "libttt/learn/inner.h"

enum {
	EARLY = 256, /* chunks after which the pull begins to wane: what was learned is a guess at first */
	WANED = 4    /* how many times less it becomes at most, lest the weights go ever farther */
};

/* A chunk that costs so many bits a byte teaches nothing. Only a model that knows its tokens' bytes can tell. */
static bool
is_noise(const struct ttt_session *s, const float *nll, const int32_t *target, int64_t T)
{
	const struct ttt_tokenizer *k = ttt_model_tokenizer(s->model);
	double nats = 0, bytes = 0;

	if (s->net.config.noise_bits <= 0 || !k)
		return false;
	for (int64_t t = 0; t < T; t++) {
		size_t n = 0;

		if (target[t] == s->net.config.bos || !ttt_tokenizer_bytes(k, target[t], &n))
			continue;
		nats += (double)nll[t];
		bytes += (double)n;
	}
	return bytes > 0 && nats >= s->net.config.noise_bits * M_LN2 * bytes;
}

/* The first chunk after noise, just run forward: whichever weights predict it better stay, those of now or those from before the
 * noise. The run is the chosen ones' afterwards. */
static enum ttt_status
choose(struct ttt_session *s, int64_t T, double loss, struct ttt__run *r, struct ttt_error *err)
{
	for (int turn = 0; turn < 2; turn++) {
		float *now = s->fast, *nll = s->host + T;
		enum ttt_status status;

		s->fast = s->good;
		s->good = now;
		status = ttt__session_forward(s, 0, T, r, err);
		if (status)
			return status;
		ttt__head_forward(r, s->targets, true);
		ttt__read_nll(&s->net, &r->tape->head, nll, s->host + 2 * T, T);
		if (turn == 0 && ttt__mean_loss(nll, s->pending + 1, T, s->net.config.bos) < loss) {
			s->guard.count.n_undone += s->guard.noisy;
			s->guard.count.n_returned++;
			break;
		}
	}
	return TTT_OK;
}

enum ttt_status
ttt__session_guard_chunk(struct ttt_session *s, int64_t T, double loss, struct ttt__run *r, struct ttt_error *err)
{
	bool noise = is_noise(s, s->host, s->pending + 1, T);
	enum ttt_status status = TTT_OK;

	if (noise && s->guard.noisy == 0)
		status = ttt__session_copy_weights(s, &s->good, s->fast, err);
	if (!noise && s->guard.noisy > 0)
		status = choose(s, T, loss, r, err);
	s->guard.noisy = noise ? s->guard.noisy + 1 : 0;
	s->guard.count.n_noise += noise;
	return status;
}

/* x to 20 bits each (Veltkamp's splitting), so that a state's packer finds four bits fewer; scratch [n]. */
static void
shorten(struct ttt_device *d, float *x, float *scratch, int64_t n)
{
	d->ops->combine(d, scratch, 17, x, 0, x, n);
	d->ops->combine(d, x, 1, scratch, -1, x, n);
	d->ops->combine(d, x, 1, scratch, -1, x, n);
}

/* The part of the way back to the initial weights that this chunk's loss asks for. Steps scatter the weights the more the worse text is
 * predicted, and where it is predicted well they are best left alone. */
static double
pull(const struct ttt_session *s, double loss)
{
	double waned = sqrt(1 + (double)(TTT__SETTLE * s->guard.n_settled) / EARLY);
	double part = s->net.config.inner_pull * loss / (waned < WANED ? waned : WANED);

	return part < 1 ? part : 1;
}

void
ttt__session_settle(struct ttt_session *s, double loss)
{
	struct ttt_device *d = s->net.device;
	const struct ttt__parameters *p = &s->model->parameters;
	double keep = pow(1 - pull(s, loss), TTT__SETTLE);

	if (keep < 1)
		d->ops->combine(d, s->fast, keep, s->fast, 1 - keep, s->model->weights + p->fast_offset, p->n_fast);
	s->guard.n_settled++;
	if (s->mean) {
		double decay = s->net.config.mean_decay, part = (decay + 1) / ((double)s->guard.n_settled + decay);

		d->ops->combine(d, s->mean, 1 - part, s->mean, part, s->fast, p->n_fast);
		shorten(d, s->mean, s->gradient, p->n_fast);
	}
}

struct ttt__guard
ttt__session_guard(const struct ttt_session *s)
{
	return s->guard;
}

void
ttt__session_guard_set(struct ttt_session *s, const struct ttt__guard *g)
{
	s->guard = *g;
}

enum ttt_status
ttt_session_keep_mean(struct ttt_session *s, struct ttt_error *err)
{
	if (s->mean)
		return TTT_OK;
	s->guard.n_settled = 0;
	return ttt__session_copy_weights(s, &s->mean, s->fast, err);
}

void
ttt_session_use_mean(struct ttt_session *s)
{
	const struct ttt__parameters *p = &s->model->parameters;
	double share = s->net.config.mean_share;

	if (!ttt__session_has(s, TTT__FAST_MEAN))
		return;
	s->net.device->ops->combine(s->net.device, s->fast, share, s->mean, 1 - share, s->model->weights + p->fast_offset, p->n_fast);
	s->ahead = 0;
}

struct ttt_guard_count
ttt_session_guards(const struct ttt_session *s)
{
	return s->guard.count;
}
