/* Rows, models and sessions to measure. */
#include "bench/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libttt/file.h"
#include "libttt/learn/session.h"
#include "libttt/random.h"

double
bench_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void
bench_add(struct series *s, double value)
{
	if (s->n < BENCH_ROUNDS_MAX)
		s->at[s->n++] = value;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static struct series
sorted(const struct series *s)
{
	struct series x = *s;

	qsort(x.at, (size_t)x.n, sizeof x.at[0], compare);
	return x;
}

double
bench_median(const struct series *s)
{
	struct series x = sorted(s);

	return x.n == 0 ? NAN : x.n % 2 ? x.at[x.n / 2] : (x.at[x.n / 2 - 1] + x.at[x.n / 2]) / 2;
}

void
bench_row(const struct bench *b, const char *name, const char *detail, const struct series *s, const char *unit)
{
	struct series x = sorted(s);
	double median = bench_median(s), least = x.n ? x.at[0] : NAN, most = x.n ? x.at[x.n - 1] : NAN;

	if (b->json) {
		printf("{\"name\":\"%s\",", name);
		if (detail)
			printf("\"detail\":\"%s\",", detail);
		printf("\"value\":%.6g,\"least\":%.6g,\"most\":%.6g,\"unit\":\"%s\",\"config\":\"%s\",\"threads\":%d}\n", median, least,
		    most, unit, b->shape, b->t->device ? b->t->device->n_thread : 0);
	} else {
		printf("%-34s %-22s %12.5g %-10s", name, detail ? detail : "", median, unit);
		if (x.n > 1)
			printf(" (%.5g .. %.5g)", least, most);
		printf("\n");
	}
	fflush(stdout);
}

void
bench_row_value(const struct bench *b, const char *name, const char *detail, double value, const char *unit)
{
	struct series s = {0};

	bench_add(&s, value);
	bench_row(b, name, detail, &s, unit);
}

/* A model of the shape with random weights, made by another process, so that its making does not count as memory of this one. */
static enum ttt_status
make_model(const struct bench *b, const char *dir, struct ttt_error *err)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		struct ttt_error e;
		enum ttt_status s = ttt_model_init(dir, &(struct ttt_init_options){ .config = b->config, .seed = 1 }, &e);

		if (s != TTT_OK)
			tool_fail(b->t, &e);
		_exit(s == TTT_OK ? 0 : 1);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0)
		return ttt__fail(err, TTT_E_IO, "%s: no model could be made of it", b->config);
	return TTT_OK;
}

static void
remove_model(const char *dir)
{
	static const char *const file[] = { "config.json", "model.safetensors" };
	char path[128];

	for (size_t i = 0; i < sizeof file / sizeof file[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, file[i]);
		unlink(path);
	}
	rmdir(dir);
}

enum ttt_status
bench_open(struct bench *b, struct ttt_error *err)
{
	char dir[] = "/tmp/ttt-bench-XXXXXX", model[sizeof dir + 8];
	enum ttt_status status;

	if (!b->config)
		return tool_model_open(b->t, err);
	if (!mkdtemp(dir))
		return ttt__fail(err, TTT_E_IO, "%s: cannot be made", dir);
	snprintf(model, sizeof model, "%s/model", dir);
	status = make_model(b, model, err);
	if (!status) {
		b->t->model_dir = model;
		status = tool_model_open(b->t, err);
		b->t->model_dir = NULL;
	}
	remove_model(model);
	rmdir(dir);
	return status;
}

static enum ttt_status
read_text(const struct bench *b, struct ttt_ids *out, int64_t *n_byte, struct ttt_error *err)
{
	struct ttt__bytes text = {0};
	struct ttt_encoder *e = NULL;
	enum ttt_status status = ttt__file_read(&text, b->text, 64 << 20, err);

	if (!status)
		status = ttt_encoder_create(&e, ttt_model_tokenizer(b->t->model), err);
	if (!status)
		status = ttt_encoder_feed(e, out, text.p, text.n, err);
	if (!status)
		status = ttt_encoder_end(e, out, err);
	*n_byte = (int64_t)text.n;
	ttt_encoder_free(e);
	ttt__bytes_free(&text);
	return status;
}

enum ttt_status
bench_ids(const struct bench *b, struct ttt_ids *out, int64_t *n_byte, struct ttt_error *err)
{
	const struct ttt_config *c = ttt_model_config(b->t->model);
	struct ttt__random r;
	enum ttt_status status = TTT_OK;

	*out = (struct ttt_ids){0};
	*n_byte = 0;
	if (ttt_model_tokenizer(b->t->model))
		return read_text(b, out, n_byte, err);
	ttt__random_seed(&r, 2);
	for (int64_t i = 0; i < 1 << 16 && !status; i++)
		status = ttt__ids_add(out, (int32_t)(ttt__random_bits(&r) % (uint64_t)c->n_vocab), err);
	return status;
}

enum ttt_status
bench_session(struct ttt_session **out, const struct bench *b, enum ttt_attention a, int64_t n, struct ttt_error *err)
{
	const struct ttt_config *c = ttt_model_config(b->t->model);
	enum ttt_status status = ttt_session_create(out, b->t->model, a, err);
	int64_t rows = n >= 0 ? n : c->window - 1;
	struct ttt__random r;
	float *kv;

	if (status || rows <= 0 || (status = ttt__session_window_resize(*out, rows, err)))
		return status;
	kv = malloc((size_t)(rows * c->d_model) * sizeof *kv);
	if (!kv)
		return ttt__fail_memory(err, "the window");
	ttt__random_seed(&r, 3);
	for (int64_t i = 0; i < rows * c->d_model; i++)
		kv[i] = (float)(int32_t)(uint32_t)ttt__random_bits(&r) * 0x1p-31f;
	for (int64_t l = 0; l < c->n_layer; l++)
		ttt__session_window_write(*out, l, kv, kv);
	free(kv);
	return ttt__session_stream_set(*out, &(int32_t){ 0 }, 0, rows, err);
}
