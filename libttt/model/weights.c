/* Loading in two passes: first every header is held against the table of parameters, which bounds all memory by what
 * the files really hold; then each file is read once from front to back, hashed, converted piece by piece and put on
 * the device. */
#include "libttt/model/weights.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libttt/file.h"
#include "libttt/model/index.h"
#include "libttt/model/json.h"

enum { PIECE = 1 << 18, MAX_INDEX = 16 << 20 }; /* elements converted at a time */

/* One file of weights: its header, and for each tensor the parameter that it fills. */
struct shard {
	FILE *f;
	char *label;
	uint64_t size;
	unsigned char length[8];
	unsigned char *header;
	size_t n_header;
	struct ttt__safetensors tensors;
	const struct ttt__parameter **owner; /* [tensors.n] NULL: nobody asked for it */
};

struct buffers {
	unsigned char *raw; /* [PIECE * 8] */
	float *f32;         /* [PIECE] */
};

enum ttt_status
ttt__model_file_open(FILE **out, uint64_t *size, const char *path, struct ttt_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a named pipe is refused, not waited for */
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0) {
		(void)ttt__fail(err, TTT_E_IO, "%s: cannot open: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return TTT_E_IO;
	}
	if (!S_ISREG(st.st_mode)) {
		close(fd);
		return ttt__fail(err, TTT_E_IO, "%s: cannot open: not a regular file", path);
	}
	*size = (uint64_t)st.st_size;
	*out = fdopen(fd, "rb");
	if (*out == NULL) {
		close(fd);
		return ttt__fail_memory(err, path);
	}
	return TTT_OK;
}

static enum ttt_status
read_exactly(const struct shard *s, void *p, size_t n, struct ttt_error *err)
{
	if (fread(p, 1, n, s->f) == n)
		return TTT_OK;
	if (ferror(s->f))
		return ttt__fail(err, TTT_E_IO, "%s: cannot read: %s", s->label, strerror(errno));
	return ttt__fail(err, TTT_E_FORMAT, "%s: ends before its data does", s->label);
}

static enum ttt_status
read_header(struct shard *s, struct ttt_error *err)
{
	enum ttt_status status = TTT_OK;

	if (s->size >= 8)
		status = read_exactly(s, s->length, 8, err);
	if (status == TTT_OK)
		status = ttt__safetensors_header_length(&s->n_header, s->length, s->size, s->label, err);
	if (status != TTT_OK)
		return status;
	s->header = ttt__new(s->n_header, 1);
	if (s->header == NULL)
		return ttt__fail_memory(err, s->label);
	status = read_exactly(s, s->header, s->n_header, err);
	if (status == TTT_OK)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): shard_free frees the label */
		status = ttt__safetensors_parse_header(&s->tensors, s->header, s->n_header,
		    (size_t)(s->size - 8 - s->n_header), s->label, err);
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

/* Read, hash and upload one tensor; without an owner read and hash it only. */
static enum ttt_status
load_tensor(struct ttt_model *m, struct shard *s, size_t i, struct ttt__checksum *sum, const struct buffers *b,
    struct ttt_error *err)
{
	const struct ttt__parameter *p = s->owner[i];
	struct ttt__tensor part = s->tensors.tensor[i];
	size_t left = part.n_element, size = left > 0 ? part.n_byte / left : 1;
	enum ttt_status status = TTT_OK;
	float *to = p != NULL ? m->weights + p->offset : NULL;

	while (left > 0 && status == TTT_OK) {
		part.n_element = left < PIECE ? left : PIECE;
		status = read_exactly(s, b->raw, part.n_element * size, err);
		if (status != TTT_OK)
			break;
		ttt__checksum_add(sum, b->raw, part.n_element * size);
		if (p != NULL) {
			status = ttt__safetensors_convert(&s->tensors, &part, b->raw, b->f32, err);
			if (status == TTT_OK)
				m->device->ops->upload(m->device, to, b->f32, part.n_element * sizeof(float));
			to += part.n_element;
		}
		left -= part.n_element;
	}
	return status;
}

static enum ttt_status
load_shard(struct ttt_model *m, struct shard *s, struct ttt__checksum *sum, const struct buffers *b,
    struct ttt_error *err)
{
	struct ttt__checksum own;
	enum ttt_status status = TTT_OK;
	char hex[65];

	ttt__checksum_start(&own);
	ttt__checksum_add(&own, s->length, 8);
	ttt__checksum_add(&own, s->header, s->n_header);
	for (size_t i = 0; i < s->tensors.n && status == TTT_OK; i++)
		status = load_tensor(m, s, i, &own, b, err);
	ttt__checksum_end(&own, hex);
	ttt__checksum_add(sum, "weights ", 8);
	ttt__checksum_add(sum, hex, 64);
	ttt__checksum_add(sum, "\n", 1);
	return status;
}

static enum ttt_status
load_all(struct ttt_model *m, struct shard *s, size_t n, struct ttt__checksum *sum, struct ttt_error *err)
{
	struct buffers b = { .raw = malloc((size_t)PIECE * 8), .f32 = malloc((size_t)PIECE * sizeof(float)) };
	enum ttt_status status = TTT_OK;

	if (b.raw == NULL || b.f32 == NULL)
		status = ttt__fail_memory(err, "weights");
	if (status == TTT_OK)
		status = ttt__device_floats(m->device, &m->weights, m->parameters.n_float, "the model's weights", err);
	for (size_t i = 0; i < n && status == TTT_OK; i++)
		status = load_shard(m, &s[i], sum, &b, err);
	free(b.raw);
	free(b.f32);
	return status;
}

static void
shard_free(struct shard *s)
{
	if (s->f != NULL)
		fclose(s->f);
	ttt__safetensors_free(&s->tensors);
	free(s->label);
	free(s->header);
	free(s->owner);
}

static char *
join(const char *dir, const char *name)
{
	size_t n = strlen(dir) + strlen(name) + 2;
	char *path = ttt__new(n, 1);

	if (path != NULL)
		(void)snprintf(path, n, "%s/%s", dir, name);
	return path;
}

static enum ttt_status
load_single(struct ttt_model *m, struct shard *s, struct ttt__checksum *sum, struct ttt_error *err)
{
	enum ttt_status status = read_header(s, err);

	for (int64_t i = 0; i < m->parameters.n && status == TTT_OK; i++)
		status = claim(s, &m->parameters.p[i], err);
	return status == TTT_OK ? load_all(m, s, 1, sum, err) : status;
}

static enum ttt_status
open_shard(struct shard *s, const char *dir, const char *name, struct ttt_error *err)
{
	enum ttt_status status;

	s->label = join(dir, name);
	if (s->label == NULL)
		return ttt__fail_memory(err, name);
	status = ttt__model_file_open(&s->f, &s->size, s->label, err);
	return status == TTT_OK ? read_header(s, err) : status;
}

static enum ttt_status
load_index(struct ttt_model *m, const char *dir, const struct ttt__index *x, struct ttt__checksum *sum,
    struct ttt_error *err)
{
	struct shard *s = ttt__new(x->n_shard, sizeof(*s));
	const struct ttt__index_entry *e;
	enum ttt_status status = TTT_OK;
	size_t i;

	if (s == NULL)
		return ttt__fail_memory(err, x->label);
	for (i = 0; i < x->n_shard && status == TTT_OK; i++) {
		status = open_shard(&s[i], dir, x->shard[i], err);
		if (status == TTT_OK)
			status = ttt__index_check(x, i, &s[i].tensors, err);
	}
	for (int64_t j = 0; j < m->parameters.n && status == TTT_OK; j++) {
		e = ttt__index_find(x, m->parameters.p[j].name);
		status = e != NULL ? claim(&s[e->shard], &m->parameters.p[j], err)
		    : ttt__fail(err, TTT_E_FORMAT, "%s: tensor '%s' is missing", x->label, m->parameters.p[j].name);
	}
	if (status == TTT_OK)
		status = load_all(m, s, x->n_shard, sum, err);
	for (i = 0; i < x->n_shard; i++)
		shard_free(&s[i]);
	free(s);
	return status;
}

static enum ttt_status
load_sharded(struct ttt_model *m, const char *dir, struct ttt__checksum *sum, struct ttt_error *err)
{
	char *path = join(dir, "model.safetensors.index.json");
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
		status = load_index(m, dir, &x, sum, err);
		ttt__index_free(&x);
	}
	free(path);
	return status;
}

enum ttt_status
ttt__weights_load(struct ttt_model *m, const char *dir, struct ttt__checksum *sum, struct ttt_error *err)
{
	struct shard s = { .label = join(dir, "model.safetensors") };
	enum ttt_status status;

	if (s.label == NULL)
		return ttt__fail_memory(err, dir);
	if (access(s.label, F_OK) != 0 && errno == ENOENT)
		status = load_sharded(m, dir, sum, err);
	else if ((status = ttt__model_file_open(&s.f, &s.size, s.label, err)) == TTT_OK)
		status = load_single(m, &s, sum, err);
	shard_free(&s);
	return status;
}

enum ttt_status
ttt__weights_load_blob(struct ttt_model *m, const struct ttt__blob *blob, const char *label, struct ttt__checksum *sum,
    struct ttt_error *err)
{
	/* fmemopen's "r" never writes: the cast drops a const that holds */
	struct shard s = { .label = strdup(label), .f = fmemopen((void *)(uintptr_t)blob->p, blob->n, "r"),
	    .size = blob->n };
	enum ttt_status status;

	if (s.label == NULL || s.f == NULL)
		status = ttt__fail_memory(err, label);
	else
		status = load_single(m, &s, sum, err);
	shard_free(&s);
	return status;
}
