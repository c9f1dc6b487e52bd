/* The outer gradient against exact directional derivatives of the whole outer loss, in double: along every parameter tensor, random
 * directions and itself; and without its second-order terms. */
#include "outer_cases.h"
#include "outer_reference.h"
#include "on_devices.h"

/* ------------------------------------------------------------------------------------------------ directional derivatives */

static double worst_along;
static const struct ttt__biases *chunk_biases; /* of the case at hand, or NULL */

/* <gradient, direction> against the derivative of the loss along it, in units of both norms where the direction is not zero (there the
 * gradient may be exactly nothing: hence a floor, in the norm of all of it). */
static void
along(size_t i, const char *what, const struct ttt_model *m, const float *w, const float *g, const double *direction, const int32_t *ids,
    int64_t held)
{
	const struct ttt_config *c = &m->config;
	struct dual want = outer_reference_biased(c, &m->parameters, w, direction, 0, ids, shape[i].n * c->chunk, c->inner_lr_effective, held,
	    chunk_biases);
	double got = 0, gg = 0, dd = 0, all = tiny_dot(g, g, m->parameters.n_float), error;

	for (int64_t j = 0; j < m->parameters.n_float; j++)
		if (direction[j] != 0) {
			got += (double)g[j] * direction[j];
			gg += (double)g[j] * (double)g[j];
			dd += direction[j] * direction[j];
		}
	error = fabs(got - want.d) / sqrt(fmax(gg, 1e-6 * all) * dd);
	worst_along = fmax(worst_along, error);
	if (!(error <= 3e-4))
		fail_msg("%s, along %s: <gradient, direction> is %.8g, the derivative %.8g", shape[i].label, what, got, want.d);
}

/* Along every parameter tensor (random, and one coordinate), everything at once, and the gradient itself. */
static void
check_directions(size_t i, const struct ttt_model *m, const float *w, const float *g, const int32_t *ids, int64_t held)
{
	const struct ttt__parameters *p = &m->parameters;
	double *d = tiny_new((size_t)p->n_float, sizeof *d);
	struct ttt__random r;

	ttt__random_seed(&r, 3);
	for (int64_t k = 0; k < p->n; k++) {
		memset(d, 0, (size_t)p->n_float * sizeof *d);
		for (int64_t j = 0; j < p->p[k].n; j++)
			d[p->p[k].offset + j] = ttt__random_normal(&r);
		along(i, p->p[k].name, m, w, g, d, ids, held);
	}
	for (int k = 0; k < 4; k++) {
		for (int64_t j = 0; j < p->n_float; j++)
			d[j] = k ? ttt__random_normal(&r) : (double)g[j];
		along(i, k ? "a random direction" : "the gradient", m, w, g, d, ids, held);
	}
	free(d);
}

/* Those that the trainer's last sequence was read with, on the host. */
static struct ttt__biases *
biases_of(const struct ttt_trainer *t)
{
	const struct ttt__lane *l = &t->lane[0];
	struct ttt__biases *out = tiny_new((size_t)l->n, sizeof *out);

	for (int64_t i = 0; i < l->n; i++) {
		const struct ttt__biases *b = &l->biases[i];
		size_t bytes = (size_t)b->n * sizeof(int32_t);

		out[i] = (struct ttt__biases){.row = tiny_new((size_t)b->n, 4), .column = tiny_new((size_t)b->n, 4), .n = b->n};
		out[i].value = tiny_download(t->net.device, b->value, b->n);
		if (b->every)
			out[i].every = tiny_download(t->net.device, b->every, l->net->config.n_vocab);
		t->net.device->ops->download(t->net.device, out[i].row, b->row, bytes);
		t->net.device->ops->download(t->net.device, out[i].column, b->column, bytes);
	}
	return out;
}

static void
free_biases(struct ttt__biases *b, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		free(b[i].row);
		free(b[i].column);
		free(b[i].value);
		free(b[i].every);
	}
	free(b);
}

static void
check_shape(size_t i, int64_t keep_bytes, bool ngrams)
{
	struct ttt_config c = config_of(i);
	int32_t *ids = ids_of(i, &c, i);
	struct ttt__biases *biases;
	struct ttt_trainer *t;
	struct ttt_model m;
	double loss, *none;
	float *w, *g;

	if (ngrams)
		ngrams_of(&c, ids, shape[i].n * c.chunk + 1);
	tiny_model_create(&m, devices.at[0].device, &c, i + 1);
	t = trainer_keeping(&m, TTT_MODE_TTT, false, keep_bytes, (double)shape[i].held / (double)shape[i].n);
	g = gradient_of(t, ids, 1, shape[i].n * c.chunk + 1, &loss);
	w = tiny_download(m.device, m.weights, m.parameters.n_float);
	none = tiny_doubles(NULL, m.parameters.n_float);
	biases = biases_of(t);
	assert_true(ngrams == (shape[i].n > 1 && biases[1].n > 0) || shape[i].n == 1);
	chunk_biases = biases;
	assert_true(fabs(outer_reference_biased(&c, &m.parameters, w, none, 0, ids, shape[i].n * c.chunk, shape[i].rate, shape[i].held, biases).v / loss - 1) <
	    2e-6);
	check_directions(i, &m, w, g, ids, shape[i].held);
	chunk_biases = NULL;
	free_biases(biases, shape[i].n);
	free(none);
	free(w);
	free(g);
	free(ids);
	ttt_trainer_free(t);
	tiny_model_free(&m);
}

/* With all that the way back can take from the sweep kept, and with nothing. */
static void
test_directions(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SHAPE; i++) {
		check_shape(i, 0, false);
		check_shape(i, -1, false);
	}
	print_message("largest error along a direction %.1e\n", worst_along);
}

/* With biases by the last tokens, which are constants of the derivative: those that the trainer found. */
static void
test_ngrams(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SHAPE; i++) {
		check_shape(i, 0, true);
		check_shape(i, -1, true);
	}
}

/* Training without inner steps, in the model's window or in none: the derivatives of the loss at an inner rate of nothing. */
static void
test_plain_modes(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SHAPE; i++)
		for (int full = 0; full < 2; full++) {
			struct ttt_config c = config_of(i);
			int32_t *ids = ids_of(i, &c, i);
			struct ttt_trainer *t;
			struct ttt_model m;
			double loss;
			float *w, *g;

			c.inner_lr = c.inner_lr_effective = 0;
			tiny_model_create(&m, devices.at[0].device, &c, i + 1);
			t = trainer_of(&m, full ? TTT_MODE_FULL : TTT_MODE_WINDOW, false);
			if (full)
				m.config.window = 0; /* the reference's, as the trainer has its own by now */
			g = gradient_of(t, ids, 1, shape[i].n * c.chunk + 1, &loss);
			w = tiny_download(m.device, m.weights, m.parameters.n_float);
			check_directions(i, &m, w, g, ids, 0);
			free(w);
			free(g);
			free(ids);
			ttt_trainer_free(t);
			tiny_model_free(&m);
		}
}

/* The reference itself: its derivative against central differences of its loss, clip active. */
static void
test_reference(void **state)
{
	const double h = 1e-5;
	struct ttt_config c = config_of(1);
	int32_t *ids = ids_of(1, &c, 5);
	struct ttt__random r;
	struct ttt_model m;
	double *d, got, want;
	float *w;

	(void)state;
	tiny_model_create(&m, devices.at[0].device, &c, 9);
	w = tiny_download(m.device, m.weights, m.parameters.n_float);
	ttt__random_seed(&r, 8);
	d = tiny_new((size_t)m.parameters.n_float, sizeof *d);
	for (int64_t i = 0; i < m.parameters.n_float; i++)
		d[i] = ttt__random_normal(&r) / sqrt((double)m.parameters.n_float);
	got = outer_reference(&c, &m.parameters, w, d, 0, ids, 32, 0.5, 0).d;
	want = (outer_reference(&c, &m.parameters, w, d, h, ids, 32, 0.5, 0).v - outer_reference(&c, &m.parameters, w, d, -h, ids, 32, 0.5, 0).v) /
	    (2 * h);
	if (!(fabs(got - want) <= 1e-6 * fabs(want)))
		fail_msg("the reference's derivative is %.10g, its central difference %.10g", got, want);
	free(d);
	free(w);
	free(ids);
	tiny_model_free(&m);
}

/* ------------------------------------------------------------------------------------------------ first order */

/* Without the second-order terms the loss is the same and the gradient is not; where those terms are nothing (one chunk, or no inner rate)
 * neither is the difference. */
static void
test_first_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SHAPE; i++)
		for (int still = 0; still < 2; still++) {
			struct ttt_config c = config_of(i);
			int32_t *ids = ids_of(i, &c, i);
			struct ttt_trainer *exact, *first;
			struct ttt_model m;
			double loss, first_loss, error;
			float *g, *h;

			if (still)
				c.inner_lr = c.inner_lr_effective = 0;
			tiny_model_create(&m, devices.at[0].device, &c, i + 1);
			exact = trainer_of(&m, TTT_MODE_TTT, false);
			first = trainer_of(&m, TTT_MODE_TTT, true);
			g = gradient_of(exact, ids, 1, shape[i].n * c.chunk + 1, &loss);
			h = gradient_of(first, ids, 1, shape[i].n * c.chunk + 1, &first_loss);
			error = difference(h, g, NULL, m.parameters.n_float, 0);
			assert_true(loss == first_loss);
			if (still || shape[i].n == 1)
				assert_true(error < 5e-6);
			else if (!(error > 1e-3))
				fail_msg("%s: the first-order gradient differs by %.1e only", shape[i].label, error);
			free(g);
			free(h);
			free(ids);
			ttt_trainer_free(exact);
			ttt_trainer_free(first);
			tiny_model_free(&m);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reference),
	    cmocka_unit_test(test_directions),
	    cmocka_unit_test(test_ngrams),
	    cmocka_unit_test(test_plain_modes),
	    cmocka_unit_test(test_first_order),
	};

	return cmocka_run_group_tests(tests, open_devices, close_devices);
}
