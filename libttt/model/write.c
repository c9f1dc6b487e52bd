#include "libttt/model/write.h"

#include <stdlib.h>

#include "libttt/model/model.h"
#include "libttt/model/safetensors.h"

enum { PIECE = 1 << 16 }; /* numbers written at a time */

enum ttt_status
ttt__model_write_file(const char *dir, const char *name, const struct ttt__blob *bytes, struct ttt_error *err)
{
	char *path = ttt__path_in(dir, name);
	enum ttt_status status = path != NULL ? ttt__file_write(path, bytes->p, bytes->n, true, err) : ttt__fail_memory(err, dir);

	free(path);
	return status;
}

/* Weights on their way into a file. */
struct writer {
	struct ttt__replace file;
	enum ttt_dtype dtype;
	ttt__model_source_fn *source;
	void *ctx;
	struct ttt__bytes b;
	float piece[PIECE];
};

static enum ttt_status
write_header(struct writer *w, const struct ttt__parameters *p, struct ttt_error *err)
{
	static const char *const metadata[] = { "format", "pt", NULL };
	struct ttt__tensor_out *t = ttt__new((size_t)p->n, sizeof(*t));
	enum ttt_status status;

	if (t == NULL)
		return ttt__fail_memory(err, w->file.path);
	for (int64_t i = 0; i < p->n; i++)
		t[i] = (struct ttt__tensor_out){ .name = p->p[i].name, .bf16 = w->dtype == TTT_BF16,
			.n_dim = p->p[i].cols > 0 ? 2 : 1, .dim = { p->p[i].rows, p->p[i].cols } };
	status = ttt__safetensors_write_header(&w->b, t, (size_t)p->n, metadata, NULL, err);
	free(t);
	return status == TTT_OK ? ttt__write(w->file.f, w->file.path, w->b.p, w->b.n, err) : status;
}

static enum ttt_status
write_piece(struct writer *w, const struct ttt__parameter *p, int64_t first, size_t n, struct ttt_error *err)
{
	enum ttt_status status;

	w->source(w->ctx, p, first, n, w->piece);
	w->b.n = 0;
	if (w->dtype == TTT_BF16)
		status = ttt__safetensors_write_bf16(&w->b, w->piece, n, err);
	else
		status = ttt__safetensors_write_data(&w->b, w->piece, n, err);
	if (status == TTT_E_RANGE && err != NULL)
		return ttt__fail(err, status, "%s: tensor '%s': %s", w->file.path, p->name, err->text);
	return status == TTT_OK ? ttt__write(w->file.f, w->file.path, w->b.p, w->b.n, err) : status;
}

static enum ttt_status
write_all(struct writer *w, const struct ttt__parameters *p, struct ttt_error *err)
{
	enum ttt_status status = write_header(w, p, err);

	for (int64_t i = 0; i < p->n; i++)
		for (int64_t at = 0; at < p->p[i].n && status == TTT_OK; at += PIECE)
			status = write_piece(w, &p->p[i], at,
			    p->p[i].n - at < PIECE ? (size_t)(p->p[i].n - at) : PIECE, err);
	return status;
}

enum ttt_status
ttt__model_write_weights(const char *dir, const struct ttt__parameters *p, enum ttt_dtype dtype,
    ttt__model_source_fn *source, void *ctx, struct ttt_error *err)
{
	struct writer *w = ttt__new(1, sizeof(*w));
	char *path = ttt__path_in(dir, "model.safetensors");
	enum ttt_status status;

	if (w == NULL || path == NULL) {
		free(path);
		free(w);
		return ttt__fail_memory(err, dir);
	}
	w->dtype = dtype;
	w->source = source;
	w->ctx = ctx;
	status = ttt__replace_open(&w->file, path, true, err);
	if (status == TTT_OK)
		status = ttt__replace_end(&w->file, write_all(w, p, err), err);
	ttt__bytes_free(&w->b);
	free(path);
	free(w);
	return status;
}

/* Source of a model's weights: the device. */
static void
download(void *ctx, const struct ttt__parameter *p, int64_t first, size_t n, float *out)
{
	ttt__model_read(ctx, p, first, n, out);
}

enum ttt_status
ttt_model_write(const struct ttt_model *m, const char *dir, enum ttt_dtype dtype, struct ttt_error *err)
{
	enum ttt_status status = ttt__make_directory(dir, err);

	if (status == TTT_OK)
		status = ttt__model_write_file(dir, "config.json", &m->config_file, err);
	if (status == TTT_OK && m->tokenizer_file.n > 0)
		status = ttt__model_write_file(dir, "tokenizer.json", &m->tokenizer_file, err);
	if (status == TTT_OK) /* the last: where there are weights, there is a model */
		status = ttt__model_write_weights(dir, &m->parameters, dtype, download, (void *)(uintptr_t)m, err);
	return status;
}
