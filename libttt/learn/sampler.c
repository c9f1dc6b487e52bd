/* Batches drawn from token shards: a pure function of seed and step. */
#include "libttt/learn/sampler.h"

#include <assert.h>
#include <stdlib.h>

#include "libttt/random.h"

/* The documents of a group, those at least one sequence long apart from those to be put together. */
struct ttt__sampler_group {
	int64_t *whole, *part;         /* [n_whole], [n_part] indices of documents */
	int64_t *whole_end, *part_end; /* running sums of their lengths */
	int64_t n_whole, n_part;
};

static enum ttt_status
list_group(struct ttt__sampler_group *g, const struct ttt__data *d, int64_t group, int64_t n_token,
    struct ttt_error *err)
{
	int64_t n = 0, whole_sum = 0, part_sum = 0;

	for (int64_t i = 0; i < d->n_document; i++)
		n += d->document[i].group == group && !d->document[i].held;
	g->whole = ttt__new((size_t)n, sizeof(int64_t));
	g->part = ttt__new((size_t)n, sizeof(int64_t));
	g->whole_end = ttt__new((size_t)n, sizeof(int64_t));
	g->part_end = ttt__new((size_t)n, sizeof(int64_t));
	if (n > 0 && (!g->whole || !g->part || !g->whole_end || !g->part_end))
		return ttt__fail_memory(err, d->path);
	for (int64_t i = 0; i < d->n_document; i++) {
		const struct ttt__document *x = &d->document[i];

		if (x->group != group || x->held)
			continue;
		if (x->n_token >= n_token) {
			g->whole[g->n_whole] = i;
			g->whole_end[g->n_whole++] = whole_sum += x->n_token;
		} else {
			g->part[g->n_part] = i;
			g->part_end[g->n_part++] = part_sum += x->n_token;
		}
	}
	return TTT_OK;
}

static int64_t
last(const int64_t *end, int64_t n)
{
	return n > 0 ? end[n - 1] : 0;
}

enum ttt_status
ttt__sampler_create(struct ttt__sampler *out, const struct ttt__data *d, const double *weight, int64_t n_token,
    struct ttt_error *err)
{
	struct ttt__sampler s = { .data = d, .n_token = n_token };
	enum ttt_status status = TTT_OK;
	double sum = 0;

	*out = (struct ttt__sampler){ 0 };
	s.group = ttt__new((size_t)d->n_group, sizeof(*s.group));
	s.share = ttt__new((size_t)d->n_group, sizeof(*s.share));
	if (s.group == NULL || s.share == NULL) {
		ttt__sampler_free(&s);
		return ttt__fail_memory(err, d->path);
	}
	for (int64_t g = 0; g < d->n_group && status == TTT_OK; g++) {
		int64_t length;

		status = list_group(&s.group[g], d, g, n_token, err);
		length = last(s.group[g].whole_end, s.group[g].n_whole) + last(s.group[g].part_end, s.group[g].n_part);
		sum += length == 0 ? 0 : weight != NULL ? weight[g] : (double)length;
		s.share[g] = sum;
	}
	if (status == TTT_OK && !(sum > 0))
		status = ttt__fail(err, TTT_E_USAGE, "%s: every group that has documents has weight 0", d->path);
	if (status != TTT_OK)
		ttt__sampler_free(&s);
	*out = s;
	return status;
}

void
ttt__sampler_free(struct ttt__sampler *s)
{
	for (int64_t g = 0; s->group != NULL && g < s->data->n_group; g++) {
		free(s->group[g].whole);
		free(s->group[g].part);
		free(s->group[g].whole_end);
		free(s->group[g].part_end);
	}
	free(s->group);
	free(s->share);
	*s = (struct ttt__sampler){ 0 };
}

/* A whole number in [0, n): n is far below 2^53, so that the bias of scaling is not to be seen. */
static int64_t
below(struct ttt__random *r, int64_t n)
{
	int64_t x = (int64_t)(ttt__random_uniform(r) * (double)n);

	return x < n ? x : n - 1;
}

/* Index of the first running sum beyond x. */
static int64_t
find(const int64_t *end, int64_t n, int64_t x)
{
	int64_t low = 0, high = n - 1;

	while (low < high) {
		int64_t middle = low + (high - low) / 2;

		if (end[middle] > x)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* One sequence: ids [n_token] (=). */
static enum ttt_status
draw(const struct ttt__sampler *s, struct ttt__random *r, int32_t *ids, struct ttt_error *err)
{
	const struct ttt__data *d = s->data;
	const struct ttt__sampler_group *g;
	enum ttt_status status = TTT_OK;
	int64_t n_whole, x, i = 0;
	double at;

	assert(s->group != NULL && s->share != NULL); /* a sampler that was created */
	at = ttt__random_uniform(r) * s->share[d->n_group - 1];

	while (i < d->n_group - 1 && s->share[i] <= at)
		i++;
	g = &s->group[i];
	n_whole = last(g->whole_end, g->n_whole);
	x = below(r, n_whole + last(g->part_end, g->n_part));
	if (x < n_whole) {
		const struct ttt__document *doc = &d->document[g->whole[find(g->whole_end, g->n_whole, x)]];

		return ttt__data_read(d, doc->offset + below(r, doc->n_token - s->n_token + 1), s->n_token, ids, err);
	}
	for (int64_t have = 0; have < s->n_token && status == TTT_OK;) {
		const struct ttt__document *doc;
		int64_t n;

		x = below(r, g->part_end[g->n_part - 1]);
		doc = &d->document[g->part[find(g->part_end, g->n_part, x)]];
		n = doc->n_token < s->n_token - have ? doc->n_token : s->n_token - have;
		status = ttt__data_read(d, doc->offset, n, ids + have, err);
		have += n;
	}
	return status;
}

enum ttt_status
ttt__sampler_batch(const struct ttt__sampler *s, uint64_t seed, int64_t step, int64_t n_seq, int32_t *ids,
    struct ttt_error *err)
{
	enum ttt_status status = TTT_OK;

	for (int64_t i = 0; i < n_seq && status == TTT_OK; i++) {
		struct ttt__random r;
		int64_t key[3] = { (int64_t)seed, step, i };

		ttt__random_seed(&r, ttt__data_hash(TTT__HASH_START, key, sizeof(key)));
		status = draw(s, &r, ids + i * s->n_token, err);
	}
	return status;
}
