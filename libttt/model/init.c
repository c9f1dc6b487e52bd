/* A new model directory from a configuration: SEMANTICS section 9. */
#include <math.h>

#include "libttt/file.h"
#include "libttt/model/config.h"
#include "libttt/model/write.h"
#include "libttt/random.h"
#include "libttt/text/tokenizer.h"

/* Random weights, drawn in the order of the table. */
struct dice {
	struct ttt__random random;
	const struct ttt__parameters *parameters;
	double std;
	bool prime_fan_in;
};

static void
draw(void *ctx, const struct ttt__parameter *p, int64_t first, size_t n, float *out)
{
	struct dice *d = ctx;
	bool prime = p->offset >= d->parameters->fast_offset;
	double std = prime && d->prime_fan_in ? 1 / sqrt((double)p->cols) : d->std;

	(void)first; /* it follows what was drawn before */
	for (size_t i = 0; i < n; i++)
		out[i] = p->cols == 0 ? 1.0F : (float)(std * ttt__random_normal(&d->random));
}

static enum ttt_status
write_weights(const char *dir, const struct ttt_config *c, const struct ttt_init_options *o, struct ttt_error *err)
{
	struct ttt__parameters p;
	struct dice d = { .parameters = &p, .std = o->init_std > 0 ? o->init_std : 0.02,
		.prime_fan_in = o->prime_fan_in };
	enum ttt_status status = ttt__parameters_create(&p, c, err);

	if (status != TTT_OK)
		return status;
	ttt__random_seed(&d.random, o->seed);
	status = ttt__model_write_weights(dir, &p, TTT_F32, draw, &d, err);
	ttt__parameters_free(&p);
	return status;
}

static enum ttt_status
read_tokenizer(struct ttt__bytes *b, const char *path, const struct ttt_config *c, struct ttt_error *err)
{
	enum ttt_status status = ttt__file_read(b, path, TTT__TOKENIZER_MAX, err);
	struct ttt_tokenizer *t;

	if (status == TTT_OK)
		status = ttt_tokenizer_parse(&t, b->p, b->n, path, err);
	if (status != TTT_OK)
		return status;
	status = ttt__config_fits(c, t, path, err);
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
	status = ttt__file_read(&config, o->config, TTT__CONFIG_MAX, err);
	if (status == TTT_OK)
		status = ttt__config_parse(&c, config.p, config.n, o->config, err);
	if (status == TTT_OK && o->tokenizer != NULL)
		status = read_tokenizer(&tokenizer, o->tokenizer, &c, err);
	if (status == TTT_OK)
		status = ttt__make_directory(dir, err);
	if (status == TTT_OK)
		status = write_weights(dir, &c, o, err);
	if (status == TTT_OK && o->tokenizer != NULL)
		status = ttt__model_write_file(dir, "tokenizer.json", &(struct ttt__blob){ tokenizer.p, tokenizer.n },
		    err);
	if (status == TTT_OK)
		status = ttt__model_write_file(dir, "config.json", &(struct ttt__blob){ config.p, config.n }, err);
	ttt__bytes_free(&config);
	ttt__bytes_free(&tokenizer);
	return status;
}
