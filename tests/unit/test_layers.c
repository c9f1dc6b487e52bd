/* Every layer, and rows of them: forward, tangent, backward and the backward's own tangent against exact derivatives in double, on
 * every instruction set of this processor, with 1 and 2 threads. */
#include "on_devices.h"
#include "problem_run.h"

static double worst_seen;

/* Relative distance; floor keeps the noise about an exact zero from counting. */
static void
near(const char *what, const char *label, const char *where, const float *got, const double *want, int64_t n, double limit)
{
	double error = tiny_distance(got, want, n, 1e-2);

	worst_seen = fmax(worst_seen, error);
	if (!(error <= limit))
		fail_msg("%s (%s): %s is off by %.2e, more than %.0e", label, where, what, error, limit);
}

/* Gradients of parameters: each alone. A tensor the pass does not touch must come back as it was. */
static void
near_parameters(const struct problem *q, const char *label, const char *where, const float *got, const double *want, double limit)
{
	for (int64_t i = 0; i < q->p.n; i++) {
		const struct ttt__parameter *p = &q->p.p[i];

		if (!q->inner || p->offset >= q->p.fast_offset)
			near(p->name, label, where, got + p->offset, want + p->offset, p->n, limit);
		else
			assert_memory_equal(got + p->offset, q->g + p->offset, (size_t)p->n * sizeof *got);
	}
}

static void
compare(const struct problem *q, const char *label, const char *where, const struct outcome *o, const struct expected *e, double limit)
{
	int64_t D = q->c.d_model, TD = q->T * D, all = (q->S + q->T) * D;

	if (q->head) {
		near("nll", label, where, o->nll, e->nll, q->T, limit);
	} else {
		near("output", label, where, o->out, e->out, TD, limit);
		if (q->dual)
			near("tangent of the output", label, where, o->rout, e->rout, TD, limit);
	}
	near_parameters(q, label, where, o->g, e->g, limit);
	for (int64_t l = q->first; l < q->last; l++)
		if (e->k[l]) {
			near("keys", label, where, o->k[l], e->k[l], all, limit);
			near("values", label, where, o->v[l], e->v[l], all, limit);
		}
	if (q->inner)
		return;
	near("u of the input", label, where, o->u, e->u, TD, limit);
	if (q->rx)
		near("b of the input", label, where, o->b, e->b, TD, limit);
	for (int64_t l = q->first; l < q->last && q->cached; l++)
		if (e->ak[l]) {
			near("u of keys", label, where, o->ak[l], e->ak[l], all, limit);
			near("u of values", label, where, o->av[l], e->av[l], all, limit);
		}
}

static void
check(struct problem *q, const char *label)
{
	struct expected e;
	struct outcome o;

	problem_fill(q, (uint64_t)(q->T * 1000 + q->S * 10 + q->first));
	problem_expect(q, &e);
	for (int i = 0; i < devices.n; i++) {
		problem_run(q, &o, devices.at[i].device);
		compare(q, label, devices.at[i].name, &o, &e, 1e-4);
		outcome_free(&o);
	}
	expected_free(&e);
	problem_free(q);
}

/* ------------------------------------------------------------------------------------------------ the oracle */

/* Sum of the losses at a shift, seeded with om_in. */
static double
functional(struct problem *q, double shift)
{
	struct traced z;
	double sum = 0;

	q->shift = shift;
	problem_trace(q, &z);
	for (int64_t i = 0; i < q->T; i++)
		sum += (double)q->om_in[i] * z.t.value[z.nll[i]].v;
	trace_free(&z.t);
	q->shift = 0;
	return sum;
}

/* The oracle stands on no formula: its gradients against central differences of its values, their derivatives against central differences
 * of its gradients, in double, along a direction in every parameter and input at once. */
static void
test_oracle(void **state)
{
	const double h = 1e-5;
	struct problem q = {.c = tiny_config(), .T = 5, .S = 3, .head = true, .dual = true};
	struct expected e, plus, minus;
	struct ttt__random r;
	double along = 0, forward = 0, difference, error = 0, size = 0;

	(void)state;
	q.first = problem_split(&q.c);
	q.last = problem_n_layer(&q.c);
	problem_fill(&q, 1);
	ttt__random_seed(&r, 2);
	q.direction = tiny_normal(&r, q.p.n_float, 0.3);
	q.rx = tiny_normal(&r, q.T * q.c.d_model, 1);
	memset(q.om_out, 0, 2 * (size_t)q.T * sizeof *q.om_out);
	memset(q.g, 0, (size_t)q.p.n_float * sizeof *q.g);
	problem_expect(&q, &e);
	difference = (functional(&q, h) - functional(&q, -h)) / (2 * h);
	for (int64_t i = 0; i < q.p.n_float; i++)
		along += e.bg[i] * (double)q.direction[i];
	for (int64_t i = 0; i < q.T * q.c.d_model; i++)
		along += e.b[i] * (double)q.rx[i];
	for (int64_t i = 0; i < q.T; i++)
		forward += (double)q.om_in[i] * e.rnll[i];
	assert_true(fabs(along - difference) < 1e-8 * fabs(difference));
	assert_true(fabs(forward - difference) < 1e-8 * fabs(difference));
	q.shift = h;
	problem_expect(&q, &plus);
	q.shift = -h;
	problem_expect(&q, &minus);
	for (int64_t i = 0; i < q.p.n_float; i++) {
		difference = (plus.bg[i] - minus.bg[i]) / (2 * h);
		error += (e.g[i] - difference) * (e.g[i] - difference);
		size += difference * difference;
	}
	print_message("finite differences of the oracle: %.1e\n", sqrt(error / size));
	assert_true(size > 0 && error < 1e-14 * size);
	expected_free(&e);
	expected_free(&plus);
	expected_free(&minus);
	free(q.direction);
	problem_free(&q);
}

/* ------------------------------------------------------------------------------------------------ layers */

static void
test_attention(void **state)
{
	static const struct {
		int64_t T, S, window, H, K;
	} shape[] = {
	    {1, 0, 0, 1, 4}, {1, 0, 3, 2, 2}, {1, 5, 0, 2, 4}, {1, 9, 10, 2, 4}, {7, 0, 0, 2, 4}, {7, 0, 3, 2, 4}, {7, 6, 7, 2, 4},
	    {7, 2, 3, 1, 6}, {7, 20, 21, 3, 2}, {7, 20, 0, 2, 4}, {7, 20, 9, 2, 4}, {8, 0, 1, 2, 4}, {64, 0, 0, 2, 4}, {64, 63, 64, 2, 2},
	    {70, 0, 0, 2, 4}, {70, 15, 16, 2, 4}, {70, 99, 100, 2, 4}, {70, 30, 0, 1, 4}, {130, 7, 70, 2, 2}, {130, 200, 0, 2, 2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof shape / sizeof *shape; i++)
		for (int mode = 0; mode < 5; mode++) {
			struct problem q = {.c = tiny_config(), .T = shape[i].T, .S = shape[i].S, .first = 3, .last = 4};
			char label[96];

			q.c.window = shape[i].window;
			q.c.n_head = shape[i].H;
			q.c.d_head = shape[i].K;
			q.c.d_model = shape[i].H * shape[i].K;
			q.dual = mode >= 2;
			q.cached = mode % 2;
			if (mode == 4) /* a layer before the first prime MLP: ordinary, all of its positions own */
				q.first = 0, q.last = 1, q.dual = false;
			snprintf(label, sizeof label, "attention T %d S %d window %d heads %d x %d, %s%s", (int)q.T, (int)q.S, (int)q.c.window,
			    (int)q.c.n_head, (int)q.c.d_head, q.dual ? "dual" : "ordinary", q.cached ? " with kappa" : "");
			check(&q, label);
		}
}

static void
test_mlp(void **state)
{
	static const int64_t T[] = {1, 7, 64, 130};
	/* layers of a network of two suffix blocks: first prime MLP, MLP after it, another prime MLP, the last MLP */
	static const int64_t layer[] = {1, 2, 4, 5};

	(void)state;
	for (size_t i = 0; i < 4; i++)
		for (size_t j = 0; j < 4; j++)
			for (int mode = 0; mode < 3; mode++) {
				struct problem q = {.c = tiny_config(), .T = T[i], .first = layer[j], .last = layer[j] + 1, .dual = mode == 1,
				    .inner = mode == 2};
				char label[96];

				if (mode == 2 && layer[j] != 1)
					continue;
				if (T[i] == 130) /* enough work for two threads */
					q.c.d_ff = 72, q.c.d_prime = 70;
				snprintf(label, sizeof label, "MLP T %d layer %d, %s", (int)T[i], (int)layer[j],
				    q.inner ? "inner gradient" : q.dual ? "dual" : "ordinary");
				check(&q, label);
			}
}

static void
test_head(void **state)
{
	static const int64_t T[] = {1, 7, 70};
	static const int64_t tile[] = {0, 1, 5, 22, 23};

	(void)state;
	for (size_t i = 0; i < 3; i++)
		for (size_t j = 0; j < 5; j++)
			for (int mode = 0; mode < 4; mode++) {
				bool dual = mode % 2;
				struct problem q = {.c = tiny_config(), .T = T[i], .tile = tile[j], .dual = dual, .head = true, .biased = mode >= 2};
				char label[96];

				q.first = q.last = problem_n_layer(&q.c);
				if (T[i] == 70 && tile[j] == 0)
					q.c.n_vocab = 300;
				snprintf(label, sizeof label, "head T %d tile %d, %s%s", (int)T[i], (int)tile[j], dual ? "dual" : "ordinary",
				    q.biased ? ", with biases" : "");
				check(&q, label);
			}
}

/* The embedding, and a whole plain network on it. */
static void
test_plain_network(void **state)
{
	static const int64_t T[] = {1, 9, 70};

	(void)state;
	for (size_t i = 0; i < 3; i++)
		for (int64_t window = 0; window < 6; window += 5)
			for (int64_t suffix = 0; suffix < 2; suffix++) {
				struct problem q = {.c = tiny_config(), .T = T[i], .tile = 7, .head = true, .embed = true};
				char label[96];

				q.c.n_layer_suffix = suffix;
				q.c.d_prime = suffix ? 10 : 0;
				q.c.window = window;
				q.last = problem_n_layer(&q.c);
				snprintf(label, sizeof label, "plain network T %d window %d suffix %d", (int)T[i], (int)window, (int)suffix);
				check(&q, label);
			}
}

/* From the first prime MLP to the loss: the inner gradient, the ordinary pass and the dual one. */
static void
test_chunk(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_CHUNK; i++)
		for (int mode = 0; mode < 3; mode++) {
			struct problem q = chunk_problem(i);
			char label[96];

			q.inner = mode == 0;
			q.dual = mode == 2;
			q.cached = mode > 0;
			snprintf(label, sizeof label, "chunk T %d S %d window %d blocks %d of %d, %s", (int)q.T, (int)q.S, (int)q.c.window,
			    (int)q.c.n_layer_suffix, (int)q.c.n_layer, q.inner ? "inner gradient" : q.dual ? "dual" : "ordinary");
			check(&q, label);
		}
}

static int
report_and_close(void **state)
{
	print_message("largest relative error %.1e\n", worst_seen);
	return close_devices(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_oracle),
	    cmocka_unit_test(test_attention),
	    cmocka_unit_test(test_mlp),
	    cmocka_unit_test(test_head),
	    cmocka_unit_test(test_plain_network),
	    cmocka_unit_test(test_chunk),
	};

	return cmocka_run_group_tests(tests, open_devices, report_and_close);
}
