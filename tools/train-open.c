/* ttt-train run: from a run directory, new or begun, to what its steps need. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libttt/file.h"
#include "tools/train-run.h"

/* The directory, its lock, and the model to start from: the run's own where it has one, so that a run resumes by
 * itself. */
static enum ttt_status
open_directory(struct run *r, struct ttt_error *err)
{
	enum ttt_status s = TTT_OK;
	bool own;

	r->shards = ttt__path_in(r->dir, "shards");
	r->model = ttt__path_in(r->dir, "model");
	r->checkpoint = ttt__path_in(r->dir, "checkpoint");
	r->weights = ttt__path_in(r->dir, "model/model.safetensors");
	if (!r->shards || !r->model || !r->checkpoint || !r->weights)
		return ttt__fail_memory(err, r->dir);
	own = r->begun && access(r->weights, F_OK) == 0;
	s = r->begun ? TTT_OK : train_model_new(r->model, true, err);
	if (s != TTT_OK)
		return s;
	if (!own && r->t->model_dir == NULL) {
		ttt__fail(err, TTT_E_USAGE, "the model to start from is missing (-m)");
		return ttt__hint(err, TTT_E_USAGE, "'ttt-train init' makes a new one");
	}
	s = ttt__make_directory(r->dir, err);
	if (s == TTT_OK)
		s = ttt_lock_take(&r->lock, r->checkpoint, 0, err);
	if (s != TTT_OK)
		return s;
	if (own && r->model_given && strcmp(r->t->model_dir, r->model) != 0)
		tool_note(r->t, "%s: goes on with its own model, not with %s", r->dir, r->t->model_dir);
	if (own)
		r->t->model_dir = r->model;
	return tool_model_open(r->t, err);
}

/* A new run gets its settings and its model, so that it can be gone on with whenever it is interrupted. */
static enum ttt_status
begin(struct run *r, struct ttt_error *err)
{
	enum ttt_status s = r->begun ? TTT_OK : train_options_write(&r->o, r->dir, err);

	return s == TTT_OK && access(r->weights, F_OK) != 0 ? ttt_model_write(r->t->model, r->model, TTT_F32, err) : s;
}

/* What a new run writes before its log and its checkpoint. */
static const char *const written[] = { "run.json", "held-out", "model/config.json", "model/tokenizer.json", "model/model.safetensors",
	"shards/index", "shards/tokens", "model", "shards" };
enum { N_WRITTEN = sizeof(written) / sizeof(written[0]) };

/* had [N_WRITTEN] (=): which of it was there before. */
static void
look(const struct run *r, bool *had)
{
	for (int i = 0; i < N_WRITTEN; i++) {
		char *path = ttt__path_in(r->dir, written[i]);

		had[i] = path == NULL || faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
		free(path);
	}
}

/* What was refused is not remembered: a better command begins anew. */
static void
forget(const struct run *r, const bool *had)
{
	for (int i = 0; i < N_WRITTEN; i++) {
		char *path = had[i] ? NULL : ttt__path_in(r->dir, written[i]);

		if (path != NULL)
			(void)remove(path);
		free(path);
	}
}

static enum ttt_status
open_data(struct run *r, struct ttt_error *err)
{
	const struct ttt_config *c = ttt_model_config(r->t->model);
	char **path = NULL;
	double *weight = NULL;
	char *list = r->o.held_list != NULL ? train_held_path(&r->o, r->dir) : NULL;
	enum ttt_status s = train_sources(&r->o, &path, &weight, err);
	struct ttt__data_source source = { (const char *const *)path, r->o.n_data, r->o.project_depth, r->o.held_out, list };

	if (s == TTT_OK && r->o.held_list != NULL && list == NULL)
		s = ttt__fail_memory(err, r->dir);
	if (s == TTT_OK && list != NULL && !r->begun)
		s = train_held_keep(list, r->dir, err);
	if (s == TTT_OK && ttt_model_tokenizer(r->t->model) == NULL) {
		s = ttt__fail(err, TTT_E_FORMAT, "%s: has no tokenizer.json, so it cannot read text",
		    ttt_model_name(r->t->model));
	}
	if (s == TTT_OK)
		s = ttt__data_build(r->shards, &source, ttt_model_tokenizer(r->t->model), c->bos, tool_input_note, r->t,
		    err);
	if (s == TTT_OK)
		s = ttt__data_open(&r->data, r->shards, err);
	if (s == TTT_OK)
		s = train_held_note(r->t, &r->o, &r->data, list, err);
	if (s == TTT_OK && list != NULL && r->begun)
		s = train_held_keep(list, r->dir, err);
	if (s == TTT_OK)
		s = ttt__sampler_create(&r->sampler, &r->data, weight, r->o.seq + 1, err);
	if (s == TTT_OK) {
		r->ids = calloc((size_t)r->o.batch * (size_t)(r->o.seq + 1), sizeof(*r->ids));
		r->score = calloc((size_t)r->data.n_group, sizeof(*r->score));
		r->bytes_per_token = (double)r->data.n_byte / (double)r->data.n_token;
		if (r->ids == NULL || r->score == NULL)
			s = ttt__fail_memory(err, r->dir);
	}
	train_sources_free(&r->o, path, weight);
	free(list);
	return s;
}

/* What the table of settings left to this place. */
static enum ttt_status
settle(struct run *r, struct ttt_error *err)
{
	const struct ttt_config *c = ttt_model_config(r->t->model);
	struct train_options *o = &r->o;

	if (o->seq < 0)
		o->seq = c->seq_length;
	if (o->warmup < 0)
		o->warmup = o->steps / 20;
	if (o->ilr_warmup < 0)
		o->ilr_warmup = o->mode == TTT_MODE_TTT ? o->steps / 10 : 0;
	if (o->ilr_init < 0)
		o->ilr_init = c->inner_lr / 10;
	if (o->seq < 1 || o->seq % c->chunk != 0) {
		return ttt__fail(err, TTT_E_USAGE, "--seq: %lld is no multiple of the model's chunk of %lld tokens",
		    (long long)o->seq, (long long)c->chunk);
	}
	if ((!r->begun || o->schedule_given) && o->decay >= 0 && o->decay > o->steps - o->warmup)
		return ttt__fail(err, TTT_E_USAGE, "--decay: %lld steps are more than the %lld after the warm-up", (long long)o->decay,
		    (long long)(o->steps > o->warmup ? o->steps - o->warmup : 0));
	return TTT_OK;
}

static enum ttt_status
open_trainer(struct run *r, struct ttt_error *err)
{
	const struct train_options *o = &r->o;
	struct ttt_train_options x = { .mode = (enum ttt_mode)o->mode, .first_order = o->first_order != 0,
		.init_lr = o->init_lr, .lr = o->lr, .end_lr = o->end_lr, .warmup_steps = o->warmup,
		.optimizer = (enum ttt_optimizer)o->optimizer, .decay_steps = o->steps,
		.hold_steps = o->decay < 0 ? 0 : o->steps - o->warmup - o->decay, .b1 = o->b1, .b2 = o->b2, .eps = 1e-8, .weight_decay = o->weight_decay,
		.clip = o->clip, .held_tail = o->held_tail, .ilr_init = o->ilr_init, .ilr_warmup_steps = o->ilr_warmup,
		.keep_bytes = o->keep > 0 ? o->keep << 20 : -1 };
	enum ttt_status s = ttt_trainer_create(&r->trainer, r->t->model, &x, err);

	if (s == TTT_OK && access(r->checkpoint, F_OK) == 0) {
		if (r->begun && o->optimizer != o->optimizer_before)
			return ttt__fail(err, TTT_E_USAGE, "--optimizer: the run has begun with %s, whose moments are of no use to another",
			    train_optimizers[o->optimizer_before]);
		s = ttt_trainer_load(r->trainer, r->checkpoint, err);
		if (s == TTT_OK)
			tool_note(r->t, "%s: goes on from step %lld", r->checkpoint,
			    (long long)ttt_trainer_n_step(r->trainer));
	}
	if (s == TTT_OK)
		s = train_log_open(&r->log, r->dir, ttt_trainer_n_step(r->trainer), &r->seconds, &r->evaluated, err);
	return s;
}

enum ttt_status
train_open(struct run *r, struct ttt_error *err)
{
	bool had[N_WRITTEN];
	enum ttt_status s = open_directory(r, err);

	if (s == TTT_OK)
		s = settle(r, err);
	if (s != TTT_OK)
		return s;
	look(r, had);
	s = begin(r, err);
	if (s == TTT_OK)
		s = open_data(r, err);
	if (s == TTT_OK)
		s = open_trainer(r, err);
	if (s == TTT_OK)
		s = train_options_write(&r->o, r->dir, err);
	else if (!r->begun)
		forget(r, had);
	return s;
}
