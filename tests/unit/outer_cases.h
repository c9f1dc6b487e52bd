/* For unit tests: tiny models and token sequences for the outer gradient, in shapes that meet its corners. */
#ifndef TEST_OUTER_CASES_H
#define TEST_OUTER_CASES_H
#include "libttt/learn/trainer.h"
#include "problem.h"

static const struct {
	const char *label;
	int64_t window, L, P, n;
	double rate, clip;
	bool masked;
	int64_t held; /* chunks of the held tail */
} shape[] = {
    {"window < chunk", 5, 3, 2, 4, 0.2, 1, false, 0},
    {"window = chunk", 8, 3, 2, 4, 0.2, 1, false, 0},
    {"window > chunk", 19, 2, 1, 5, 0.3, 1, false, 0},
    {"window of one", 1, 2, 2, 3, 0.2, 1, false, 0},
    {"window > sequence", 100, 3, 2, 4, 0.2, 1, false, 0},
    {"full attention", 0, 3, 2, 4, 0.2, 1, false, 0},
    {"suffix is the network", 9, 3, 3, 3, 0.1, 1, false, 0},
    {"one block", 6, 1, 1, 4, 0.3, 1, false, 0},
    {"no clip", 6, 2, 2, 4, 0.02, 0, false, 0},
    {"clip never active", 6, 2, 2, 4, 0.02, 1e3, false, 0},
    {"clip sometimes active", 6, 2, 2, 6, 0.05, 4, false, 0},
    {"masked targets", 6, 2, 2, 4, 0.2, 1, true, 0},
    {"held tail", 6, 2, 2, 5, 0.2, 1, false, 2},
    {"held tail of one", 19, 3, 2, 4, 0.2, 4, true, 1},
    {"held tail but for one", 0, 2, 1, 4, 0.3, 1, false, 3},
    {"one chunk", 6, 2, 2, 1, 1, 1, false, 0},
};
#define N_SHAPE (sizeof shape / sizeof *shape)

static inline struct ttt_config
config_of(size_t i)
{
	struct ttt_config c = tiny_config();

	c.window = shape[i].window;
	c.n_layer = shape[i].L;
	c.n_layer_suffix = shape[i].P;
	c.inner_lr = c.inner_lr_effective = shape[i].rate;
	c.inner_clip = shape[i].clip;
	return c;
}

/* One token sequence; with masks, a few targets and the whole of the second chunk are bos. */
static inline int32_t *
ids_of(size_t i, const struct ttt_config *c, uint64_t seed)
{
	int64_t n = shape[i].n * c->chunk + 1;
	struct ttt__random r;
	int32_t *ids;

	ttt__random_seed(&r, seed);
	ids = tiny_ids(&r, n, c->n_vocab - 1);
	for (int64_t t = 0; t < n; t++)
		ids[t]++;
	for (int64_t t = 1; t < n && shape[i].masked; t++)
		if (t % 5 == 1 || (t > c->chunk && t <= 2 * c->chunk))
			ids[t] = 0;
	return ids;
}

/* With biases by the last tokens, and ids that repeat themselves, so that there are some. */
static inline void
ngrams_of(struct ttt_config *c, int32_t *ids, int64_t n)
{
	static const int64_t order[] = {0, 1, 3};
	static const double rate[] = {0.5, 1, 2};

	c->n_ngram = 3;
	memcpy(c->ngram_order, order, sizeof order);
	memcpy(c->ngram_rate, rate, sizeof rate);
	c->ngram_bits = 10;
	for (int64_t t = 5; t < n; t++)
		if (ids[t] != 0 && ids[t - 5] != 0)
			ids[t] = ids[t - 5];
}

/* A trainer's gradient of one batch on the host. */
static inline float *
gradient_of(struct ttt_trainer *t, const int32_t *ids, int64_t n_seq, int64_t n_token, double *loss)
{
	TINY_OK(ttt_trainer_gradient(t, ids, n_seq, n_token, -1, loss, &err));
	return tiny_download(t->net.device, t->lane[0].gradient, t->net.parameters->n_float);
}

static inline struct ttt_trainer *
trainer_keeping(const struct ttt_model *m, enum ttt_mode mode, bool first_order, int64_t bytes, double held_tail)
{
	const struct ttt_train_options o = {.mode = mode, .first_order = first_order, .keep_bytes = bytes, .held_tail = held_tail};
	struct ttt_trainer *t;

	TINY_OK(ttt_trainer_create(&t, m, &o, &err));
	return t;
}

static inline struct ttt_trainer *
trainer_of(const struct ttt_model *m, enum ttt_mode mode, bool first_order)
{
	return trainer_keeping(m, mode, first_order, 0, 0);
}

/* |a - b| / max(|b - before|, floor) */
static inline double
difference(const float *a, const float *b, const float *before, int64_t n, double floor)
{
	double d = 0, s = 0;

	for (int64_t i = 0; i < n; i++) {
		double x = (double)b[i] - (before ? (double)before[i] : 0);

		d += pow((double)a[i] - (double)b[i], 2);
		s += x * x;
	}
	return sqrt(d) / fmax(sqrt(s), floor);
}

#endif
