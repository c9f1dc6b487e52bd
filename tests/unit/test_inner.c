/* The inner step, its adjoint, and the row weights of a chunk's loss, against double. */
#include "libttt/learn/inner.h"
#include "on_devices.h"

/* <lambda, w - rate clip(g + e direction)>, in double */
static double
stepped(const float *g, const float *direction, double e, const float *lambda, int64_t n, double rate, double clip)
{
	double norm = 0, sum = 0, factor;

	for (int64_t i = 0; i < n; i++)
		norm += pow((double)g[i] + e * (double)direction[i], 2);
	norm = sqrt(norm);
	factor = clip > 0 && norm >= clip ? clip / norm : 1;
	for (int64_t i = 0; i < n; i++)
		sum -= rate * factor * (double)lambda[i] * ((double)g[i] + e * (double)direction[i]);
	return sum;
}

/* times: the clip as a multiple of the gradient's norm; 0: off. Step and adjoint against double, the adjoint by central differences along
 * random directions and along the gradient itself, which an active clip makes an eigenvector of its derivative. */
static void
check_inner(struct ttt_device *d, int64_t n, double times)
{
	const double rate = 0.7, h = 1e-6;
	struct ttt__random r;
	float *g, *w, *lambda, *on_g, *on_w, *on_v, *on_lambda, *got, *v, *back;
	double norm, clip, seen, error = 0;

	ttt__random_seed(&r, (uint64_t)n);
	g = tiny_normal(&r, n, 1);
	w = tiny_normal(&r, n, 1);
	lambda = tiny_normal(&r, n, 1);
	norm = sqrt(tiny_dot(g, g, n));
	clip = times * norm;
	on_g = tiny_upload(d, g, n);
	on_w = tiny_upload(d, w, n);
	on_lambda = tiny_upload(d, lambda, n);
	on_v = tiny_upload(d, NULL, n);
	ttt__inner_step(d, on_w, on_g, n, rate, clip, &seen);
	assert_true(fabs(seen - norm) <= 1e-6 * norm);
	got = tiny_download(d, on_w, n);
	ttt__inner_unstep(d, on_w, on_g, n, rate, clip, seen);
	back = tiny_download(d, on_w, n);
	for (int64_t i = 0; i < n; i++) {
		double want = (double)g[i] * (times > 0 && times < 1 ? times : 1);

		error = fmax(error, fabs((double)back[i] - (double)w[i]));
		error = fmax(error, fabs((double)got[i] - ((double)w[i] - rate * want)));
	}
	assert_true(error < 1e-6);
	ttt__inner_adjoint(d, on_v, on_lambda, on_g, n, rate, clip, seen);
	v = tiny_download(d, on_v, n);
	for (int k = 0; k < 8; k++) {
		float *direction = k ? tiny_normal(&r, n, 1) : tiny_download(d, on_g, n);
		double want = (stepped(g, direction, h, lambda, n, rate, clip) - stepped(g, direction, -h, lambda, n, rate, clip)) / (2 * h);
		double scale = sqrt(tiny_dot(lambda, lambda, n) * tiny_dot(direction, direction, n));

		if (!(fabs(tiny_dot(v, direction, n) - want) <= 1e-6 * scale))
			fail_msg("%d weights, clip at %g of the norm: <v, direction> is %.8g, not %.8g", (int)n, times,
			    tiny_dot(v, direction, n), want);
		free(direction);
	}
	ttt__device_release(d, on_g);
	ttt__device_release(d, on_w);
	ttt__device_release(d, on_v);
	ttt__device_release(d, on_lambda);
	free(g);
	free(w);
	free(lambda);
	free(got);
	free(v);
	free(back);
}

static void
test_inner_step(void **state)
{
	static const double times[] = {0, 0.01, 0.5, 0.99, 1.01, 3};
	static const int64_t n[] = {1, 3, 77, 4097, 40000};

	(void)state;
	for (int k = 0; k < devices.n; k++)
		for (size_t i = 0; i < 5; i++)
			for (size_t j = 0; j < 6; j++)
				check_inner(devices.at[k].device, n[i], times[j]);
}

/* A gradient of exactly nothing moves nothing and gives no NaN. */
static void
test_inner_zero(void **state)
{
	struct ttt_device *d = devices.at[0].device;
	float one[3] = {1, 2, 3}, *w = tiny_upload(d, one, 3), *g = tiny_upload(d, NULL, 3), *v = tiny_upload(d, NULL, 3), *got;
	double norm = -1;

	(void)state;
	ttt__inner_step(d, w, g, 3, 1, 1, &norm);
	assert_true(norm == 0);
	got = tiny_download(d, w, 3);
	assert_memory_equal(got, one, sizeof one);
	free(got);
	ttt__inner_adjoint(d, v, w, g, 3, 2, 1, norm);
	got = tiny_download(d, v, 3);
	for (int i = 0; i < 3; i++)
		assert_true(got[i] == -2 * one[i]);
	free(got);
	ttt__device_release(d, w);
	ttt__device_release(d, g);
	ttt__device_release(d, v);
}

static void
test_row_weights(void **state)
{
	const int32_t target[] = {3, 0, 5, 0, 7}, masked[] = {0, 0};
	const float nll[] = {1, 100, 2, 100, 6};
	float om[10], none[4];

	(void)state;
	assert_int_equal(ttt__count_targets(target, 5, 0), 3);
	assert_int_equal(ttt__count_targets(target, 5, -1), 5);
	ttt__fill_row_weights(om, target, 5, 0, 0.5);
	for (int i = 0; i < 5; i++) {
		assert_true(fabs((double)om[i] - (target[i] ? 0.5 / 3 : 0)) < 1e-7);
		assert_true(om[5 + i] == -om[i]);
	}
	assert_true(fabs(ttt__mean_loss(nll, target, 5, 0) - 3) < 1e-12);
	assert_true(fabs(ttt__mean_loss(nll, target, 5, -1) - 41.8) < 1e-12);
	ttt__fill_row_weights(none, masked, 2, 0, 1);
	for (int i = 0; i < 4; i++)
		assert_true(none[i] == 0);
	assert_true(ttt__mean_loss(nll, masked, 2, 0) == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_inner_step),
	    cmocka_unit_test(test_inner_zero),
	    cmocka_unit_test(test_row_weights),
	};

	return cmocka_run_group_tests(tests, open_devices, close_devices);
}
