/* For unit tests: small networks with random weights, made in memory, and the devices to run them on. */
#ifndef TEST_TINY_H
#define TEST_TINY_H
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "libttt/model/model.h"
#include "libttt/net/network.h"
#include "libttt/random.h"

/* call's last argument is &err. */
#define TINY_OK(call)                                       \
	do {                                                \
		struct ttt_error err = {0};                 \
                                                            \
		if (call)                                   \
			fail_msg("%s: %s", #call, err.text); \
	} while (0)

struct tiny_device {
	struct ttt_device *device;
	char name[32];
};

/* Every instruction set that this processor has, or that of $TTT_KERNELS alone, with 1 and with 2 threads. */
struct tiny_devices {
	struct tiny_device at[6];
	int n;
};

static inline void
tiny_devices_open(struct tiny_devices *out)
{
	static const char *const sets[] = {"avx512", "avx2", "plain"};
	const char *only = getenv("TTT_KERNELS");

	out->n = 0;
	for (int i = 0; i < 3; i++)
		for (int threads = 1; threads <= 2; threads++) {
			const struct ttt_device_options o = {.kernels = sets[i], .n_thread = threads};
			struct tiny_device *d = &out->at[out->n];

			if ((only && strcmp(only, sets[i]) != 0) || ttt_device_create(&d->device, &o, NULL))
				continue;
			snprintf(d->name, sizeof d->name, "%s, %d thread%s", sets[i], threads, threads > 1 ? "s" : "");
			out->n++;
		}
	assert_true(out->n >= 2);
}

static inline void
tiny_devices_close(struct tiny_devices *d)
{
	for (int i = 0; i < d->n; i++)
		ttt_device_free(d->at[i].device);
	d->n = 0;
}

static inline struct ttt_config
tiny_config(void)
{
	return (struct ttt_config){.n_vocab = 23, .d_model = 8, .n_layer = 2, .n_layer_suffix = 2, .n_head = 2, .d_head = 4, .d_ff = 12,
	    .d_prime = 10, .window = 6, .chunk = 8, .seq_length = 32, .bos = 0, .rope_theta = 10000, .rms_eps = 1e-6, .inner_lr = 1,
	    .inner_clip = 1, .inner_lr_effective = 1, .mean_share = 0.7};
}

static inline void *
tiny_new(size_t n, size_t size)
{
	void *p = ttt__new(n + 1, size);

	assert_non_null(p);
	return p;
}

/* n numbers of standard deviation std */
static inline float *
tiny_normal(struct ttt__random *r, int64_t n, double std)
{
	float *out = tiny_new((size_t)n, sizeof *out);

	for (int64_t i = 0; i < n; i++)
		out[i] = (float)(std * ttt__random_normal(r));
	return out;
}

static inline int32_t *
tiny_ids(struct ttt__random *r, int64_t n, int64_t n_vocab)
{
	int32_t *out = tiny_new((size_t)n, sizeof *out);

	for (int64_t i = 0; i < n; i++)
		out[i] = (int32_t)(ttt__random_uniform(r) * (double)n_vocab);
	return out;
}

static inline double *
tiny_doubles(const float *x, int64_t n)
{
	double *out = tiny_new((size_t)n, sizeof *out);

	for (int64_t i = 0; x && i < n; i++)
		out[i] = (double)x[i];
	return out;
}

/* Weights at which every layer has a say: norms about 1, matrices normal(0, 1 / fan-in), an embedding that makes peaked predictions. */
static inline float *
tiny_weights(struct ttt__random *r, const struct ttt__parameters *p)
{
	float *w = tiny_new((size_t)p->n_float, sizeof *w);

	for (int64_t i = 0; i < p->n; i++) {
		const struct ttt__parameter *x = &p->p[i];
		double std = !x->cols ? 0.2 : 1 / sqrt((double)x->cols);

		for (int64_t j = 0; j < x->n; j++)
			w[x->offset + j] = (float)((x->cols ? 0 : 1) + std * ttt__random_normal(r));
	}
	return w;
}

/* A model as ttt_model_open() would make it. */
static inline void
tiny_model_create(struct ttt_model *m, struct ttt_device *d, const struct ttt_config *c, uint64_t seed)
{
	struct ttt__random r;
	float *host;

	*m = (struct ttt_model){.device = d, .config = *c};
	ttt__random_seed(&r, seed);
	TINY_OK(ttt__parameters_create(&m->parameters, c, &err));
	host = tiny_weights(&r, &m->parameters);
	TINY_OK(ttt__device_floats(d, &m->copy, m->parameters.n_float, "weights", &err));
	d->ops->upload(d, m->copy, host, (size_t)m->parameters.n_float * sizeof *host);
	m->weights = m->copy;
	free(host);
}

static inline void
tiny_model_free(struct ttt_model *m)
{
	ttt__device_release(m->device, m->copy);
	ttt__parameters_free(&m->parameters);
}

static inline float *
tiny_upload(struct ttt_device *d, const float *host, int64_t n)
{
	float *out;

	TINY_OK(ttt__device_floats(d, &out, n, "test data", &err));
	if (host)
		d->ops->upload(d, out, host, (size_t)n * sizeof *host);
	else
		d->ops->zero(d, out, n);
	return out;
}

static inline float *
tiny_download(struct ttt_device *d, const float *from, int64_t n)
{
	float *out = tiny_new((size_t)n, sizeof *out);

	d->ops->download(d, out, from, (size_t)n * sizeof *out);
	return out;
}

/* |a - b| / max(|b|, floor) */
static inline double
tiny_distance(const float *a, const double *b, int64_t n, double floor)
{
	double d = 0, s = 0;

	for (int64_t i = 0; i < n; i++) {
		d += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
		s += b[i] * b[i];
	}
	return sqrt(d) / fmax(sqrt(s), floor);
}

static inline double
tiny_dot(const float *a, const float *b, int64_t n)
{
	double sum = 0;

	for (int64_t i = 0; i < n; i++)
		sum += (double)a[i] * (double)b[i];
	return sum;
}

#endif
