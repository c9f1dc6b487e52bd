/* Every golden case: per-token nll, losses, fast weights, continuation, outer gradients, AdamW steps, against the official implementation's
 * float64 figures; tolerances as SEMANTICS section 10 and the issue give them. */
#include "golden.h"

#include "libttt/learn/session.h"
#include "libttt/learn/trainer.h"

static const char *const cases[] = {"full", "swa", "meta", "meta_clip", "meta_mask"};
#define N_CASE (sizeof cases / sizeof *cases)

static bool
is_meta(const struct golden *g)
{
	return ttt_model_config(g->model)->n_layer_suffix > 0;
}

struct collect {
	double worst;
	const double *want;
	int64_t first;
};

static void
collect(void *ctx, const struct ttt_chunk_report *r)
{
	struct collect *c = ctx;

	for (int64_t i = 0; i < r->n; i++)
		c->worst = fmax(c->worst, fabs((double)r->nll[i] - c->want[r->first - c->first + i]));
}

/* Fast weights of a session against fast.<name>[b]. */
static double
fast_error(const struct golden *g, const struct ttt_session *s, int64_t b)
{
	const struct ttt__parameters *p = &g->model->parameters;
	float *fast = malloc((size_t)p->n_fast * sizeof *fast);
	double worst = 0;

	ttt__session_fast_read(s, TTT__FAST_LAST, fast);
	for (int64_t i = 0; i < p->n; i++) {
		char name[128];
		double *want;
		size_t n;

		snprintf(name, sizeof name, "fast.%s", p->p[i].name);
		want = golden_get(g, name, &n);
		if (want)
			worst = fmax(worst, relative(fast + p->p[i].offset - p->fast_offset, want + b * p->p[i].n, (size_t)p->p[i].n));
		free(want);
	}
	free(fast);
	return worst;
}

/* The frozen continuation of sequence b from where its session stands (SEMANTICS section 8). */
static double
continuation_error(const struct golden *g, struct ttt_session *s, int64_t b)
{
	size_t n, n_tokens;
	double *want = golden_get(g, "cont_nll", &n), *tokens = golden_get(g, "cont_tokens", &n_tokens);
	int64_t each = want ? (int64_t)n / g->B : 0;
	struct collect c = {.want = want + b * each, .first = ttt_session_n_token(s)};
	const struct ttt_feed frozen = {.fn = collect, .ctx = &c};
	struct ttt_error err = {0};

	if (!want)
		return 0;
	for (int64_t i = 1; i <= each; i++) {
		int32_t id = (int32_t)tokens[b * (each + 1) + i];

		assert_ok(ttt_session_feed(s, &id, 1, &frozen, &err), err);
	}
	free(want);
	free(tokens);
	return c.worst;
}

static void
check_reading(const char *name, const char *kernels)
{
	struct golden g;
	struct ttt_error err = {0};
	double nll = 0, fast = 0, go_on = 0, *want;
	size_t n;

	golden_open(&g, name, kernels);
	want = golden_get(&g, "nll", &n);
	assert_non_null(want);
	assert_int_equal(n, g.B * g.T);
	for (int64_t b = 0; b < g.B; b++) {
		struct collect c = {.want = want + b * g.T, .first = 1};
		const struct ttt_feed how = {.learn = is_meta(&g), .fn = collect, .ctx = &c};
		struct ttt_session *s;

		assert_ok(ttt_session_create(&s, g.model, TTT_WINDOW, &err), err);
		assert_ok(ttt_session_feed(s, g.tokens + b * (g.T + 1), g.T + 1, &how, &err), err);
		assert_int_equal(ttt_session_n_token(s), g.T + 1);
		nll = fmax(nll, c.worst);
		if (is_meta(&g)) {
			fast = fmax(fast, fast_error(&g, s, b));
			go_on = fmax(go_on, continuation_error(&g, s, b));
		}
		ttt_session_free(s);
	}
	print_message("%-10s %-7s nll %.1e  fast weights %.1e  continuation %.1e\n", name, kernels ? kernels : "best", nll, fast, go_on);
	assert_true(nll < 2e-5);
	assert_true(fast < 1e-4);
	assert_true(go_on < 5e-5);
	free(want);
	golden_close(&g);
}

/* Worst relative norm over the parameters that the case has under prefix; device array of the parameters' layout. */
static double
worst_parameter(const struct golden *g, const float *array, const char *prefix, int *found)
{
	const struct ttt__parameters *p = &g->model->parameters;
	float *host = malloc((size_t)p->n_float * sizeof *host);
	double worst = 0;

	g->device->ops->download(g->device, host, array, (size_t)p->n_float * sizeof *host);
	for (int64_t i = 0; i < p->n; i++) {
		char name[128];
		double *want;
		size_t n;

		snprintf(name, sizeof name, "%s%s", prefix, p->p[i].name);
		want = golden_get(g, name, &n);
		if (!want)
			continue;
		++*found;
		assert_int_equal(n, p->p[i].n);
		worst = fmax(worst, relative(host + p->p[i].offset, want, n));
		free(want);
	}
	free(host);
	return worst;
}

static void
check_gradient(const char *name, const char *kernels)
{
	struct ttt_train_options o = {.mode = TTT_MODE_TTT};
	struct golden g;
	struct ttt_trainer *t;
	struct ttt_error err = {0};
	double loss, error, *want;
	int found = 0;
	size_t n;

	golden_open(&g, name, kernels);
	if (!is_meta(&g))
		o.mode = TTT_MODE_WINDOW;
	assert_ok(ttt_trainer_create(&t, g.model, &o, &err), err);
	assert_ok(ttt_trainer_gradient(t, g.tokens, g.B, g.T + 1, -1, &loss, &err), err);
	want = golden_get(&g, "total_loss", &n);
	error = worst_parameter(&g, t->lane[0].gradient, "grad.", &found);
	print_message("%-10s %-7s loss %.1e  gradients %.1e of %d\n", name, kernels ? kernels : "best", fabs(loss / want[0] - 1), error, found);
	assert_true(fabs(loss / want[0] - 1) < 2e-6);
	assert_int_equal(found, g.model->parameters.n);
	assert_true(error < 1e-4);
	free(want);
	ttt_trainer_free(t);
	golden_close(&g);
}

static void
test_reading(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_CASE; i++)
		check_reading(cases[i], NULL);
}

static void
test_gradient(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_CASE; i++)
		check_gradient(cases[i], NULL);
}

/* The same at every instruction set that this processor has. */
static void
test_instruction_sets(void **state)
{
	static const char *const sets[] = {"plain", "avx2", "avx512"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct ttt_device_options o = {.kernels = sets[i]};
		struct ttt_device *d;

		if (ttt_device_create(&d, &o, NULL)) {
			print_message("%s: this processor has no such instructions\n", sets[i]);
			continue;
		}
		ttt_device_free(d);
		check_reading("meta_clip", sets[i]);
		check_gradient("meta_clip", sets[i]);
		check_gradient("swa", sets[i]);
	}
}

/* What all parameters moved by against what they should have moved by, in relative norm of the change; *worst: of any one tensor. AdamW's
 * first step is nearly the sign of the gradient, so that entries near zero turn rounding into a change of twice the rate (SEMANTICS 10). */
static double
change_error(const struct golden *g, const float *array, const char *prefix, double *worst)
{
	const struct ttt__parameters *p = &g->model->parameters;
	float *now = malloc((size_t)p->n_float * sizeof *now), *before = malloc((size_t)p->n_float * sizeof *before);
	double off = 0, all = 0;

	g->device->ops->download(g->device, now, array, (size_t)p->n_float * sizeof *now);
	g->device->ops->download(g->device, before, g->model->weights, (size_t)p->n_float * sizeof *now);
	*worst = 0;
	for (int64_t i = 0; i < p->n; i++) {
		const float *w = before + p->p[i].offset, *moved = now + p->p[i].offset;
		double tensor_off = 0, tensor_all = 0, *want;
		char name[128];
		size_t n = 0;

		snprintf(name, sizeof name, "%s%s", prefix, p->p[i].name);
		want = golden_get(g, name, &n);
		assert_non_null(want);
		assert_int_equal(n, p->p[i].n);
		for (size_t j = 0; j < n; j++) {
			tensor_off += ((double)moved[j] - want[j]) * ((double)moved[j] - want[j]);
			tensor_all += (want[j] - (double)w[j]) * (want[j] - (double)w[j]);
		}
		*worst = fmax(*worst, sqrt(tensor_off / tensor_all));
		off += tensor_off;
		all += tensor_all;
		free(want);
	}
	free(now);
	free(before);
	return sqrt(off / all);
}

static void
test_adamw(void **state)
{
	const struct ttt_train_options o = {.mode = TTT_MODE_TTT, .init_lr = .001, .lr = .004, .end_lr = 1e-5, .warmup_steps = 2,
	    .decay_steps = 10, .b1 = .9, .b2 = .95, .eps = 1e-8, .weight_decay = .1, .clip = 1};
	struct golden g;
	struct ttt_trainer *t;
	struct ttt_error err = {0};
	double *losses, *norms, *rates;
	size_t n;

	(void)state;
	golden_open(&g, "meta", NULL);
	losses = golden_get(&g, "adamw_losses", &n);
	norms = golden_get(&g, "adamw_grad_norm_logged", &n);
	rates = golden_get(&g, "outer_lr", &n);
	assert_int_equal(n, 3);
	assert_ok(ttt_trainer_create(&t, g.model, &o, &err), err);
	for (int i = 0; i < 3; i++) {
		struct ttt_step_report r;

		assert_ok(ttt_trainer_step(t, g.tokens, g.B, g.T + 1, &r, &err), err);
		assert_true(fabs(r.loss / losses[i] - 1) < 2e-6);
		assert_true(fabs(sqrt(r.grad_norm * r.grad_norm + 1e-5) / norms[i] - 1) < 1e-5);
		assert_true(fabs(r.lr / rates[i] - 1) < 1e-6);
		if (i == 0 || i == 2) {
			double worst, error = change_error(&g, t->weights, i ? "adamw3." : "adamw1.", &worst);

			print_message("after %d steps: change %.1e (worst tensor %.1e)\n", i + 1, error, worst);
			assert_true(error < 1e-4);
		}
	}
	free(losses);
	free(norms);
	free(rates);
	ttt_trainer_free(t);
	golden_close(&g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reading),
	    cmocka_unit_test(test_gradient),
	    cmocka_unit_test(test_instruction_sets),
	    cmocka_unit_test(test_adamw),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
