/* ttt-train run: the outer loop. A run directory holds run.json (settings), shards (tokens), log.jsonl, checkpoint, and
 * model, which is a model directory at any time. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "libttt/base.h"
#include "tools/train-run.h"

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

/* Bytes a token of the batch's targets, those left out that carry no loss. */
static double
bytes_per_target(const struct run *r)
{
	const struct ttt_tokenizer *t = ttt_model_tokenizer(r->t->model);
	int64_t bos = ttt_model_config(r->t->model)->bos, n_token = r->o.seq + 1, n_byte = 0, n_target = 0;

	for (int64_t i = 0; i < r->o.batch * n_token; i++) {
		size_t n = 0;

		if (i % n_token == 0 || r->ids[i] == bos)
			continue;
		n_target++;
		if (ttt_tokenizer_bytes(t, r->ids[i], &n) != NULL)
			n_byte += (int64_t)n;
	}
	return n_byte > 0 ? (double)n_byte / (double)n_target : NAN;
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
		return access(r->checkpoint, F_OK) == 0 ? ttt__hint(err, s, "the last checkpoint is kept; go on from it with a lower --lr")
		                                        : ttt__hint(err, s, "there is no checkpoint yet: begin anew with a lower --lr");
	}
	if (s != TTT_OK)
		return s;
	bits = report.loss / M_LN2 / bytes_per_target(r);
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
	enum ttt_status s = train_open(r, err);

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
	const char *before = t->model_dir;
	enum ttt_status s = train_options_read(t, &r.o, &r.dir, argc, argv, &err);

	r.model_given = t->model_dir != before;
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
