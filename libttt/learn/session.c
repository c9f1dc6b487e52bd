/* A stream on its way through a model: chunk after chunk, forward, report, inner step (SEMANTICS sections 4, 5, 8). */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "libttt/learn/inner.h"
#include "libttt/learn/session.h"
#include "libttt/net/angles.h"

enum {
	SETTLE = 8,  /* chunks between two times that what moves slowly moves */
	EARLY = 256, /* chunks after which the pull begins to wane: what was learned is a guess at first */
	WANED = 4    /* how many times less it becomes at most, lest the weights go ever farther */
};

struct ttt_session {
	const struct ttt_model *model;
	enum ttt_attention attention;
	struct ttt__net net;
	struct ttt__work work;
	int64_t work_cached;                /* cached rows the work buffers allow */
	struct ttt__tape prefix, suffix;    /* suffix unused where the model has none */
	float *fast, *gradient;             /* [n_fast] */
	float *mean, *good;                 /* [n_fast] or NULL: see session.h */
	struct ttt__guard guard;
	struct ttt__angles angles;
	float *angle;                       /* [C, K] device: cosine and sine of the chunk's positions */
	bool turned;                        /* the cached keys are turned; not after rows were written from outside */
	float *kv_memory;
	struct ttt__kv *kv;                 /* [net.n_layer] whole buffers of capacity rows */
	struct ttt__kv *at;                 /* [net.n_layer] the same, at the oldest cached row */
	int64_t capacity, start, rows;      /* rows of the buffers; oldest cached row; cached rows */
	int64_t ahead;                      /* waiting tokens whose keys and values stand after the cached rows already */
	int32_t *ids, *targets;             /* [C] device */
	float *om;                          /* [2, C] device */
	float *host;                        /* [5, C] nll, scratch, weights; [C, K] angles */
	int32_t *pending;                   /* [C + 1] */
	int64_t n_pending, n_done;
};

static int64_t
chunk_of(const struct ttt_session *s)
{
	return s->net.config.chunk;
}

/* Rows kept between chunks: a query sees itself and window - 1 before. */
static int64_t
rows_kept(const struct ttt_session *s, int64_t rows)
{
	return s->net.window && rows > s->net.window - 1 ? s->net.window - 1 : rows;
}

static void
release_window(struct ttt_session *s)
{
	ttt__device_release(s->net.device, s->kv_memory);
	s->kv_memory = NULL;
}

/* The cached rows of one layer from row start of another buffer, or further on in the same one, to a buffer's beginning. */
static void
copy_rows(const struct ttt_session *s, const struct ttt__kv *to, const struct ttt__kv *from, int64_t start)
{
	struct ttt_device *d = s->net.device;
	int64_t at = start * s->net.config.d_model;
	size_t bytes = (size_t)(s->rows * s->net.config.d_model) * sizeof(float);

	d->ops->copy(d, to->k, from->k + at, bytes);
	d->ops->copy(d, to->v, from->v + at, bytes);
	d->ops->copy(d, to->raw, from->raw + at, bytes);
}

/* Buffers for capacity rows; the cached rows move to their start. */
static enum ttt_status
set_capacity(struct ttt_session *s, int64_t capacity, struct ttt_error *err)
{
	struct ttt_device *d = s->net.device;
	int64_t D = s->net.config.d_model, L = s->net.config.n_layer, floats, used = 0;
	float *memory;
	enum ttt_status status;

	if (!ttt__i64_mul(&floats, capacity, D) || !ttt__i64_mul(&floats, floats, 3 * L))
		return ttt__fail_memory(err, "the key-value window");
	status = ttt__device_floats(d, &memory, floats, "the key-value window", err);
	if (status)
		return status;
	for (int64_t i = 0; i < s->net.n_layer; i++) {
		struct ttt__kv old = s->kv[i];

		if (s->net.layer[i].kind != TTT__ATTENTION)
			continue;
		s->kv[i].k = memory + used;
		s->kv[i].v = memory + used + capacity * D;
		s->kv[i].raw = memory + used + 2 * capacity * D;
		used += 3 * capacity * D;
		if (s->kv_memory)
			copy_rows(s, &s->kv[i], &old, s->start);
	}
	release_window(s);
	s->kv_memory = memory;
	s->capacity = capacity;
	s->start = 0;
	return TTT_OK;
}

static void
slide(struct ttt_session *s)
{
	for (int64_t i = 0; i < s->net.n_layer; i++)
		if (s->net.layer[i].kind == TTT__ATTENTION)
			copy_rows(s, &s->kv[i], &s->kv[i], s->start);
	s->start = 0;
}

/* The angles of n <= C positions, on the device. */
static void
set_angles(struct ttt_session *s, int64_t position, int64_t n)
{
	int64_t C = chunk_of(s), K = s->net.config.d_head;
	float *host = s->host + 5 * C;

	ttt__angles_at(&s->angles, host, position, n);
	s->net.device->ops->upload(s->net.device, s->angle, host, (size_t)(n * K) * sizeof *host);
}

/* Turn the cached keys by their positions: those that came from outside came unturned. */
static void
turn_window(struct ttt_session *s)
{
	struct ttt_device *d = s->net.device;
	const struct ttt_config *c = &s->net.config;
	int64_t C = chunk_of(s), D = c->d_model;

	for (int64_t row = 0; row < s->rows; row += C) {
		int64_t n = s->rows - row < C ? s->rows - row : C, at = (s->start + row) * D;

		set_angles(s, s->n_done - s->rows + row, n);
		for (int64_t i = 0; i < s->net.n_layer; i++)
			if (s->net.layer[i].kind == TTT__ATTENTION)
				d->ops->rope(d, s->kv[i].k + at, D, s->kv[i].raw + at, D, s->angle, n, c->n_head, c->d_head, false);
	}
	s->turned = true;
}

/* Room for a chunk after the cached rows: sliding in a window, growing in full attention. */
static enum ttt_status
make_room(struct ttt_session *s, struct ttt_error *err)
{
	int64_t C = chunk_of(s), D = s->net.config.d_model, cached = s->rows + C;
	enum ttt_status status = TTT_OK;

	if (s->start + s->rows + C > s->capacity) {
		if (s->net.window && s->rows + C <= s->capacity)
			slide(s);
		else
			status = set_capacity(s, 2 * (s->rows + C), err);
	}
	if (!status && cached > s->work_cached) {
		ttt__work_free(&s->work, &s->net);
		s->work_cached = 2 * cached;
		status = ttt__work_create(&s->work, &s->net, C, s->work_cached, err);
	}
	if (!status && !s->turned)
		turn_window(s);
	for (int64_t i = 0; i < s->net.n_layer && !status; i++)
		if (s->net.layer[i].kind == TTT__ATTENTION)
			s->at[i] = (struct ttt__kv){s->kv[i].k + s->start * D, s->kv[i].v + s->start * D, s->kv[i].raw + s->start * D};
	return status;
}

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
	    (status = ttt__device_floats(d, &s->om, 2 * C, "the chunk", err)) || (status = set_capacity(s, capacity, err)))
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

/* *to = from, made where it is not there yet; nothing where there is no from. */
static enum ttt_status
copy_weights(struct ttt_session *s, float **to, const float *from, struct ttt_error *err)
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
		status = set_capacity(c, 2 * s->rows, err);
		if (status) {
			ttt_session_free(c);
			return status;
		}
	}
	for (int64_t i = 0; i < s->net.n_layer; i++)
		if (s->net.layer[i].kind == TTT__ATTENTION)
			copy_rows(s, &c->kv[i], &s->kv[i], s->start);
	c->rows = s->rows;
	c->turned = s->turned;
	status = copy_weights(c, &c->fast, s->fast, err);
	if (!status)
		status = copy_weights(c, &c->mean, s->mean, err);
	if (!status && s->guard.noisy > 0)
		status = copy_weights(c, &c->good, s->good, err);
	if (status) {
		ttt_session_free(c);
		return status;
	}
	c->guard = s->guard;
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
		release_window(s);
		ttt__tape_free(&s->prefix, &s->net);
		ttt__tape_free(&s->suffix, &s->net);
		ttt__work_free(&s->work, &s->net);
	}
	ttt__net_free(&s->net);
	ttt__angles_free(&s->angles);
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

/* Forward of waiting tokens from .. from + T - 1 as far as the head's input; *r is ready for the head and a backward. */
static enum ttt_status
forward(struct ttt_session *s, int64_t from, int64_t T, struct ttt__run *r, struct ttt_error *err)
{
	struct ttt_device *d = s->net.device;
	float *suffix_x;
	enum ttt_status status = make_room(s, err);

	if (status)
		return status;
	*r = (struct ttt__run){.net = &s->net, .w = {.slow = s->model->weights, .fast = s->fast, .half = s->model->half}, .work = &s->work, .tape = &s->prefix, .T = T,
	    .S = s->rows + from, .angle = s->angle, .kv = s->at};
	set_angles(s, s->n_done + from, T);
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
		status = forward(s, 0, T, r, err);
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

/* Around noise: before its first step the weights are put aside, after its last one chosen. */
static enum ttt_status
guard(struct ttt_session *s, int64_t T, double loss, struct ttt__run *r, struct ttt_error *err)
{
	bool noise = is_noise(s, s->host, s->pending + 1, T);
	enum ttt_status status = TTT_OK;

	if (noise && s->guard.noisy == 0)
		status = copy_weights(s, &s->good, s->fast, err);
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
	double waned = sqrt(1 + (double)(SETTLE * s->guard.n_settled) / EARLY);
	double part = s->net.config.inner_pull * loss / (waned < WANED ? waned : WANED);

	return part < 1 ? part : 1;
}

/* What moves slowly: the pull towards the initial weights, and the mean. */
static void
settle(struct ttt_session *s, double loss)
{
	struct ttt_device *d = s->net.device;
	const struct ttt__parameters *p = &s->model->parameters;
	double keep = pow(1 - pull(s, loss), SETTLE);

	if (keep < 1)
		d->ops->combine(d, s->fast, keep, s->fast, 1 - keep, s->model->weights + p->fast_offset, p->n_fast);
	s->guard.n_settled++;
	if (s->mean) {
		double decay = s->net.config.mean_decay, part = (decay + 1) / ((double)s->guard.n_settled + decay);

		d->ops->combine(d, s->mean, 1 - part, s->mean, part, s->fast, p->n_fast);
		shorten(d, s->mean, s->gradient, p->n_fast);
	}
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
	status = forward(s, 0, T, &r, err);
	if (status)
		return status;
	d->ops->upload(d, s->targets, s->pending + 1, (size_t)T * sizeof *s->targets);
	ttt__head_forward(&r, s->targets, learns);
	ttt__read_nll(&s->net, &r.tape->head, s->host, s->host + T, T);
	report.nll = s->host + skip;
	report.loss = ttt__mean_loss(s->host + skip, report.target, T - skip, s->net.config.bos);
	if (learns) {
		status = guard(s, T, report.loss, &r, err);
		if (status)
			return status;
		learn(s, &r, how, &report.grad_norm);
	}
	if (how->fn)
		how->fn(how->ctx, &report);
	return TTT_OK;
}

static enum ttt_status
run_chunk(struct ttt_session *s, const struct ttt_feed *how, struct ttt_error *err)
{
	int64_t C = chunk_of(s), rows = s->rows;
	enum ttt_status status = score(s, C, 0, how, err);

	if (status)
		return status;
	if (how->learn && s->net.split < s->net.n_layer && s->guard.noisy == 0 && (s->n_done / C + 1) % SETTLE == 0)
		settle(s, ttt__mean_loss(s->host, s->pending + 1, C, s->net.config.bos));
	s->rows = rows_kept(s, rows + C);
	s->start += rows + C - s->rows;
	s->pending[0] = s->pending[C];
	s->n_pending = 1;
	s->n_done += C;
	return TTT_OK;
}

static enum ttt_status
check_ids(const struct ttt_session *s, const int32_t *ids, int64_t n, struct ttt_error *err)
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
	int64_t C = chunk_of(s);
	enum ttt_status status = check_ids(s, ids, n, err);

	if (!status && how && !(how->rate >= 0 && how->rate <= 1e6))
		status = ttt__fail(err, TTT_E_RANGE, "the rate %g is outside 0 .. 1e6", how->rate);
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
	status = forward(s, s->ahead, T, &r, err);
	if (status)
		return status;
	status = ttt__device_floats(d, &z, V, "the logits", err);
	if (status)
		return status;
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
	s->guard.n_settled = s->guard.noisy = 0;
	s->ahead = 0;
}

void
ttt_session_reset_window(struct ttt_session *s)
{
	s->rows = s->start = s->ahead = 0;
	s->n_pending = s->n_done = 0;
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

const struct ttt_model *
ttt__session_model(const struct ttt_session *s)
{
	return s->model;
}

static float **
weights_of(struct ttt_session *s, enum ttt__fast which)
{
	return which == TTT__FAST_LAST ? &s->fast : which == TTT__FAST_MEAN ? &s->mean : &s->good;
}

bool
ttt__session_has(const struct ttt_session *s, enum ttt__fast which)
{
	return which == TTT__FAST_LAST || (which == TTT__FAST_MEAN && s->mean && s->guard.n_settled > 0) ||
	    (which == TTT__FAST_GOOD && s->guard.noisy > 0);
}

void
ttt__session_fast_read(const struct ttt_session *s, enum ttt__fast which, float *out)
{
	const float *w = which == TTT__FAST_LAST ? s->fast : which == TTT__FAST_MEAN ? s->mean : s->good;

	s->net.device->ops->download(s->net.device, out, w, (size_t)s->model->parameters.n_fast * sizeof *out);
}

enum ttt_status
ttt__session_fast_write(struct ttt_session *s, enum ttt__fast which, const float *in, struct ttt_error *err)
{
	float **w = weights_of(s, which);
	int64_t n = s->model->parameters.n_fast;
	enum ttt_status status = *w ? TTT_OK : ttt__device_floats(s->net.device, w, n, "the fast weights", err);

	if (status)
		return status;
	s->net.device->ops->upload(s->net.device, *w, in, (size_t)n * sizeof *in);
	s->ahead = 0;
	return TTT_OK;
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
	return copy_weights(s, &s->mean, s->fast, err);
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

int64_t
ttt__session_window_rows(const struct ttt_session *s)
{
	return s->rows;
}

/* The attention layer of block l. */
static int64_t
layer_of(const struct ttt_session *s, int64_t l)
{
	int64_t i = 0;

	while (s->net.layer[i].kind != TTT__ATTENTION || s->net.layer[i].block != l)
		i++;
	return i;
}

void
ttt__session_window_read(const struct ttt_session *s, int64_t l, float *k, float *v)
{
	const struct ttt__kv *kv = &s->kv[layer_of(s, l)];
	int64_t D = s->net.config.d_model;
	size_t bytes = (size_t)(s->rows * D) * sizeof *k;

	s->net.device->ops->download(s->net.device, k, kv->raw + s->start * D, bytes);
	s->net.device->ops->download(s->net.device, v, kv->v + s->start * D, bytes);
}

enum ttt_status
ttt__session_window_resize(struct ttt_session *s, int64_t rows, struct ttt_error *err)
{
	if (rows < 0 || rows != rows_kept(s, rows))
		return ttt__fail(err, TTT_E_SHAPE, "%" PRId64 " cached rows do not fit a window of %" PRId64, rows, s->net.window);
	s->rows = s->start = s->ahead = 0;
	if (rows > s->capacity) {
		/* In full attention with room for what comes next; more rows than can be counted fail there. */
		bool room = !s->net.window && rows < INT64_MAX / 2;
		enum ttt_status status = set_capacity(s, room ? rows + rows / 8 + 2 * chunk_of(s) : rows, err);

		if (status)
			return status;
	}
	s->rows = rows;
	return TTT_OK;
}

void
ttt__session_window_write(struct ttt_session *s, int64_t l, const float *k, const float *v)
{
	const struct ttt__kv *kv = &s->kv[layer_of(s, l)];
	size_t bytes = (size_t)(s->rows * s->net.config.d_model) * sizeof *k;

	s->net.device->ops->upload(s->net.device, kv->raw, k, bytes);
	s->net.device->ops->upload(s->net.device, kv->v, v, bytes);
	s->turned = false;
}

enum ttt_status
ttt__session_stream_set(struct ttt_session *s, const int32_t *pending, int64_t n_pending, int64_t n_done, struct ttt_error *err)
{
	enum ttt_status status;

	if (n_pending < 0 || n_pending > chunk_of(s) || n_done < 0)
		return ttt__fail(err, TTT_E_SHAPE, "%" PRId64 " waiting tokens do not fit a chunk of %" PRId64, n_pending, chunk_of(s));
	if (n_done < s->rows)
		return ttt__fail(err, TTT_E_SHAPE, "%" PRId64 " cached rows cannot stand before token %" PRId64, s->rows, n_done);
	status = check_ids(s, pending, n_pending, err);
	if (status)
		return status;
	memcpy(s->pending, pending, (size_t)n_pending * sizeof *pending);
	s->n_pending = n_pending;
	s->turned = s->turned && s->n_done == n_done; /* the cached keys stand elsewhere now */
	s->n_done = n_done;
	s->ahead = 0;
	return TTT_OK;
}
