/* Two states' fast weights against one another. */
#include "libttt/learn/session.h"
#include "libttt/model/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* 2-norm of a - b [n], summed in double. */
static double
distance(const float *a, const float *b, int64_t n)
{
	double sum = 0;

	for (int64_t i = 0; i < n; i++) {
		double d = (double)a[i] - (double)b[i];

		sum += d * d;
	}
	return sqrt(sum);
}

static double
norm(const float *a, int64_t n)
{
	double sum = 0;

	for (int64_t i = 0; i < n; i++)
		sum += (double)a[i] * (double)a[i];
	return sqrt(sum);
}

/* weights [3, n_fast]: initial, a's, b's. */
static void
walk(const struct ttt__parameters *p, const float *weights, void (*fn)(void *ctx, const struct ttt_difference *d),
    void *ctx)
{
	for (int64_t i = 0; i < p->n; i++) {
		const struct ttt__parameter *one = &p->p[i];
		const float *w0 = weights + (one->offset - p->fast_offset), *a = w0 + p->n_fast, *b = a + p->n_fast;
		struct ttt_difference d = { .name = one->name };

		if (one->offset < p->fast_offset)
			continue;
		d.initial = norm(w0, one->n);
		d.moved_a = distance(a, w0, one->n);
		d.moved_b = distance(b, w0, one->n);
		d.apart = distance(a, b, one->n);
		fn(ctx, &d);
	}
}

enum ttt_status
ttt_state_compare(struct ttt_state *a, struct ttt_state *b, void (*fn)(void *ctx, const struct ttt_difference *d),
    void *ctx, struct ttt_error *err)
{
	const struct ttt_session *sa = ttt_state_session(a), *sb = ttt_state_session(b);
	const struct ttt_model *m = ttt__session_model(sa), *other = ttt__session_model(sb);
	const struct ttt__parameters *p = &m->parameters;
	size_t n;
	float *weights;

	if (m != other && strcmp(ttt_model_checksum(m), ttt_model_checksum(other)) != 0)
		return ttt__fail(err, TTT_E_SHAPE, "the states belong to different models, %s and %s", m->name,
		    other->name);
	weights = ttt__size_mul(&n, 3, (size_t)p->n_fast) ? ttt__new(n, sizeof(*weights)) : NULL;
	if (weights == NULL)
		return ttt__fail_memory(err, "fast weights");
	m->device->ops->download(m->device, weights, m->weights + p->fast_offset, (size_t)p->n_fast * sizeof(*weights));
	ttt__session_fast_read(sa, TTT__FAST_LAST, weights + p->n_fast);
	ttt__session_fast_read(sb, TTT__FAST_LAST, weights + 2 * p->n_fast);
	walk(p, weights, fn, ctx);
	free(weights);
	return TTT_OK;
}
