/* Cosine and sine by position, of the sum of two angles. */
#include "libttt/net/angles.h"

#include <math.h>
#include <stdlib.h>

enum ttt_status
ttt__angles_create(struct ttt__angles *a, const struct ttt_config *c, struct ttt_error *err)
{
	int64_t C = c->chunk, K = c->d_head;

	*a = (struct ttt__angles){.C = C, .K = K, .at = -1};
	a->rate = ttt__new((size_t)(K / 2), sizeof *a->rate);
	a->table = ttt__new((size_t)(C * K), sizeof *a->table);
	a->base = ttt__new((size_t)K, sizeof *a->base);
	if (!a->rate || !a->table || !a->base)
		return ttt__fail_memory(err, "the rotary angles");
	for (int64_t i = 0; i < K; i += 2) {
		a->rate[i / 2] = pow(c->rope_theta, -(double)i / (double)K);
		for (int64_t t = 0; t < C; t++) {
			a->table[t * K + i] = cos((double)t * a->rate[i / 2]);
			a->table[t * K + i + 1] = sin((double)t * a->rate[i / 2]);
		}
	}
	return TTT_OK;
}

void
ttt__angles_free(struct ttt__angles *a)
{
	free(a->rate);
	free(a->table);
	free(a->base);
	*a = (struct ttt__angles){0};
}

static void
set_base(struct ttt__angles *a, int64_t at)
{
	if (a->at == at)
		return;
	for (int64_t i = 0; i < a->K; i += 2) {
		a->base[i] = cos((double)at * a->rate[i / 2]);
		a->base[i + 1] = sin((double)at * a->rate[i / 2]);
	}
	a->at = at;
}

void
ttt__angles_at(struct ttt__angles *a, float *out, int64_t position, int64_t n)
{
	for (int64_t j = 0; j < n; j++) {
		int64_t t = (position + j) % a->C;
		const double *small = a->table + t * a->K;

		set_base(a, position + j - t);
		for (int64_t i = 0; i < a->K; i += 2) {
			double c = a->base[i], s = a->base[i + 1];

			out[j * a->K + i] = (float)(c * small[i] - s * small[i + 1]);
			out[j * a->K + i + 1] = (float)(s * small[i] + c * small[i + 1]);
		}
	}
}
