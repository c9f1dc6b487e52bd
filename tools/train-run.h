/* The steps of ttt-train run. Private to its files. */
#ifndef TTT_TOOLS_TRAIN_RUN_H
#define TTT_TOOLS_TRAIN_RUN_H
#include <stdio.h>

#include "libttt/learn/sampler.h"
#include "tools/train.h"

struct run {
	struct tool *t;
	struct train_options o;
	const char *dir;
	char *shards, *model, *weights, *checkpoint; /* paths within dir */
	struct ttt_lock *lock;
	struct ttt__data data;
	struct ttt__sampler sampler;
	struct ttt_trainer *trainer;
	struct tool_progress progress;
	struct train_score *score; /* [data.n_group] */
	int32_t *ids;              /* [batch, seq + 1] */
	FILE *log;
	double seconds;            /* of earlier runs, by the log */
	bool begun;                /* it has settings from before */
	bool model_given;          /* -m was */
	bool evaluated;            /* the log ends with scores of held-out documents */
	double started;
	double bytes_per_token;
};

/* train-open.c: directory, lock, model, settings, data, trainer, log. Of a new run that is refused only DIR stays. */
enum ttt_status train_open(struct run *r, struct ttt_error *err);

#endif
