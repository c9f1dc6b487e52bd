/* Biases by the last tokens: looked up before a chunk, learned after it. */
#include "libttt/learn/ngram.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WANING 0.7      /* a bias moves by its rate times the context's count to the power of -WANING */
#define SCALE_RATE 0.02
#define UNIGRAM_WANING 0.5 /* the same of a bias by no token, by 1 and the token's own count */
enum { AGEING = 4 };    /* entries of a bucket that lose hits when a new one takes the place of another */
#define SUM_MAX 12.0F   /* nats that the orders add to a logit together, so that no token costs without end */

/* Places for the biases of a chunk. */
static int64_t
n_place(const struct ttt_config *c)
{
	return c->chunk * c->n_ngram * TTT__NGRAM_BUCKET;
}

/* Orders above 0 with their rates, and what order 0 has. */
static void
set_orders(struct ttt__ngram *g, const struct ttt_config *c)
{
	g->bits = (int)c->ngram_bits;
	for (int64_t i = 0; i < c->n_ngram; i++) {
		if (c->ngram_order[i] > 0) {
			g->order[g->n] = c->ngram_order[i];
			g->rate[g->n++] = c->ngram_rate[i];
			continue;
		}
		g->n_unigram = c->n_vocab;
		for (int count = 0; count <= TTT__UNIGRAM_COUNT_MAX; count++)
			g->unigram_rate[count] = (float)(c->ngram_rate[i] * pow(1 + count, -UNIGRAM_WANING));
	}
}

enum ttt_status
ttt__ngram_create(struct ttt__ngram *out, const struct ttt_config *c, struct ttt_error *err)
{
	size_t n = (size_t)n_place(c), C = (size_t)c->chunk;
	struct ttt__ngram *g = out;

	*g = (struct ttt__ngram){.bos = c->bos};
	if (c->n_ngram == 0)
		return TTT_OK;
	set_orders(g, c);
	g->table = ttt__new((size_t)1 << g->bits, sizeof *g->table);
	g->context = ttt__new(C * (size_t)c->n_ngram, sizeof *g->context);
	g->note = ttt__new(n, sizeof *g->note);
	g->row = ttt__new(2 * n, sizeof *g->row);
	g->value = ttt__new(2 * n, sizeof *g->value);
	g->lse = ttt__new(2 * C, sizeof *g->lse);
	g->unigram = ttt__new(2 * (size_t)c->n_vocab, sizeof *g->unigram);
	g->count = ttt__new((size_t)c->n_vocab, sizeof *g->count);
	if (!g->table || !g->context || !g->note || !g->row || !g->value || !g->lse || !g->unigram || !g->count) {
		ttt__ngram_free(g);
		return ttt__fail_memory(err, "the n-grams");
	}
	g->column = g->row + n;
	g->z = g->value + n;
	g->zy = g->lse + C;
	g->sum = g->unigram + c->n_vocab;
	ttt__ngram_reset(g);
	return TTT_OK;
}

void
ttt__ngram_free(struct ttt__ngram *g)
{
	free(g->table);
	free(g->context);
	free(g->note);
	free(g->row);
	free(g->value);
	free(g->lse);
	free(g->unigram);
	free(g->count);
	*g = (struct ttt__ngram){0};
}

void
ttt__ngram_reset(struct ttt__ngram *g)
{
	if (!g->table)
		return;
	memset(g->table, 0, sizeof *g->table << g->bits);
	memset(g->unigram, 0, (size_t)g->n_unigram * sizeof *g->unigram);
	memset(g->count, 0, (size_t)g->n_unigram * sizeof *g->count);
	for (int64_t r = 0; r < g->n; r++)
		for (int level = 0; level < TTT__NGRAM_LEVEL; level++)
			g->scale[r][level][0] = g->scale[r][level][1] = 1;
}

void
ttt__ngram_copy(struct ttt__ngram *to, const struct ttt__ngram *from)
{
	if (!to->table)
		return;
	memcpy(to->table, from->table, sizeof *to->table << to->bits);
	memcpy(to->unigram, from->unigram, (size_t)to->n_unigram * sizeof *to->unigram);
	memcpy(to->count, from->count, (size_t)to->n_unigram * sizeof *to->count);
	memcpy(to->scale, from->scale, sizeof to->scale);
	memcpy(to->history, from->history, sizeof to->history);
	to->n_history = from->n_history;
}

int64_t
ttt__ngram_count(const struct ttt__ngram *g)
{
	int64_t n = 0;

	for (int64_t i = 0; g->table && i < INT64_C(1) << g->bits; i++)
		n += g->table[i].hits > 0;
	return n;
}

/* For order 0: a row of biases for each of b [n], and what they share, since no two are run forward at once. */
static enum ttt_status
create_every(struct ttt__biases *b, int64_t n, const struct ttt__net *net, struct ttt_error *err)
{
	int64_t V = net->config.n_vocab, all;
	struct ttt__tape spare;
	float *rows;
	enum ttt_status status;

	if (!ttt__i64_mul(&all, V, n + 1))
		return ttt__fail_memory(err, "the n-grams");
	if ((status = ttt__device_floats(net->device, &rows, all, "the n-grams", err)))
		return status;
	b[0].every = rows;
	status = ttt__tape_create(&spare, net, TTT__TAPE_KEPT, net->n_layer, net->n_layer, net->config.chunk, err);
	b[0].spare = spare;
	for (int64_t i = 0; i < n; i++) {
		b[i].every = rows + i * V;
		b[i].sum = rows + n * V;
		b[i].spare = spare;
	}
	return status;
}

enum ttt_status
ttt__biases_create(struct ttt__biases *b, int64_t n, const struct ttt__net *net, struct ttt_error *err)
{
	const struct ttt_config *c = &net->config;
	int64_t each = n_place(c), all;
	int32_t *ids;
	float *floats;
	enum ttt_status status;

	memset(b, 0, (size_t)n * sizeof *b);
	if (c->n_ngram == 0)
		return TTT_OK;
	if (!ttt__i64_mul(&all, 2 * each, n))
		return ttt__fail_memory(err, "the n-grams");
	if ((status = ttt__device_ids(net->device, &ids, all, "the n-grams", err)))
		return status;
	b[0].row = ids;
	if ((status = ttt__device_floats(net->device, &floats, all, "the n-grams", err)))
		return status;
	for (int64_t i = 0; i < n; i++)
		b[i] = (struct ttt__biases){.row = ids + 2 * i * each, .column = ids + (2 * i + 1) * each, .value = floats + 2 * i * each,
		    .z = floats + (2 * i + 1) * each};
	return c->ngram_order[0] == 0 ? create_every(b, n, net, err) : TTT_OK;
}

void
ttt__biases_free(struct ttt__biases *b, const struct ttt__net *net)
{
	ttt__device_release(net->device, b->row);
	ttt__device_release(net->device, b->value);
	ttt__device_release(net->device, b->every);
	ttt__tape_free(&b->spare, net);
	*b = (struct ttt__biases){0};
}

/* Of the o tokens that end with ids[p]. */
static uint64_t
hash(const struct ttt__ngram *g, int64_t o, const int32_t *ids, int64_t p)
{
	uint64_t h = (uint64_t)o * UINT64_C(0x9E3779B97F4A7C15);

	for (int64_t j = p; j > p - o; j--) {
		h = (h ^ (uint64_t)(j >= 0 ? ids[j] : g->history[g->n_history + j])) * UINT64_C(0xD6E8FEB86659FD93);
		h ^= h >> 32;
	}
	return h;
}

/* The first entry of a context's bucket. */
static int64_t
bucket_of(const struct ttt__ngram *g, uint64_t h)
{
	return (int64_t)(h >> (64 - (g->bits - 3))) * TTT__NGRAM_BUCKET;
}

static bool
belongs(const struct ttt__ngram_entry *e, uint64_t h)
{
	return e->hits > 0 && e->check == (h & 0xffff);
}

static int
level_of(int64_t hits)
{
	static const int64_t from[TTT__NGRAM_LEVEL] = {1, 2, 3, 4, 6, 10, 20, 50};
	int level = TTT__NGRAM_LEVEL - 1;

	while (level > 0 && hits < from[level])
		level--;
	return level;
}

/* The bias of a token in a row, the newest one, whose cells begin at first: a new one where no shorter context named the token. */
static int64_t
cell_of(struct ttt__ngram *g, int64_t first, int32_t row, int32_t token)
{
	int64_t i = first;

	while (i < g->n_cell && g->column[i] != token)
		i++;
	if (i < g->n_cell)
		return i;
	g->row[i] = row;
	g->column[i] = token;
	g->value[i] = 0;
	g->n_cell++;
	return i;
}

static void
note_context(struct ttt__ngram *g, struct ttt__ngram_context *x, int64_t r, int64_t first_cell, int32_t row)
{
	int64_t bucket = bucket_of(g, x->hash), hits = 0;
	float scale;

	x->first = g->n_note;
	for (int64_t i = bucket; i < bucket + TTT__NGRAM_BUCKET; i++) {
		const struct ttt__ngram_entry *e = &g->table[i];

		if (!belongs(e, x->hash))
			continue;
		hits += e->hits;
		g->note[g->n_note++] = (struct ttt__ngram_note){cell_of(g, first_cell, row, e->token), e->token, e->bias};
	}
	x->n = g->n_note - x->first;
	x->level = level_of(hits);
	x->several = x->n > 1;
	scale = g->scale[r][x->level][x->several];
	for (int64_t i = x->first; i < g->n_note; i++)
		g->value[g->note[i].cell] += scale * ((float)g->note[i].bias / TTT__NGRAM_ONE);
}

void
ttt__ngram_look(struct ttt__ngram *g, const int32_t *ids, int64_t from, int64_t T, struct ttt_device *d, struct ttt__biases *b)
{
	size_t bytes;

	g->n_note = g->n_cell = 0;
	for (int64_t t = 0; t < T; t++) {
		int64_t first_cell = g->n_cell;

		for (int64_t r = 0; r < g->n; r++) {
			struct ttt__ngram_context *x = &g->context[t * g->n + r];

			*x = (struct ttt__ngram_context){.level = -1};
			if (g->order[r] > g->n_history + from + t + 1)
				continue;
			x->hash = hash(g, g->order[r], ids, from + t);
			note_context(g, x, r, first_cell, (int32_t)t);
		}
		for (int64_t i = first_cell; i < g->n_cell; i++)
			g->value[i] = fmaxf(-SUM_MAX, fminf(g->value[i], SUM_MAX));
	}
	if (g->n_unigram > 0)
		d->ops->upload(d, b->every, g->unigram, (size_t)g->n_unigram * sizeof *g->unigram);
	b->n = g->n_cell;
	bytes = (size_t)g->n_cell * sizeof(float);
	if (bytes == 0)
		return;
	d->ops->upload(d, b->row, g->row, bytes);
	d->ops->upload(d, b->column, g->column, bytes);
	d->ops->upload(d, b->value, g->value, bytes);
}

/* At most 1, also where the logit and the sum over all were rounded apart, or are no numbers any more. */
static double
probability(float z, float lse)
{
	double p = exp((double)z - (double)lse);

	return p <= 1 ? p : 1;
}

static int16_t
moved(double bias, double nats)
{
	double x = bias + nats * TTT__NGRAM_ONE;

	return (int16_t)lround(x > TTT__NGRAM_BIAS_MAX ? TTT__NGRAM_BIAS_MAX : x > -TTT__NGRAM_BIAS_MAX ? x : -TTT__NGRAM_BIAS_MAX);
}

static int64_t
hits_of(const struct ttt__ngram_entry *bucket, uint64_t h)
{
	int64_t n = 0;

	for (int64_t i = 0; i < TTT__NGRAM_BUCKET; i++)
		n += belongs(&bucket[i], h) ? bucket[i].hits : 0;
	return n;
}

static struct ttt__ngram_entry *
find(struct ttt__ngram_entry *bucket, uint64_t h, int32_t token)
{
	for (int64_t i = 0; i < TTT__NGRAM_BUCKET; i++)
		if (belongs(&bucket[i], h) && bucket[i].token == token)
			return &bucket[i];
	return NULL;
}

/* The slot of an entry of fewest hits: another one at every position, since the oldest would take with it all that comes again after more than
 * a table holds. In a full bucket those seen longest ago, the last ones, lose half of their hits, so that they give way. */
static struct ttt__ngram_entry *
make_room(struct ttt__ngram_entry *bucket, int64_t position)
{
	struct ttt__ngram_entry *victim = &bucket[position % TTT__NGRAM_BUCKET];

	for (int64_t i = 1; i < TTT__NGRAM_BUCKET; i++) {
		struct ttt__ngram_entry *e = &bucket[(position + i) % TTT__NGRAM_BUCKET];

		if (e->hits < victim->hits)
			victim = e;
	}
	for (int64_t i = TTT__NGRAM_BUCKET - AGEING; i < TTT__NGRAM_BUCKET && victim->hits > 0; i++)
		bucket[i].hits -= bucket[i].hits / 2;
	return victim;
}

/* What came after the context did come: its entry counts it, and is made where there is none; in both cases it becomes the bucket's first. A
 * noted one has moved already. */
static void
count_target(struct ttt__ngram *g, const struct ttt__ngram_context *x, int32_t y, int64_t position, double step)
{
	struct ttt__ngram_entry *bucket = g->table + bucket_of(g, x->hash), *e = find(bucket, x->hash, y), seen;
	bool noted = false;

	for (int64_t i = x->first; i < x->first + x->n; i++)
		noted = noted || g->note[i].token == y;
	if (e == NULL) {
		e = make_room(bucket, position);
		*e = (struct ttt__ngram_entry){(uint16_t)(x->hash & 0xffff), (uint16_t)y, moved(0, step), 0, 0};
	} else if (!noted)
		e->bias = moved(e->bias, step);
	e->hits += e->hits < UINT8_MAX;
	seen = *e;
	memmove(bucket + 1, bucket, (size_t)(e - bucket) * sizeof *e);
	*bucket = seen;
}

/* One context of row t. slope [LEVEL][2]: of the loss by the scales (+=). */
static void
learn_context(struct ttt__ngram *g, int64_t t, int64_t r, int32_t y, int64_t position, double (*slope)[2])
{
	const struct ttt__ngram_context *x = &g->context[t * g->n + r];
	struct ttt__ngram_entry *bucket = g->table + bucket_of(g, x->hash);
	double f = g->rate[r] * pow((double)(hits_of(bucket, x->hash) + 1), -WANING);

	for (int64_t i = x->first; i < x->first + x->n; i++) {
		const struct ttt__ngram_note *o = &g->note[i];
		struct ttt__ngram_entry *e = find(bucket, x->hash, o->token);
		double slip = probability(g->z[o->cell], g->lse[t]) - (o->token == y);

		slope[x->level][x->several] += slip * o->bias / TTT__NGRAM_ONE;
		if (e != NULL)
			e->bias = moved(e->bias, -f * slip);
	}
	count_target(g, x, y, position, f * (1 - probability(g->zy[t], g->lse[t])));
}

/* The gradient of the chunk's loss, summed over its tokens, moves every token's bias. */
static void
learn_unigrams(struct ttt__ngram *g, const int32_t *target, int64_t T, struct ttt_device *d, const struct ttt__biases *b)
{
	const float most = (float)TTT__NGRAM_BIAS_MAX / TTT__NGRAM_ONE;

	if (g->n_unigram == 0)
		return;
	d->ops->download(d, g->sum, b->sum, (size_t)g->n_unigram * sizeof *g->sum);
	for (int64_t t = 0; t < T; t++)
		if (target[t] != g->bos)
			g->sum[target[t]] -= 1;
	for (int64_t i = 0; i < g->n_unigram; i++) {
		float x = g->unigram[i] - g->unigram_rate[g->count[i]] * g->sum[i];

		g->unigram[i] = x > most ? most : x > -most ? x : -most;
	}
	for (int64_t t = 0; t < T; t++)
		if (target[t] != g->bos)
			g->count[target[t]] += g->count[target[t]] < TTT__UNIGRAM_COUNT_MAX;
}

void
ttt__ngram_learn(struct ttt__ngram *g, const int32_t *target, int64_t T, int64_t position, struct ttt_device *d, const struct ttt__biases *b,
    const struct ttt__head_tape *h)
{
	double slope[TTT_NGRAM_MAX][TTT__NGRAM_LEVEL][2] = {0};

	if (!g->table)
		return;
	learn_unigrams(g, target, T, d, b);
	d->ops->download(d, g->lse, h->lse, (size_t)T * sizeof *g->lse);
	d->ops->download(d, g->zy, h->zy, (size_t)T * sizeof *g->zy);
	if (g->n_cell > 0)
		d->ops->download(d, g->z, b->z, (size_t)g->n_cell * sizeof *g->z);
	for (int64_t t = 0; t < T; t++)
		for (int64_t r = 0; r < g->n && target[t] != g->bos; r++)
			if (g->context[t * g->n + r].level >= 0)
				learn_context(g, t, r, target[t], position + t, slope[r]);
	for (int64_t r = 0; r < g->n; r++)
		for (int level = 0; level < TTT__NGRAM_LEVEL; level++)
			for (int several = 0; several < 2; several++) {
				double s = (double)g->scale[r][level][several] - SCALE_RATE * slope[r][level][several];

				g->scale[r][level][several] = s > 0 ? (float)s : 0;
			}
}

void
ttt__ngram_advance(struct ttt__ngram *g, const int32_t *ids, int64_t T)
{
	int64_t take = T < TTT__NGRAM_HISTORY ? T : TTT__NGRAM_HISTORY, keep = TTT__NGRAM_HISTORY - take;

	if (!g->table)
		return;
	keep = keep < g->n_history ? keep : g->n_history;
	memmove(g->history, g->history + (g->n_history - keep), (size_t)keep * sizeof *ids);
	memcpy(g->history + keep, ids + (T - take), (size_t)take * sizeof *ids);
	g->n_history = keep + take;
}
