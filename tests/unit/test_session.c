/* Reading: a stream in any pieces gives the same bits; what comes next and what waits are scored as the chunk will score them; limits. */
#include "libttt/learn/trainer.h"
#include "stream.h"
#include "on_devices.h"

static void
ignore(void *ctx, const struct ttt_chunk_report *r)
{
	(void)ctx;
	(void)r;
}

/* looks: between pieces also peek and ask for what comes next, which must change nothing. */
static void
check_pieces(size_t i, struct ttt_device *d, int64_t piece, bool looks)
{
	struct stream once, cut;

	stream_open(&once, i, d);
	stream_open(&cut, i, d);
	feed(&once, 0, N_TOKEN, N_TOKEN);
	for (int64_t at = 0; at < N_TOKEN; at += piece) {
		feed(&cut, at, at + piece < N_TOKEN ? at + piece : N_TOKEN, piece);
		if (looks) {
			free(next_of(cut.s));
			TINY_OK(ttt_session_peek(cut.s, 0, ignore, NULL, &err));
			free(next_of(cut.s));
		}
	}
	assert_int_equal(once.n_report, (N_TOKEN - 1) / once.m.config.chunk);
	assert_int_equal(ttt_session_n_token(once.s), N_TOKEN);
	assert_memory_equal(once.nll, cut.nll, sizeof once.nll);
	assert_true(same_sessions(once.s, cut.s));
	stream_close(&once);
	stream_close(&cut);
}

static void
test_pieces(void **state)
{
	static const int64_t piece[] = {1, 3, 7, 8, 9, 25};

	(void)state;
	for (int k = 0; k < devices.n; k++)
		for (size_t i = 0; i < N_KIND; i++)
			for (size_t j = 0; j < 6; j++)
				check_pieces(i, devices.at[k].device, piece[j], j % 2 == 1 || piece[j] == 1);
}

/* Reading with the inner step gives the losses that training sees. */
static void
test_as_training(void **state)
{
	const struct ttt_train_options o = {.mode = TTT_MODE_TTT};

	(void)state;
	for (size_t i = 0; i < N_KIND; i++) {
		struct ttt_trainer *t;
		struct stream x;
		double loss, sum = 0;

		stream_open(&x, i, devices.at[0].device);
		TINY_OK(ttt_trainer_create(&t, &x.m, &o, &err));
		TINY_OK(ttt_trainer_gradient(t, x.ids, 1, 81, -1, &loss, &err));
		for (int64_t at = 0; at < 80; at += 8) {
			feed(&x, at ? at + 1 : 0, at + 9, 9);
			sum += x.last.loss / 10;
		}
		assert_int_equal(x.n_report, 10);
		assert_true(fabs(sum - loss) < 1e-4 * loss);
		ttt_trainer_free(t);
		stream_close(&x);
	}
}

/* ------------------------------------------------------------------------------------------------ what comes next */

/* Before every token, its log-probability is what its nll will be, and all of them make 1. */
static void
check_next(size_t i, struct ttt_device *d, bool frozen)
{
	float said[N_TOKEN];
	struct stream x;

	stream_open(&x, i, d);
	x.frozen = frozen;
	for (int64_t t = 0; t < N_TOKEN; t++) {
		if (t) {
			float *logp = next_of(x.s);
			double sum = 0;

			for (int64_t v = 0; v < x.m.config.n_vocab; v++)
				sum += exp((double)logp[v]);
			assert_true(fabs(sum - 1) < 1e-5);
			said[t] = -logp[x.ids[t]];
			free(logp);
		}
		feed(&x, t, t + 1, 1);
	}
	assert_int_equal(x.next, 81);
	for (int64_t t = 1; t < x.next; t++)
		if (!(fabs((double)said[t] - (double)x.nll[t]) < 5e-5))
			fail_msg("window %d, position %d: next said %.7g, the chunk %.7g", (int)kind[i].window, (int)t, (double)said[t],
			    (double)x.nll[t]);
	stream_close(&x);
}

static void
test_next(void **state)
{
	(void)state;
	for (int k = 0; k < devices.n; k++)
		for (size_t i = 0; i < N_KIND; i++) {
			check_next(i, devices.at[k].device, false);
			check_next(i, devices.at[k].device, true);
		}
}

/* Asked twice, and after several tokens at once, it says the same; an empty stream has no next token. */
static void
test_next_again(void **state)
{
	struct ttt_error said = {0};
	float *one, *two, *three, empty[64];
	struct stream x, y;

	(void)state;
	for (size_t i = 0; i < N_KIND; i++) {
		stream_open(&x, i, devices.at[0].device);
		stream_open(&y, i, devices.at[0].device);
		assert_int_equal(ttt_session_next(x.s, empty, &said), TTT_E_USAGE);
		assert_true(strlen(said.text) > 0);
		for (int64_t t = 0; t < 30; t++) {
			feed(&x, t, t + 1, 1);
			free(next_of(x.s));
		}
		one = next_of(x.s);
		two = next_of(x.s);
		feed(&y, 0, 30, 30);
		three = next_of(y.s);
		for (int64_t v = 0; v < x.m.config.n_vocab; v++) {
			assert_true(fabs((double)one[v] - (double)two[v]) < 1e-5);
			assert_true(fabs((double)one[v] - (double)three[v]) < 1e-5);
		}
		free(one);
		free(two);
		free(three);
		stream_close(&x);
		stream_close(&y);
	}
}

/* Weights that change in between, put back or written, are seen by the next question. */
static void
check_next_after(bool write)
{
	struct stream x, y;
	float *a, *b, *w;

	stream_open(&x, 0, devices.at[0].device);
	stream_open(&y, 0, devices.at[0].device);
	feed(&x, 0, 30, 30);
	feed(&y, 0, 30, 30);
	a = next_of(x.s);
	w = tiny_new((size_t)x.m.parameters.n_fast, sizeof *w);
	for (int64_t i = 0; i < x.m.parameters.n_fast; i++)
		w[i] = (float)(i % 7) / 7;
	for (int i = 0; i < 2; i++)
		if (write)
			(void)ttt__session_fast_write(i ? y.s : x.s, TTT__FAST_LAST, w, NULL);
		else
			ttt_session_reset_fast(i ? y.s : x.s);
	b = next_of(x.s);
	assert_memory_not_equal(a, b, (size_t)x.m.config.n_vocab * sizeof *a);
	free(a);
	a = next_of(y.s);
	assert_memory_equal(a, b, (size_t)x.m.config.n_vocab * sizeof *a);
	free(a);
	free(b);
	free(w);
	stream_close(&x);
	stream_close(&y);
}

static void
test_next_after_change(void **state)
{
	(void)state;
	check_next_after(false);
	check_next_after(true);
}

struct look {
	int n;
	int64_t first, count;
	float nll[N_TOKEN];
	int32_t target[N_TOKEN];
	double grad_norm;
};

static void
look(void *ctx, const struct ttt_chunk_report *r)
{
	struct look *l = ctx;
	double sum = 0, count = 0;

	l->n++;
	l->first = r->first;
	l->count = r->n;
	l->grad_norm = r->grad_norm;
	memcpy(l->nll, r->nll, (size_t)r->n * sizeof *r->nll);
	memcpy(l->target, r->target, (size_t)r->n * sizeof *r->target);
	for (int64_t i = 0; i < r->n; i++)
		if (r->target[i]) {
			sum += (double)r->nll[i];
			count++;
		}
	assert_true(fabs(r->loss - (count > 0 ? sum / count : 0)) < 1e-9);
}

/* At every length: the waiting targets, scored as they will be; from any of them on; and nothing changes. */
static void
check_peek(size_t i, struct ttt_device *d)
{
	struct stream x, done;

	stream_open(&x, i, d);
	stream_open(&done, i, d);
	feed(&done, 0, N_TOKEN, N_TOKEN);
	for (int64_t t = 0; t < 50; t++) {
		struct ttt_session *before;
		int64_t waiting, skip;

		feed(&x, t, t + 1, 1);
		TINY_OK(ttt_session_clone(&before, x.s, &err));
		(void)ttt_session_pending(x.s, &waiting);
		for (skip = 0; skip <= waiting; skip++) {
			struct look l = {0};
			int64_t first = t + 2 - waiting + skip, want = waiting - 1 - skip;

			TINY_OK(ttt_session_peek(x.s, skip ? first : 0, look, &l, &err));
			assert_int_equal(l.n, want > 0 ? 1 : 0);
			if (want <= 0)
				continue;
			assert_int_equal(l.first, first);
			assert_int_equal(l.count, want);
			assert_true(l.grad_norm == 0);
			for (int64_t j = 0; j < want; j++) {
				assert_int_equal(l.target[j], x.ids[first + j]);
				/* as many tokens as came by now, so summed in another order than the whole chunk's */
				assert_true(fabs((double)l.nll[j] - (double)done.nll[first + j]) < 1e-5 * (1 + (double)done.nll[first + j]));
			}
		}
		assert_true(same_sessions(before, x.s));
		ttt_session_free(before);
	}
	stream_close(&x);
	stream_close(&done);
}

static void
test_peek(void **state)
{
	(void)state;
	for (int k = 0; k < devices.n; k += 2)
		for (size_t i = 0; i < N_KIND; i++)
			check_peek(i, devices.at[k].device);
}

/* ------------------------------------------------------------------------------------------------ limits */

/* An id outside the vocabulary anywhere in a call: nothing of it was appended. */
static void
test_bad_ids(void **state)
{
	static const int32_t bad[] = {-1, 23, INT32_MAX, INT32_MIN};

	(void)state;
	for (size_t j = 0; j < 4; j++)
		for (int64_t place = 0; place < 20; place += 19) {
			struct ttt_error said = {0};
			struct ttt_session *before;
			int32_t ids[20] = {0};
			struct stream x;

			stream_open(&x, 0, devices.at[0].device);
			feed(&x, 0, 21, 21);
			TINY_OK(ttt_session_clone(&before, x.s, &err));
			ids[place] = bad[j];
			assert_int_equal(ttt_session_feed(x.s, ids, 20, NULL, &said), TTT_E_RANGE);
			assert_non_null(strstr(said.text, "vocabulary"));
			ids[place] = 0;
			assert_int_equal(ttt_session_feed(x.s, ids, 1, &(struct ttt_feed){.rate = NAN}, &said), TTT_E_RANGE);
			assert_int_equal(ttt_session_feed(x.s, ids, 1, &(struct ttt_feed){.rate = -1}, &said), TTT_E_RANGE);
			assert_true(same_sessions(before, x.s));
			assert_int_equal(ttt_session_feed(x.s, ids, 0, NULL, &said), TTT_OK);
			assert_true(same_sessions(before, x.s));
			ttt_session_free(before);
			stream_close(&x);
		}
}

static struct {
	const struct ttt__ops *ops;
	int64_t n_alloc, n_live;
} counted;

static void *
count_alloc(struct ttt_device *d, size_t n)
{
	counted.n_alloc++;
	counted.n_live++;
	return counted.ops->alloc(d, n);
}

static void
count_free(struct ttt_device *d, void *p)
{
	counted.n_live--;
	counted.ops->free(d, p);
}

static void
still_finite(void *ctx, const struct ttt_chunk_report *r)
{
	int64_t *n = ctx;

	++*n;
	assert_true(isfinite(r->loss) && isfinite(r->grad_norm));
	for (int64_t i = 0; i < r->n; i++)
		assert_true(isfinite(r->nll[i]));
}

/* Hundreds of windows: finite, no more memory taken once it runs, and all of it given back. */
static void
test_long(void **state)
{
	struct ttt_device *d = devices.at[0].device;
	struct ttt__ops ops = *d->ops;

	(void)state;
	counted.ops = d->ops;
	ops.alloc = count_alloc;
	ops.free = count_free;
	for (size_t i = 0; i < N_KIND; i++) {
		int64_t n_chunk = 0, before;
		const struct ttt_feed how = {.learn = true, .fn = still_finite, .ctx = &n_chunk};
		struct ttt__random r;
		struct stream x;
		int32_t *ids;

		if (!kind[i].window)
			continue;
		stream_open(&x, i, d);
		ttt_session_free(x.s);
		d->ops = &ops;
		counted.n_live = 0;
		TINY_OK(ttt_session_create(&x.s, &x.m, TTT_WINDOW, &err));
		ttt__random_seed(&r, i);
		ids = tiny_ids(&r, 4001, x.m.config.n_vocab);
		before = counted.n_alloc;
		TINY_OK(ttt_session_feed(x.s, ids, 4001, &how, &err));
		assert_int_equal(counted.n_alloc, before);
		assert_int_equal(n_chunk, 500);
		assert_int_equal(ttt_session_n_token(x.s), 4001);
		before = counted.n_live;
		free(next_of(x.s));
		assert_int_equal(counted.n_live, before);
		ttt_session_free(x.s);
		assert_int_equal(counted.n_live, 0);
		x.s = NULL;
		d->ops = counted.ops;
		free(ids);
		stream_close(&x);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pieces),
	    cmocka_unit_test(test_as_training),
	    cmocka_unit_test(test_next),
	    cmocka_unit_test(test_next_again),
	    cmocka_unit_test(test_next_after_change),
	    cmocka_unit_test(test_peek),
	    cmocka_unit_test(test_bad_ids),
	    cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, open_devices, close_devices);
}
