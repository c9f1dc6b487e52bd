/* Cost of a token by context length: learning in a window (TTT), the window alone, full attention.
 *
 * TTT is read to each length in truth and timed over the stretch after it, since what is claimed is that nothing grows; with --filled,
 * for shapes that read a hundred tokens a second, it is timed with a full window. All lengths are timed by turns.
 * Full attention's cost of a token at position n is timed with a cache filled to n: reading so far would take hours. Its mean cost over
 * the first n tokens follows, since the cost is a straight line in the position. */
#include "bench/bench.h"

#include <stdlib.h>
#include <string.h>

enum { STRETCH = 2048 }; /* tokens timed after a length, at least; whole chunks */

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

/* One context length: a stream that stands there, and what a token cost in each round. */
struct context {
	char name[32];
	struct ttt_session *ttt;
	struct series ttt_us, ratio;
};

/* The stream after n tokens, the last of them waiting: the one before it read on; with --filled one with a full window. */
static enum ttt_status
stand_at(struct context *x, const struct context *before, const struct bench *b, const struct ttt_ids *ids, int64_t n, struct ttt_error *err)
{
	enum ttt_status status = before ? ttt_session_clone(&x->ttt, before->ttt, err)
	                                : bench_session(&x->ttt, b, TTT_WINDOW, b->filled ? -1 : 0, err);

	if (status)
		return status;
	return read_on(x->ttt, ids, b->filled ? !before : n + 1 - ttt_session_n_token(x->ttt), true, err);
}

/* What comes after a stream's end, read by a copy of it, so that every round reads the same. */
static enum ttt_status
time_copy(const struct ttt_session *s, const struct ttt_ids *ids, int64_t n, bool learn, double *each, struct ttt_error *err)
{
	struct ttt_session *copy;
	enum ttt_status status = ttt_session_clone(&copy, s, err);

	if (!status)
		status = time_tokens(copy, ids, n, learn, each, err);
	ttt_session_free(copy);
	return status;
}

static int64_t
stretch_of(const struct bench *b)
{
	int64_t C = ttt_model_config(b->t->model)->chunk;

	return b->filled ? C : (STRETCH + C - 1) / C * C;
}

/* Rounds of the window and of TTT at every length, by turns, every other round from the last to the first: what slows the machine for a
 * while then favours none. */
static enum ttt_status
time_streams(const struct bench *b, struct context *x, const struct ttt_ids *ids, struct ttt_error *err)
{
	struct series window_us = {0};
	struct ttt_session *window = NULL;
	enum ttt_status status = bench_session(&window, b, TTT_WINDOW, -1, err);
	double taken, each[BENCH_CONTEXTS_MAX];

	if (!status)
		status = read_on(window, ids, 1, false, err);
	for (int r = 0; r < b->rounds && !status; r++) {
		if ((status = time_copy(window, ids, stretch_of(b), false, &taken, err)) == TTT_OK)
			bench_add(&window_us, 1e6 * taken);
		for (size_t k = 0; k < b->n_context && !status; k++) {
			size_t i = r % 2 ? b->n_context - 1 - k : k;

			status = time_copy(x[i].ttt, ids, stretch_of(b), true, &each[i], err);
		}
		for (size_t i = 0; i < b->n_context && !status; i++) {
			bench_add(&x[i].ttt_us, 1e6 * each[i]);
			bench_add(&x[i].ratio, each[i] / each[0]);
		}
	}
	ttt_session_free(window);
	if (status)
		return status;
	bench_row(b, "window_microseconds_per_token", NULL, &window_us, "us");
	for (size_t i = 0; i < b->n_context; i++) {
		bench_row(b, "ttt_microseconds_per_token", x[i].name, &x[i].ttt_us, "us");
		bench_row(b, "ttt_cost_ratio", x[i].name, &x[i].ratio, "");
	}
	return TTT_OK;
}

/* Rounds of full attention with n tokens cached and with nothing cached, and of TTT, by turns. */
static enum ttt_status
time_full(const struct bench *b, const struct context *x, int64_t n, const struct ttt_ids *ids, struct ttt_error *err)
{
	struct series us = {0}, mean_us = {0}, ratio = {0}, mean_ratio = {0};
	struct ttt_session *full = NULL, *start = NULL;
	int64_t C = ttt_model_config(b->t->model)->chunk;
	double at_n, at_start, ttt, mean;
	enum ttt_status status = bench_session(&full, b, TTT_FULL, n, err);

	if (!status)
		status = bench_session(&start, b, TTT_FULL, 0, err);
	if (!status && (status = read_on(full, ids, C + 1, false, err)) == TTT_OK)
		status = read_on(start, ids, 1, false, err);
	for (int r = 0; r < b->rounds && !status; r++) {
		if ((status = time_copy(x->ttt, ids, stretch_of(b), true, &ttt, err)) ||
		    (status = time_copy(start, ids, C, false, &at_start, err)) || (status = time_tokens(full, ids, C, false, &at_n, err)))
			break;
		mean = (at_start + at_n) / 2;
		bench_add(&us, 1e6 * at_n);
		bench_add(&mean_us, 1e6 * mean);
		bench_add(&ratio, at_n / ttt);
		bench_add(&mean_ratio, mean / ttt);
	}
	ttt_session_free(full);
	ttt_session_free(start);
	if (status)
		return status;
	bench_row(b, "full_microseconds_per_token", x->name, &us, "us");
	bench_row(b, "full_mean_microseconds_per_token", x->name, &mean_us, "us");
	bench_row(b, "cost_ratio", x->name, &ratio, "");
	bench_row(b, "mean_cost_ratio", x->name, &mean_ratio, "");
	return TTT_OK;
}

/* Lengths that one read stream passes; with --filled there is one stream for all, so that large shapes fit in memory. */
static enum ttt_status
measure(const struct bench *b, struct context *x, const struct ttt_ids *ids, struct ttt_error *err)
{
	struct bench one = *b;
	enum ttt_status status = TTT_OK;

	for (size_t i = 0; i < b->n_context && !status; i++) {
		name_length(x[i].name, sizeof x[i].name, b->context[i]);
		if (!b->filled || i == 0)
			status = stand_at(&x[i], i ? &x[i - 1] : NULL, b, ids, b->context[i], err);
	}
	if (b->filled)
		one.n_context = 1;
	if (!status)
		status = time_streams(&one, x, ids, err);
	for (size_t i = 0; i < b->n_context && !status; i++) {
		struct context at = x[b->filled ? 0 : i];

		memcpy(at.name, x[i].name, sizeof at.name);
		status = time_full(b, &at, b->context[i], ids, err);
	}
	return status;
}

int
bench_length(struct tool *t, int argc, char **argv)
{
	struct bench b;
	struct ttt_ids ids = {0};
	static struct context x[BENCH_CONTEXTS_MAX];
	struct ttt_error err;
	int64_t n_byte;
	enum ttt_status status;

	bench_options(&b, t, "[--config FILE] [--context N,N,...] [--filled]", "Cost of a token by context length.", argc, argv);
	status = bench_open(&b, &err);
	if (!status)
		status = bench_ids(&b, &ids, &n_byte, &err);
	if (!status)
		status = measure(&b, x, &ids, &err);
	for (size_t i = 0; i < b.n_context; i++)
		ttt_session_free(x[i].ttt);
	free(ids.id);
	return status ? tool_fail(t, &err) : TOOL_DONE;
}
