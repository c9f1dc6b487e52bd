/* What a trainer holds. Private to its two files. */
#ifndef TTT_LEARN_TRAINER_H
#define TTT_LEARN_TRAINER_H
#include "libttt/learn/muon.h"
#include "libttt/learn/outer.h"

struct ttt_trainer {
	const struct ttt_model *model;
	struct ttt_train_options options;
	struct ttt__net net;
	float *weights, *m, *v;  /* [n_float] parameters and AdamW moments, on the device */
	struct ttt__lane *lane;  /* [n_lane]; the first one's gradient is the batch's */
	int n_lane;
	struct ttt__muon *muon;  /* [device's n_lane]; NULL for AdamW alone */
	int64_t T;               /* tokens of the sequences the lanes are made for */
	int64_t step;
};

#endif
