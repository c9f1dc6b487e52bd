/* Opening a model: configuration, table of parameters, weights, tokenizer; and what can be asked of one. */
#include "libttt/model/model.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libttt/file.h"
#include "libttt/model/checksum.h"
#include "libttt/model/config.h"
#include "libttt/model/weights.h"

enum { MAX_CONFIG = 1 << 20, MAX_TOKENIZER = 64 << 20 };

static void
add_line(struct ttt__checksum *sum, const char *name, const void *p, size_t n)
{
	char hex[65];

	ttt__checksum_of(hex, p, n);
	ttt__checksum_add(sum, name, strlen(name));
	ttt__checksum_add(sum, " ", 1);
	ttt__checksum_add(sum, hex, 64);
	ttt__checksum_add(sum, "\n", 1);
}

static enum ttt_status
take_config(struct ttt_model *m, const void *p, size_t n, const char *label, struct ttt__checksum *sum,
    struct ttt_error *err)
{
	enum ttt_status status = ttt__config_parse(&m->config, p, n, label, err);

	if (status == TTT_OK)
		status = ttt__parameters_create(&m->parameters, &m->config, err);
	if (status == TTT_OK)
		add_line(sum, "config", p, n);
	return status;
}

static enum ttt_status
take_tokenizer(struct ttt_model *m, const void *p, size_t n, const char *label, struct ttt__checksum *sum,
    struct ttt_error *err)
{
	enum ttt_status status = ttt_tokenizer_parse(&m->tokenizer, p, n, label, err);

	if (status != TTT_OK)
		return status;
	if (ttt_tokenizer_n_vocab(m->tokenizer) > m->config.n_vocab)
		return ttt__fail(err, TTT_E_FORMAT,
		    "%s: token ids reach %lld, but the vocab_size of config.json is %lld", label,
		    (long long)ttt_tokenizer_n_vocab(m->tokenizer) - 1, (long long)m->config.n_vocab);
	add_line(sum, "tokenizer", p, n);
	return TTT_OK;
}

/* DIR/name; NULL without memory. */
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
open_files(struct ttt_model *m, const char *dir, struct ttt__checksum *sum, struct ttt_error *err)
{
	char *config = join(dir, "config.json"), *tokenizer = join(dir, "tokenizer.json");
	struct ttt__bytes b = { 0 };
	enum ttt_status status;

	if (config == NULL || tokenizer == NULL)
		status = ttt__fail_memory(err, dir);
	else
		status = ttt__file_read(&b, config, MAX_CONFIG, err);
	if (status == TTT_OK)
		status = take_config(m, b.p, b.n, config, sum, err);
	if (status == TTT_OK)
		status = ttt__weights_load(m, dir, sum, err);
	if (status == TTT_OK && (access(tokenizer, F_OK) == 0 || errno != ENOENT)) {
		status = ttt__file_read(&b, tokenizer, MAX_TOKENIZER, err);
		if (status == TTT_OK)
			status = take_tokenizer(m, b.p, b.n, tokenizer, sum, err);
	}
	ttt__bytes_free(&b);
	free(config);
	free(tokenizer);
	return status;
}

static enum ttt_status
open_embedded(struct ttt_model *m, struct ttt__checksum *sum, struct ttt_error *err)
{
	enum ttt_status status;

	if (ttt__embedded_config.n == 0 || ttt__embedded_weights.n == 0) {
		(void)ttt__fail(err, TTT_E_UNSUPPORTED, "this libttt was built without a model");
		return err != NULL ? ttt__hint(err, "name a model directory with -m") : TTT_E_UNSUPPORTED;
	}
	status = take_config(m, ttt__embedded_config.p, ttt__embedded_config.n, "embedded config.json", sum, err);
	if (status == TTT_OK)
		status = ttt__weights_load_blob(m, &ttt__embedded_weights, "embedded model.safetensors", sum, err);
	if (status == TTT_OK && ttt__embedded_tokenizer.n > 0)
		status = take_tokenizer(m, ttt__embedded_tokenizer.p, ttt__embedded_tokenizer.n,
		    "embedded tokenizer.json", sum, err);
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
	struct ttt__checksum sum;
	enum ttt_status status;

	if (m == NULL)
		return ttt__fail_memory(err, "a model");
	m->device = d;
	m->name = dir != NULL ? directory_name(dir) : strdup("embedded");
	ttt__checksum_start(&sum);
	if (m->name == NULL)
		status = ttt__fail_memory(err, "a model");
	else
		status = dir != NULL ? open_files(m, dir, &sum, err) : open_embedded(m, &sum, err);
	ttt__checksum_end(&sum, m->checksum);
	if (status != TTT_OK) {
		ttt_model_free(m);
		return status;
	}
	*out = m;
	return TTT_OK;
}

void
ttt_model_free(struct ttt_model *m)
{
	if (m == NULL)
		return;
	if (m->weights != NULL)
		ttt__device_release(m->device, m->weights);
	ttt__parameters_free(&m->parameters);
	ttt_tokenizer_free(m->tokenizer);
	free(m->name);
	free(m);
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

const char *
ttt_model_checksum(const struct ttt_model *m)
{
	return m->checksum;
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
