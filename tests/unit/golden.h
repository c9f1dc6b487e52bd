/* A golden case on the device: model, tokens, and what the official implementation made of them (tests/golden/cases/README). */
#ifndef TEST_GOLDEN_H
#define TEST_GOLDEN_H
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "libttt/file.h"
#include "libttt/model/model.h"
#include "libttt/model/safetensors.h"

struct golden {
	struct ttt_device *device;
	struct ttt_model *model;
	struct ttt__bytes bytes;
	struct ttt__safetensors io;
	char dir[512];
	int64_t B, T;    /* sequences, scored tokens */
	int32_t *tokens; /* [B, T + 1] */
};

static inline const char *
tests_dir(void)
{
	const char *dir = getenv("TTT_TESTS");

	return dir ? dir : "tests";
}

#define assert_ok(call, err)                                        \
	do {                                                        \
		if (call)                                           \
			fail_msg("%s: %s", #call, (err).text);      \
	} while (0)

static inline double *
golden_get(const struct golden *g, const char *name, size_t *n)
{
	const struct ttt__tensor *t = ttt__safetensors_find(&g->io, name);
	double *out;

	if (!t)
		return NULL;
	*n = t->n_element;
	out = malloc((t->n_element + 1) * sizeof *out);
	for (size_t i = 0; i < t->n_element; i++) {
		const unsigned char *p = g->io.data + t->offset;

		if (t->dtype == TTT__F64) {
			memcpy(&out[i], p + 8 * i, 8);
		} else if (t->dtype == TTT__F32) {
			float f;

			memcpy(&f, p + 4 * i, 4);
			out[i] = (double)f;
		} else {
			int32_t v;

			assert_int_equal(t->dtype, TTT__I32);
			memcpy(&v, p + 4 * i, 4);
			out[i] = v;
		}
	}
	return out;
}

/* kernels: an instruction set or NULL. Cases are a model directory under other file names. */
static inline void
golden_open(struct golden *g, const char *name, const char *kernels)
{
	struct ttt_device_options o = {.kernels = kernels, .n_thread = 2};
	const struct ttt__tensor *t;
	struct ttt_error err = {0};
	char path[600];

	memset(g, 0, sizeof *g);
	snprintf(g->dir, sizeof g->dir, "%s/golden/cases/%s", tests_dir(), name);
	assert_ok(ttt_device_create(&g->device, &o, &err), err);
	assert_ok(ttt_model_open(&g->model, g->device, g->dir, &err), err);
	snprintf(path, sizeof path, "%s/io.safetensors", g->dir);
	assert_ok(ttt__file_read(&g->bytes, path, 1 << 26, &err), err);
	assert_ok(ttt__safetensors_parse(&g->io, g->bytes.p, g->bytes.n, path, &err), err);
	t = ttt__safetensors_find(&g->io, "tokens");
	assert_non_null(t);
	g->B = t->dim[0];
	g->T = t->dim[1] - 1;
	g->tokens = malloc(t->n_byte);
	memcpy(g->tokens, g->io.data + t->offset, t->n_byte);
}

static inline void
golden_close(struct golden *g)
{
	free(g->tokens);
	ttt__safetensors_free(&g->io);
	ttt__bytes_free(&g->bytes);
	ttt_model_free(g->model);
	ttt_device_free(g->device);
}

/* |a - b| / |b| over the parameter of that name in two arrays. */
static inline double
relative(const float *a, const double *b, size_t n)
{
	double d = 0, s = 0;

	for (size_t i = 0; i < n; i++) {
		d += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
		s += b[i] * b[i];
	}
	return sqrt(d) / fmax(sqrt(s), 1e-30);
}

#endif
