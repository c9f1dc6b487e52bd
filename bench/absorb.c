/* Learning while reading: tokens a second beside the matrix-product peak of the same minutes, and memory. */
#include "bench/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Peak resident memory of this process so far, in bytes. */
static double
resident(void)
{
	/* not getrusage, whose maximum begins with what the program before exec had */
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	double kilobytes = 0;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "VmHWM:", 6) == 0)
			kilobytes = strtod(line + 6, NULL);
	if (f != NULL)
		fclose(f);
	return 1024.0 * kilobytes;
}

/* Weights as they are kept, fast weights and their gradient, biases by the last tokens, window, and one chunk's activations: forward values of
 * every layer and the head, where order 0 wants them its probabilities too. */
static double
memory_needed(const struct ttt_model *m)
{
	const struct ttt_config *c = ttt_model_config(m);
	double D = (double)c->d_model, T = (double)c->chunk, L = (double)c->n_layer, P = (double)c->n_layer_suffix;
	double window = 2 * L * (double)c->window * D;
	double activations = T * (L * (9 * D + 3 * D + 3 * (double)c->d_ff) + P * (3 * D + 3 * (double)c->d_prime) + 4 * D);

	double slow = (double)(ttt_model_n_parameter(m) - ttt_model_n_fast(m)), fast = (double)ttt_model_n_fast(m);

	double biases = c->n_ngram ? ldexp(8, (int)c->ngram_bits) : 0;

	if (c->n_ngram > 0 && c->ngram_order[0] == 0) {
		activations += T * (double)c->n_vocab;
		biases += 17 * (double)c->n_vocab; /* four arrays of float32, and counts of a byte */
	}
	return (m->half ? 2 : 4) * slow + 4 * (3 * fast + window + activations) + biases;
}

/* Read n ids, from *at on and round again, as whole chunks. */
static enum ttt_status
feed(struct ttt_session *s, const struct ttt_ids *ids, int64_t *at, int64_t n, struct ttt_error *err)
{
	enum ttt_status status = TTT_OK;

	while (n > 0 && !status) {
		int64_t take = ids->n - *at < n ? ids->n - *at : n;

		status = ttt_session_feed(s, ids->id + *at, take, &(struct ttt_feed){ .learn = true, .rate = 1e-3 }, err);
		*at = (*at + take) % ids->n;
		n -= take;
	}
	return status;
}

/* Rounds of peak and reading by turns. */
static enum ttt_status
measure(const struct bench *b, struct ttt_session *s, const struct ttt_ids *ids, struct peak *p, struct series *rate, struct series *share,
    struct ttt_error *err)
{
	const struct ttt_config *c = ttt_model_config(b->t->model);
	double flops = flops_absorb(c, c->window ? c->window - 1 : 0);
	int64_t at = 0;
	enum ttt_status status = feed(s, ids, &at, c->chunk + 1, err);

	for (int r = 0; r < b->rounds && !status; r++) {
		double peak = peak_round(p, b), started = bench_now(), taken;
		int64_t n = 0;

		do {
			status = feed(s, ids, &at, c->chunk, err);
			n += c->chunk;
			taken = bench_now() - started;
		} while (taken < b->seconds && !status);
		bench_add(rate, (double)n / taken);
		bench_add(share, 1e-9 * flops * (double)n / taken / peak);
	}
	return status;
}

int
bench_absorb(struct tool *t, int argc, char **argv)
{
	struct bench b;
	struct peak p = {0};
	struct ttt_session *s = NULL;
	struct ttt_ids ids = {0};
	struct series rate = {0}, share = {0}, kb = {0};
	struct ttt_error err;
	double before = resident(), memory = 0;
	int64_t n_byte = 0;
	enum ttt_status status;

	bench_options(&b, t, "[--config FILE] [--text FILE]", "Learning while reading, with a full window.", argc, argv);
	status = bench_open(&b, &err);
	if (!status)
		status = bench_ids(&b, &ids, &n_byte, &err);
	if (!status)
		status = bench_session(&s, &b, TTT_WINDOW, -1, &err);
	if (!status) { /* one chunk for the memory alone, before the peak's matrices are made */
		int64_t at = 0;

		status = feed(s, &ids, &at, 2 * ttt_model_config(t->model)->chunk, &err);
		memory = resident();
	}
	if (!status)
		status = peak_start(&p, &b, &err);
	if (!status)
		status = measure(&b, s, &ids, &p, &rate, &share, &err);
	if (status)
		return tool_fail(t, &err);
	for (int i = 0; i < rate.n && n_byte; i++)
		bench_add(&kb, 1e-3 * rate.at[i] * (double)n_byte / (double)ids.n);
	bench_row(&b, "absorb_tokens_per_second", NULL, &rate, "tokens/s");
	if (n_byte)
		bench_row(&b, "absorb_kilobytes_per_second", NULL, &kb, "kB/s");
	bench_row_value(&b, "absorb_operations_per_token", NULL, 1e-6 * flops_absorb(ttt_model_config(t->model), ttt_model_config(t->model)->window - 1),
	    "MFLOP");
	bench_row(&b, "peak_gflops", NULL, &p.best, "GFLOP/s");
	bench_row(&b, "absorb_peak_share", NULL, &share, "");
	bench_row_value(&b, "absorb_peak_memory", NULL, 1e-6 * memory, "MB");
	bench_row_value(&b, "absorb_memory_before_model", NULL, 1e-6 * before, "MB");
	bench_row_value(&b, "absorb_memory_over_needed", NULL, memory / memory_needed(t->model), "");
	peak_end(&p, &b);
	ttt_session_free(s);
	free(ids.id);
	return TOOL_DONE;
}
