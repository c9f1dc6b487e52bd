/* ttt-train run: the outer loop. A run directory holds run.json (settings), shards (tokens), log.jsonl, checkpoint, and
 * model, which is a model directory at any time. */
#include "tools/train.h"
#include "libttt/file.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

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
	bool evaluated;            /* the log ends with scores of held-out documents */
	double started;
	double bytes_per_token;
};

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static enum ttt_status
fail_system(struct ttt_error *err, const char *path, const char *what)
{
	return ttt__fail(err, TTT_E_IO, "%s: cannot %s: %s", path, what, strerror(errno));
}

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
	own = access(r->weights, F_OK) == 0;
	if (own && !r->begun)
		return ttt__fail(err, TTT_E_USAGE, "%s: is there already, and of no run: a model is not written over another", r->weights);
	if (!own && r->t->model_dir == NULL) {
		ttt__fail(err, TTT_E_USAGE, "the model to start from is missing (-m)");
		return ttt__hint(err, TTT_E_USAGE, "'ttt-train init' makes a new one");
	}
	s = ttt__make_directory(r->dir, err);
	if (s == TTT_OK)
		s = ttt_lock_take(&r->lock, r->checkpoint, 0, err);
	if (s != TTT_OK)
		return s;
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

/* What was refused is not remembered: a better command begins anew. */
static void
forget(const struct run *r)
{
	static const char *const names[] = { "run.json", "model/config.json", "model/tokenizer.json", "model/model.safetensors" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char *path = ttt__path_in(r->dir, names[i]);

		if (path != NULL)
			(void)unlink(path);
		free(path);
	}
	(void)rmdir(r->model);
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
	if (!r->begun && o->decay >= 0 && o->decay > o->steps - o->warmup)
		return ttt__fail(err, TTT_E_USAGE, "--decay: %lld steps are more than the %lld after the warm-up", (long long)o->decay,
		    (long long)(o->steps - o->warmup));
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

/* Of lines that were lost to a full disk the first one ends the run: the log of the steps after it would lack them. */
static enum ttt_status
check_log(const struct run *r, struct ttt_error *err)
{
	return ferror(r->log) ? fail_system(err, r->dir, "write log.jsonl") : TTT_OK;
}

static enum ttt_status
checkpoint(struct run *r, struct ttt_error *err)
{
	enum ttt_status s = ttt_trainer_save(r->trainer, r->checkpoint, err);

	if (s == TTT_OK)
		s = ttt_trainer_write_model(r->trainer, r->weights, err);
	if (s == TTT_OK && fflush(r->log) != 0)
		s = fail_system(err, r->dir, "write log.jsonl");
	return s;
}

/* Score held-out documents with the model just written. */
static enum ttt_status
evaluate(struct run *r, struct ttt_error *err)
{
	struct ttt_model *m = NULL;
	struct train_score all = { 0 };
	enum ttt_status s = ttt_model_open(&m, r->t->device, r->model, err);

	if (s == TTT_OK)
		s = train_score(r->score, &all, m, &r->data, (enum ttt_mode)r->o.mode, r->o.eval_documents,
		    r->o.eval_tokens, err);
	if (s == TTT_OK && all.n_token > 0)
		fprintf(r->log,
		    "{\"step\":%lld,\"eval_loss\":%.9g,\"eval_bits_per_byte\":%.9g,\"eval_documents\":%lld,"
		    "\"eval_tokens\":%lld,\"seconds\":%.3f}\n",
		    (long long)ttt_trainer_n_step(r->trainer) - 1, all.nats / (double)all.n_token,
		    all.n_byte > 0 ? all.nats / M_LN2 / (double)all.n_byte : 0, (long long)all.n_document,
		    (long long)all.n_token, r->seconds + now() - r->started);
	ttt_model_free(m);
	return s == TTT_OK ? check_log(r, err) : s;
}

static enum ttt_status
one_step(struct run *r, struct ttt_error *err)
{
	const struct train_options *o = &r->o;
	int64_t n_token = o->seq + 1, step = ttt_trainer_n_step(r->trainer);
	struct ttt_step_report report = { 0 };
	double before = now(), bits, speed;
	char line[120];
	enum ttt_status s = ttt__sampler_batch(&r->sampler, (uint64_t)o->seed, step, o->batch, r->ids, err);

	if (s == TTT_OK)
		s = ttt_trainer_step(r->trainer, r->ids, o->batch, n_token, &report, err);
	if (!isfinite(report.loss) || !isfinite(report.grad_norm)) {
		s = ttt__fail(err, TTT_E_RANGE, "%s: step %lld: the loss or its gradient is no longer a number", r->dir, (long long)step);
		return ttt__hint(err, s, "the last checkpoint is kept; go on from it with a lower --lr");
	}
	if (s != TTT_OK)
		return s;
	bits = report.loss / M_LN2 / r->bytes_per_token;
	speed = (double)(o->batch * o->seq) / (now() - before);
	fprintf(r->log,
	    "{\"step\":%lld,\"loss\":%.9g,\"bits_per_byte\":%.6g,\"grad_norm\":%.9g,\"lr\":%.9g,\"inner_rate\":%.9g,"
	    "\"tokens_per_second\":%.1f,\"seconds\":%.3f}\n",
	    (long long)step, report.loss, bits, report.grad_norm, report.lr, report.inner_rate, speed,
	    r->seconds + now() - r->started);
	snprintf(line, sizeof(line), "step %lld of %lld, loss %.4f, %.3f bits per byte, %.0f tokens/s",
	    (long long)step + 1, (long long)o->steps, report.loss, bits, speed);
	tool_progress_say(&r->progress, line);
	return check_log(r, err);
}

/* Steps until the last one or a signal; a checkpoint is written every so often and at the end. A signal waits for the
 * step. */
static enum ttt_status
loop(struct run *r, struct ttt_error *err)
{
	const struct train_options *o = &r->o;
	enum ttt_status s = TTT_OK;
	int64_t written = -1, step;
	bool evaluates;

	step = ttt_trainer_n_step(r->trainer);
	if (o->eval_every > 0 && step > 0 && step % o->eval_every == 0 && !r->evaluated) { /* killed before it came to that */
		s = checkpoint(r, err);
		if (s == TTT_OK)
			s = evaluate(r, err);
	}
	while (s == TTT_OK && (step = ttt_trainer_n_step(r->trainer)) < o->steps && !tool_stop_wanted()) {
		s = one_step(r, err);
		step++;
		evaluates = o->eval_every > 0 && step % o->eval_every == 0;
		if (s != TTT_OK || (step % o->checkpoint_every != 0 && !evaluates))
			continue;
		s = checkpoint(r, err);
		written = step;
		if (s == TTT_OK && evaluates)
			s = evaluate(r, err);
	}
	if (s == TTT_OK && written != ttt_trainer_n_step(r->trainer))
		s = checkpoint(r, err);
	return s;
}

static enum ttt_status
train(struct run *r, struct ttt_error *err)
{
	enum ttt_status s = open_directory(r, err);

	if (s == TTT_OK)
		s = settle(r, err);
	if (s != TTT_OK)
		return s;
	s = begin(r, err);
	if (s == TTT_OK)
		s = open_data(r, err);
	if (s == TTT_OK)
		s = open_trainer(r, err);
	if (s == TTT_OK)
		s = train_options_write(&r->o, r->dir, err);
	else if (!r->begun)
		forget(r);
	if (s != TTT_OK)
		return s;
	tool_verbose(r->t, "%lld documents, %lld tokens to train on, %.3f bytes each", (long long)r->data.n_document,
	    (long long)r->data.n_token, r->bytes_per_token);
	r->started = now();
	tool_progress_start(&r->progress, r->t, NULL, -1);
	tool_critical_begin();
	s = loop(r, err);
	tool_progress_end(&r->progress);
	if (s == TTT_OK && ttt_trainer_n_step(r->trainer) < r->o.steps)
		tool_note(r->t, "%s: stopped after step %lld; the same command goes on from there", r->dir,
		    (long long)ttt_trainer_n_step(r->trainer));
	if (s == TTT_OK && tool_stop_wanted() == SIGTERM) /* that is how a run is asked to end */
		tool_stop_answered();
	if (fclose(r->log) != 0 && s == TTT_OK)
		s = fail_system(err, r->dir, "write log.jsonl");
	r->log = NULL;
	tool_critical_end();
	return s;
}

int
train_run(struct tool *t, int argc, char **argv)
{
	struct run r = { .t = t, .data = { .fd = -1 } };
	struct ttt_error err;
	enum ttt_status s = train_options_read(t, &r.o, &r.dir, argc, argv, &err);

	r.begun = r.o.optimizer_before >= 0;
	if (s == TTT_OK)
		s = train(&r, &err);
	if (r.log != NULL)
		fclose(r.log);
	ttt_trainer_free(r.trainer);
	ttt__sampler_free(&r.sampler);
	ttt__data_close(&r.data);
	ttt_lock_release(r.lock);
	train_options_free(&r.o);
	free(r.ids);
	free(r.score);
	free(r.shards);
	free(r.model);
	free(r.weights);
	free(r.checkpoint);
	return s == TTT_OK ? TOOL_DONE : tool_fail(t, &err);
}
