/* Cost of a token by context length: learning in a window (TTT), the window alone, full attention.
 *
 * TTT is read to each length in truth and timed over the last stretch of it, since what is claimed is that nothing grows; with --filled,
 * for shapes that read a hundred tokens a second, it is timed with a full window.
 * Full attention's cost of a token at position n is timed with a cache filled to n: reading so far would take hours. Its mean cost over
 * the first n tokens follows, since the cost is a straight line in the position. */
#include "bench/bench.h"

#include <stdlib.h>

enum { STRETCH = 4096 }; /* tokens timed at the end of a length, at least; whole chunks */

static enum ttt_status
read_on(struct ttt_session *s, const struct ttt_ids *ids, int64_t n, bool learn, struct ttt_error *err)
{
	enum ttt_status status = TTT_OK;

	for (int64_t done = 0; done < n && !status;) {
		int64_t at = ttt_session_n_token(s) % ids->n, take = ids->n - at < n - done ? ids->n - at : n - done;

		status = ttt_session_feed(s, ids->id + at, take, &(struct ttt_feed){ .learn = learn, .rate = 1e-3 }, err);
		done += take;
	}
	return status;
}

/* Seconds a token over the next n. */
static enum ttt_status
time_tokens(struct ttt_session *s, const struct ttt_ids *ids, int64_t n, bool learn, double *each, struct ttt_error *err)
{
	double started = bench_now();
	enum ttt_status status = read_on(s, ids, n, learn, err);

	*each = (bench_now() - started) / (double)n;
	return status;
}

static void
name_length(char *out, size_t size, int64_t n)
{
	if (n % (1 << 20) == 0)
		snprintf(out, size, "%lldM", (long long)(n >> 20));
	else
		snprintf(out, size, "%lldK", (long long)(n >> 10));
}

/* Full attention with n tokens cached. */
static enum ttt_status
time_full(const struct bench *b, const struct ttt_ids *ids, int64_t n, struct series *each, struct ttt_error *err)
{
	struct ttt_session *s;
	int64_t C = ttt_model_config(b->t->model)->chunk;
	enum ttt_status status = bench_session(&s, b, TTT_FULL, n, err);
	double taken;

	if (!status)
		status = read_on(s, ids, C + 1, false, err);
	for (int r = 0; r < 3 && !status; r++) {
		status = time_tokens(s, ids, C, false, &taken, err);
		bench_add(each, taken);
	}
	ttt_session_free(s);
	return status;
}

static enum ttt_status
measure(const struct bench *b, const struct ttt_ids *ids, struct ttt_error *err)
{
	const struct ttt_config *c = ttt_model_config(b->t->model);
	int64_t stretch = b->filled ? c->chunk : (STRETCH + c->chunk - 1) / c->chunk * c->chunk, done = 0;
	struct series first = {0}, full_start = {0};
	struct ttt_session *ttt = NULL, *window = NULL;
	enum ttt_status status = bench_session(&ttt, b, TTT_WINDOW, b->filled ? -1 : 0, err);

	if (!status)
		status = bench_session(&window, b, TTT_WINDOW, -1, err);
	if (!status)
		status = time_full(b, ids, 0, &full_start, err);
	for (size_t i = 0; i < b->n_context && !status; i++) {
		int64_t n = b->context[i];
		struct series t = {0}, w = {0}, f = {0};
		double taken, mean;
		char length[32];

		name_length(length, sizeof length, n);
		if (!b->filled && n - 3 * stretch > done)
			status = read_on(ttt, ids, n - 3 * stretch - done, true, err);
		for (int r = 0; r < 3 && !status; r++) {
			if ((status = time_tokens(ttt, ids, stretch, true, &taken, err)) == TTT_OK)
				bench_add(&t, taken);
			if (!status && (status = time_tokens(window, ids, stretch, false, &taken, err)) == TTT_OK)
				bench_add(&w, taken);
		}
		done = ttt_session_n_token(ttt);
		if (!status)
			status = time_full(b, ids, n, &f, err);
		if (status)
			break;
		if (first.n == 0)
			first = t;
		mean = (bench_median(&full_start) + bench_median(&f)) / 2;
		bench_row_value(b, "ttt_microseconds_per_token", length, 1e6 * bench_median(&t), "us");
		bench_row_value(b, "window_microseconds_per_token", length, 1e6 * bench_median(&w), "us");
		bench_row_value(b, "full_microseconds_per_token", length, 1e6 * bench_median(&f), "us");
		bench_row_value(b, "full_mean_microseconds_per_token", length, 1e6 * mean, "us");
		bench_row_value(b, "ttt_cost_ratio", length, bench_median(&t) / bench_median(&first), "");
		bench_row_value(b, "cost_ratio", length, bench_median(&f) / bench_median(&t), "");
		bench_row_value(b, "mean_cost_ratio", length, mean / bench_median(&t), "");
	}
	ttt_session_free(ttt);
	ttt_session_free(window);
	return status;
}

int
bench_length(struct tool *t, int argc, char **argv)
{
	struct bench b;
	struct ttt_ids ids = {0};
	struct ttt_error err;
	int64_t n_byte;
	enum ttt_status status;

	bench_options(&b, t, "[--config FILE] [--context N,N,...] [--filled]", "Cost of a token by context length.", argc, argv);
	status = bench_open(&b, &err);
	if (!status)
		status = bench_ids(&b, &ids, &n_byte, &err);
	if (!status)
		status = measure(&b, &ids, &err);
	free(ids.id);
	return status ? tool_fail(t, &err) : TOOL_DONE;
}
