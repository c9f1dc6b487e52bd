/* The inner step and its adjoint. */
#include <math.h>

#include "libttt/learn/inner.h"

int64_t
ttt__count_targets(const int32_t *target, int64_t T, int64_t bos)
{
	int64_t n = 0;

	for (int64_t t = 0; t < T; t++)
		n += target[t] != bos;
	return n;
}

void
ttt__fill_row_weights(float *host, const int32_t *target, int64_t T, int64_t bos, double scale)
{
	int64_t count = ttt__count_targets(target, T, bos);
	float weight = count ? (float)(scale / (double)count) : 0;

	for (int64_t t = 0; t < T; t++) {
		host[t] = target[t] != bos ? weight : 0;
		host[T + t] = -host[t];
	}
}

double
ttt__mean_loss(const float *nll, const int32_t *target, int64_t T, int64_t bos)
{
	int64_t count = ttt__count_targets(target, T, bos);
	double sum = 0;

	for (int64_t t = 0; t < T; t++)
		sum += target[t] != bos ? (double)nll[t] : 0;
	return count ? sum / (double)count : 0;
}

void
ttt__read_nll(const struct ttt__net *n, const struct ttt__head_tape *t, float *nll, float *scratch, int64_t T)
{
	struct ttt_device *d = n->device;
	size_t bytes = (size_t)T * sizeof(float);

	d->ops->download(d, scratch, t->lse, bytes);
	d->ops->download(d, scratch + T, t->zy, bytes);
	for (int64_t i = 0; i < T; i++)
		nll[i] = scratch[i] - scratch[T + i];
}

static bool
clips(double norm, double clip)
{
	return clip > 0 && !(norm < clip) && norm > 0;
}

/* The factor that clips a gradient of this norm. */
static double
clip_factor(double norm, double clip)
{
	return clips(norm, clip) ? clip / norm : 1;
}

void
ttt__inner_step(struct ttt_device *d, float *w, const float *g, int64_t n, double rate, double clip, double *norm)
{
	*norm = sqrt(d->ops->dot(d, g, g, n));
	d->ops->axpy(d, w, -rate * clip_factor(*norm, clip), g, n);
}

void
ttt__inner_unstep(struct ttt_device *d, float *w, const float *g, int64_t n, double rate, double clip, double norm)
{
	d->ops->axpy(d, w, rate * clip_factor(norm, clip), g, n);
}

/* J' lambda = lambda below the threshold, else (clip / norm) (lambda - g <g, lambda> / norm^2); J is symmetric. */
void
ttt__inner_adjoint(struct ttt_device *d, float *v, const float *lambda, const float *g, int64_t n, double rate, double clip, double norm)
{
	double factor = clip_factor(norm, clip), along = 0;

	if (clips(norm, clip))
		along = d->ops->dot(d, g, lambda, n) / (norm * norm);
	d->ops->combine(d, v, -rate * factor, lambda, rate * factor * along, g, n);
}
