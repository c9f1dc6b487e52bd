/* A session's window: the keys and values of the tokens before a chunk, in buffers that slide or grow. */
#include "libttt/learn/session_parts.h"

#include <inttypes.h>

int64_t
ttt__session_rows_kept(const struct ttt_session *s, int64_t rows)
{
	return s->net.window && rows > s->net.window - 1 ? s->net.window - 1 : rows;
}

void
ttt__session_window_release(struct ttt_session *s)
{
	ttt__device_release(s->net.device, s->kv_memory);
	s->kv_memory = NULL;
}

void
ttt__session_copy_rows(const struct ttt_session *s, const struct ttt__kv *to, const struct ttt__kv *from, int64_t start)
{
	struct ttt_device *d = s->net.device;
	int64_t at = start * s->net.config.d_model;
	size_t bytes = (size_t)(s->rows * s->net.config.d_model) * sizeof(float);

	d->ops->copy(d, to->k, from->k + at, bytes);
	d->ops->copy(d, to->v, from->v + at, bytes);
	d->ops->copy(d, to->raw, from->raw + at, bytes);
}

enum ttt_status
ttt__session_set_capacity(struct ttt_session *s, int64_t capacity, struct ttt_error *err)
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
			ttt__session_copy_rows(s, &s->kv[i], &old, s->start);
	}
	ttt__session_window_release(s);
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
			ttt__session_copy_rows(s, &s->kv[i], &s->kv[i], s->start);
	s->start = 0;
}

void
ttt__session_set_angles(struct ttt_session *s, int64_t position, int64_t n)
{
	int64_t C = ttt__session_chunk(s), K = s->net.config.d_head;
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
	int64_t C = ttt__session_chunk(s), D = c->d_model;

	for (int64_t row = 0; row < s->rows; row += C) {
		int64_t n = s->rows - row < C ? s->rows - row : C, at = (s->start + row) * D;

		ttt__session_set_angles(s, s->n_done - s->rows + row, n);
		for (int64_t i = 0; i < s->net.n_layer; i++)
			if (s->net.layer[i].kind == TTT__ATTENTION)
				d->ops->rope(d, s->kv[i].k + at, D, s->kv[i].raw + at, D, s->angle, n, c->n_head, c->d_head, false);
	}
	s->turned = true;
}

enum ttt_status
ttt__session_make_room(struct ttt_session *s, struct ttt_error *err)
{
	int64_t C = ttt__session_chunk(s), D = s->net.config.d_model, cached = s->rows + C;
	enum ttt_status status = TTT_OK;

	if (s->start + s->rows + C > s->capacity) {
		if (s->net.window && s->rows + C <= s->capacity)
			slide(s);
		else
			status = ttt__session_set_capacity(s, 2 * (s->rows + C), err);
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
	if (rows < 0 || rows != ttt__session_rows_kept(s, rows))
		return ttt__fail(err, TTT_E_SHAPE, "%" PRId64 " cached rows do not fit a window of %" PRId64, rows, s->net.window);
	s->rows = s->start = s->ahead = 0;
	if (rows > s->capacity) {
		/* In full attention with room for what comes next; more rows than can be counted fail there. */
		bool room = !s->net.window && rows < INT64_MAX / 2;
		enum ttt_status status = ttt__session_set_capacity(s, room ? rows + rows / 8 + 2 * ttt__session_chunk(s) : rows, err);

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
