/* What outlasts the end of a stream: the running mean of the fast weights, the pull towards the initial ones, and weights that come back
 * after noise. */
#include <math.h>

#include "tests/unit/state_fixture.h"

enum { SETTLE = 8, CHUNK = 8 };

static float *
weights(struct ttt_session *s, enum ttt__fast which, int64_t n)
{
	float *w = calloc((size_t)n, sizeof *w);

	assert_non_null(w);
	ttt__session_fast_read(s, which, w);
	return w;
}

static double
apart(const float *a, const float *b, int64_t n)
{
	double sum = 0;

	for (int64_t i = 0; i < n; i++)
		sum += pow((double)a[i] - (double)b[i], 2);
	return sqrt(sum);
}

/* Ids of the text, as many as there are. */
static void
ids_of(struct fixture *f, struct ttt_ids *ids)
{
	struct ttt_error err = { 0 };
	struct ttt_encoder *e;

	assert_ok(ttt_encoder_create(&e, ttt_model_tokenizer(f->model), &err), &err);
	assert_ok(ttt_encoder_feed(e, ids, f->text, f->n_text, &err), &err);
	ttt_encoder_free(e);
	assert_true(ids->n > 50 * CHUNK);
}

/* With decay 0 all weights count the same, with 2 the i-th as i (i + 1). */
static void
check_mean(struct fixture *f, double decay)
{
	int64_t n = ttt_model_n_fast(f->model);
	double *sum = calloc((size_t)n, sizeof *sum), all = 0;
	struct ttt_error err = { 0 };
	struct ttt_session *s;
	struct ttt_ids ids = { 0 };
	float *initial, *mean, *used, *want = calloc((size_t)n, sizeof *want);

	f->model->config.mean_share = 0.6;
	f->model->config.mean_decay = decay;
	ids_of(f, &ids);
	assert_ok(ttt_session_create(&s, f->model, TTT_WINDOW, &err), &err);
	initial = weights(s, TTT__FAST_LAST, n);
	assert_ok(ttt_session_keep_mean(s, &err), &err);
	ttt_session_use_mean(s); /* none yet */
	used = weights(s, TTT__FAST_LAST, n);
	assert_memory_equal(used, initial, (size_t)n * sizeof *used);
	free(used);
	for (int64_t at = 0, turn = 1; at + SETTLE * CHUNK < 40 * CHUNK; at += SETTLE * CHUNK, turn++) {
		double count = decay > 0 ? (double)(turn * (turn + 1)) : 1;
		float *now;

		assert_ok(ttt_session_feed(s, ids.id + at, SETTLE * CHUNK + (at == 0), NULL, &err), &err);
		at += at == 0;
		now = weights(s, TTT__FAST_LAST, n);
		for (int64_t i = 0; i < n; i++)
			sum[i] += count * (double)now[i];
		free(now);
		all += count;
		mean = weights(s, TTT__FAST_MEAN, n);
		for (int64_t i = 0; i < n; i++)
			want[i] = (float)(sum[i] / all);
		assert_true(apart(mean, want, n) < 1e-5 * apart(mean, initial, n));
		for (int64_t i = 0; i < n; i++)
			want[i] = (float)((double)initial[i] + 0.6 * ((double)mean[i] - (double)initial[i]));
		free(mean);
	}
	ttt_session_use_mean(s);
	used = weights(s, TTT__FAST_LAST, n);
	assert_true(apart(used, want, n) < 1e-5 * apart(used, initial, n));
	ttt_session_free(s);
	f->model->config.mean_decay = 0;
	free(used);
	free(want);
	free(initial);
	free(sum);
	free(ids.id);
}

static void
test_mean(void **state)
{
	check_mean(*state, 0);
	check_mean(*state, 2);
}

/* A full pull brings the initial weights back every eighth chunk, and a slight one keeps nearer to them than none. */
static void
test_pull(void **state)
{
	struct fixture *f = *state;
	double moved[3], pull[3] = { 0, 0.02, 1 }, initial;
	struct ttt_error err = { 0 };
	struct ttt_ids ids = { 0 };

	ids_of(f, &ids);
	for (int i = 0; i < 3; i++) {
		struct ttt_session *s;

		f->model->config.inner_pull = pull[i];
		assert_ok(ttt_session_create(&s, f->model, TTT_WINDOW, &err), &err);
		assert_ok(ttt_session_feed(s, ids.id, 40 * CHUNK + 1, NULL, &err), &err);
		ttt_session_drift(s, &moved[i], &initial);
		ttt_session_free(s);
	}
	f->model->config.inner_pull = 0;
	assert_true(moved[0] > 0.1 && moved[1] < 0.9 * moved[0] && moved[1] > 0);
	assert_true(moved[2] == 0);
	free(ids.id);
}

/* The last chunk's loss goes to ctx. */
static void
note_loss(void *ctx, const struct ttt_chunk_report *r)
{
	*(double *)ctx = r->loss;
}

/* The weights after eight chunks, had n_settled times eight been learned before, and the eighth one's loss. */
static float *
after_eight(struct fixture *f, const int32_t *id, double pull, int64_t n_settled, int64_t n, double *loss)
{
	const struct ttt_feed how = { .learn = true, .fn = note_loss, .ctx = loss };
	struct ttt_error err = { 0 };
	struct ttt_session *s;
	float *w;

	f->model->config.inner_pull = pull;
	assert_ok(ttt_session_create(&s, f->model, TTT_WINDOW, &err), &err);
	ttt__session_guard_set(s, &(struct ttt__guard){ .n_settled = n_settled });
	assert_ok(ttt_session_feed(s, id, SETTLE * CHUNK + 1, &how, &err), &err);
	w = weights(s, TTT__FAST_LAST, n);
	ttt_session_free(s);
	f->model->config.inner_pull = 0;
	return w;
}

/* The way back is in proportion to the loss, half of it after three times 256 chunks, and a quarter at last. */
static void
test_pull_by_loss(void **state)
{
	struct fixture *f = *state;
	int64_t n = ttt_model_n_fast(f->model), n_settled[] = { 0, 96, 1 << 20 };
	double loss, less[] = { 1, 2, 4 };
	struct ttt_error err = { 0 };
	struct ttt_ids ids = { 0 };
	struct ttt_session *s;
	float *initial, *free_ones, *pulled;

	ids_of(f, &ids);
	assert_ok(ttt_session_create(&s, f->model, TTT_WINDOW, &err), &err);
	initial = weights(s, TTT__FAST_LAST, n);
	ttt_session_free(s);
	free_ones = after_eight(f, ids.id, 0, 0, n, &loss);
	for (int k = 0; k < 3; k++) {
		double keep = pow(1 - 0.02 * loss, SETTLE);

		/* So many times the pull, which is then so many times less. */
		pulled = after_eight(f, ids.id, 0.02 * less[k], n_settled[k], n, &loss);
		for (int64_t i = 0; i < n; i++)
			pulled[i] -= (float)((1 - keep) * (double)initial[i]);
		for (int64_t i = 0; i < n; i++)
			pulled[i] /= (float)keep;
		assert_true(loss > 1 && keep < 0.95 && apart(pulled, free_ones, n) < 1e-5 * apart(free_ones, initial, n));
		free(pulled);
	}
	free(initial);
	free(free_ones);
	free(ids.id);
}

/* Text, then bytes that nothing can predict, at a rate at which these do harm. */
static struct ttt_state *
through_noise(struct fixture *f, bool cut, struct ttt_error *err)
{
	struct ttt_state_options o = { .rate = 2 };
	struct ttt_state *s;
	uint32_t r = 1;
	char noise[600];

	f->model->config.noise_bits = 0;
	s = absorbed(f, &o, "a.c", 0, 3000, 500);
	f->model->config.noise_bits = 6; /* from here on: to a model that has learned nothing yet, text is noise as well */
	save(s, in(f->dir, "text.ttt"), TTT_COMPRESS_NONE, false);
	ttt_state_free(s);
	s = opened(f, in(f->dir, "text.ttt"), NULL);
	for (size_t i = 0; i < sizeof noise; i++)
		noise[i] = (char)(0x80 | (r = r * 1664525 + 1013904223) >> 25);
	assert_ok(ttt_state_absorb(s, noise, sizeof noise, NULL, NULL, err), err);
	if (cut) {
		save(s, in(f->dir, "noise.ttt"), TTT_COMPRESS_NONE, false);
		ttt_state_free(s);
		s = opened(f, in(f->dir, "noise.ttt"), NULL);
	}
	assert_true(ttt_session_guards(ttt_state_session(s)).n_noise > 30);
	assert_int_equal(ttt_session_guards(ttt_state_session(s)).n_returned, 0);
	assert_ok(ttt_state_absorb(s, f->text + 3000, 1000, NULL, NULL, err), err);
	return s;
}

/* The weights from before the noise come back after it, whether or not the state was saved within. */
static void
test_noise(void **state)
{
	struct fixture *f = *state;
	struct ttt_state_info info;
	struct ttt_error err = { 0 };
	struct ttt_state *s, *cut;

	s = through_noise(f, false, &err);
	assert_ok(ttt_state_info(s, &info, &err), &err);
	assert_true(info.guards.n_returned >= 1); /* more than once: this model knows little, and some text is noise to it */
	assert_true(info.guards.n_undone > 30 && info.guards.n_undone <= info.guards.n_noise);
	cut = through_noise(f, true, &err);
	save(s, in(f->dir, "s.ttt"), TTT_COMPRESS_NONE, false);
	save(cut, in(f->dir, "cut.ttt"), TTT_COMPRESS_NONE, false);
	assert_same_file(in(f->dir, "s.ttt"), in(f->dir, "cut.ttt"));
	ttt_state_free(s);
	ttt_state_free(cut);
	f->model->config.noise_bits = 0;
	s = absorbed(f, NULL, "a.c", 0, f->n_text, f->n_text);
	assert_int_equal(ttt_session_guards(ttt_state_session(s)).n_noise, 0);
	ttt_state_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mean),
		cmocka_unit_test(test_pull),
		cmocka_unit_test(test_pull_by_loss),
		cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests(tests, fixture_make, fixture_free);
}
