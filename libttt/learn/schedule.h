/* Rates by outer step (SEMANTICS sections 4 and 7). Private. */
#ifndef TTT_LEARN_SCHEDULE_H
#define TTT_LEARN_SCHEDULE_H
#include "libttt/base.h"

/* Outer rate at step (from 0): linear init_lr -> lr over the warm-up, held for hold_steps, then cosine to end_lr at decay_steps, then held. */
double ttt__outer_rate(const struct ttt_train_options *o, int64_t step);
/* Inner rate at step: ilr_init -> inner_lr over ilr_warmup_steps. */
double ttt__inner_rate(const struct ttt_train_options *o, double inner_lr, int64_t step);

#endif
