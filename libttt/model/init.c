/* A new model directory from a configuration: SEMANTICS section 9. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "libttt/file.h"
#include "libttt/model/config.h"
#include "libttt/model/parameter.h"
#include "libttt/model/random.h"
#include "libttt/model/safetensors.h"

enum { MAX_CONFIG = 1 << 20, MAX_TOKENIZER = 64 << 20 };

/* Open DIR/name for replacement. */
static enum ttt_status
replace_in(struct ttt__replace *r, const char *dir, const char *name, struct ttt_error *err)
{
	size_t n = strlen(dir) + strlen(name) + 2;
	char *path = ttt__new(n, 1);
	enum ttt_status status;

	if (path == NULL)
		return ttt__fail_memory(err, dir);
	(void)snprintf(path, n, "%s/%s", dir, name);
	status = ttt__replace_open(r, path, err);
	free(path);
	return status;
}

static enum ttt_status
write_whole(const char *dir, const char *name, const struct ttt__bytes *b, struct ttt_error *err)
{
	struct ttt__replace r = { 0 };
	enum ttt_status status = replace_in(&r, dir, name, err);

	if (status != TTT_OK)
		return status;
	status = ttt__write(r.f, r.path, b->p, b->n, err);
	if (status == TTT_OK)
		return ttt__replace_commit(&r, err);
	ttt__replace_abort(&r);
	return status;
}

static enum ttt_status
write_parameter(struct ttt__replace *r, const struct ttt__parameter *p, double std, struct ttt__random *random,
    struct ttt__bytes *b, struct ttt_error *err)
{
	enum ttt_status status = TTT_OK;
	float piece[1024];

	for (int64_t at = 0; at < p->n && status == TTT_OK;) {
		size_t n = 0;

		while (n < sizeof(piece) / sizeof(piece[0]) && at < p->n) {
			piece[n++] = p->cols == 0 ? 1.0F : (float)(std * ttt__random_normal(random));
			at++;
		}
		b->n = 0;
		status = ttt__safetensors_write_data(b, piece, n, err);
		if (status == TTT_OK)
			status = ttt__write(r->f, r->path, b->p, b->n, err);
	}
	return status;
}

static enum ttt_status
write_tensors(struct ttt__replace *r, const struct ttt__parameters *p, const struct ttt_init_options *o,
    struct ttt_error *err)
{
	static const char *const metadata[] = { "format", "pt", NULL };
	struct ttt__tensor_out *t = ttt__new((size_t)p->n, sizeof(*t));
	double std = o->init_std > 0 ? o->init_std : 0.02;
	struct ttt__bytes b = { 0 };
	struct ttt__random random;
	enum ttt_status status;

	if (t == NULL)
		return ttt__fail_memory(err, r->path);
	for (int64_t i = 0; i < p->n; i++)
		t[i] = (struct ttt__tensor_out){ .name = p->p[i].name, .n_dim = p->p[i].cols > 0 ? 2 : 1,
			.dim = { p->p[i].rows, p->p[i].cols } };
	status = ttt__safetensors_write_header(&b, t, (size_t)p->n, metadata, NULL, err);
	if (status == TTT_OK)
		status = ttt__write(r->f, r->path, b.p, b.n, err);
	ttt__random_seed(&random, o->seed);
	for (int64_t i = 0; i < p->n && status == TTT_OK; i++) {
		bool prime = p->p[i].offset >= p->fast_offset;

		status = write_parameter(r, &p->p[i],
		    prime && o->prime_fan_in ? 1 / sqrt((double)p->p[i].cols) : std, &random, &b, err);
	}
	ttt__bytes_free(&b);
	free(t);
	return status;
}

static enum ttt_status
write_weights(const char *dir, const struct ttt_config *c, const struct ttt_init_options *o, struct ttt_error *err)
{
	struct ttt__parameters p;
	struct ttt__replace r = { 0 };
	enum ttt_status status = ttt__parameters_create(&p, c, err);

	if (status != TTT_OK)
		return status;
	status = replace_in(&r, dir, "model.safetensors", err);
	if (status == TTT_OK) {
		status = write_tensors(&r, &p, o, err);
		if (status == TTT_OK)
			status = ttt__replace_commit(&r, err);
		else
			ttt__replace_abort(&r);
	}
	ttt__parameters_free(&p);
	return status;
}

static enum ttt_status
read_tokenizer(struct ttt__bytes *b, const char *path, const struct ttt_config *c, struct ttt_error *err)
{
	enum ttt_status status = ttt__file_read(b, path, MAX_TOKENIZER, err);
	struct ttt_tokenizer *t;

	if (status == TTT_OK)
		status = ttt_tokenizer_parse(&t, b->p, b->n, path, err);
	if (status != TTT_OK)
		return status;
	if (ttt_tokenizer_n_vocab(t) > c->n_vocab)
		status = ttt__fail(err, TTT_E_FORMAT,
		    "%s: token ids reach %lld, but the configuration's vocab_size is %lld", path,
		    (long long)ttt_tokenizer_n_vocab(t) - 1, (long long)c->n_vocab);
	ttt_tokenizer_free(t);
	return status;
}

enum ttt_status
ttt_model_init(const char *dir, const struct ttt_init_options *o, struct ttt_error *err)
{
	struct ttt__bytes config = { 0 }, tokenizer = { 0 };
	struct ttt_config c;
	enum ttt_status status;

	if (!(o->init_std >= 0 && o->init_std <= 1e3))
		return ttt__fail(err, TTT_E_RANGE, "the standard deviation of new weights, %g, is outside 0 .. 1000",
		    o->init_std);
	status = ttt__file_read(&config, o->config, MAX_CONFIG, err);
	if (status == TTT_OK)
		status = ttt__config_parse(&c, config.p, config.n, o->config, err);
	if (status == TTT_OK && o->tokenizer != NULL)
		status = read_tokenizer(&tokenizer, o->tokenizer, &c, err);
	if (status == TTT_OK && mkdir(dir, 0777) != 0 && errno != EEXIST)
		status = ttt__fail(err, TTT_E_IO, "%s: cannot be made: %s", dir, strerror(errno));
	if (status == TTT_OK)
		status = write_weights(dir, &c, o, err);
	if (status == TTT_OK && o->tokenizer != NULL)
		status = write_whole(dir, "tokenizer.json", &tokenizer, err);
	if (status == TTT_OK)
		status = write_whole(dir, "config.json", &config, err);
	ttt__bytes_free(&config);
	ttt__bytes_free(&tokenizer);
	return status;
}
