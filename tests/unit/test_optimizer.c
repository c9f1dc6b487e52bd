/* The outer steps apart from the gradient: Muon's step of a matrix against its definition in double, and the schedule. */
#include "libttt/learn/muon.h"
#include "libttt/learn/schedule.h"
#include "on_devices.h"

enum { MOST = 16 * 24 };

/* y [R, C] = a x [R, n] z [n, C] + b y; with t, z is [C, n] transposed */
static void
product(double *y, double a, const double *x, const double *z, bool t, double b, int64_t R, int64_t C, int64_t n)
{
	for (int64_t i = 0; i < R; i++)
		for (int64_t j = 0; j < C; j++) {
			double sum = 0;

			for (int64_t k = 0; k < n; k++)
				sum += x[i * n + k] * (t ? z[j * n + k] : z[k * C + j]);
			y[i * C + j] = a * sum + b * y[i * C + j];
		}
}

/* Five times x = a x + (b x x' + c x x' x x') x, from x of norm 1. */
static void
reference(double *x, int64_t R, int64_t C)
{
	double s[16 * 16] = {0}, p[16 * 16], y[MOST], norm = 0;

	for (int64_t i = 0; i < R * C; i++)
		norm += x[i] * x[i];
	for (int64_t i = 0; i < R * C; i++)
		x[i] /= sqrt(norm);
	for (int turn = 0; turn < 5; turn++) {
		product(s, 1, x, x, true, 0, R, R, C);
		memcpy(p, s, sizeof p);
		product(p, 2.0315, s, s, false, -4.7750, R, R, R);
		memcpy(y, x, sizeof y);
		product(y, 1, p, x, false, 3.4445, R, C, R);
		memcpy(x, y, sizeof y);
	}
}

/* Steps of one matrix [rows, cols]; the reference always has the shorter side first. */
static void
check_muon(struct ttt_device *d, int64_t rows, int64_t cols)
{
	struct ttt__parameter p = {.rows = rows, .cols = cols, .n = rows * cols};
	struct ttt__parameters all = {.p = &p, .n = 1, .embed = -1, .n_float = p.n};
	const struct ttt__adamw o = {.lr = 0.01, .b1 = 0.9, .weight_decay = 0.1, .scale = 0.5};
	struct ttt__random r;
	struct ttt__muon u;
	float *w[3], *host[3], *got;
	double m[MOST] = {0}, want[MOST], x[MOST], gram[16 * 16] = {0};
	int64_t n = rows < cols ? rows : cols, longer = rows < cols ? cols : rows;

	ttt__random_seed(&r, (uint64_t)(rows * 100 + cols));
	for (int i = 0; i < 3; i++) {
		host[i] = tiny_normal(&r, p.n, i == 1 ? 0 : 1); /* weights, momentum, gradient */
		w[i] = tiny_upload(d, host[i], p.n);
	}
	TINY_OK(ttt__muon_create(&u, d, &all, &err));
	for (int64_t i = 0; i < p.n; i++)
		want[i] = (double)host[0][i];
	for (int turn = 0; turn < 2; turn++) {
		ttt__muon_step(&u, d, &p, w[0], w[1], w[2], &o);
		for (int64_t i = 0; i < rows; i++)
			for (int64_t j = 0; j < cols; j++) {
				int64_t at = i * cols + j;

				m[at] = 0.9 * m[at] + 0.5 * (double)host[2][at];
				x[rows < cols ? at : j * rows + i] = 0.9 * m[at] + 0.5 * (double)host[2][at];
			}
		reference(x, n, longer);
		for (int64_t i = 0; i < rows; i++)
			for (int64_t j = 0; j < cols; j++) {
				double step = x[rows < cols ? i * cols + j : j * rows + i];

				want[i * cols + j] = (1 - 0.001) * want[i * cols + j] - 0.01 * 0.2 * sqrt((double)longer) * step;
			}
	}
	got = tiny_download(d, w[0], p.n);
	for (int64_t i = 0; i < p.n; i++)
		assert_true(fabs((double)got[i] - want[i]) < 2e-5);
	product(gram, 1, x, x, true, 0, n, n, longer); /* near the identity: that is what it is for */
	for (int64_t i = 0; i < n; i++)
		for (int64_t j = 0; j < n; j++)
			assert_true(i == j ? gram[i * n + j] > 0.4 && gram[i * n + j] < 1.5 : fabs(gram[i * n + j]) < 0.4);
	ttt__muon_free(&u, d);
	for (int i = 0; i < 3; i++) {
		ttt__device_release(d, w[i]);
		free(host[i]);
	}
	free(got);
}

static void
test_muon(void **state)
{
	(void)state;
	for (int i = 0; i < devices.n; i++) {
		check_muon(devices.at[i].device, 8, 24);
		check_muon(devices.at[i].device, 24, 8);
		check_muon(devices.at[i].device, 12, 12);
		check_muon(devices.at[i].device, 1, 6);
	}
}

static void
test_schedule(void **state)
{
	struct ttt_train_options o = {.init_lr = 0, .lr = 1, .end_lr = 0.2, .warmup_steps = 4, .hold_steps = 10, .decay_steps = 24};
	static const struct {
		int64_t step;
		double rate;
	} want[] = {{0, 0}, {1, 0.25}, {4, 1}, {13, 1}, {14, 1}, {16, 0.9236067977499790}, {19, 0.6}, {24, 0.2}, {1000, 0.2}};

	(void)state;
	for (size_t i = 0; i < sizeof want / sizeof *want; i++)
		assert_true(fabs(ttt__outer_rate(&o, want[i].step) - want[i].rate) < 1e-12);
	o.hold_steps = 0;
	assert_true(fabs(ttt__outer_rate(&o, 14) - 0.6) < 1e-12);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_muon),
	    cmocka_unit_test(test_schedule),
	};

	return cmocka_run_group_tests(tests, open_devices, close_devices);
}
