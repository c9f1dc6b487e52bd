/* Loading in two passes: first every header is held against the table of parameters, which bounds all memory by what
 * the files really hold; then the weights are used where they lie in the mapped file, when it has them in the order of the
 * table and in the type wanted, as every file written by this library has, or they are converted piece by piece onto the device. */
#include "libttt/model/weights.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libttt/model/bf16.h"
#include "libttt/model/index.h"

enum { PIECE = 1 << 16, MAX_INDEX = 16 << 20 }; /* elements converted at a time */

/* One file of weights: its header, and for each tensor the parameter that it fills. */
struct shard {
	char *label;
	struct ttt__safetensors tensors;
	const struct ttt__parameter **owner; /* [tensors.n] NULL: nobody asked for it */
};

static enum ttt_status
read_header(struct shard *s, const struct ttt__blob *file, struct ttt_error *err)
{
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): shard_free frees the label */
	enum ttt_status status = ttt__safetensors_parse(&s->tensors, file->p, file->n, s->label, err);

	if (status != TTT_OK)
		return status;
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers is meant */
	s->owner = ttt__new(s->tensors.n, sizeof(*s->owner));
	return s->owner == NULL ? ttt__fail_memory(err, s->label) : TTT_OK;
}

static void
shape_text(char *out, size_t n, int n_dim, const int64_t *dim)
{
	size_t at = 0;

	for (int i = 0; i < n_dim; i++)
		at += (size_t)snprintf(out + at, n - at, "%s%lld", i > 0 ? ", " : "", (long long)dim[i]);
	if (n_dim == 0)
		out[0] = '\0';
}

/* Find parameter p in the shard, hold its shape against the configuration's, and take it. */
static enum ttt_status
claim(struct shard *s, const struct ttt__parameter *p, struct ttt_error *err)
{
	const struct ttt__tensor *t = ttt__safetensors_find(&s->tensors, p->name);
	const int64_t dim[2] = { p->rows, p->cols };
	int n_dim = p->cols > 0 ? 2 : 1;
	char got[96], want[96];

	if (t == NULL)
		return ttt__fail(err, TTT_E_FORMAT, "%s: tensor '%s' is missing", s->label, p->name);
	if (t->n_dim != n_dim || memcmp(t->dim, dim, (size_t)n_dim * sizeof(dim[0])) != 0) {
		shape_text(got, sizeof(got), t->n_dim, t->dim);
		shape_text(want, sizeof(want), n_dim, dim);
		return ttt__fail(err, TTT_E_SHAPE, "%s: tensor '%s' is [%s] but config.json says [%s]", s->label,
		    p->name, got, want);
	}
	if (t->dtype != TTT__F32 && t->dtype != TTT__F16 && t->dtype != TTT__BF16 && t->dtype != TTT__F64)
		return ttt__fail(err, TTT_E_UNSUPPORTED, "%s: tensor '%s' is not F32, F16, BF16 or F64", s->label,
		    p->name);
	s->owner[t - s->tensors.tensor] = p;
	return TTT_OK;
}

/* A piece on its way onto the device: as read, and rounded. */
struct piece {
	float x[PIECE];
	uint16_t half[PIECE];
};

/* Whether parameter p is used where it lies in the file. */
static bool
is_in_place(const struct ttt_model *m, const struct ttt__parameter *p)
{
	return m->half != NULL && ttt__parameter_halves(&m->parameters, p) ? m->half_copy == NULL : m->copy == NULL;
}

/* n elements of the piece to where parameter p is kept, from its element at on; one that is used in place is not copied. */
static enum ttt_status
put_piece(struct ttt_model *m, const struct ttt__parameter *p, size_t at, struct piece *piece, size_t n, struct ttt_error *err)
{
	int64_t to = p->offset + (int64_t)at;

	if (is_in_place(m, p))
		return TTT_OK;
	if (m->half == NULL || !ttt__parameter_halves(&m->parameters, p)) {
		m->device->ops->upload(m->device, m->copy + to, piece->x, n * sizeof(*piece->x));
		return TTT_OK;
	}
	for (size_t i = 0; i < n; i++)
		if (!ttt__bf16_round(&piece->half[i], piece->x[i]))
			return ttt__fail(err, TTT_E_RANGE, "tensor '%s': %g is beyond the range of bfloat16", p->name, (double)piece->x[i]);
	m->device->ops->upload(m->device, m->half_copy + to, piece->half, n * sizeof(*piece->half));
	return TTT_OK;
}

/* Convert one tensor, piece by piece, onto the device. What was converted is not needed in the file's memory any more; two pieces are given
 * back at a time, since they do not begin and end where pages do. */
static enum ttt_status
copy_tensor(struct ttt_model *m, const struct shard *s, size_t i, struct piece *piece, struct ttt_error *err)
{
	const struct ttt__tensor *t = &s->tensors.tensor[i];
	size_t size = t->n_element > 0 ? t->n_byte / t->n_element : 0;
	enum ttt_status status = TTT_OK;

	for (size_t at = 0, n; at < t->n_element && status == TTT_OK; at += n) {
		n = t->n_element - at < PIECE ? t->n_element - at : PIECE;
		status = ttt__safetensors_convert(&s->tensors, t, at, n, piece->x, err);
		if (status == TTT_OK)
			status = put_piece(m, s->owner[i], at, piece, n, err);
		if (!is_in_place(m, s->owner[i])) {
			size_t from = (at < PIECE ? 0 : at - PIECE) * size, to = (at + n) * size;

			ttt__file_release(s->tensors.data + t->offset + from, to - from);
		}
	}
	return status;
}

/* The tensor with which all parameters begin, one after the other as in the table and all of one type; NULL: they do not lie so.
 * Between tensors of a file nothing lies. */
static const struct ttt__tensor *
find_in_order(const struct shard *s, const struct ttt__parameters *p, enum ttt__tensor_type dtype)
{
	size_t first = 0, n = (size_t)p->n;

	while (first < s->tensors.n && s->owner[first] != &p->p[0])
		first++;
	if (n > s->tensors.n - first || htole32(1) != 1)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (s->owner[first + i] != &p->p[i] || s->tensors.tensor[first + i].dtype != dtype)
			return NULL;
	return &s->tensors.tensor[first];
}

/* Use the weights where they lie. m->weights stays NULL when that cannot be, and so m->half. */
static enum ttt_status
use_in_place(struct ttt_model *m, const struct shard *s, struct ttt_error *err)
{
	const struct ttt__tensor *first = find_in_order(s, &m->parameters, TTT__F32),
	    *half = m->device->precision == TTT_BF16 ? find_in_order(s, &m->parameters, TTT__BF16) : NULL;
	const void *at = NULL;
	enum ttt_status status = TTT_OK;

	if (first != NULL)
		at = m->device->ops->adopt(m->device, s->tensors.data + first->offset,
		    (size_t)m->parameters.n_float * sizeof(*m->weights));
	for (int64_t i = 0; at != NULL && i < m->parameters.n && status == TTT_OK; i++)
		status = ttt__safetensors_check_f32(&s->tensors, &first[i], err);
	m->weights = at;
	if (half != NULL)
		m->half = m->device->ops->adopt(m->device, s->tensors.data + half->offset,
		    (size_t)m->parameters.fast_offset * sizeof(*m->half));
	return status;
}

/* Memory on the device for what is not used in place. */
static enum ttt_status
make_copies(struct ttt_model *m, struct ttt_error *err)
{
	enum ttt_status status = TTT_OK;

	if (m->weights == NULL)
		status = ttt__device_floats(m->device, &m->copy, m->parameters.n_float, "the model's weights", err);
	if (status == TTT_OK && m->device->precision == TTT_BF16 && m->half == NULL)
		status = ttt__device_halves(m->device, &m->half_copy, m->parameters.fast_offset, "the model's weights", err);
	if (m->copy != NULL)
		m->weights = m->copy;
	if (m->half_copy != NULL)
		m->half = m->half_copy;
	return status;
}

static enum ttt_status
copy_all(struct ttt_model *m, const struct shard *s, size_t n, struct ttt_error *err)
{
	struct piece *piece = malloc(sizeof(*piece));
	enum ttt_status status;

	if (piece == NULL)
		return ttt__fail_memory(err, "weights");
	status = make_copies(m, err);
	for (size_t i = 0; i < n && status == TTT_OK; i++)
		for (size_t j = 0; j < s[i].tensors.n && status == TTT_OK; j++)
			if (s[i].owner[j] != NULL)
				status = copy_tensor(m, &s[i], j, piece, err);
	free(piece);
	return status;
}

static void
shard_free(struct shard *s)
{
	ttt__safetensors_free(&s->tensors);
	free(s->label);
	free(s->owner);
}

/* Room to remember n files of weights. */
static enum ttt_status
reserve_files(struct ttt_model *m, size_t n, const char *label, struct ttt_error *err)
{
	m->weights_file = ttt__new(n, sizeof(*m->weights_file));
	if (m->weights_file == NULL)
		return ttt__fail_memory(err, label);
	m->n_weights_file = n;
	return TTT_OK;
}

/* The file is m->weights_file[0]. */
static enum ttt_status
load_single(struct ttt_model *m, struct shard *s, struct ttt_error *err)
{
	enum ttt_status status = read_header(s, &m->weights_file[0], err);

	for (int64_t i = 0; i < m->parameters.n && status == TTT_OK; i++)
		status = claim(s, &m->parameters.p[i], err);
	if (status == TTT_OK)
		status = use_in_place(m, s, err);
	if (status == TTT_OK && (m->weights == NULL || m->device->precision == TTT_BF16))
		status = copy_all(m, s, 1, err);
	return status;
}

static enum ttt_status
open_shard(struct shard *s, struct ttt__blob *file, const char *dir, const char *name, struct ttt_error *err)
{
	enum ttt_status status;

	s->label = ttt__path_in(dir, name);
	if (s->label == NULL)
		return ttt__fail_memory(err, name);
	status = ttt__file_map(file, s->label, err);
	return status == TTT_OK ? read_header(s, file, err) : status;
}

static enum ttt_status
load_index(struct ttt_model *m, const char *dir, const struct ttt__index *x, struct ttt_error *err)
{
	struct shard *s = ttt__new(x->n_shard, sizeof(*s));
	const struct ttt__index_entry *e;
	enum ttt_status status;
	size_t i;

	if (s == NULL)
		return ttt__fail_memory(err, x->label);
	status = reserve_files(m, x->n_shard, x->label, err);
	for (i = 0; i < x->n_shard && status == TTT_OK; i++) {
		status = open_shard(&s[i], &m->weights_file[i], dir, x->shard[i], err);
		if (status == TTT_OK)
			status = ttt__index_check(x, i, &s[i].tensors, err);
	}
	for (int64_t j = 0; j < m->parameters.n && status == TTT_OK; j++) {
		e = ttt__index_find(x, m->parameters.p[j].name);
		status = e != NULL ? claim(&s[e->shard], &m->parameters.p[j], err)
		    : ttt__fail(err, TTT_E_FORMAT, "%s: tensor '%s' is missing", x->label, m->parameters.p[j].name);
	}
	if (status == TTT_OK)
		status = copy_all(m, s, x->n_shard, err);
	for (i = 0; i < x->n_shard; i++)
		shard_free(&s[i]);
	free(s);
	return status;
}

static enum ttt_status
load_sharded(struct ttt_model *m, const char *dir, struct ttt_error *err)
{
	char *path = ttt__path_in(dir, "model.safetensors.index.json");
	struct ttt__bytes json = { 0 };
	struct ttt__index x;
	enum ttt_status status;

	if (path == NULL)
		return ttt__fail_memory(err, dir);
	if (access(path, F_OK) != 0)
		status = ttt__fail(err, TTT_E_IO,
		    "%s: neither model.safetensors nor model.safetensors.index.json is there", dir);
	else
		status = ttt__file_read(&json, path, MAX_INDEX, err);
	if (status == TTT_OK)
		status = ttt__index_parse(&x, json.p, json.n, path, err);
	ttt__bytes_free(&json);
	if (status == TTT_OK) {
		status = load_index(m, dir, &x, err);
		ttt__index_free(&x);
	}
	free(path);
	return status;
}

enum ttt_status
ttt__weights_load(struct ttt_model *m, const char *dir, struct ttt_error *err)
{
	struct shard s = { .label = ttt__path_in(dir, "model.safetensors") };
	enum ttt_status status;

	if (s.label == NULL)
		return ttt__fail_memory(err, dir);
	if (access(s.label, F_OK) != 0 && errno == ENOENT)
		status = load_sharded(m, dir, err);
	else if ((status = reserve_files(m, 1, s.label, err)) == TTT_OK &&
	    (status = ttt__file_map(&m->weights_file[0], s.label, err)) == TTT_OK)
		status = load_single(m, &s, err);
	shard_free(&s);
	return status;
}

enum ttt_status
ttt__weights_load_blob(struct ttt_model *m, const struct ttt__blob *blob, const char *label, struct ttt_error *err)
{
	struct shard s = { .label = strdup(label) };
	enum ttt_status status = s.label == NULL ? ttt__fail_memory(err, label) : reserve_files(m, 1, label, err);

	if (status == TTT_OK) {
		m->weights_file[0] = *blob;
		status = load_single(m, &s, err);
	}
	shard_free(&s);
	return status;
}
