/* Reading in bfloat16 beside reading in float32: the same weights, the same text, by turns; tokens a second and what it costs in loss. */
#include "bench/bench.h"

#include <stdlib.h>

enum { MOST = 1 << 15 }; /* tokens whose loss is compared */

struct reader {
	struct tool tool;
	struct bench bench;
	struct ttt_session *session;
	struct series rate;
	double nats;
	int64_t n_scored, at;
};

static void
add_loss(void *ctx, const struct ttt_chunk_report *report)
{
	struct reader *r = ctx;

	r->nats += report->loss * (double)report->n;
	r->n_scored += report->n;
}

static enum ttt_status
open_reader(struct reader *r, const struct bench *b, enum ttt_dtype precision, struct ttt_error *err)
{
	enum ttt_status status;

	r->tool = *b->t;
	r->tool.precision = precision;
	r->bench = *b;
	r->bench.t = &r->tool;
	status = bench_open(&r->bench, err);
	return status ? status : ttt_session_create(&r->session, r->tool.model, TTT_WINDOW, err);
}

static void
close_reader(struct reader *r)
{
	ttt_session_free(r->session);
	ttt_model_free(r->tool.model);
	ttt_device_free(r->tool.device);
}

/* Read on for the least duration of a timing, whole chunks. Only the beginning of the text is scored. */
static enum ttt_status
read_on(struct reader *r, const struct ttt_ids *ids, double rate, struct ttt_error *err)
{
	int64_t C = ttt_model_config(r->tool.model)->chunk, n = 0;
	double started = bench_now(), taken;
	enum ttt_status status = TTT_OK;

	do {
		int64_t take = ids->n - r->at < C ? ids->n - r->at : C;
		bool scored = r->n_scored + take <= MOST;

		status = ttt_session_feed(r->session, ids->id + r->at, take,
		    &(struct ttt_feed){ .learn = true, .rate = rate, .fn = scored ? add_loss : NULL, .ctx = r }, err);
		r->at = (r->at + take) % ids->n;
		n += take;
		taken = bench_now() - started;
	} while (taken < r->bench.seconds && !status);
	bench_add(&r->rate, (double)n / taken);
	return status;
}

/* Both over the same tokens, so that their losses can be compared. */
static enum ttt_status
catch_up(struct reader *r, int64_t n_scored, const struct ttt_ids *ids, double rate, struct ttt_error *err)
{
	enum ttt_status status = TTT_OK;

	r->bench.seconds = 0;
	while (r->n_scored < n_scored && !status)
		status = read_on(r, ids, rate, err);
	return status;
}

int
bench_precision(struct tool *t, int argc, char **argv)
{
	static const char *const name[] = { "f32", "bf16" };
	struct reader r[2] = { { .n_scored = 0 }, { .n_scored = 0 } };
	struct series speedup = {0};
	struct bench b;
	struct ttt_ids ids = {0};
	struct ttt_error err;
	int64_t n_byte = 0;
	enum ttt_status status;
	double rate;

	bench_options(&b, t, "[--config FILE] [--text FILE]", "Reading in bfloat16 beside reading in float32.", argc, argv);
	status = open_reader(&r[0], &b, TTT_F32, &err);
	if (!status)
		status = open_reader(&r[1], &b, TTT_BF16, &err);
	if (!status)
		status = bench_ids(&r[0].bench, &ids, &n_byte, &err);
	rate = n_byte ? 1 : 1e-3; /* drawn tokens and weights teach nothing */
	for (int k = 0; k < 2 && !status; k++) /* a chunk runs when the token after it is there */
		status = ttt_session_feed(r[k].session, ids.id, r[k].at = 1, NULL, &err);
	for (int i = 0; i < b.rounds && !status; i++) {
		for (int k = 0; k < 2 && !status; k++)
			status = read_on(&r[k], &ids, rate, &err);
		bench_add(&speedup, r[1].rate.at[i] / r[0].rate.at[i]);
	}
	for (int k = 0; k < 2 && !status; k++)
		status = catch_up(&r[k], r[1 - k].n_scored, &ids, rate, &err);
	for (int k = 0; k < 2; k++) /* what was read to catch up is of no round */
		r[k].rate.n = b.rounds;
	for (int k = 0; k < 2 && !status; k++)
		bench_row(&r[k].bench, "precision_tokens_per_second", name[k], &r[k].rate, "tokens/s");
	if (!status) {
		bench_row(&r[1].bench, "precision_speedup", NULL, &speedup, "");
		for (int k = 0; k < 2; k++)
			bench_row_value(&r[k].bench, "precision_loss", name[k], r[k].nats / (double)r[k].n_scored, "nats");
		bench_row_value(&r[1].bench, "precision_loss_difference", NULL,
		    r[1].nats / (double)r[1].n_scored - r[0].nats / (double)r[0].n_scored, "nats");
	}
	free(ids.id);
	for (int k = 0; k < 2; k++)
		close_reader(&r[k]);
	return status ? tool_fail(t, &err) : TOOL_DONE;
}
