/* Rates by outer step. */
#include <math.h>

#include "libttt/learn/schedule.h"

double
ttt__outer_rate(const struct ttt_train_options *o, int64_t step)
{
	const double pi = 3.14159265358979323846;
	double warm = (double)o->warmup_steps, t = (double)step, start = warm + (double)o->hold_steps;
	double length = (double)o->decay_steps - start;

	if (t < warm)
		return o->init_lr + (o->lr - o->init_lr) * t / warm;
	if (t < start || length <= 0)
		return o->lr;
	if (t - start >= length)
		return o->end_lr;
	return o->end_lr + (o->lr - o->end_lr) * 0.5 * (1 + cos(pi * (t - start) / length));
}

double
ttt__inner_rate(const struct ttt_train_options *o, double inner_lr, int64_t step)
{
	double done = o->ilr_warmup_steps > 0 ? ((double)step + 1) / (double)o->ilr_warmup_steps : 1;

	return done < 1 ? o->ilr_init + (inner_lr - o->ilr_init) * done : inner_lr;
}
