/* The numbers of a state: weights, window, tokens. Their shapes come from the model; the file has to have just
 * these. */
#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "libttt/learn/session.h"
#include "libttt/model/safetensors.h"
#include "libttt/state/reader.h"

/* The most a safetensors header of ours takes: this for each tensor, and as much once. */
enum { HEADER = 512, MAX_PENDING = 1 << 20 };

/* The size of n_tensor tensors with n_float numbers in all. */
static uint64_t
size_max(int64_t n_tensor, int64_t n_float)
{
	size_t n;

	return ttt__size_mul(&n, (size_t)n_float, 4) && ttt__size_add(&n, n, (size_t)(n_tensor + 1) * HEADER) ? n : 0;
}

/* Read the member as safetensors; it must hold n tensors. b keeps the bytes that t points into. */
static enum ttt_status
read_tensors(struct ttt__reader *r, struct ttt__safetensors *t, struct ttt__bytes *b, int64_t n, uint64_t max,
    struct ttt_error *err)
{
	char label[512];
	enum ttt_status status = ttt__reader_all(r, b, max, err);

	if (status != TTT_OK)
		return status;
	(void)snprintf(label, sizeof(label), "%.300s: %s", r->label, r->member->name);
	status = ttt__safetensors_parse(t, b->p != NULL ? (const void *)b->p : "", b->n, label, err);
	if (status != TTT_OK)
		return status;
	if (t->n == (uint64_t)n)
		return TTT_OK;
	status = ttt__fail(err, TTT_E_FORMAT, "%s: %zu tensors, but the model has %" PRId64, label, t->n, n);
	ttt__safetensors_free(t);
	return status;
}

/* One tensor, F32 of just this shape and finite, to out. */
static enum ttt_status
take_tensor(const struct ttt__safetensors *t, const char *name, int64_t rows, int64_t cols, float *out,
    struct ttt_error *err)
{
	const struct ttt__tensor *x = ttt__safetensors_find(t, name);

	if (x == NULL)
		return ttt__fail(err, TTT_E_FORMAT, "%s: tensor '%s' is missing", t->label, name);
	if (x->dtype != TTT__F32)
		return ttt__fail(err, TTT_E_FORMAT, "%s: tensor '%s' is not F32", t->label, name);
	if (x->n_dim != 2 || x->dim[0] != rows || x->dim[1] != cols)
		return ttt__fail(err, TTT_E_SHAPE,
		    "%s: tensor '%s' is not [%" PRId64 ", %" PRId64 "] as the model has it", t->label,
		    name, rows, cols);
	return ttt__safetensors_f32(t, x, out, err);
}

static enum ttt_status
load_weights(struct ttt__reader *r, struct ttt_state *s, enum ttt__fast which, struct ttt_error *err)
{
	const struct ttt__parameters *p = &s->model->parameters;
	struct ttt__bytes b = { 0 };
	struct ttt__safetensors t = { 0 };
	float *w = ttt__new((size_t)p->n_fast, sizeof(*w));
	int64_t n = 3 * s->model->config.n_layer_suffix;
	enum ttt_status status = w != NULL ? read_tensors(r, &t, &b, n, size_max(n, p->n_fast), err)
	    : ttt__fail_memory(err, "the fast weights");

	for (int64_t i = 0; i < p->n && status == TTT_OK; i++)
		if (p->p[i].offset >= p->fast_offset && p->p[i].n > 0 && p->n_fast > 0)
			status = take_tensor(&t, p->p[i].name, p->p[i].rows, p->p[i].cols,
			    w + (p->p[i].offset - p->fast_offset), err);
	if (status == TTT_OK)
		status = ttt__session_fast_write(s->session, which, w, err);
	ttt__safetensors_free(&t);
	ttt__bytes_free(&b);
	free(w);
	return status;
}

enum ttt_status
ttt__load_fast(struct ttt__reader *r, struct ttt_state *s, struct ttt_error *err)
{
	return load_weights(r, s, TTT__FAST_LAST, err);
}

enum ttt_status
ttt__load_mean(struct ttt__reader *r, struct ttt_state *s, struct ttt_error *err)
{
	return load_weights(r, s, TTT__FAST_MEAN, err);
}

enum ttt_status
ttt__load_good(struct ttt__reader *r, struct ttt_state *s, struct ttt_error *err)
{
	return load_weights(r, s, TTT__FAST_GOOD, err);
}

enum ttt_status
ttt__load_window(struct ttt__reader *r, struct ttt_state *s, struct ttt_error *err)
{
	const struct ttt_state_info *i = &r->manifest->info;
	int64_t rows = ttt__state_rows(s->model, i->n_token - i->n_pending_token), L = s->model->config.n_layer,
	    D = s->model->config.d_model, n;
	struct ttt__bytes b = { 0 };
	struct ttt__safetensors t = { 0 };
	enum ttt_status status;
	float *kv = NULL;
	char name[32];

	if (!ttt__i64_mul(&n, rows, D) || !ttt__i64_mul(&n, n, 2 * L))
		return ttt__reader_fail(r, "is larger than it can be", err);
	status = read_tensors(r, &t, &b, 2 * L, size_max(2 * L, n), err);
	if (status == TTT_OK && b.n < (size_t)n * 4)
		status = ttt__reader_fail(r, "is smaller than the window", err);
	if (status == TTT_OK && (kv = ttt__new((size_t)(2 * rows), (size_t)D * sizeof(*kv))) == NULL)
		status = ttt__fail_memory(err, "the key-value window");
	if (status == TTT_OK)
		status = ttt__session_window_resize(s->session, rows, err);
	for (int64_t l = 0; l < L && status == TTT_OK; l++) {
		for (int64_t v = 0; v < 2 && status == TTT_OK; v++) {
			(void)snprintf(name, sizeof(name), "layers.%" PRId64 ".%c", l, v == 0 ? 'k' : 'v');
			status = take_tensor(&t, name, rows, D, kv + v * rows * D, err);
		}
		if (status == TTT_OK)
			ttt__session_window_write(s->session, l, kv, kv + rows * D);
	}
	ttt__safetensors_free(&t);
	ttt__bytes_free(&b);
	free(kv);
	return status;
}

/* n token ids of the vocabulary. */
static enum ttt_status
read_ids(struct ttt__reader *r, const struct ttt_state *s, int32_t *id, int64_t n, struct ttt_error *err)
{
	enum ttt_status status = ttt__reader_get(r, id, (size_t)n * sizeof(*id), err);

	for (int64_t i = 0; i < n && status == TTT_OK; i++) {
		id[i] = (int32_t)le32toh((uint32_t)id[i]);
		if (id[i] < 0 || id[i] >= s->model->config.n_vocab)
			status = ttt__reader_fail(r, "holds a token outside the vocabulary", err);
	}
	return status;
}

/* The bytes that the tokenizer held back: given to a new one, it holds them back again. */
static enum ttt_status
restore_encoder(struct ttt__reader *r, struct ttt_state *s, size_t n, struct ttt_error *err)
{
	unsigned char *bytes = ttt__new(n, 1);
	const unsigned char *held = NULL;
	size_t n_held = 0;
	enum ttt_status status;

	if (bytes == NULL)
		return ttt__fail_memory(err, r->label);
	status = ttt__reader_get(r, bytes, n, err);
	if (status == TTT_OK && n > 0) {
		if (s->encoder == NULL)
			status = ttt__reader_fail(r, "holds text, but the model has no tokenizer", err);
		s->ids.n = 0;
		if (status == TTT_OK)
			status = ttt_encoder_feed(s->encoder, &s->ids, bytes, n, err);
		if (status == TTT_OK)
			held = ttt_encoder_pending(s->encoder, &n_held);
		if (status == TTT_OK && (s->ids.n > 0 || n_held != n || memcmp(held, bytes, n) != 0))
			status = ttt__reader_fail(r, "holds bytes that the tokenizer would not hold back", err);
	}
	free(bytes);
	return status;
}

enum ttt_status
ttt__load_pending(struct ttt__reader *r, struct ttt_state *s, struct ttt_error *err)
{
	const struct ttt_state_info *i = &r->manifest->info;
	char line[80], want[80];
	int32_t *id;
	enum ttt_status status;

	if (i->n_pending_byte > MAX_PENDING)
		return ttt__reader_fail(r, "is larger than it can be", err);
	status = ttt__reader_line(r, line, sizeof(line), err);
	if (status != TTT_OK)
		return status;
	(void)snprintf(want, sizeof(want), "ttt-pending %" PRId64 " %" PRId64, i->n_pending_byte, i->n_pending_token);
	if (strcmp(line, want) != 0)
		return ttt__reader_fail(r, "does not begin as manifest.json says", err);
	if (s->encoder != NULL && r->manifest->begun)
		ttt_encoder_continue(s->encoder);
	status = restore_encoder(r, s, (size_t)i->n_pending_byte, err);
	if (status != TTT_OK)
		return status;
	id = ttt__new((size_t)i->n_pending_token, sizeof(*id));
	status = id != NULL ? read_ids(r, s, id, i->n_pending_token, err) : ttt__fail_memory(err, r->label);
	if (status == TTT_OK)
		status = ttt__session_stream_set(s->session, id, i->n_pending_token, i->n_token - i->n_pending_token,
		    err);
	free(id);
	return status;
}

enum ttt_status
ttt__load_recent(struct ttt__reader *r, struct ttt_state *s, struct ttt_error *err)
{
	const struct ttt_state_info *i = &r->manifest->info;
	int64_t n_done = i->n_token - i->n_pending_token, max = ttt__state_n_recent_max(s), n_pending;
	int64_t n = n_done < max ? n_done : max;
	int32_t *id = ttt__new((size_t)n, sizeof(*id));
	const int32_t *pending;
	enum ttt_status status = id != NULL ? read_ids(r, s, id, n, err) : ttt__fail_memory(err, r->label);

	if (status == TTT_OK) {
		pending = ttt_session_pending(s->session, &n_pending);
		ttt__state_note(s, id, n);
		ttt__state_note(s, pending, n_pending);
		s->n_fed = i->n_token;
	}
	free(id);
	return status;
}
