/* What a trainer makes of outer gradients: batches, threads, masks, refusals, and checkpoints that go on bit for bit. */
#include "scratch.h"
#include "outer_cases.h"
#include "on_devices.h"

/* A sequence of nothing but bos after its start: loss 0 in all, and no NaN anywhere. */
static void
test_all_masked(void **state)
{
	struct ttt_config c = config_of(0);
	int32_t ids[33] = {4};
	struct ttt_trainer *t;
	struct ttt_model m;
	double loss;
	float *g;

	(void)state;
	tiny_model_create(&m, devices.at[0].device, &c, 1);
	t = trainer_of(&m, TTT_MODE_TTT, false);
	g = gradient_of(t, ids, 1, 33, &loss);
	assert_true(loss == 0);
	for (int64_t i = 0; i < m.parameters.n_float; i++)
		assert_true(g[i] == 0);
	free(g);
	ttt_trainer_free(t);
	tiny_model_free(&m);
}

static void
check_batch(struct ttt_device *d, const struct ttt_config *c, const int32_t *ids, float **all)
{
	int64_t n_token = 4 * c->chunk + 1;
	struct ttt_trainer *t;
	struct ttt_model m;
	double loss, sum = 0, one;
	float *g, *mean;

	tiny_model_create(&m, d, c, 5);
	t = trainer_of(&m, TTT_MODE_TTT, false);
	g = gradient_of(t, ids, 3, n_token, &loss);
	mean = tiny_new((size_t)m.parameters.n_float, sizeof *mean);
	for (int s = 0; s < 3; s++) {
		float *alone = gradient_of(t, ids + s * n_token, 1, n_token, &one);

		sum += one / 3;
		for (int64_t i = 0; i < m.parameters.n_float; i++)
			mean[i] += alone[i] / 3;
		free(alone);
	}
	assert_true(fabs(loss - sum) < 1e-12 * fabs(sum));
	assert_true(difference(g, mean, NULL, m.parameters.n_float, 0) < 3e-6);

	if (*all)
		assert_true(difference(g, *all, NULL, m.parameters.n_float, 0) < 1e-6);
	free(*all);
	*all = g;
	free(mean);
	ttt_trainer_free(t);
	tiny_model_free(&m);
}

/* A batch is the mean of its sequences, and 1 and 2 threads agree; devices come in pairs of one instruction set. */
static void
test_batch(void **state)
{
	struct ttt_config c = config_of(0);
	struct ttt__random r;
	int32_t *ids;

	(void)state;
	ttt__random_seed(&r, 11);
	ids = tiny_ids(&r, 3 * (4 * c.chunk + 1), c.n_vocab);
	for (int i = 0; i < devices.n; i += 2) {
		float *all = NULL;

		check_batch(devices.at[i].device, &c, ids, &all);
		check_batch(devices.at[i + 1].device, &c, ids, &all);
		free(all);
	}
	free(ids);
}

/* Sequences of other lengths, and batches of other sizes, in turn: each as a new trainer has it. */
static void
test_lengths(void **state)
{
	static const struct {
		int64_t n_seq, n_chunk;
	} batch[] = {{1, 4}, {3, 2}, {1, 2}, {2, 5}, {3, 1}};
	struct ttt_config c = config_of(0);
	struct ttt__random r;
	int32_t *ids;

	(void)state;
	ttt__random_seed(&r, 12);
	ids = tiny_ids(&r, 3 * (5 * c.chunk + 1), c.n_vocab);
	for (int k = 0; k < 2; k++) {
		struct ttt_trainer *t;
		struct ttt_model m;

		tiny_model_create(&m, devices.at[k].device, &c, 5);
		t = trainer_of(&m, TTT_MODE_TTT, false);
		for (size_t i = 0; i < sizeof batch / sizeof *batch; i++) {
			struct ttt_trainer *fresh = trainer_of(&m, TTT_MODE_TTT, false);
			int64_t n_token = batch[i].n_chunk * c.chunk + 1;
			double loss, want;
			float *g = gradient_of(t, ids, batch[i].n_seq, n_token, &loss);
			float *h = gradient_of(fresh, ids, batch[i].n_seq, n_token, &want);

			assert_true(fabs(loss - want) <= 1e-12 * want);
			assert_true(difference(g, h, NULL, m.parameters.n_float, 0) < 1e-6);
			free(g);
			free(h);
			ttt_trainer_free(fresh);
		}
		ttt_trainer_free(t);
		tiny_model_free(&m);
	}
	free(ids);
}

/* What cannot be a batch is refused with a sentence. */
static void
test_refusals(void **state)
{
	struct ttt_config c = config_of(0);
	int32_t ids[33] = {0};
	struct ttt_error said = {0};
	struct ttt_trainer *t;
	struct ttt_model m;
	double loss;

	(void)state;
	tiny_model_create(&m, devices.at[0].device, &c, 1);
	t = trainer_of(&m, TTT_MODE_TTT, false);
	assert_fails(ttt_trainer_write_gradient(t, "nowhere", &said), TTT_E_USAGE, &said, "no gradient");
	assert_fails(ttt_trainer_gradient(t, ids, 1, 32, -1, &loss, &said), TTT_E_USAGE, &said, "whole chunks");
	assert_fails(ttt_trainer_gradient(t, ids, 1, 33, NAN, &loss, &said), TTT_E_RANGE, &said, "no number");
	assert_fails(ttt_trainer_gradient(t, ids, 0, 33, -1, &loss, &said), TTT_E_USAGE, &said, "0 sequences");
	ids[20] = (int32_t)c.n_vocab;
	assert_fails(ttt_trainer_gradient(t, ids, 1, 33, -1, &loss, &said), TTT_E_RANGE, &said, "token 20");
	ids[20] = -1;
	assert_fails(ttt_trainer_gradient(t, ids, 1, 33, -1, &loss, &said), TTT_E_RANGE, &said, "token 20");
	ttt_trainer_free(t);
	tiny_model_free(&m);
}

static const struct ttt_train_options schedule = {.init_lr = 1e-3, .lr = 1e-2, .end_lr = 1e-4, .warmup_steps = 2, .decay_steps = 8, .b1 = 0.9,
    .b2 = 0.95, .eps = 1e-8, .weight_decay = 0.1, .clip = 1, .ilr_init = 0.1, .ilr_warmup_steps = 5};

/* Steps from .. to - 1 of a fixed run of batches of two. */
static void
take_steps(struct ttt_trainer *t, int from, int to, double *loss)
{
	int64_t n_token = 4 * t->net.config.chunk + 1;

	for (int i = from; i < to; i++) {
		struct ttt_step_report report;
		struct ttt__random r;
		int32_t *ids;

		ttt__random_seed(&r, (uint64_t)i + 77);
		ids = tiny_ids(&r, 2 * n_token, t->net.config.n_vocab);
		TINY_OK(ttt_trainer_step(t, ids, 2, n_token, &report, &err));
		assert_int_equal(report.step, i);
		loss[i] = report.loss;
		free(ids);
	}
}

/* Whether two trainers hold the same parameters and moments, bit for bit. */
static bool
same_trainers(const struct ttt_trainer *a, const struct ttt_trainer *b)
{
	int64_t n = a->net.parameters->n_float;
	const float *const x[] = {a->weights, a->m, a->v}, *const y[] = {b->weights, b->m, b->v};
	bool same = a->step == b->step;

	for (int i = 0; i < 3; i++) {
		float *p = tiny_download(a->net.device, x[i], n), *q = tiny_download(b->net.device, y[i], n);

		same = same && memcmp(p, q, (size_t)n * sizeof *p) == 0;
		free(p);
		free(q);
	}
	return same;
}

/* Three steps, save, load into a new trainer, four more: as seven steps in one go, bit for bit. */
static void
check_resume(struct ttt_device *d, enum ttt_optimizer optimizer, const char *path)
{
	struct ttt_train_options o = schedule;
	struct ttt_config c = config_of(0);
	struct ttt_trainer *whole, *part, *resumed;
	double a[7], b[7];
	struct ttt_model m;

	o.optimizer = optimizer;
	tiny_model_create(&m, d, &c, 5);
	TINY_OK(ttt_trainer_create(&whole, &m, &o, &err));
	TINY_OK(ttt_trainer_create(&part, &m, &o, &err));
	TINY_OK(ttt_trainer_create(&resumed, &m, &o, &err));
	take_steps(whole, 0, 7, a);
	take_steps(part, 0, 3, b);
	TINY_OK(ttt_trainer_save(part, path, &err));
	TINY_OK(ttt_trainer_load(resumed, path, &err));
	assert_int_equal(ttt_trainer_n_step(resumed), 3);
	assert_true(same_trainers(part, resumed));
	take_steps(resumed, 3, 7, b);
	assert_true(same_trainers(whole, resumed));
	assert_memory_equal(a, b, sizeof a);
	assert_false(same_trainers(part, resumed));
	ttt_trainer_free(whole);
	ttt_trainer_free(part);
	ttt_trainer_free(resumed);
	tiny_model_free(&m);
}

static void
test_resume(void **state)
{
	char dir[256];

	(void)state;
	scratch_make(dir);
	for (int i = 0; i < devices.n; i++)
		for (int o = TTT_OPTIMIZER_ADAMW; o <= TTT_OPTIMIZER_MUON; o++)
			check_resume(devices.at[i].device, (enum ttt_optimizer)o, in(dir, "checkpoint"));
	scratch_remove(dir);
}

/* A checkpoint of another model, a cut one and a gradient file are refused. */
static void
test_foreign_checkpoints(void **state)
{
	struct ttt_config c = config_of(0), other = c;
	struct ttt_trainer *t, *o;
	struct ttt_model m, n;
	struct ttt_error said = {0};
	struct ttt__bytes b;
	double loss[1];
	char dir[256];

	(void)state;
	scratch_make(dir);
	other.d_ff++;
	tiny_model_create(&m, devices.at[0].device, &c, 5);
	tiny_model_create(&n, devices.at[0].device, &other, 5);
	TINY_OK(ttt_trainer_create(&t, &m, &schedule, &err));
	TINY_OK(ttt_trainer_create(&o, &n, &schedule, &err));
	take_steps(t, 0, 1, loss);
	TINY_OK(ttt_trainer_save(t, in(dir, "checkpoint"), &err));
	TINY_OK(ttt_trainer_write_gradient(t, in(dir, "gradient"), &err));
	assert_fails(ttt_trainer_load(o, in(dir, "checkpoint"), &said), TTT_E_SHAPE, &said, "does not fit");
	assert_fails(ttt_trainer_load(t, in(dir, "gradient"), &said), TTT_E_FORMAT, &said, "not a checkpoint");
	assert_fails(ttt_trainer_load(t, in(dir, "absent"), &said), TTT_E_IO, &said, "absent");
	b = slurp(in(dir, "checkpoint"));
	spill(in(dir, "cut"), b.p, b.n - 4);
	assert_int_not_equal(ttt_trainer_load(t, in(dir, "cut"), &said), TTT_OK);
	ttt__bytes_free(&b);
	ttt_trainer_free(t);
	ttt_trainer_free(o);
	tiny_model_free(&m);
	tiny_model_free(&n);
	scratch_remove(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_all_masked),
	    cmocka_unit_test(test_batch),
	    cmocka_unit_test(test_lengths),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_resume),
	    cmocka_unit_test(test_foreign_checkpoints),
	};

	return cmocka_run_group_tests(tests, open_devices, close_devices);
}
