/* Opening a model: configuration, table of parameters, weights, tokenizer; and what can be asked of one. */
#include "libttt/model/model.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libttt/checksum.h"
#include "libttt/model/bf16.h"
#include "libttt/model/config.h"
#include "libttt/model/weights.h"
#include "libttt/text/tokenizer.h"

/* The one thing of a model that changes: it is computed when it is first asked for, by whichever thread asks. */
struct ttt__model_checksum {
	pthread_mutex_t lock;
	char hex[65]; /* empty until then */
};

static enum ttt_status
take_config(struct ttt_model *m, struct ttt__blob file, const char *label, struct ttt_error *err)
{
	enum ttt_status status = ttt__config_parse(&m->config, file.p, file.n, label, err);

	m->config_file = file;
	return status == TTT_OK ? ttt__parameters_create(&m->parameters, &m->config, err) : status;
}

static enum ttt_status
take_tokenizer(struct ttt_model *m, struct ttt__blob file, const char *label, struct ttt_error *err)
{
	enum ttt_status status = ttt_tokenizer_parse(&m->tokenizer, file.p, file.n, label, err);

	m->tokenizer_file = file;
	return status == TTT_OK ? ttt__config_fits(&m->config, m->tokenizer, label, err) : status;
}

/* The whole of a file of text, which somebody may edit while it is in use: a copy. */
static enum ttt_status
read_text(struct ttt__blob *out, const char *path, size_t max, struct ttt_error *err)
{
	struct ttt__bytes b = { 0 };
	enum ttt_status status = ttt__file_read(&b, path, max, err);

	if (status != TTT_OK)
		ttt__bytes_free(&b);
	*out = (struct ttt__blob){ .p = b.p, .n = b.n };
	return status;
}

static enum ttt_status
open_files(struct ttt_model *m, const char *dir, struct ttt_error *err)
{
	char *config = ttt__path_in(dir, "config.json"), *tokenizer = ttt__path_in(dir, "tokenizer.json");
	struct ttt__blob text = { 0 };
	enum ttt_status status;

	if (config == NULL || tokenizer == NULL)
		status = ttt__fail_memory(err, dir);
	else
		status = read_text(&text, config, TTT__CONFIG_MAX, err);
	if (status == TTT_OK)
		status = take_config(m, text, config, err);
	if (status == TTT_OK)
		status = ttt__weights_load(m, dir, err);
	if (status == TTT_OK && (access(tokenizer, F_OK) == 0 || errno != ENOENT)) {
		status = read_text(&text, tokenizer, TTT__TOKENIZER_MAX, err);
		if (status == TTT_OK)
			status = take_tokenizer(m, text, tokenizer, err);
	}
	free(config);
	free(tokenizer);
	return status;
}

static enum ttt_status
open_embedded(struct ttt_model *m, struct ttt_error *err)
{
	enum ttt_status status;

	m->embedded = true;
	if (ttt__embedded_config.n == 0 || ttt__embedded_weights.n == 0) {
		(void)ttt__fail(err, TTT_E_UNSUPPORTED, "this libttt was built without a model");
		return ttt__hint(err, TTT_E_UNSUPPORTED, "name a model directory with -m");
	}
	status = take_config(m, ttt__embedded_config, "embedded config.json", err);
	if (status == TTT_OK)
		status = ttt__weights_load_blob(m, &ttt__embedded_weights, "embedded model.safetensors", err);
	if (status == TTT_OK && ttt__embedded_tokenizer.n > 0)
		status = take_tokenizer(m, ttt__embedded_tokenizer, "embedded tokenizer.json", err);
	return status;
}

/* The last part of the directory's real path, so that "models/x", "models/x/" and "." inside it are one name. */
static char *
directory_name(const char *dir)
{
	char *real = realpath(dir, NULL), *slash, *name;

	if (real == NULL)
		return strdup(dir);
	slash = strrchr(real, '/');
	name = strdup(slash != NULL && slash[1] != '\0' ? slash + 1 : real);
	free(real);
	return name;
}

enum ttt_status
ttt_model_open(struct ttt_model **out, struct ttt_device *d, const char *dir, struct ttt_error *err)
{
	struct ttt_model *m = ttt__new(1, sizeof(*m));
	enum ttt_status status;

	*out = NULL;
	if (m == NULL)
		return ttt__fail_memory(err, "a model");
	m->device = d;
	m->name = dir != NULL ? directory_name(dir) : strdup("embedded");
	m->checksum = ttt__new(1, sizeof(*m->checksum));
	if (m->checksum != NULL && pthread_mutex_init(&m->checksum->lock, NULL) != 0) {
		free(m->checksum);
		m->checksum = NULL;
	}
	if (m->name == NULL || m->checksum == NULL)
		status = ttt__fail_memory(err, "a model");
	else
		status = dir != NULL ? open_files(m, dir, err) : open_embedded(m, err);
	if (status != TTT_OK) {
		ttt_model_free(m);
		return status;
	}
	*out = m;
	return TTT_OK;
}

static void
free_files(struct ttt_model *m)
{
	if (!m->embedded) {
		free((void *)(uintptr_t)m->config_file.p);
		free((void *)(uintptr_t)m->tokenizer_file.p);
		for (size_t i = 0; i < m->n_weights_file; i++)
			ttt__file_unmap(&m->weights_file[i]);
	}
	free(m->weights_file);
}

void
ttt_model_free(struct ttt_model *m)
{
	if (m == NULL)
		return;
	ttt__device_release(m->device, m->copy);
	ttt__device_release(m->device, m->half_copy);
	ttt__parameters_free(&m->parameters);
	ttt_tokenizer_free(m->tokenizer);
	free_files(m);
	if (m->checksum != NULL)
		pthread_mutex_destroy(&m->checksum->lock);
	free(m->checksum);
	free(m->name);
	free(m);
}

void
ttt__model_read(const struct ttt_model *m, const struct ttt__parameter *p, int64_t first, size_t n, float *out)
{
	enum { PIECE = 1024 };
	uint16_t half[PIECE];
	struct ttt_device *d = m->device;
	int64_t at = p->offset + first;

	if (m->half == NULL || !ttt__parameter_halves(&m->parameters, p)) {
		d->ops->download(d, out, m->weights + at, n * sizeof(*out));
		return;
	}
	for (size_t i = 0, some; i < n; i += some) {
		some = n - i < PIECE ? n - i : PIECE;
		d->ops->download(d, half, m->half + at + (int64_t)i, some * sizeof(*half));
		for (size_t j = 0; j < some; j++)
			out[i + j] = ttt__bf16_value(half[j]);
	}
}

const struct ttt_config *
ttt_model_config(const struct ttt_model *m)
{
	return &m->config;
}

const char *
ttt_model_name(const struct ttt_model *m)
{
	return m->name;
}

static void
add_line(struct ttt__checksum *sum, const char *name, const struct ttt__blob *file)
{
	char hex[65];

	ttt__checksum_of(hex, file->p, file->n);
	ttt__checksum_add(sum, name, strlen(name));
	ttt__checksum_add(sum, " ", 1);
	ttt__checksum_add(sum, hex, 64);
	ttt__checksum_add(sum, "\n", 1);
}

/* A line "config DIGEST", "weights DIGEST", "tokenizer DIGEST" for every file there is, and the digest of these lines. */
static void
compute_checksum(const struct ttt_model *m, char hex[65])
{
	struct ttt__checksum sum;

	if (m->embedded && ttt__embedded_checksum[0] != '\0') {
		(void)snprintf(hex, 65, "%s", ttt__embedded_checksum);
		return;
	}
	ttt__checksum_start(&sum);
	add_line(&sum, "config", &m->config_file);
	for (size_t i = 0; i < m->n_weights_file; i++)
		add_line(&sum, "weights", &m->weights_file[i]);
	if (m->tokenizer_file.n > 0)
		add_line(&sum, "tokenizer", &m->tokenizer_file);
	ttt__checksum_end(&sum, hex);
}

const char *
ttt_model_checksum(const struct ttt_model *m)
{
	struct ttt__model_checksum *c = m->checksum;

	pthread_mutex_lock(&c->lock);
	if (c->hex[0] == '\0')
		compute_checksum(m, c->hex);
	pthread_mutex_unlock(&c->lock);
	return c->hex;
}

const struct ttt_tokenizer *
ttt_model_tokenizer(const struct ttt_model *m)
{
	return m->tokenizer;
}

int64_t
ttt_model_n_parameter(const struct ttt_model *m)
{
	return m->parameters.n_float;
}

int64_t
ttt_model_n_fast(const struct ttt_model *m)
{
	return m->parameters.n_fast;
}
