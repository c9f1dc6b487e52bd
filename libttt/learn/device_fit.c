/* How many threads reading is worth. */
#include "kernels/kernels.h"

void
ttt_device_fit(struct ttt_device *d, const struct ttt_config *c)
{
	int64_t wide = 3 * c->d_model; /* queries, keys and values in one */

	wide = 2 * c->d_ff > wide ? 2 * c->d_ff : wide;
	wide = 2 * c->d_prime > wide ? 2 * c->d_prime : wide;
	d->ops->limit_threads(d, d->ops->threads_worth(d, (double)c->chunk * (double)c->d_model * (double)wide));
}
