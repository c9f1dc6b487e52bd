/* Matrix products with weights in bfloat16, of every kind and odd size, against double; nothing outside C is touched. */
#include "libttt/model/bf16.h"
#include "on_devices.h"

enum { GAP = 2 }; /* rows lie this much further apart than they are long */

struct shape {
	int64_t M, N, K;
};

static double
value(uint16_t x)
{
	return (double)ttt__bf16_value(x);
}

/* Of numbers that are none, nothing is asked. */
static uint16_t
rounded(float x)
{
	uint16_t half;

	(void)ttt__bf16_round(&half, x);
	return half;
}

/* step: how far an element of b is from the next. */
static double
product(const double *a, const double *b, int64_t step, int64_t K)
{
	double sum = 0;

	for (int64_t k = 0; k < K; k++)
		sum += a[k] * b[k * step];
	return sum;
}

/* narrow: either kind of product may come, since not every processor makes narrow ones, but all must be of one kind. */
static void
check(const struct tiny_device *on, bool narrow, bool tb, struct shape s, int gap, double beta)
{
	struct ttt_device *d = on->device;
	int64_t lda = s.K + gap, ldb = (tb ? s.K : s.N) + gap, ldc = s.N + gap, b_n = (tb ? s.N : s.K) * ldb, c_n = s.M * ldc;
	double worst[2] = {0}, *wide[2] = {ttt__new((size_t)(s.M * lda), sizeof **wide), ttt__new((size_t)(s.M * lda), sizeof **wide)};
	double *wide_b = ttt__new((size_t)b_n, sizeof *wide_b);
	struct ttt__random r;
	float *a, *b, *c, *on_a, *on_c, *got;
	uint16_t *half = ttt__new((size_t)b_n, sizeof *half), *on_half = d->ops->alloc(d, (size_t)b_n * sizeof *half);

	assert_true(half && on_half && wide[0] && wide[1] && wide_b);
	ttt__random_seed(&r, (uint64_t)(s.M * 1000003 + s.N * 1009 + s.K));
	a = tiny_normal(&r, s.M * lda, 1);
	b = tiny_normal(&r, b_n, 1);
	c = tiny_normal(&r, c_n, 1);
	for (int64_t i = 0; i < b_n; i++)
		wide_b[i] = value(half[i] = rounded(b[i]));
	for (int64_t i = 0; i < s.M * lda; i++) {
		wide[0][i] = (double)a[i];
		wide[1][i] = value(rounded(a[i]));
	}
	if (beta == 0) /* what was there does not matter, not even this */
		for (int64_t i = 0; i < s.M; i++)
			c[i * ldc] = NAN;
	on_a = tiny_upload(d, a, s.M * lda);
	on_c = tiny_upload(d, c, c_n);
	d->ops->upload(d, on_half, half, (size_t)b_n * sizeof *half);
	d->ops->gemm_bf16(d, narrow, tb, s.M, s.N, s.K, on_a, lda, on_half, ldb, beta, on_c, ldc);
	got = tiny_download(d, on_c, c_n);
	for (int64_t i = 0; i < s.M; i++)
		for (int64_t j = 0; j < ldc; j++)
			for (int kind = 0; kind < 2; kind++) {
				double want = j >= s.N ? (double)c[i * ldc + j] : (beta == 0 ? 0 : (double)c[i * ldc + j]) +
				    (j >= s.N ? 0 : product(wide[kind] + i * lda, wide_b + j * (tb ? ldb : 1), tb ? 1 : ldb, s.K));

				if (j >= s.N)
					assert_true((double)got[i * ldc + j] == want);
				else
					worst[kind] = fmax(worst[kind], fabs((double)got[i * ldc + j] - want) / sqrt((double)s.K));
			}
	if (!(worst[0] <= 1e-5 || (narrow && worst[1] <= 1e-5)))
		fail_msg("%s%s: N%c M %d N %d K %d, beta %g: off by %g or %g", on->name, narrow ? ", narrow" : "", tb ? 'T' : 'N', (int)s.M,
		    (int)s.N, (int)s.K, beta, worst[0], worst[1]);
	ttt__device_release(d, on_a);
	ttt__device_release(d, on_c);
	d->ops->free(d, on_half);
	free(half);
	free(wide[0]);
	free(wide[1]);
	free(wide_b);
	free(got);
	free(a);
	free(b);
	free(c);
}

static void
test_products(void **state)
{
	static const struct shape shapes[] = {{1, 1, 1}, {1, 50, 18}, {2, 7, 40}, {3, 33, 8}, {4, 5, 6}, {5, 100, 17}, {6, 16, 64}, {7, 31, 130},
	    {12, 48, 128}, {13, 95, 258}, {17, 97, 66}, {32, 96, 128}, {33, 31, 300}, {63, 70, 34}, {64, 287, 32}, {65, 40, 63}, {96, 33, 64},
	    {130, 17, 66}, {300, 130, 32}, {200, 300, 20}, {30, 130, 542}};

	(void)state;
	for (int i = 0; i < devices.n; i++)
		for (size_t j = 0; j < sizeof shapes / sizeof *shapes; j++)
			for (int kind = 0; kind < 8; kind++) {
				check(&devices.at[i], kind & 1, kind & 2, shapes[j], GAP, kind & 4 ? 1 : 0);
				if (shapes[j].M < 8) /* where pairs do not lie as elements do */
					check(&devices.at[i], kind & 1, kind & 2, shapes[j], GAP + 1, kind & 4 ? 1 : 0);
			}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_products)};

	return cmocka_run_group_tests(tests, open_devices, close_devices);
}
