/* The matrix-product rate of this machine at the sizes of a shape: what shares are taken of. */
#include "bench/bench.h"

#include <stdlib.h>

#include "libttt/random.h"

static void
put(struct peak *p, const char *name, bool ta, bool tb, int64_t M, int64_t N, int64_t K)
{
	if (M > 0 && N > 0 && K > 0 && p->n < (int)(sizeof p->product / sizeof p->product[0]))
		p->product[p->n++] = (struct product){ .name = name, .ta = ta, .tb = tb, .M = M, .N = N, .K = K };
}

/* The products of a chunk: forward (weights are out x in), adjoints of inputs, gradients of weights; the head by part of the vocabulary. */
static void
list(struct peak *p, const struct ttt_config *c)
{
	int64_t T = c->chunk, D = c->d_model, F = c->d_ff, P = c->d_prime, V = c->n_vocab < 8192 ? c->n_vocab : 8192;

	put(p, "square", false, true, 1024, 1024, 1024);
	put(p, "qkv", false, true, T, 3 * D, D);
	put(p, "gate_up", false, true, T, 2 * F, D);
	put(p, "down", false, true, T, D, F);
	put(p, "gate_up_adjoint", false, false, T, D, 2 * F);
	put(p, "down_adjoint", false, false, T, F, D);
	put(p, "prime_gate_up_gradient", true, false, 2 * P, D, T);
	put(p, "prime_down_gradient", true, false, D, P, T);
	put(p, "head", false, true, T, V, D);
	put(p, "head_mean", false, false, T, D, V);
}

static int64_t
larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static enum ttt_status
random_floats(struct ttt_device *d, float **out, int64_t n, struct ttt__random *r, struct ttt_error *err)
{
	float *host = ttt__new((size_t)n, sizeof *host);
	enum ttt_status status = host ? ttt__device_floats(d, out, n, "a matrix", err) : ttt__fail_memory(err, "a matrix");

	for (int64_t i = 0; i < n && !status; i++)
		host[i] = (float)ttt__random_uniform(r);
	if (!status)
		d->ops->upload(d, *out, host, (size_t)n * sizeof *host);
	free(host);
	return status;
}

enum ttt_status
peak_start(struct peak *p, const struct bench *b, struct ttt_error *err)
{
	int64_t mk = 0, kn = 0, mn = 0;
	struct ttt_device *d = b->t->device;
	struct ttt__random r;
	enum ttt_status status;

	*p = (struct peak){0};
	list(p, ttt_model_config(b->t->model));
	for (int i = 0; i < p->n; i++) {
		mk = larger(mk, p->product[i].M * p->product[i].K);
		kn = larger(kn, p->product[i].K * p->product[i].N);
		mn = larger(mn, p->product[i].M * p->product[i].N);
	}
	ttt__random_seed(&r, 4);
	status = random_floats(d, &p->a, mk, &r, err);
	if (!status)
		status = random_floats(d, &p->b, kn, &r, err);
	if (!status)
		status = random_floats(d, &p->c, mn, &r, err);
	return status;
}

/* GFLOP/s of one product over about 30 ms, after one that warms up. */
static double
rate(const struct peak *p, struct ttt_device *d, const struct product *x)
{
	double flops = 2 * (double)x->M * (double)x->N * (double)x->K, started = 0, taken = 0;
	int64_t lda = x->ta ? x->M : x->K, ldb = x->tb ? x->K : x->N;
	int n = -1;

	do {
		if (n == 0)
			started = bench_now();
		d->ops->gemm(d, x->ta, x->tb, x->M, x->N, x->K, 1, p->a, lda, p->b, ldb, 0, p->c, x->N);
		n++;
		if (n > 0)
			taken = bench_now() - started;
	} while (taken < 0.03);
	return 1e-9 * flops * n / taken;
}

double
peak_round(struct peak *p, const struct bench *b)
{
	double best = 0;

	for (int i = 0; i < p->n; i++) {
		double now = rate(p, b->t->device, &p->product[i]);

		bench_add(&p->product[i].gflops, now);
		best = now > best ? now : best;
	}
	bench_add(&p->best, best);
	return best;
}

void
peak_end(struct peak *p, const struct bench *b)
{
	ttt__device_release(b->t->device, p->a);
	ttt__device_release(b->t->device, p->b);
	ttt__device_release(b->t->device, p->c);
}

int
bench_peak(struct tool *t, int argc, char **argv)
{
	struct bench b;
	struct peak p = {0};
	struct ttt_error err;
	enum ttt_status status;

	bench_options(&b, t, "[--config FILE]", "Rates of the matrix products that a chunk of the shape is made of.", argc, argv);
	status = bench_open(&b, &err);
	if (!status)
		status = peak_start(&p, &b, &err);
	for (int r = 0; r < b.rounds && !status; r++)
		peak_round(&p, &b);
	if (status)
		return tool_fail(t, &err);
	for (int i = 0; i < p.n; i++)
		bench_row(&b, "product_gflops", p.product[i].name, &p.product[i].gflops, "GFLOP/s");
	bench_row(&b, "peak_gflops", NULL, &p.best, "GFLOP/s");
	peak_end(&p, &b);
	return TOOL_DONE;
}
