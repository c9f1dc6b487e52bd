/* Matrix products of every kind and odd size, on both sides of every threshold, against double; nothing outside C is touched. */
#include <dlfcn.h>
#include <unistd.h>

#include "on_devices.h"
#include "scratch.h"

static double worst;

enum { GAP = 3 }; /* rows lie this much further apart than they are long */

struct shape {
	int64_t M, N, K;
};

static void
check(const struct tiny_device *on, bool ta, bool tb, struct shape s, double alpha, double beta)
{
	struct ttt_device *d = on->device;
	int64_t lda = (ta ? s.M : s.K) + GAP, ldb = (tb ? s.K : s.N) + GAP, ldc = s.N + GAP;
	int64_t a_n = (ta ? s.K : s.M) * lda, b_n = (tb ? s.N : s.K) * ldb, c_n = s.M * ldc;
	struct ttt__random r;
	float *a, *b, *c, *on_a, *on_b, *on_c, *got;

	ttt__random_seed(&r, (uint64_t)(s.M * 1000003 + s.N * 1009 + s.K));
	a = tiny_normal(&r, a_n, 1);
	b = tiny_normal(&r, b_n, 1);
	c = tiny_normal(&r, c_n, 1);
	if (beta == 0) /* what was there does not matter, not even this */
		for (int64_t i = 0; i < s.M; i++)
			c[i * ldc] = NAN;
	on_a = tiny_upload(d, a, a_n);
	on_b = tiny_upload(d, b, b_n);
	on_c = tiny_upload(d, c, c_n);
	d->ops->gemm(d, ta, tb, s.M, s.N, s.K, alpha, on_a, lda, on_b, ldb, beta, on_c, ldc);
	got = tiny_download(d, on_c, c_n);
	for (int64_t i = 0; i < s.M; i++)
		for (int64_t j = 0; j < ldc; j++) {
			double want = j >= s.N ? (double)c[i * ldc + j] : beta == 0 ? 0 : beta * (double)c[i * ldc + j], error;

			for (int64_t k = 0; k < s.K && j < s.N; k++)
				want += alpha * (double)a[ta ? k * lda + i : i * lda + k] * (double)b[tb ? j * ldb + k : k * ldb + j];
			error = fabs((double)got[i * ldc + j] - want) / sqrt((double)s.K);
			worst = fmax(worst, error);
			if (!(error <= (j < s.N ? 1e-5 : 0)))
				fail_msg("%s: %c%c M %d N %d K %d, alpha %g, beta %g: C[%d, %d] is off by %g", on->name, ta ? 'T' : 'N',
				    tb ? 'T' : 'N', (int)s.M, (int)s.N, (int)s.K, alpha, beta, (int)i, (int)j, error);
		}
	ttt__device_release(d, on_a);
	ttt__device_release(d, on_b);
	ttt__device_release(d, on_c);
	free(got);
	free(a);
	free(b);
	free(c);
}

static void
test_products(void **state)
{
	static const struct shape shapes[] = {{1, 1, 1}, {1, 50, 19}, {2, 7, 40}, {3, 33, 8}, {4, 5, 6}, {5, 100, 17}, {6, 16, 64}, {7, 31, 129},
	    {12, 48, 128}, {13, 95, 257}, {17, 97, 65}, {32, 96, 128}, {33, 31, 300}, {63, 70, 33}, {64, 287, 32}, {65, 40, 63}, {96, 33, 64},
	    {130, 17, 65}, {300, 130, 32}, {200, 300, 20}, {30, 530, 140}};

	(void)state;
	for (int i = 0; i < devices.n; i++)
		for (size_t j = 0; j < sizeof shapes / sizeof *shapes; j++)
			for (int kind = 0; kind < 4; kind++) {
				check(&devices.at[i], kind & 1, kind & 2, shapes[j], 1, 0);
				check(&devices.at[i], kind & 1, kind & 2, shapes[j], 1, 1);
				check(&devices.at[i], kind & 1, kind & 2, shapes[j], 0.5, 0);
				check(&devices.at[i], kind & 1, kind & 2, shapes[j], -2, 0.25);
			}
	print_message("largest error %.1e of sqrt K\n", worst);
}

static void
test_none(void **state)
{
	(void)state;
	for (int i = 0; i < devices.n; i++) {
		struct ttt_device *d = devices.at[i].device;
		float *c = tiny_upload(d, (const float[]){1, 2}, 2), *got;

		d->ops->gemm(d, false, true, 0, 2, 3, 1, c, 3, c, 3, 0, c, 2);
		d->ops->gemm(d, false, false, 2, 0, 3, 1, c, 3, c, 3, 0, c, 2);
		got = tiny_download(d, c, 2);
		assert_true(got[0] == 1 && got[1] == 2);
		free(got);
		ttt__device_release(d, c);
	}
}

/* Whoever calls may use OpenMP: it has as many threads afterwards as before. */
static void
test_callers_threads(void **state)
{
	const struct shape large = {130, 130, 130};
	void *openmp = dlopen("libgomp.so.1", RTLD_NOW | RTLD_GLOBAL), *found[2];
	int (*max_threads)(void);
	void (*set_threads)(int n);

	(void)state;
	if (openmp == NULL)
		skip();
	found[0] = dlsym(openmp, "omp_get_max_threads");
	found[1] = dlsym(openmp, "omp_set_num_threads");
	memcpy(&max_threads, &found[0], sizeof found[0]);
	memcpy(&set_threads, &found[1], sizeof found[1]);
	set_threads(3);
	for (int i = 0; i < devices.n; i++)
		check(&devices.at[i], false, true, large, 1, 0);
	assert_int_equal(max_threads(), 3);
}

/* All once more where oneDNN cannot be opened: files of its names that are none come first. */
static int
without_library(char **argv)
{
	char root[256], path[512];

	scratch_make(root);
	for (int version = 2; version <= 3; version++) {
		snprintf(path, sizeof path, "%s/libdnnl.so.%d", root, version);
		spill(path, "", 0);
	}
	setenv("LD_LIBRARY_PATH", root, 1);
	setenv("WITHOUT", root, 1);
	execvp(argv[0], argv);
	return 1;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_products), cmocka_unit_test(test_none), cmocka_unit_test(test_callers_threads)};
	const char *without = getenv("WITHOUT");
	int failed = cmocka_run_group_tests_name(without ? "without oneDNN" : "products", tests, open_devices, close_devices);

	(void)argc;
	if (without)
		scratch_remove(without);
	return failed || without ? failed : without_library(argv);
}
