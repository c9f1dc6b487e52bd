/* For unit tests: a stream through a session of a tiny model, and all that its reports said. */
#ifndef TEST_STREAM_H
#define TEST_STREAM_H
#include "libttt/learn/session.h"
#include "tiny.h"

enum { N_TOKEN = 83 };

/* window, suffix blocks; 0 and 0: full attention, a plain Transformer. The chunk is 8. */
static const struct {
	int64_t window, P;
} kind[] = {{6, 2}, {8, 1}, {9, 2}, {21, 2}, {1, 1}, {0, 2}, {6, 0}, {0, 0}, {200, 2}};
#define N_KIND (sizeof kind / sizeof *kind)

/* A model, a session on it, and what its reports said by position in the stream. */
struct stream {
	struct ttt_model m;
	struct ttt_session *s;
	int32_t *ids;
	float nll[N_TOKEN + 1];
	int64_t next, n_report; /* position that the next report must start at; reports so far */
	struct ttt_chunk_report last;
	bool frozen;
};

static inline void
collect(void *ctx, const struct ttt_chunk_report *r)
{
	struct stream *x = ctx;
	double sum = 0;
	int64_t count = 0;

	assert_int_equal(r->first, x->next);
	for (int64_t i = 0; i < r->n; i++) {
		assert_int_equal(r->target[i], x->ids[r->first + i]);
		x->nll[r->first + i] = r->nll[i];
		if (r->target[i] != x->m.config.bos) {
			sum += (double)r->nll[i];
			count++;
		}
	}
	assert_true(fabs(r->loss - (count ? sum / (double)count : 0)) < 1e-9);
	x->next = r->first + r->n;
	x->n_report++;
	x->last = *r;
}

static inline void
stream_open(struct stream *x, size_t i, struct ttt_device *d)
{
	struct ttt_config c = tiny_config();
	struct ttt__random r;

	*x = (struct stream){.next = 1};
	c.window = kind[i].window;
	c.n_layer_suffix = kind[i].P;
	c.d_prime = kind[i].P ? 10 : 0;
	c.inner_lr = c.inner_lr_effective = 0.3;
	tiny_model_create(&x->m, d, &c, i + 1);
	ttt__random_seed(&r, i + 50);
	x->ids = tiny_ids(&r, N_TOKEN, c.n_vocab);
	TINY_OK(ttt_session_create(&x->s, &x->m, TTT_WINDOW, &err));
}

static inline void
stream_close(struct stream *x)
{
	ttt_session_free(x->s);
	free(x->ids);
	tiny_model_free(&x->m);
}

/* ids from .. to - 1, at most piece of them at a time */
static inline void
feed(struct stream *x, int64_t from, int64_t to, int64_t piece)
{
	const struct ttt_feed how = {.learn = !x->frozen, .fn = collect, .ctx = x};

	for (int64_t at = from; at < to; at += piece)
		TINY_OK(ttt_session_feed(x->s, x->ids + at, to - at < piece ? to - at : piece, &how, &err));
}

/* Fast weights, window, waiting tokens: all that a session is, as bits. */
static inline bool
same_sessions(const struct ttt_session *a, const struct ttt_session *b)
{
	const struct ttt_model *m = ttt__session_model(a);
	int64_t rows = ttt__session_window_rows(a), D = m->config.d_model, n_a, n_b;
	const int32_t *p = ttt_session_pending(a, &n_a), *q = ttt_session_pending(b, &n_b);
	size_t fast = (size_t)m->parameters.n_fast, size = (size_t)(rows * D);
	float *w = tiny_new(2 * fast + 4 * size, sizeof *w), *kv = w + 2 * fast;
	bool same = ttt_session_n_token(a) == ttt_session_n_token(b) && n_a == n_b && ttt__session_window_rows(b) == rows;

	same = same && memcmp(p, q, (size_t)n_a * sizeof *p) == 0;
	ttt__session_fast_read(a, TTT__FAST_LAST, w);
	ttt__session_fast_read(b, TTT__FAST_LAST, w + fast);
	same = same && memcmp(w, w + fast, fast * sizeof *w) == 0;
	for (int64_t l = 0; l < m->config.n_layer && same; l++) {
		ttt__session_window_read(a, l, kv, kv + size);
		ttt__session_window_read(b, l, kv + 2 * size, kv + 3 * size);
		same = memcmp(kv, kv + 2 * size, 2 * size * sizeof *kv) == 0;
	}
	free(w);
	return same;
}

static inline float *
next_of(struct ttt_session *s)
{
	float *logp = tiny_new((size_t)ttt__session_model(s)->config.n_vocab, sizeof *logp);

	TINY_OK(ttt_session_next(s, logp, &err));
	return logp;
}

#endif
