/* The embedded model's figures are what they seem: its probabilities sum to one and are those it is scored by, later tokens change no earlier
 * loss, nothing beats chance on chance, and with learning off it is the plain network. */
#include <math.h>

#include "libttt/learn/session.h"
#include "libttt/learn/trainer.h"
#include "libttt/random.h"
#include "on_devices.h"
#include "scratch.h"

enum { N = 2049 };

static struct ttt_model *model;
static struct ttt_ids text; /* source code of the project's own */

static int
open_model(void **state)
{
	struct ttt_error err = { 0 };
	struct ttt_encoder *e;
	struct ttt__bytes b = slurp(data_path("unit/test_honest.c"));

	open_devices(state);
	assert_ok(ttt_model_open(&model, devices.at[0].device, NULL, &err), &err);
	assert_ok(ttt_encoder_create(&e, ttt_model_tokenizer(model), &err), &err);
	assert_ok(ttt_encoder_feed(e, &text, b.p, b.n, &err), &err);
	ttt_encoder_free(e);
	ttt__bytes_free(&b);
	assert_true(text.n >= N);
	return 0;
}

static int
close_model(void **state)
{
	free(text.id);
	ttt_model_free(model);
	return close_devices(state);
}

struct losses {
	float nll[N];
	int64_t n;
};

static void
collect(void *ctx, const struct ttt_chunk_report *r)
{
	struct losses *l = ctx;

	for (int64_t i = 0; i < r->n && r->first + i < N; i++)
		l->nll[r->first + i] = r->nll[i];
	l->n = r->first + r->n;
}

static void
score(const int32_t *ids, bool learn, struct losses *l)
{
	struct ttt_feed how = { .learn = learn, .fn = collect, .ctx = l };
	struct ttt_error err = { 0 };
	struct ttt_session *s;

	assert_ok(ttt_session_create(&s, model, TTT_WINDOW, &err), &err);
	assert_ok(ttt_session_feed(s, ids, N, &how, &err), &err);
	assert_int_equal(l->n, N - (N - 1) % ttt_model_config(model)->chunk);
	ttt_session_free(s);
}

/* At every 37th position, in the middle of chunks and at their ends, before the first step and after many. */
static void
test_probabilities(void **state)
{
	int64_t V = ttt_model_config(model)->n_vocab;
	float *logp = malloc((size_t)V * sizeof *logp);
	static struct losses l;
	struct ttt_error err = { 0 };
	struct ttt_session *s;

	(void)state;
	assert_non_null(logp);
	score(text.id, true, &l);
	assert_ok(ttt_session_create(&s, model, TTT_WINDOW, &err), &err);
	for (int64_t t = 1; t < N - 1; t++) {
		double sum = 0;

		assert_ok(ttt_session_feed(s, text.id + t - 1, 1, NULL, &err), &err);
		if (t % 37 != 1)
			continue;
		assert_ok(ttt_session_next(s, logp, &err), &err);
		for (int64_t i = 0; i < V; i++)
			sum += exp((double)logp[i]);
		assert_true(fabs(sum - 1) < 1e-6);
		assert_true(fabs(-(double)logp[text.id[t]] - (double)l.nll[t]) < 1e-4 * (1 + (double)l.nll[t]));
	}
	ttt_session_free(s);
	free(logp);
}

static void
test_causality(void **state)
{
	static const int64_t cuts[] = { 1, 31, 32, 33, 500, 1000 };
	int64_t chunk = ttt_model_config(model)->chunk;
	int32_t *changed = malloc(N * sizeof *changed);
	static struct losses a, b;
	struct ttt__random r;

	(void)state;
	assert_non_null(changed);
	ttt__random_seed(&r, 1);
	score(text.id, true, &a);
	for (size_t k = 0; k < sizeof cuts / sizeof *cuts; k++) {
		for (int64_t t = 0; t < N; t++)
			changed[t] = t < cuts[k] ? text.id[t] : (int32_t)(ttt__random_uniform(&r) * 1000);
		score(changed, true, &b);
		for (int64_t t = 1; t < cuts[k]; t++)
			assert_true(a.nll[t] == b.nll[t]);
		for (int64_t t = cuts[k] + chunk; t < N && t < cuts[k] + 2 * chunk; t++)
			assert_true(a.nll[t] != b.nll[t]);
	}
	free(changed);
}

/* No predictor does better than log V on tokens drawn evenly, on the mean; this one, which expects text, does much worse. */
static void
test_chance(void **state)
{
	int64_t V = ttt_model_config(model)->n_vocab;
	int32_t *ids = malloc(N * sizeof *ids);
	static struct losses l;
	struct ttt__random r;

	(void)state;
	assert_non_null(ids);
	ttt__random_seed(&r, 2);
	for (int64_t t = 0; t < N; t++)
		ids[t] = (int32_t)(ttt__random_uniform(&r) * (double)V);
	for (int learn = 0; learn < 2; learn++) {
		double sum = 0;

		score(ids, learn, &l);
		for (int64_t t = 1; t < l.n; t++)
			sum += (double)l.nll[t];
		assert_true(sum / (double)(l.n - 1) >= log((double)V));
	}
	free(ids);
}

/* The plain pass of meta-training, over the whole sequence at once, has the same loss as chunks read with learning off. */
static void
test_plain(void **state)
{
	const struct ttt_train_options o = { .mode = TTT_MODE_WINDOW };
	struct ttt_error err = { 0 };
	struct ttt_trainer *t;
	static struct losses l, on;
	double loss, sum = 0, learned = 0;

	(void)state;
	score(text.id, false, &l);
	score(text.id, true, &on);
	assert_ok(ttt_trainer_create(&t, model, &o, &err), &err);
	assert_ok(ttt_trainer_gradient(t, text.id, 1, l.n, -1, &loss, &err), &err);
	for (int64_t i = 1; i < l.n; i++) {
		sum += (double)l.nll[i] / (double)(l.n - 1);
		learned += (double)on.nll[i] / (double)(l.n - 1);
	}
	assert_true(fabs(sum - loss) < 1e-5 * loss);
	assert_true(learned < 0.9 * loss); /* with learning off in both, the line before says nothing */
	ttt_trainer_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_probabilities),
		cmocka_unit_test(test_causality),
		cmocka_unit_test(test_chance),
		cmocka_unit_test(test_plain),
	};

	return cmocka_run_group_tests(tests, open_model, close_model);
}
