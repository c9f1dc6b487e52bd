/* A stream on its way through a model: chunk after chunk, forward, report, inner step (SEMANTICS sections 4, 5, 8). */
#include "libttt/learn/session_parts.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "libttt/learn/inner.h"

static enum ttt_status
allocate(struct ttt_session *s, struct ttt_error *err)
{
	const struct ttt__parameters *p = &s->model->parameters;
	struct ttt_device *d = s->model->device;
	int64_t C = s->model->config.chunk, window = s->attention == TTT_FULL ? 0 : s->model->config.window;
	int64_t cached = window ? window - 1 : C, capacity = window ? cached + cached / 4 + 2 * C : 2 * C;
	enum ttt_status status;

	s->work_cached = cached + C;
	s->turned = true;
	status = ttt__net_create(&s->net, d, &s->model->config, p, window, 0, err);
	if (status || (status = ttt__angles_create(&s->angles, &s->net.config, err)))
		return status;
	s->kv = ttt__new((size_t)s->net.n_layer, sizeof *s->kv);
	s->at = ttt__new((size_t)s->net.n_layer, sizeof *s->at);
	s->host = ttt__new((size_t)(C * (5 + s->net.config.d_head)), sizeof *s->host);
	s->pending = ttt__new((size_t)(C + 1), sizeof *s->pending);
	if (!s->kv || !s->at || !s->host || !s->pending)
		return ttt__fail_memory(err, "the session");
	if ((status = ttt__work_create(&s->work, &s->net, C, s->work_cached, err)) ||
	    (status = ttt__tape_create(&s->prefix, &s->net, TTT__TAPE_SHARED, 0, s->net.split, C, err)) ||
	    (status = ttt__tape_create(&s->suffix, &s->net, TTT__TAPE_VALUES, s->net.split, s->net.n_layer, C, err)) ||
	    (status = ttt__device_floats(d, &s->fast, p->n_fast, "the fast weights", err)) ||
	    (status = ttt__device_floats(d, &s->gradient, p->n_fast, "the inner gradient", err)) ||
	    (status = ttt__device_ids(d, &s->ids, C, "the chunk", err)) ||
	    (status = ttt__device_ids(d, &s->targets, C, "the chunk", err)) ||
	    (status = ttt__device_floats(d, &s->angle, C * s->net.config.d_head, "the chunk", err)) ||
	    (status = ttt__device_floats(d, &s->om, 2 * C, "the chunk", err)) || (status = ttt__session_set_capacity(s, capacity, err)) ||
	    (status = ttt__ngram_create(&s->ngram, &s->net.config, err)) ||
	    (status = ttt__biases_create(&s->biases, 1, &s->net, err)))
		return status;
	return TTT_OK;
}

enum ttt_status
ttt_session_create(struct ttt_session **out, const struct ttt_model *m, enum ttt_attention a, struct ttt_error *err)
{
	struct ttt_session *s = ttt__new(1, sizeof *s);
	enum ttt_status status;

	*out = NULL;
	if (!s)
		return ttt__fail_memory(err, "the session");
	s->model = m;
	s->attention = a;
	status = allocate(s, err);
	if (status) {
		ttt_session_free(s);
		return status;
	}
	ttt_session_reset_fast(s);
	*out = s;
	return TTT_OK;
}

enum ttt_status
ttt__session_copy_weights(struct ttt_session *s, float **to, const float *from, struct ttt_error *err)
{
	struct ttt_device *d = s->model->device;
	int64_t n = s->model->parameters.n_fast;
	enum ttt_status status = TTT_OK;

	if (!from)
		return TTT_OK;
	if (!*to)
		status = ttt__device_floats(d, to, n, "the fast weights", err);
	if (!status)
		d->ops->copy(d, *to, from, (size_t)n * sizeof(float));
	return status;
}

enum ttt_status
ttt_session_clone(struct ttt_session **out, const struct ttt_session *s, struct ttt_error *err)
{
	struct ttt_session *c;
	enum ttt_status status = ttt_session_create(&c, s->model, s->attention, err);

	*out = NULL;
	if (status)
		return status;
	if (c->capacity < s->rows) {
		status = ttt__session_set_capacity(c, 2 * s->rows, err);
		if (status) {
			ttt_session_free(c);
			return status;
		}
	}
	for (int64_t i = 0; i < s->net.n_layer; i++)
		if (s->net.layer[i].kind == TTT__ATTENTION)
			ttt__session_copy_rows(s, &c->kv[i], &s->kv[i], s->start);
	c->rows = s->rows;
	c->turned = s->turned;
	status = ttt__session_copy_weights(c, &c->fast, s->fast, err);
	if (!status)
		status = ttt__session_copy_weights(c, &c->mean, s->mean, err);
	if (!status && s->guard.noisy > 0)
		status = ttt__session_copy_weights(c, &c->good, s->good, err);
	if (status) {
		ttt_session_free(c);
		return status;
	}
	c->guard = s->guard;
	ttt__ngram_copy(&c->ngram, &s->ngram);
	memcpy(c->pending, s->pending, (size_t)s->n_pending * sizeof *c->pending);
	c->n_pending = s->n_pending;
	c->n_done = s->n_done;
	*out = c;
	return TTT_OK;
}

void
ttt_session_free(struct ttt_session *s)
{
	if (!s)
		return;
	if (s->net.device) {
		struct ttt_device *d = s->net.device;

		ttt__device_release(d, s->fast);
		ttt__device_release(d, s->gradient);
		ttt__device_release(d, s->mean);
		ttt__device_release(d, s->good);
		ttt__device_release(d, s->ids);
		ttt__device_release(d, s->targets);
		ttt__device_release(d, s->om);
		ttt__device_release(d, s->angle);
		ttt__biases_free(&s->biases, &s->net);
		ttt__session_window_release(s);
		ttt__tape_free(&s->prefix, &s->net);
		ttt__tape_free(&s->suffix, &s->net);
		ttt__work_free(&s->work, &s->net);
	}
	ttt__net_free(&s->net);
	ttt__angles_free(&s->angles);
	ttt__ngram_free(&s->ngram);
	free(s->kv);
	free(s->at);
	free(s->host);
	free(s->pending);
	free(s);
}

/* The end of the network lies on the suffix's tape, or, in a plain Transformer, on the prefix's. */
static struct ttt__tape *
end_tape(struct ttt_session *s)
{
	return s->net.split < s->net.n_layer ? &s->suffix : &s->prefix;
}

enum ttt_status
ttt__session_forward(struct ttt_session *s, int64_t from, int64_t T, struct ttt__run *r, struct ttt_error *err)
{
	struct ttt_device *d = s->net.device;
	float *suffix_x;
	enum ttt_status status = ttt__session_make_room(s, err);

	if (status)
		return status;
	*r = (struct ttt__run){.net = &s->net, .w = {.slow = s->model->weights, .fast = s->fast, .half = s->model->half}, .work = &s->work, .tape = &s->prefix, .T = T,
	    .S = s->rows + from, .angle = s->angle, .kv = s->at, .biases = &s->biases};
	ttt__session_set_angles(s, s->n_done + from, T);
	d->ops->upload(d, s->ids, s->pending + from, (size_t)T * sizeof *s->ids);
	suffix_x = s->net.split < s->net.n_layer ? s->suffix.layer[s->net.split].x : NULL;
	ttt__embed_forward(r, s->prefix.layer[0].x, s->ids);
	ttt__net_forward(r, 0, s->net.split, suffix_x);
	r->tape = end_tape(s);
	ttt__net_forward(r, s->net.split, s->net.n_layer, NULL);
	return TTT_OK;
}

/* One inner step from the chunk just run forward. */
static void
learn(struct ttt_session *s, const struct ttt__run *r, const struct ttt_feed *how, double *norm)
{
	struct ttt_device *d = s->net.device;
	const struct ttt_config *c = &s->net.config;
	int64_t n = s->model->parameters.n_fast, T = r->T;
	struct ttt__gradients g = {.fast = s->gradient, .set = true};
	struct ttt__row_weights om = {s->om, s->om + T};

	ttt__fill_row_weights(s->host + 3 * T, s->pending + 1, T, c->bos, 1);
	d->ops->upload(d, s->om, s->host + 3 * T, (size_t)(2 * T) * sizeof(float));
	ttt__head_backward(r, &g, s->targets, NULL, &om);
	ttt__net_backward(r, &g, s->net.split, s->net.n_layer, NULL, true);
	ttt__inner_step(d, s->fast, s->gradient, n, c->inner_lr_effective * (how->rate > 0 ? how->rate : 1), c->inner_clip, norm);
}

/* Forward and loss of the first T waiting tokens, whose targets wait too; report on targets from index skip on. */
static enum ttt_status
score(struct ttt_session *s, int64_t T, int64_t skip, const struct ttt_feed *how, struct ttt_error *err)
{
	struct ttt_device *d = s->net.device;
	struct ttt_chunk_report report = {.first = s->n_done + 1 + skip, .n = T - skip, .target = s->pending + 1 + skip};
	bool learns = how->learn && s->net.split < s->net.n_layer;
	struct ttt__run r;
	enum ttt_status status;

	s->ahead = 0;
	status = ttt__session_forward(s, 0, T, &r, err);
	if (status)
		return status;
	d->ops->upload(d, s->targets, s->pending + 1, (size_t)T * sizeof *s->targets);
	ttt__ngram_look(&s->ngram, s->pending, 0, T, d, &s->biases);
	ttt__head_forward(&r, s->targets, learns);
	ttt__read_nll(&s->net, &r.tape->head, s->host, s->host + T, T);
	report.nll = s->host + skip;
	report.loss = ttt__mean_loss(s->host + skip, report.target, T - skip, s->net.config.bos);
	if (learns) {
		status = ttt__session_guard_chunk(s, T, report.loss, &r, err);
		if (status)
			return status;
		learn(s, &r, how, &report.grad_norm);
		if (s->guard.noisy == 0)
			ttt__ngram_learn(&s->ngram, s->pending + 1, T, s->n_done, d, &s->biases, &r.tape->head);
	}
	if (how->fn)
		how->fn(how->ctx, &report);
	return TTT_OK;
}

static enum ttt_status
run_chunk(struct ttt_session *s, const struct ttt_feed *how, struct ttt_error *err)
{
	int64_t C = ttt__session_chunk(s), rows = s->rows;
	enum ttt_status status = score(s, C, 0, how, err);

	if (status)
		return status;
	if (how->learn && s->net.split < s->net.n_layer && s->guard.noisy == 0 && (s->n_done / C + 1) % TTT__SETTLE == 0)
		ttt__session_settle(s, ttt__mean_loss(s->host, s->pending + 1, C, s->net.config.bos));
	s->rows = ttt__session_rows_kept(s, rows + C);
	s->start += rows + C - s->rows;
	ttt__ngram_advance(&s->ngram, s->pending, C);
	s->pending[0] = s->pending[C];
	s->n_pending = 1;
	s->n_done += C;
	return TTT_OK;
}

enum ttt_status
ttt__session_check_ids(const struct ttt_session *s, const int32_t *ids, int64_t n, struct ttt_error *err)
{
	for (int64_t i = 0; i < n; i++)
		if (ids[i] < 0 || ids[i] >= s->net.config.n_vocab)
			return ttt__fail(err, TTT_E_RANGE, "token %" PRId64 " is %" PRId32 " but the model's vocabulary is 0 .. %" PRId64, i,
			    ids[i], s->net.config.n_vocab - 1);
	return TTT_OK;
}

enum ttt_status
ttt_session_feed(struct ttt_session *s, const int32_t *ids, int64_t n, const struct ttt_feed *how, struct ttt_error *err)
{
	const struct ttt_feed plain = {.learn = true};
	int64_t C = ttt__session_chunk(s);
	enum ttt_status status = ttt__session_check_ids(s, ids, n, err);

	if (!status && how && !(how->rate >= 0 && how->rate <= 1e6))
		status = ttt__fail(err, TTT_E_RANGE, "the rate %.9g is outside 0 .. 1e6", how->rate);
	for (int64_t i = 0; i < n && !status;) {
		int64_t take = C + 1 - s->n_pending < n - i ? C + 1 - s->n_pending : n - i;

		memcpy(s->pending + s->n_pending, ids + i, (size_t)take * sizeof *ids);
		s->n_pending += take;
		i += take;
		if (s->n_pending == C + 1)
			status = run_chunk(s, how ? how : &plain, err);
	}
	return status;
}

enum ttt_status
ttt_session_peek(struct ttt_session *s, int64_t from, ttt_chunk_fn *fn, void *ctx, struct ttt_error *err)
{
	const struct ttt_feed how = {.fn = fn, .ctx = ctx};
	int64_t T = s->n_pending - 1, skip = from > s->n_done + 1 ? from - s->n_done - 1 : 0;

	return T > skip ? score(s, T, skip, &how, err) : TTT_OK;
}

enum ttt_status
ttt_session_next(struct ttt_session *s, float *logp, struct ttt_error *err)
{
	struct ttt_device *d = s->net.device;
	int64_t T = s->n_pending - s->ahead, V = s->net.config.n_vocab, D = s->net.config.d_model;
	struct ttt__tape last;
	struct ttt__run r;
	enum ttt_status status;
	float *z;
	double max = -INFINITY, sum = 0;

	if (s->n_pending == 0)
		return ttt__fail(err, TTT_E_USAGE, "the stream is empty: nothing says what comes next");
	if (T == 0) {
		s->ahead--;
		T = 1;
	}
	status = ttt__session_forward(s, s->ahead, T, &r, err);
	if (status)
		return status;
	status = ttt__device_floats(d, &z, V, "the logits", err);
	if (status)
		return status;
	ttt__ngram_look(&s->ngram, s->pending, s->n_pending - 1, 1, d, &s->biases);
	last = *r.tape;
	last.head.x += (T - 1) * D;
	r.tape = &last;
	r.T = 1;
	ttt__head_logits(&r, z);
	d->ops->download(d, logp, z, (size_t)V * sizeof *logp);
	ttt__device_release(d, z);
	for (int64_t i = 0; i < V; i++)
		max = (double)logp[i] > max ? (double)logp[i] : max;
	for (int64_t i = 0; i < V; i++)
		sum += exp((double)logp[i] - max);
	for (int64_t i = 0; i < V; i++)
		logp[i] = (float)((double)logp[i] - max - log(sum));
	s->ahead = s->n_pending;
	return TTT_OK;
}

void
ttt_session_reset_fast(struct ttt_session *s)
{
	const struct ttt__parameters *p = &s->model->parameters;

	s->net.device->ops->copy(s->net.device, s->fast, s->model->weights + p->fast_offset, (size_t)p->n_fast * sizeof(float));
	ttt__ngram_reset(&s->ngram);
	s->guard.n_settled = s->guard.noisy = 0;
	s->ahead = 0;
}

void
ttt_session_reset_window(struct ttt_session *s)
{
	s->rows = s->start = s->ahead = 0;
	s->n_pending = s->n_done = 0;
	s->ngram.n_history = 0;
}

int64_t
ttt_session_n_token(const struct ttt_session *s)
{
	return s->n_done + s->n_pending;
}

const int32_t *
ttt_session_pending(const struct ttt_session *s, int64_t *n)
{
	*n = s->n_pending;
	return s->pending;
}

void
ttt_session_drift(const struct ttt_session *s, double *moved, double *initial)
{
	const struct ttt__parameters *p = &s->model->parameters;
	struct ttt_device *d = s->net.device;
	const float *w = s->model->weights + p->fast_offset;

	d->ops->copy(d, s->gradient, s->fast, (size_t)p->n_fast * sizeof(float));
	d->ops->axpy(d, s->gradient, -1, w, p->n_fast);
	*moved = sqrt(d->ops->dot(d, s->gradient, s->gradient, p->n_fast));
	*initial = sqrt(d->ops->dot(d, w, w, p->n_fast));
}
