/* The device's threads: every part of a run is done once, whoever is late, and from within a part too. */
#include <stdatomic.h>
#include <unistd.h>

#include "kernels/cpu/pool.h"
#include "tiny.h"

enum { MOST = 3000, RUNS = 30000 };

struct run {
	struct ttt__pool *pool;
	int number;
	bool late;                /* its first part is held up */
	atomic_int times[MOST];   /* that a part was done */
	atomic_int within;        /* parts of runs begun in a part */
};

static void
count_within(void *args, int64_t i, int worker)
{
	struct run *r = args;

	(void)i;
	(void)worker;
	atomic_fetch_add(&r->within, 1);
}

static void
part(void *args, int64_t i, int worker)
{
	struct run *r = args;

	(void)worker;
	atomic_fetch_add(&r->times[i], 1);
	if (r->late && i == 0)
		usleep(100);
	if (r->number % 13 == 0)
		ttt__pool_run(r->pool, 3, count_within, r);
}

static void
test_parts(void **state)
{
	static struct run r;
	struct ttt__random random;
	struct ttt_error err;

	(void)state;
	ttt__random_seed(&random, 5);
	for (int threads = 1; threads <= 5; threads++) {
		assert_int_equal(ttt__pool_create(&r.pool, threads, &err), TTT_OK);
		for (r.number = 0; r.number < RUNS; r.number++) {
			int n = (int)(ttt__random_uniform(&random) * (r.number % 100 == 0 ? MOST : 9));

			r.late = r.number % 97 == 0;
			r.within = 0;
			for (int i = 0; i < n; i++)
				r.times[i] = 0;
			ttt__pool_run(r.pool, n, part, &r);
			for (int i = 0; i < n; i++)
				if (r.times[i] != 1)
					fail_msg("%d threads, run %d: part %d of %d done %d times", threads, r.number, i, n, r.times[i]);
			assert_int_equal(r.within, r.number % 13 == 0 ? 3 * n : 0);
			if (r.number % 5000 == 0)
				usleep(2000); /* the workers fall asleep */
		}
		ttt__pool_free(r.pool);
	}
}

/* Eight threads: all are kept for long chunks of a wide model, some for short ones of a narrow one, one for the least. */
static void
test_fit(void **state)
{
	static const struct {
		int64_t chunk, width;
		const char *says;
	} fits[] = {{1024, 768, "8 threads"}, {32, 128, "4 threads"}, {4, 16, ", 1 thread"}};
	struct ttt_device *d;
	struct ttt_error err;

	(void)state;
	assert_int_equal(ttt_device_create(&d, &(struct ttt_device_options){.n_thread = 8}, &err), TTT_OK);
	for (size_t i = 0; i < sizeof fits / sizeof fits[0]; i++) {
		float a[4] = {1, 2, 3, 4}, c[4];

		ttt_device_fit(d, &(struct ttt_config){.chunk = fits[i].chunk, .d_model = fits[i].width, .d_ff = 11 * fits[i].width / 4});
		assert_non_null(strstr(ttt_device_describe(d), fits[i].says));
		d->ops->gemm(d, false, false, 2, 2, 2, 1, a, 2, a, 2, 0, c, 2);
		assert_float_equal(c[3], 22, 0);
	}
	ttt_device_free(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_parts), cmocka_unit_test(test_fit)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
