/* A meta-training step beside a plain one of the same network on the same tokens, by turns. */
#include "bench/bench.h"

#include <stdlib.h>

enum kind { META, FIRST_ORDER, PLAIN, N_KIND };
static const char *const kind_name[] = { "meta", "first_order", "plain" };

static enum ttt_status
make_trainer(struct ttt_trainer **out, const struct ttt_model *m, enum kind k, struct ttt_error *err)
{
	struct ttt_train_options o = { .mode = k == PLAIN ? TTT_MODE_WINDOW : TTT_MODE_TTT, .first_order = k == FIRST_ORDER, .b1 = 0.9, .b2 = 0.95,
	    .eps = 1e-8, .weight_decay = 0.1, .clip = 1, .lr = 1e-4, .init_lr = 1e-4, .end_lr = 1e-4, .decay_steps = 1000 };

	return ttt_trainer_create(out, m, &o, err);
}

/* One kind's steps of a round; seconds a step. Without a least duration it is one step, of a trainer made for it and freed after it: three
 * trainers of a large shape would not fit in memory, and what making its buffers costs is little beside its step. */
static enum ttt_status
step(struct ttt_trainer **t, const struct bench *b, enum kind k, const int32_t *ids, int64_t n_token, double *seconds, struct ttt_error *err)
{
	struct ttt_step_report report;
	double started, taken;
	enum ttt_status status = *t ? TTT_OK : make_trainer(t, b->t->model, k, err);
	int n = 0;

	started = bench_now();
	do {
		if (!status)
			status = ttt_trainer_step(*t, ids, b->n_sequence, n_token, &report, err);
		n++;
		taken = bench_now() - started;
	} while (taken < b->seconds && !status);
	*seconds = taken / n;
	if (b->seconds == 0) {
		ttt_trainer_free(*t);
		*t = NULL;
	}
	return status;
}

static void
report(const struct bench *b, const struct series *seconds, const struct series *peak, int64_t T)
{
	const struct ttt_config *c = ttt_model_config(b->t->model);
	double flops[N_KIND] = { flops_meta(c, T, false), flops_meta(c, T, true), flops_plain(c, T) };

	for (enum kind k = META; k < N_KIND; k++) {
		struct series rate = {0}, over = {0}, share = {0};
		char name[64];

		for (int r = 0; r < seconds[k].n; r++) {
			bench_add(&rate, (double)(b->n_sequence * T) / seconds[k].at[r]);
			bench_add(&over, seconds[k].at[r] / seconds[PLAIN].at[r]);
			bench_add(&share, 1e-9 * flops[k] * (double)b->n_sequence / seconds[k].at[r] / peak->at[r]);
		}
		snprintf(name, sizeof name, "%s_tokens_per_second", kind_name[k]);
		bench_row(b, name, NULL, &rate, "tokens/s");
		snprintf(name, sizeof name, "%s_peak_share", kind_name[k]);
		bench_row(b, name, NULL, &share, "");
		if (k == PLAIN)
			continue;
		snprintf(name, sizeof name, "%s_over_plain", kind_name[k]);
		bench_row(b, name, NULL, &over, "");
		snprintf(name, sizeof name, "%s_operations_over_plain", kind_name[k]);
		bench_row_value(b, name, NULL, flops[k] / flops[PLAIN], "");
	}
}

int
bench_meta(struct tool *t, int argc, char **argv)
{
	struct bench b;
	struct peak p = {0};
	struct ttt_trainer *trainer[N_KIND] = {0};
	struct ttt_ids ids = {0};
	struct series seconds[N_KIND] = {0};
	struct ttt_error err;
	int64_t n_byte, T = 0;
	enum ttt_status status;

	bench_options(&b, t, "[--config FILE] [--sequences N] [--seq-length N]", "A meta-training step beside a plain one.", argc, argv);
	status = bench_open(&b, &err);
	if (!status)
		status = bench_ids(&b, &ids, &n_byte, &err);
	if (!status)
		T = (b.seq_length ? b.seq_length : ttt_model_config(t->model)->seq_length) / ttt_model_config(t->model)->chunk *
		    ttt_model_config(t->model)->chunk;
	if (!status && ids.n < b.n_sequence * (T + 1))
		tool_usage_error(t, "%lld ids are too few for %lld sequences", (long long)ids.n, (long long)b.n_sequence);
	if (!status)
		status = peak_start(&p, &b, &err);
	for (int r = b.seconds > 0 ? -1 : 0; r < b.rounds && !status; r++) { /* the first round makes buffers and is not counted */
		double taken = 0;

		if (r >= 0)
			peak_round(&p, &b);
		for (enum kind k = META; k < N_KIND && !status; k++) {
			status = step(&trainer[k], &b, k, ids.id, T + 1, &taken, &err);
			if (r >= 0)
				bench_add(&seconds[k], taken);
		}
	}
	if (status)
		return tool_fail(t, &err);
	report(&b, seconds, &p.best, T);
	bench_row(&b, "peak_gflops", NULL, &p.best, "GFLOP/s");
	peak_end(&p, &b);
	for (enum kind k = META; k < N_KIND; k++)
		ttt_trainer_free(trainer[k]);
	free(ids.id);
	return TOOL_DONE;
}
