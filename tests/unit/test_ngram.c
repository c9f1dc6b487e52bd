/* Biases by the last tokens: the operations on logits, the table by its rules, and what sessions make of it. */
#include "libttt/learn/session_parts.h"
#include "stream.h"
#include "on_devices.h"

static struct ttt_config
ngram_config(void)
{
	static const int64_t order[] = {0, 2, 4};
	static const double rate[] = {0.5, 1, 2};
	struct ttt_config c = tiny_config();

	c.n_ngram = 3;
	memcpy(c.ngram_order, order, sizeof order);
	memcpy(c.ngram_rate, rate, sizeof rate);
	c.ngram_bits = 10;
	c.inner_lr = c.inner_lr_effective = 0.3;
	return c;
}

static int32_t *
upload_ids(struct ttt_device *d, const int32_t *ids, int64_t n)
{
	int32_t *out;

	TINY_OK(ttt__device_ids(d, &out, n, "test data", &err));
	d->ops->upload(d, out, ids, (size_t)n * sizeof *ids);
	return out;
}

/* ------------------------------------------------------------------------------------------------ operations */

/* Some places of [T, V] in tiles of n columns, and those of a column each row, against their definition. */
static void
add_at_case(struct ttt_device *d, int64_t T, int64_t V, int64_t n)
{
	struct ttt__random r;
	int64_t count = 0;
	int32_t *row = tiny_new((size_t)(T * V), 4), *column = tiny_new((size_t)(T * V), 4), *id, *drow, *dcolumn, *did;
	float *value, *z, *y, *out, *got, *dvalue, *dout, *dz, *dy;

	ttt__random_seed(&r, (uint64_t)(T * 100 + V));
	for (int64_t i = 0; i < T * V; i++)
		if (ttt__random_uniform(&r) < 0.2) {
			row[count] = (int32_t)(i / V);
			column[count++] = (int32_t)(i % V);
		}
	value = tiny_normal(&r, count, 1);
	y = tiny_normal(&r, T, 1);
	id = tiny_ids(&r, T, V);
	drow = upload_ids(d, row, count);
	dcolumn = upload_ids(d, column, count);
	did = upload_ids(d, id, T);
	dvalue = tiny_upload(d, value, count);
	dout = tiny_upload(d, NULL, count);
	dy = tiny_upload(d, y, T);
	for (int64_t j = 0; j < V; j += n) {
		int64_t wide = V - j < n ? V - j : n;

		z = tiny_normal(&r, T * wide, 1);
		dz = tiny_upload(d, z, T * wide);
		d->ops->add_at(d, dz, j, wide, drow, dcolumn, dvalue, j % 2 ? NULL : dout, count);
		got = tiny_download(d, dz, T * wide);
		out = tiny_download(d, dout, count);
		for (int64_t i = 0; i < count; i++)
			if (column[i] >= j && column[i] < j + wide) {
				z[row[i] * wide + column[i] - j] += value[i];
				assert_true(j % 2 || out[i] == z[row[i] * wide + column[i] - j]);
			}
		assert_memory_equal(got, z, (size_t)(T * wide) * sizeof *z);
		free(z);
		free(got);
		free(out);
		ttt__device_release(d, dz);
	}
	d->ops->add_at_ids(d, dy, did, drow, dcolumn, dvalue, count);
	got = tiny_download(d, dy, T);
	for (int64_t i = 0; i < count; i++)
		if (column[i] == id[row[i]])
			y[row[i]] += value[i];
	assert_memory_equal(got, y, (size_t)T * sizeof *y);
	free(got);
	{
		void *const host[] = {row, column, value, y, id}, *const on_device[] = {drow, dcolumn, did, dvalue, dout, dy};

		for (size_t i = 0; i < 5; i++)
			free(host[i]);
		for (size_t i = 0; i < 6; i++)
			ttt__device_release(d, on_device[i]);
	}
}

static void
test_add_at(void **state)
{
	static const int64_t size[][3] = {{1, 1, 1}, {1, 23, 7}, {7, 23, 23}, {8, 300, 64}, {70, 129, 32}};

	(void)state;
	for (int k = 0; k < devices.n; k++)
		for (size_t i = 0; i < sizeof size / sizeof *size; i++)
			add_at_case(devices.at[k].device, size[i][0], size[i][1], size[i][2]);
}

/* A row added to all of [T, V], and each column's probabilities summed over the rows whose id is not skipped. */
static void
rows_case(struct ttt_device *d, int64_t T, int64_t V)
{
	struct ttt__random r;
	float *x, *z, *max, *lse, *dz, *dx, *dmax, *dlse, *dy, *got;
	int32_t *id, *did;

	ttt__random_seed(&r, (uint64_t)(T * 1000 + V));
	x = tiny_normal(&r, V, 1);
	z = tiny_normal(&r, T * V, 1);
	max = tiny_normal(&r, T, 1);
	lse = tiny_normal(&r, T, 1);
	id = tiny_ids(&r, T, 3);
	dx = tiny_upload(d, x, V);
	dz = tiny_upload(d, z, T * V);
	d->ops->add_row(d, dz, dx, T, V);
	got = tiny_download(d, dz, T * V);
	for (int64_t i = 0; i < T * V; i++) {
		z[i] += x[i % V];
		assert_true(got[i] == z[i]);
	}
	free(got);
	dmax = tiny_upload(d, max, T);
	dlse = tiny_upload(d, lse, T);
	dy = tiny_upload(d, NULL, V);
	did = upload_ids(d, id, T);
	d->ops->softmax_sum(d, dy, dz, dmax, dlse, did, 2, T, V);
	got = tiny_download(d, dy, V);
	for (int64_t v = 0; v < V; v++) {
		double sum = 0, size = 1e-30;

		for (int64_t t = 0; t < T; t++)
			if (id[t] != 2) {
				double p = (double)z[t * V + v] * exp((double)max[t] - (double)lse[t]);

				sum += p;
				size += fabs(p);
			}
		assert_true(fabs((double)got[v] - sum) < 2e-6 * size);
	}
	{
		void *const host[] = {x, z, max, lse, id, got}, *const on_device[] = {dz, dx, dmax, dlse, dy, did};

		for (size_t i = 0; i < 6; i++) {
			free(host[i]);
			ttt__device_release(d, on_device[i]);
		}
	}
}

static void
test_rows(void **state)
{
	static const int64_t size[][2] = {{1, 1}, {7, 23}, {32, 1040}, {70, 129}};

	(void)state;
	for (int k = 0; k < devices.n; k++)
		for (size_t i = 0; i < sizeof size / sizeof *size; i++)
			rows_case(devices.at[k].device, size[i][0], size[i][1]);
}

/* ------------------------------------------------------------------------------------------------ the table */

/* A table fed by hand: what a forward would have left is made up. */
struct table {
	struct ttt_device *d;
	struct ttt_config c;
	struct ttt__net net;
	struct ttt__ngram g;
	struct ttt__biases b;
	int64_t position;
};

static void
table_open(struct table *x)
{
	*x = (struct table){.d = devices.at[0].device, .c = ngram_config()};
	x->c.n_vocab = 20002;
	TINY_OK(ttt__ngram_create(&x->g, &x->c, &err));
	x->net = (struct ttt__net){.device = x->d, .config = x->c};
	TINY_OK(ttt__biases_create(&x->b, 1, &x->net, &err));
}

static void
table_close(struct table *x)
{
	ttt__biases_free(&x->b, &x->net);
	ttt__ngram_free(&x->g);
}

/* ids [T + 1] come: every target and every token with a bias has the probability p, and so has every token without one. */
static void
read_ids(struct table *x, const int32_t *ids, int64_t T, double p)
{
	float *lse = tiny_upload(x->d, NULL, T), *zy, *z, host[64], *sum = tiny_new((size_t)x->c.n_vocab, sizeof *sum);
	struct ttt__head_tape h = {.lse = lse};
	int n_target = 0;

	for (int64_t t = 0; t < T; t++)
		n_target += ids[t + 1] != x->c.bos;
	for (int64_t v = 0; v < x->c.n_vocab; v++)
		sum[v] = (float)(n_target * p);
	x->d->ops->upload(x->d, x->b.sum, sum, (size_t)x->c.n_vocab * sizeof *sum);
	free(sum);

	ttt__ngram_look(&x->g, ids, 0, T, x->d, &x->b);
	for (int64_t i = 0; i < 64; i++)
		host[i] = (float)log(p);
	assert_true(T <= 64 && x->b.n <= 64);
	zy = tiny_upload(x->d, host, T);
	z = tiny_upload(x->d, host, x->b.n);
	x->d->ops->copy(x->d, x->b.z, z, (size_t)x->b.n * sizeof *z);
	h.zy = zy;
	ttt__ngram_learn(&x->g, ids + 1, T, x->position, x->d, &x->b, &h);
	ttt__ngram_advance(&x->g, ids, T);
	x->position += T;
	ttt__device_release(x->d, lse);
	ttt__device_release(x->d, zy);
	ttt__device_release(x->d, z);
}

/* The one entry of a token, NULL where there is none. */
static const struct ttt__ngram_entry *
entry_of(const struct table *x, int32_t token)
{
	const struct ttt__ngram_entry *found = NULL;

	for (int64_t i = 0; i < INT64_C(1) << x->g.bits; i++)
		if (x->g.table[i].hits > 0 && x->g.table[i].token == token) {
			assert_null(found);
			found = &x->g.table[i];
		}
	return found;
}

/* By hand: a context of two tokens, what comes after it, twice the same and once another. */
static void
test_rules(void **state)
{
	static const int32_t first[] = {1, 2, 3}, again[] = {4, 5, 1, 2, 3}, other[] = {6, 7, 1, 2, 8};
	struct table x;
	const struct ttt__ngram_entry *e;

	(void)state;
	table_open(&x);
	x.g.n = 1; /* contexts of two tokens alone */
	read_ids(&x, first, 2, 0.25);
	assert_int_equal(ttt__ngram_count(&x.g), 1); /* of one token there is no context of two */
	e = entry_of(&x, 3);
	assert_non_null(e);
	assert_int_equal(e->hits, 1);
	assert_int_equal(e->bias, 768); /* 1 - 0.25 nats */
	assert_true(x.g.scale[0][0][0] == 1);
	read_ids(&x, again, 4, 0.5);
	assert_int_equal(x.b.n, 1);
	assert_int_equal(x.g.row[0], 3);
	assert_int_equal(x.g.column[0], 3);
	assert_true(x.g.value[0] == 0.75F);
	e = entry_of(&x, 3);
	assert_int_equal(e->hits, 2);
	assert_int_equal(e->bias, lround(768 + pow(2, -0.7) * 0.5 * 1024));
	assert_true(fabs((double)x.g.scale[0][0][0] - (1 + 0.02 * 0.5 * 0.75)) < 1e-6);
	read_ids(&x, other, 4, 0.5);
	e = entry_of(&x, 8);
	assert_non_null(e);
	assert_int_equal(e->hits, 1);
	assert_int_equal(e->bias, lround(pow(3, -0.7) * 0.5 * 1024));
	assert_int_equal(entry_of(&x, 3)->hits, 2);
	assert_true(entry_of(&x, 3)->bias < 768 + 320);
	ttt__ngram_look(&x.g, again + 2, 0, 2, x.d, &x.b);
	assert_int_equal(x.g.n_note, 2);
	assert_true(x.g.context[1].several && x.g.context[1].level == 2);
	assert_ptr_equal(entry_of(&x, 3), entry_of(&x, 8) + 1); /* what came last stands first */
	read_ids(&x, again, 4, 0.5);
	assert_ptr_equal(entry_of(&x, 8), entry_of(&x, 3) + 1);
	table_close(&x);
}

/* What is new and comes twice in a chunk is moved twice, though no bias of it could be looked up. */
static void
test_twice_in_a_chunk(void **state)
{
	struct table x;

	(void)state;
	table_open(&x);
	x.g.n = 1;
	read_ids(&x, (const int32_t[]){1, 2, 3, 1, 2, 3}, 5, 0.5);
	assert_int_equal(entry_of(&x, 3)->hits, 2);
	assert_int_equal(entry_of(&x, 3)->bias, lround(512 + pow(2, -0.7) * 512));
	table_close(&x);
}

/* By hand: the bias of a token moves by its probabilities less how often it came, at a rate that falls as it comes; BOS teaches nothing. */
static void
test_unigrams(void **state)
{
	struct table x;

	(void)state;
	table_open(&x);
	assert_int_equal(x.g.n, 2); /* order 0 has no contexts */
	read_ids(&x, (const int32_t[]){1, 2, 2, 3}, 3, 0.125);
	assert_true(x.g.unigram[1] == -0.5F * 3 * 0.125F);
	assert_true(x.g.unigram[2] == -0.5F * (3 * 0.125F - 2));
	assert_int_equal(x.g.count[1], 0);
	assert_int_equal(x.g.count[2], 2);
	read_ids(&x, (const int32_t[]){5, 2}, 1, 0.125);
	assert_true(fabs((double)x.g.unigram[2] - (0.8125 + 0.5 / sqrt(3) * 0.875)) < 1e-6);
	read_ids(&x, (const int32_t[]){5, 0}, 1, 0.125); /* BOS */
	assert_int_equal(x.g.count[0], 0);
	assert_int_equal(x.g.count[2], 3);
	assert_true(x.g.unigram[5] == -0.5F * 4 * 0.125F);
	for (int i = 0; i < 300; i++)
		read_ids(&x, (const int32_t[]){5, 2}, 1, 0.125);
	assert_int_equal(x.g.count[2], TTT__UNIGRAM_COUNT_MAX);
	for (int i = 0; i < 5000; i++)
		read_ids(&x, (const int32_t[]){5, 7}, 1, 0);
	assert_true(x.g.unigram[7] == 31);
	ttt__ngram_look(&x.g, (const int32_t[]){1}, 0, 1, x.d, &x.b);
	assert_true(x.b.every[7] == 31);
	ttt__ngram_reset(&x.g);
	assert_true(x.g.unigram[7] == 0 && x.g.count[7] == 0);
	table_close(&x);
}

/* Random ids come, n times eight of them: as good as each is two new entries. */
static void
read_new(struct table *x, struct ttt__random *r, int n)
{
	for (int i = 0; i < n; i++) {
		int32_t *ids = tiny_ids(r, 9, 20000);

		read_ids(x, ids, 8, 0.001);
		free(ids);
	}
}

/* Nothing is learned of a target that is BOS; a full bucket gives up an entry; more tokens than places are no harm; and biases
 * have bounds, each one and those of all orders together. */
static void
test_limits(void **state)
{
	static const int32_t bos[] = {1, 2, 0, 1};
	struct table x;
	struct ttt__random r;
	float highest = 0;

	(void)state;
	table_open(&x);
	read_ids(&x, bos, 3, 0.5);
	assert_int_equal(ttt__ngram_count(&x.g), 1); /* after 2 0 came 1 */
	ttt__random_seed(&r, 4);
	read_new(&x, &r, 4000);
	assert_in_range(ttt__ngram_count(&x.g), 1000, 1024);
	for (int i = 0; i < 200; i++)
		read_ids(&x, (const int32_t[]){1, 2, 3, 1, 2, 3}, 5, 1e-9);
	for (int64_t i = 0; i < INT64_C(1) << x.g.bits; i++)
		assert_in_range(x.g.table[i].bias + TTT__NGRAM_BIAS_MAX, 0, 2 * TTT__NGRAM_BIAS_MAX);
	ttt__ngram_look(&x.g, (const int32_t[]){1, 2, 3, 1, 2}, 0, 5, x.d, &x.b);
	for (int64_t i = 0; i < x.b.n; i++)
		highest = fmaxf(highest, fabsf(x.g.value[i]));
	assert_true(highest == 12); /* nats, of both orders together */
	read_ids(&x, (const int32_t[]){1, 2, 3, 1, 2, 3}, 5, NAN);
	for (int level = 0; level < TTT__NGRAM_LEVEL; level++)
		assert_true(isfinite(x.g.scale[0][level][0]) && x.g.scale[0][level][0] >= 0);
	table_close(&x);
}

/* What came often outlasts what came once, but not for ever: some dozens of new entries in its bucket are enough, if it does not come again. */
static void
test_ageing(void **state)
{
	static const int32_t often[] = {1, 2, 20001};
	struct table x;
	struct ttt__random r;

	(void)state;
	table_open(&x);
	x.g.n = 1; /* contexts of two tokens alone */
	ttt__random_seed(&r, 5);
	read_new(&x, &r, 200);
	for (int i = 0; i < 300; i++)
		read_ids(&x, often, 2, 0.5);
	assert_int_equal(entry_of(&x, 20001)->hits, UINT8_MAX);
	read_new(&x, &r, 16); /* one for each bucket: it is still among the newer half */
	assert_int_equal(entry_of(&x, 20001)->hits, UINT8_MAX);
	read_new(&x, &r, 16);
	assert_non_null(entry_of(&x, 20001));
	for (int i = 0; i < 50; i++) {
		read_new(&x, &r, 32);
		read_ids(&x, often, 2, 0.5);
	}
	assert_non_null(entry_of(&x, 20001));
	read_new(&x, &r, 600);
	assert_null(entry_of(&x, 20001));
	table_close(&x);
}

/* Contexts reach back over chunks, however the ids are cut. */
static void
test_history(void **state)
{
	struct table x, y;
	struct ttt__random r;
	int32_t *ids;

	(void)state;
	ttt__random_seed(&r, 6);
	ids = tiny_ids(&r, 41, 5);
	table_open(&x);
	table_open(&y);
	ttt__ngram_look(&x.g, ids, 36, 4, x.d, &x.b);
	for (int i = 0; i < 36; i += 4)
		ttt__ngram_advance(&y.g, ids + i, 4);
	ttt__ngram_look(&y.g, ids + 36, 0, 4, y.d, &y.b);
	for (int i = 0; i < 8; i++)
		assert_true(x.g.context[i].hash == y.g.context[i].hash && x.g.context[i].level >= 0);
	ttt__ngram_look(&y.g, ids, 0, 1, y.d, &y.b);
	assert_int_equal(y.g.n_history, TTT__NGRAM_HISTORY);
	ttt__ngram_reset(&y.g);
	y.g.n_history = 0;
	ttt__ngram_look(&y.g, ids, 0, 2, y.d, &y.b);
	assert_int_equal(y.g.context[0].level, -1);
	assert_int_equal(y.g.context[2].level, 0);
	assert_int_equal(y.g.context[3].level, -1);
	free(ids);
	table_close(&x);
	table_close(&y);
}

/* ------------------------------------------------------------------------------------------------ sessions */

/* Ids that repeat themselves after `period`. */
static void
open_repeating(struct stream *x, const struct ttt_config *c, int64_t period, struct ttt_device *d)
{
	struct ttt__random r;

	*x = (struct stream){.next = 1};
	tiny_model_create(&x->m, d, c, 3);
	ttt__random_seed(&r, 50);
	x->ids = tiny_ids(&r, N_TOKEN, c->n_vocab);
	for (int64_t i = period; i < N_TOKEN; i++)
		x->ids[i] = x->ids[i - period];
	TINY_OK(ttt_session_create(&x->s, &x->m, TTT_WINDOW, &err));
}

static double
mean_from(const struct stream *x, int64_t from)
{
	double sum = 0;

	for (int64_t i = from; i < x->next; i++)
		sum += (double)x->nll[i];
	return sum / (double)(x->next - from);
}

/* What came once is predicted better when it comes again, by more than the fast weights alone do; and not where nothing is learned. */
static void
test_repeated(void **state)
{
	struct ttt_config with = ngram_config(), without = with;
	struct stream x, y, z;

	(void)state;
	without.n_ngram = 0;
	for (int k = 0; k < devices.n; k++) {
		open_repeating(&x, &with, 24, devices.at[k].device);
		open_repeating(&y, &without, 24, devices.at[k].device);
		open_repeating(&z, &with, 24, devices.at[k].device);
		z.frozen = true;
		feed(&x, 0, N_TOKEN, 5);
		feed(&y, 0, N_TOKEN, 5);
		feed(&z, 0, N_TOKEN, 5);
		assert_memory_equal(x.nll, y.nll, 9 * sizeof *x.nll); /* nothing was known then */
		assert_true(mean_from(&x, 49) < mean_from(&y, 49) - 0.5);
		assert_int_equal(ttt__ngram_count(ttt__session_ngram(z.s)), 0);
		stream_close(&x);
		stream_close(&y);
		stream_close(&z);
	}
}

/* Probabilities sum to one, and are those that the token's loss is made of. */
static void
test_next(void **state)
{
	struct ttt_config c = ngram_config();
	int64_t n_bias = 0;

	(void)state;
	for (int k = 0; k < devices.n; k++)
		for (int64_t n = 41; n < 50; n++) {
			struct stream x;
			float *logp;
			double sum = 0;

			open_repeating(&x, &c, 20, devices.at[k].device);
			feed(&x, 0, n, 50);
			logp = next_of(x.s);
			for (int64_t i = 0; i < c.n_vocab; i++)
				sum += exp((double)logp[i]);
			assert_true(fabs(sum - 1) < 1e-5);
			n_bias += x.s->biases.n;
			x.frozen = true;
			feed(&x, n, n + 1, 1);
			x.next = n;
			if (ttt_session_n_token(x.s) % 8 != 1) /* else its chunk ran already */
				TINY_OK(ttt_session_peek(x.s, n, collect, &x, &err));
			assert_true(fabs((double)(x.nll[n] + logp[x.ids[n]])) < 1e-4);
			free(logp);
			stream_close(&x);
		}
	assert_true(n_bias > 9);
}

/* After a chunk the biases of single tokens are what the probabilities of its positions say, those that ttt_session_next gives. */
static void
test_unigram_gradient(void **state)
{
	struct ttt_config c = ngram_config();

	(void)state;
	c.n_ngram = 1;
	for (int k = 0; k < devices.n; k++) {
		struct stream x;
		double *want = calloc((size_t)c.n_vocab, sizeof *want);

		assert_non_null(want);
		open_repeating(&x, &c, 20, devices.at[k].device);
		x.ids[3] = 0; /* BOS as a target, which counts for nothing */
		for (int64_t t = 1; t <= c.chunk; t++) {
			float *logp;

			feed(&x, t - 1, t, 1);
			logp = next_of(x.s);
			for (int64_t v = 0; v < c.n_vocab && x.ids[t] != 0; v++)
				want[v] -= 0.5 * (exp((double)logp[v]) - (v == x.ids[t]));
			free(logp);
		}
		feed(&x, c.chunk, c.chunk + 1, 1);
		assert_true(want[x.ids[1]] > 0.1);
		for (int64_t v = 0; v < c.n_vocab; v++)
			assert_true(fabs((double)x.s->ngram.unigram[v] - want[v]) < 1e-5);
		free(want);
		stream_close(&x);
	}
}

/* A clone goes on as its original; a session put back knows nothing. */
static void
test_copies(void **state)
{
	struct ttt_config c = ngram_config();
	struct ttt_session *clone;
	struct stream x;
	float first[N_TOKEN + 1];

	(void)state;
	open_repeating(&x, &c, 20, devices.at[0].device);
	feed(&x, 0, 45, 7);
	TINY_OK(ttt_session_clone(&clone, x.s, &err));
	feed(&x, 45, N_TOKEN, 6);
	memcpy(first, x.nll, sizeof first);
	ttt_session_free(x.s);
	x.s = clone;
	x.next = 41;
	feed(&x, 45, N_TOKEN, 3);
	assert_memory_equal(first, x.nll, sizeof first);
	ttt_session_reset_fast(x.s);
	ttt_session_reset_window(x.s);
	assert_int_equal(ttt__ngram_count(ttt__session_ngram(x.s)), 0);
	x.next = 1;
	feed(&x, 0, N_TOKEN, 10);
	assert_memory_equal(first, x.nll, sizeof first);
	stream_close(&x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_add_at),
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_rules),
	    cmocka_unit_test(test_unigrams),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_twice_in_a_chunk),
	    cmocka_unit_test(test_ageing),
	    cmocka_unit_test(test_history),
	    cmocka_unit_test(test_repeated),
	    cmocka_unit_test(test_next),
	    cmocka_unit_test(test_unigram_gradient),
	    cmocka_unit_test(test_copies),
	};

	return cmocka_run_group_tests(tests, open_devices, close_devices);
}
