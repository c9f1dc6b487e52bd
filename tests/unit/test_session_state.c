/* A session's state: cloned, restored, frozen, put back. */
#include "stream.h"
#include "on_devices.h"

/* ------------------------------------------------------------------------------------------------ copies and files */

/* A clone goes on as its original does, and each is deaf to what the other hears. */
static void
test_clone(void **state)
{
	static const int64_t at[] = {0, 1, 8, 9, 12, 41, 80};

	(void)state;
	for (size_t i = 0; i < N_KIND; i++)
		for (size_t j = 0; j < 7; j++) {
			struct ttt_session *clone, *kept;
			struct stream x;

			stream_open(&x, i, devices.at[0].device);
			feed(&x, 0, at[j], 5);
			if (at[j])
				free(next_of(x.s));
			TINY_OK(ttt_session_clone(&clone, x.s, &err));
			TINY_OK(ttt_session_clone(&kept, x.s, &err));
			assert_true(same_sessions(clone, x.s));
			TINY_OK(ttt_session_feed(clone, x.ids, 30, NULL, &err));
			assert_true(same_sessions(kept, x.s));
			feed(&x, at[j], N_TOKEN, 6);
			TINY_OK(ttt_session_feed(kept, x.ids + at[j], N_TOKEN - at[j], NULL, &err));
			assert_true(same_sessions(kept, x.s));
			assert_false(same_sessions(clone, x.s));
			ttt_session_free(clone);
			ttt_session_free(kept);
			stream_close(&x);
		}
}

/* All of a session through its private readers into a new one, which may have read something else before. */
static struct ttt_session *
restored(const struct ttt_session *s, bool used)
{
	const struct ttt_model *m = ttt__session_model(s);
	int64_t rows = ttt__session_window_rows(s), D = m->config.d_model, n;
	const int32_t *pending = ttt_session_pending(s, &n), other[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
	float *w = tiny_new((size_t)(m->parameters.n_fast + 2 * rows * D), sizeof *w), *k = w + m->parameters.n_fast, *v = k + rows * D;
	struct ttt_session *out;

	TINY_OK(ttt_session_create(&out, m, TTT_WINDOW, &err));
	if (used)
		TINY_OK(ttt_session_feed(out, other, 12, NULL, &err));
	ttt__session_fast_read(s, TTT__FAST_LAST, w);
	(void)ttt__session_fast_write(out, TTT__FAST_LAST, w, NULL);
	TINY_OK(ttt__session_window_resize(out, rows, &err));
	for (int64_t l = 0; l < m->config.n_layer; l++) {
		ttt__session_window_read(s, l, k, v);
		ttt__session_window_write(out, l, k, v);
	}
	TINY_OK(ttt__session_stream_set(out, pending, n, ttt_session_n_token(s) - n, &err));
	free(w);
	return out;
}

static void
test_restore(void **state)
{
	static const int64_t at[] = {0, 1, 8, 9, 10, 17, 44, 73, 81};

	(void)state;
	for (int k = 0; k < devices.n; k++)
		for (size_t i = 0; i < N_KIND; i++)
			for (size_t j = 0; j < 9; j++) {
				struct stream x, whole;

				stream_open(&whole, i, devices.at[k].device);
				stream_open(&x, i, devices.at[k].device);
				feed(&whole, 0, N_TOKEN, N_TOKEN);
				feed(&x, 0, at[j], N_TOKEN);
				for (int used = 0; used < 2; used++) {
					struct ttt_session *old = x.s;

					x.s = restored(old, used);
					assert_true(same_sessions(old, x.s));
					ttt_session_free(old);
				}
				feed(&x, at[j], N_TOKEN, 4);
				assert_memory_equal(x.nll, whole.nll, sizeof x.nll);
				assert_true(same_sessions(x.s, whole.s));
				stream_close(&x);
				stream_close(&whole);
			}
}

/* More rows than the window keeps or than tokens were read, more waiting tokens than a chunk, ids that are none. */
static void
test_bad_restore(void **state)
{
	int32_t ids[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
	struct ttt_error said = {0};
	struct stream x;

	(void)state;
	stream_open(&x, 0, devices.at[0].device);
	assert_int_equal(ttt__session_window_resize(x.s, 6, &said), TTT_E_SHAPE);
	assert_int_equal(ttt__session_window_resize(x.s, -1, &said), TTT_E_SHAPE);
	assert_int_equal(ttt__session_window_resize(x.s, 5, &said), TTT_OK);
	assert_int_equal(ttt__session_stream_set(x.s, ids, 9, 0, &said), TTT_E_SHAPE);
	assert_int_equal(ttt__session_stream_set(x.s, ids, -1, 0, &said), TTT_E_SHAPE);
	assert_int_equal(ttt__session_stream_set(x.s, ids, 2, -1, &said), TTT_E_SHAPE);
	assert_int_equal(ttt__session_stream_set(x.s, ids, 2, 4, &said), TTT_E_SHAPE);
	ids[1] = 23;
	assert_int_equal(ttt__session_stream_set(x.s, ids, 2, 5, &said), TTT_E_RANGE);
	ids[1] = 22;
	assert_int_equal(ttt__session_stream_set(x.s, ids, 8, 5, &said), TTT_OK);
	stream_close(&x);
}

/* ------------------------------------------------------------------------------------------------ learning */

static void
test_frozen(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_KIND; i++) {
		struct stream x;
		double moved, initial;
		float *w, *fast;

		stream_open(&x, i, devices.at[0].device);
		x.frozen = true;
		feed(&x, 0, N_TOKEN, 11);
		w = tiny_download(x.m.device, x.m.weights, x.m.parameters.n_float);
		fast = tiny_new((size_t)x.m.parameters.n_fast, sizeof *fast);
		ttt__session_fast_read(x.s, TTT__FAST_LAST, fast);
		assert_memory_equal(fast, w + x.m.parameters.fast_offset, (size_t)x.m.parameters.n_fast * sizeof *fast);
		ttt_session_drift(x.s, &moved, &initial);
		assert_true(moved == 0 && (initial > 0) == (kind[i].P > 0));
		assert_true(x.last.grad_norm == 0);
		free(w);
		free(fast);
		stream_close(&x);
	}
}

/* One chunk moves the fast weights by rate * min(norm, clip); the factor on the rate scales that; a reset takes it back. */
static void
test_drift(void **state)
{
	static const double factor[] = {0, 0.5, 2};

	(void)state;
	for (int clip = 0; clip < 2; clip++)
		for (int k = 0; k < 3; k++) {
			struct ttt_feed how = {.learn = true, .rate = factor[k], .fn = collect};
			double moved, initial, want;
			struct stream x;

			stream_open(&x, 0, devices.at[0].device);
			x.m.config.inner_clip = clip ? 0.1 : 1e6;
			ttt_session_free(x.s);
			TINY_OK(ttt_session_create(&x.s, &x.m, TTT_WINDOW, &err));
			how.ctx = &x;
			TINY_OK(ttt_session_feed(x.s, x.ids, 9, &how, &err));
			assert_int_equal(x.n_report, 1);
			assert_true(x.last.grad_norm > 0.1);
			want = 0.3 * (factor[k] > 0 ? factor[k] : 1) * (clip ? 0.1 : x.last.grad_norm);
			ttt_session_drift(x.s, &moved, &initial);
			assert_true(fabs(moved - want) < 1e-4 * want);
			ttt_session_reset_fast(x.s);
			ttt_session_drift(x.s, &moved, &initial);
			assert_true(moved == 0);
			stream_close(&x);
		}
}

/* After a reset of the window the stream starts anew, with the weights it has. */
static void
test_reset_window(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_KIND; i++) {
		struct stream x, y;
		float *w;

		stream_open(&x, i, devices.at[0].device);
		stream_open(&y, i, devices.at[0].device);
		feed(&x, 0, 45, 45);
		ttt_session_reset_window(x.s);
		assert_int_equal(ttt_session_n_token(x.s), 0);
		w = tiny_new((size_t)x.m.parameters.n_fast, sizeof *w);
		ttt__session_fast_read(x.s, TTT__FAST_LAST, w);
		(void)ttt__session_fast_write(y.s, TTT__FAST_LAST, w, NULL);
		x.next = 1;
		feed(&x, 0, N_TOKEN, 10);
		feed(&y, 0, N_TOKEN, 10);
		assert_memory_equal(x.nll, y.nll, sizeof x.nll);
		assert_true(same_sessions(x.s, y.s));
		free(w);
		stream_close(&x);
		stream_close(&y);
	}
}

/* A window longer than the stream hides nothing; a shorter one does. */
static void
test_full_attention(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_KIND; i++) {
		struct stream x, full;
		double worst = 0;

		if (!kind[i].window)
			continue;
		stream_open(&x, i, devices.at[0].device);
		stream_open(&full, i, devices.at[0].device);
		ttt_session_free(full.s);
		TINY_OK(ttt_session_create(&full.s, &full.m, TTT_FULL, &err));
		feed(&x, 0, N_TOKEN, 20);
		feed(&full, 0, N_TOKEN, 20);
		for (int64_t t = 1; t < x.next; t++) {
			double apart = fabs((double)x.nll[t] - (double)full.nll[t]);

			if (t <= kind[i].window && t <= 8)
				assert_true(apart < 1e-5);
			worst = fmax(worst, apart);
		}
		assert_true(kind[i].window >= N_TOKEN ? worst < 1e-4 : worst > 1e-2);
		stream_close(&x);
		stream_close(&full);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_clone),
	    cmocka_unit_test(test_restore),
	    cmocka_unit_test(test_bad_restore),
	    cmocka_unit_test(test_frozen),
	    cmocka_unit_test(test_drift),
	    cmocka_unit_test(test_reset_window),
	    cmocka_unit_test(test_full_attention),
	};

	return cmocka_run_group_tests(tests, open_devices, close_devices);
}
