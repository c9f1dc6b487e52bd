/* Generating: one token after another through the whole network, with a full window. */
#include "bench/bench.h"

#include <stdlib.h>

static enum ttt_status
generate(struct ttt_session *s, float *logp, int64_t n, int64_t V, struct ttt_error *err)
{
	enum ttt_status status = TTT_OK;

	for (int64_t i = 0; i < n && !status; i++) {
		int32_t best = 0;

		status = ttt_session_next(s, logp, err);
		for (int64_t j = 1; j < V && !status; j++)
			best = logp[j] > logp[best] ? (int32_t)j : best;
		if (!status)
			status = ttt_session_feed(s, &best, 1, &(struct ttt_feed){ .learn = false }, err);
	}
	return status;
}

int
bench_decode(struct tool *t, int argc, char **argv)
{
	struct bench b;
	struct ttt_session *s = NULL;
	struct series rate = {0};
	struct ttt_error err;
	float *logp = NULL;
	int64_t V = 0, C = 0;
	const int32_t first = 0;
	enum ttt_status status;

	bench_options(&b, t, "[--config FILE]", "Tokens generated a second, with a full window.", argc, argv);
	status = bench_open(&b, &err);
	if (!status)
		status = bench_session(&s, &b, TTT_WINDOW, -1, &err);
	if (!status) {
		V = ttt_model_config(t->model)->n_vocab;
		C = ttt_model_config(t->model)->chunk < 64 ? ttt_model_config(t->model)->chunk : 64;
		logp = ttt__new((size_t)V, sizeof *logp);
		status = logp ? ttt_session_feed(s, &first, 1, NULL, &err) : ttt__fail_memory(&err, "logits");
	}
	for (int r = 0; r < b.rounds && !status; r++) {
		double started = bench_now(), taken;
		int64_t n = 0;

		do {
			status = generate(s, logp, C, V, &err);
			n += C;
			taken = bench_now() - started;
		} while (taken < b.seconds && !status);
		bench_add(&rate, (double)n / taken);
	}
	if (status)
		return tool_fail(t, &err);
	bench_row(&b, "decode_tokens_per_second", NULL, &rate, "tokens/s");
	ttt_session_free(s);
	free(logp);
	return TOOL_DONE;
}
