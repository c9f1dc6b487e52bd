#include "libttt/state/members.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "libttt/file.h"
#include "libttt/learn/session.h"
#include "libttt/model/safetensors.h"

enum { PIECE = 16384 }; /* numbers converted at a time */

enum ttt_status
ttt__sink_put(struct ttt__sink *k, const void *p, size_t n, struct ttt_error *err)
{
	k->n += n;
	if (k->tar != NULL)
		return ttt__tar_out_data(k->tar, p, n, err);
	if (k->file != NULL)
		return ttt__write(k->file, k->label, p, n, err);
	ttt__checksum_add(&k->sum, p, n);
	return TTT_OK;
}

/* n numbers of four bytes, little-endian. */
static enum ttt_status
put_numbers(struct ttt__sink *k, const void *p, int64_t n, struct ttt_error *err)
{
	const unsigned char *at = p;
	struct ttt__bytes b = { 0 };
	enum ttt_status status = TTT_OK;

	while (n > 0 && status == TTT_OK) {
		size_t part = n < PIECE ? (size_t)n : PIECE;

		b.n = 0;
		status = ttt__safetensors_write_data(&b, at, part, err);
		if (status == TTT_OK)
			status = ttt__sink_put(k, b.p, b.n, err);
		at += part * 4;
		n -= (int64_t)part;
	}
	ttt__bytes_free(&b);
	return status;
}

static enum ttt_status
put_header(struct ttt__sink *k, const struct ttt__tensor_out *t, size_t n, struct ttt_error *err)
{
	static const char *const metadata[] = { "format", "pt", NULL };
	struct ttt__bytes b = { 0 };
	enum ttt_status status = ttt__safetensors_write_header(&b, t, n, metadata, NULL, err);

	if (status == TTT_OK)
		status = ttt__sink_put(k, b.p, b.n, err);
	ttt__bytes_free(&b);
	return status;
}

/* All of them, a piece at a time. */
static enum ttt_status
put_fast(struct ttt_state *s, enum ttt__fast which, struct ttt__sink *k, struct ttt_error *err)
{
	int64_t all = s->model->parameters.n_fast;
	float *w = ttt__new(PIECE, sizeof(*w));
	enum ttt_status status = w == NULL ? ttt__fail_memory(err, "the fast weights") : TTT_OK;

	for (int64_t from = 0; from < all && status == TTT_OK; from += PIECE) {
		int64_t n = all - from < PIECE ? all - from : PIECE;

		ttt__session_fast_read_part(s->session, which, from, n, w);
		for (int64_t i = 0; i < n && status == TTT_OK; i++)
			if (!isfinite(w[i]))
				status = ttt__fail(err, TTT_E_RANGE,
				    "the fast weights are no longer finite numbers: the rate is too large");
		if (status == TTT_OK)
			status = put_numbers(k, w, n, err);
	}
	free(w);
	return status;
}

static enum ttt_status
put_weights(struct ttt_state *s, enum ttt__fast which, struct ttt__sink *k, struct ttt_error *err)
{
	const struct ttt__parameters *p = &s->model->parameters;
	struct ttt__tensor_out *t = ttt__new((size_t)p->n, sizeof(*t));
	enum ttt_status status;
	size_t n = 0;

	if (t == NULL)
		return ttt__fail_memory(err, "the fast weights");
	for (int64_t i = 0; i < p->n; i++)
		if (p->p[i].offset >= p->fast_offset)
			t[n++] = (struct ttt__tensor_out){ .name = p->p[i].name, .n_dim = 2,
			    .dim = { p->p[i].rows, p->p[i].cols } };
	status = put_header(k, t, n, err);
	if (status == TTT_OK)
		status = put_fast(s, which, k, err);
	free(t);
	return status;
}

enum ttt_status
ttt__put_fast(struct ttt_state *s, struct ttt__sink *k, struct ttt_error *err)
{
	return put_weights(s, TTT__FAST_LAST, k, err);
}

enum ttt_status
ttt__put_mean(struct ttt_state *s, struct ttt__sink *k, struct ttt_error *err)
{
	return put_weights(s, TTT__FAST_MEAN, k, err);
}

enum ttt_status
ttt__put_good(struct ttt_state *s, struct ttt__sink *k, struct ttt_error *err)
{
	return put_weights(s, TTT__FAST_GOOD, k, err);
}

enum ttt_status
ttt__put_window(struct ttt_state *s, struct ttt__sink *k, struct ttt_error *err)
{
	int64_t L = s->model->config.n_layer, D = s->model->config.d_model, rows = ttt__session_window_rows(s->session);
	struct ttt__tensor_out *t = ttt__new((size_t)(2 * L), sizeof(*t));
	char (*name)[32] = ttt__new((size_t)(2 * L), sizeof(*name));
	float *kv = ttt__new((size_t)(2 * rows), (size_t)D * sizeof(*kv));
	enum ttt_status status;

	if (t == NULL || name == NULL || kv == NULL) {
		free(t);
		free(name);
		free(kv);
		return ttt__fail_memory(err, "the key-value window");
	}
	for (int64_t i = 0; i < 2 * L; i++) {
		(void)snprintf(name[i], sizeof(*name), "layers.%" PRId64 ".%c", i / 2, i % 2 == 0 ? 'k' : 'v');
		t[i] = (struct ttt__tensor_out){ .name = name[i], .n_dim = 2, .dim = { rows, D } };
	}
	status = put_header(k, t, (size_t)(2 * L), err);
	for (int64_t l = 0; l < L && status == TTT_OK; l++) {
		ttt__session_window_read(s->session, l, kv, kv + rows * D);
		status = put_numbers(k, kv, 2 * rows * D, err);
	}
	free(t);
	free(name);
	free(kv);
	return status;
}

enum ttt_status
ttt__put_pending(struct ttt_state *s, struct ttt__sink *k, struct ttt_error *err)
{
	int64_t n_id;
	size_t n_byte;
	const int32_t *id = ttt_session_pending(s->session, &n_id);
	const unsigned char *bytes = ttt_state_pending(s, &n_byte);
	char line[80];
	int n = snprintf(line, sizeof(line), "ttt-pending %zu %" PRId64 "\n", n_byte, n_id);
	enum ttt_status status = ttt__sink_put(k, line, (size_t)n, err);

	if (status == TTT_OK && n_byte > 0)
		status = ttt__sink_put(k, bytes, n_byte, err);
	return status == TTT_OK ? put_numbers(k, id, n_id, err) : status;
}

enum ttt_status
ttt__put_recent(struct ttt_state *s, struct ttt__sink *k, struct ttt_error *err)
{
	int64_t n;
	const int32_t *id = ttt__state_recent(s, &n);

	return put_numbers(k, id, n, err);
}

enum ttt_status
ttt__put_sources(struct ttt_state *s, struct ttt__sink *k, struct ttt_error *err)
{
	enum ttt_status status = ttt__sink_put(k, "bytes\tname\n", 11, err);
	char line[4 * TTT__NAME_MAX + 64];

	for (size_t i = 0; i < s->sources.n && status == TTT_OK; i++) {
		int n = snprintf(line, 64, "%" PRId64 "\t", s->sources.p[i].n_byte);

		ttt__name_escape(line + n, s->sources.p[i].name);
		status = ttt__sink_put(k, line, strlen(line), err);
		if (status == TTT_OK)
			status = ttt__sink_put(k, "\n", 1, err);
	}
	return status;
}

enum ttt_status
ttt__put_passages(struct ttt_state *s, struct ttt__sink *k, struct ttt_error *err)
{
	enum ttt_status status = TTT_OK;
	char line[4 * TTT__NAME_MAX + 64];
	struct ttt__record_at r;

	for (size_t i = 0; i < ttt__passages_count(&s->passages) && status == TTT_OK; i++) {
		size_t n;

		status = ttt__passages_read(&s->passages, i, &r, s->text, err);
		if (status != TTT_OK)
			break;
		ttt__name_escape(line, s->sources.p[r.source].name);
		n = strlen(line);
		n += (size_t)snprintf(line + n, 64, "\t%" PRId64 "\t%" PRIu32 "\n", r.first_line, r.n);
		status = ttt__sink_put(k, line, n, err);
		if (status == TTT_OK)
			status = ttt__sink_put(k, s->text, r.n, err);
	}
	return status;
}

enum ttt_status
ttt__put_curve(struct ttt_state *s, struct ttt__sink *k, struct ttt_error *err)
{
	struct ttt__bytes b = { 0 };
	enum ttt_status status = ttt__curve_format(&s->curve, &b, err);

	if (status == TTT_OK)
		status = ttt__sink_put(k, b.p, b.n, err);
	ttt__bytes_free(&b);
	return status;
}
