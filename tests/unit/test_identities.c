/* What must hold between passes without any oracle (METAGRAD section 8), and a chunk large enough for every operation to use all threads. */
#include "problem_run.h"
#include "on_devices.h"

static void
close_floats(const char *what, const float *got, const float *want, int64_t n, double limit)
{
	double *x = tiny_doubles(want, n), error = tiny_distance(got, x, n, 1e-6);

	if (!(error <= limit))
		fail_msg("%s: off by %.2e, more than %.0e", what, error, limit);
	free(x);
}

/* With v = 0 the dual pass is the ordinary one of u. */
static void
zero_tangent(size_t i, struct ttt_device *d)
{
	struct problem q = chunk_problem(i);
	struct outcome dual, plain;

	q.cached = q.dual = true;
	problem_fill(&q, i);
	memset(q.v, 0, (size_t)q.p.n_fast * sizeof *q.v);
	problem_run(&q, &dual, d);
	q.dual = false;
	problem_run(&q, &plain, d);
	close_floats("v = 0: gradients", dual.g, plain.g, q.p.n_float, 2e-6);
	close_floats("v = 0: u of the input", dual.u, plain.u, q.T * q.c.d_model, 2e-6);
	for (int64_t l = q.first; l < q.last; l++)
		if (plain.ak[l]) {
			close_floats("v = 0: keys", dual.ak[l], plain.ak[l], (q.S + q.T) * q.c.d_model, 2e-6);
			close_floats("v = 0: values", dual.av[l], plain.av[l], (q.S + q.T) * q.c.d_model, 2e-6);
		}
	outcome_free(&dual);
	outcome_free(&plain);
	problem_free(&q);
}

/* The b stream, where the input has a tangent, is the ordinary backward of b's seed. */
static void
same_b(int64_t layer, struct ttt_device *d)
{
	struct problem q = {.c = tiny_config(), .T = 9, .S = 5, .first = layer, .last = problem_n_layer(&q.c), .dual = true, .head = true};
	struct outcome dual, plain;

	problem_fill(&q, (uint64_t)layer);
	problem_run(&q, &dual, d);
	q.dual = false;
	memcpy(q.om_out, q.om_in, 2 * (size_t)q.T * sizeof *q.om_out);
	problem_run(&q, &plain, d);
	close_floats("b stream", dual.b, plain.u, q.T * q.c.d_model, 2e-6);
	outcome_free(&dual);
	outcome_free(&plain);
	problem_free(&q);
}

/* With no seeds but b's, the gradient of the fast weights is the Hessian times v. */
static float *
hessian_times(struct problem *q, struct ttt_device *d, float *v)
{
	float *keep = q->v, *out = tiny_new((size_t)q->p.n_fast, sizeof *out);
	struct outcome o;

	q->v = v;
	problem_run(q, &o, d);
	memcpy(out, o.g + q->p.fast_offset, (size_t)q->p.n_fast * sizeof *out);
	outcome_free(&o);
	q->v = keep;
	return out;
}

static void
symmetric(size_t i, struct ttt_device *d)
{
	struct problem q = chunk_problem(i);
	struct ttt__random r;
	float *v1, *v2, *h1, *h2;
	double a, b, size;

	q.dual = true;
	problem_fill(&q, i);
	memset(q.om_out, 0, 2 * (size_t)q.T * sizeof *q.om_out);
	memset(q.g, 0, (size_t)q.p.n_float * sizeof *q.g);
	ttt__random_seed(&r, i);
	v1 = tiny_normal(&r, q.p.n_fast, 1);
	v2 = tiny_normal(&r, q.p.n_fast, 1);
	h1 = hessian_times(&q, d, v1);
	h2 = hessian_times(&q, d, v2);
	a = tiny_dot(h1, v2, q.p.n_fast);
	b = tiny_dot(h2, v1, q.p.n_fast);
	size = sqrt(tiny_dot(h1, h1, q.p.n_fast) * tiny_dot(v2, v2, q.p.n_fast));
	if (!(fabs(a - b) <= 1e-5 * size) || !(size > 0))
		fail_msg("chunk %d: <H v1, v2> is %.7g but <H v2, v1> is %.7g", (int)i, a, b);
	free(v1);
	free(v2);
	free(h1);
	free(h2);
	problem_free(&q);
}

/* The tangent of the loss, sum of om (<rn, m> - <rn, E_y>), is <gradient, v>. */
static void
loss_tangent(size_t i, struct ttt_device *d)
{
	struct problem q = chunk_problem(i);
	int64_t D = q.c.d_model;
	struct outcome dual, inner;
	double tangent = 0, size = 0, along;

	q.dual = true;
	problem_fill(&q, i + 100);
	memset(q.g, 0, (size_t)q.p.n_float * sizeof *q.g);
	problem_run(&q, &dual, d);
	for (int64_t t = 0; t < q.T; t++) {
		double c = tiny_dot(dual.rn + t * D, dual.m + t * D, D) - tiny_dot(dual.rn + t * D, dual.y + t * D, D);

		tangent += (double)q.om_in[t] * c;
		size += fabs((double)q.om_in[t] * c);
	}
	q.dual = false;
	q.inner = true;
	memcpy(q.om_out, q.om_in, 2 * (size_t)q.T * sizeof *q.om_out);
	problem_run(&q, &inner, d);
	along = tiny_dot(inner.g + q.p.fast_offset, q.v, q.p.n_fast);
	if (!(fabs(tangent - along) <= 1e-5 * size) || !(size > 0))
		fail_msg("chunk %d: the tangent of the loss is %.7g but <g, v> is %.7g", (int)i, tangent, along);
	outcome_free(&dual);
	outcome_free(&inner);
	problem_free(&q);
}

static void
test_identities(void **state)
{
	(void)state;
	for (int k = 0; k < devices.n; k++) {
		struct ttt_device *d = devices.at[k].device;

		for (size_t i = 0; i < N_CHUNK; i++) {
			zero_tangent(i, d);
			symmetric(i, d);
			loss_tangent(i, d);
		}
		for (int64_t layer = 2; layer <= 6; layer++)
			same_b(layer, d);
	}
}

/* A chunk large enough that every operation spreads over threads: all devices give what the first gives. */
static void
test_large(void **state)
{
	struct problem q = {.c = tiny_config(), .T = 520, .S = 99, .head = true, .dual = true, .cached = true};
	struct outcome first, o;
	int64_t all;

	(void)state;
	q.c.d_model = 64;
	q.c.d_head = 16;
	q.c.n_head = 4;
	q.c.n_vocab = 600;
	q.c.window = 100;
	q.c.d_ff = 90;
	q.c.d_prime = 70;
	q.first = problem_split(&q.c);
	q.last = problem_n_layer(&q.c);
	all = (q.S + q.T) * q.c.d_model;
	problem_fill(&q, 7);
	problem_run(&q, &first, devices.at[0].device);
	for (int i = 1; i < devices.n; i++) {
		problem_run(&q, &o, devices.at[i].device);
		close_floats("nll", o.nll, first.nll, q.T, 1e-5);
		close_floats("u of the input", o.u, first.u, q.T * q.c.d_model, 1e-5);
		for (int64_t j = 0; j < q.p.n; j++)
			close_floats(q.p.p[j].name, o.g + q.p.p[j].offset, first.g + q.p.p[j].offset, q.p.p[j].n, 1e-4);
		for (int64_t l = q.first; l < q.last; l++)
			if (o.ak[l]) {
				close_floats("u of keys", o.ak[l], first.ak[l], all, 1e-5);
				close_floats("u of values", o.av[l], first.av[l], all, 1e-5);
			}
		outcome_free(&o);
	}
	outcome_free(&first);
	problem_free(&q);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_identities),
	    cmocka_unit_test(test_large),
	};

	return cmocka_run_group_tests(tests, open_devices, close_devices);
}
