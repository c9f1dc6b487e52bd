/* Memory of a pass: tapes and work buffers, each one allocation cut into arrays. */
#include <stdlib.h>

#include "libttt/net/network.h"

/* Cuts an allocation into arrays; with memory NULL it only counts. Sizes are products of checked configuration sizes. */
struct cutter {
	float *memory;
	int64_t used;
	bool overflow;
};

static float *
cut(struct cutter *c, int64_t rows, int64_t cols)
{
	int64_t n, at = c->used;

	if (!ttt__i64_mul(&n, rows, cols) || !ttt__i64_add(&n, n, 15) || !ttt__i64_add(&c->used, at, n / 16 * 16)) {
		c->overflow = true;
		return NULL;
	}
	return c->memory ? c->memory + at : NULL;
}

static int64_t
widest(const struct ttt_config *c)
{
	return c->d_ff > c->d_prime ? c->d_ff : c->d_prime;
}

/* room: rows of n, o and h, which a weight's gradient is a product with; 0: lent by another tape. */
static void
cut_layer(struct ttt__layer_tape *t, struct cutter *k, const struct ttt_config *c, enum ttt__layer_kind kind, bool tangent, int64_t T,
    int64_t room, bool with_x)
{
	int64_t D = c->d_model, H = c->n_head, F = kind == TTT__PRIME ? c->d_prime : c->d_ff;

	*t = (struct ttt__layer_tape){0};
	if (with_x)
		t->x = cut(k, T, D);
	t->n = cut(k, room, D);
	t->s = cut(k, T, D);
	t->r1 = tangent ? NULL : cut(k, T, 1);
	t->r2 = tangent ? NULL : cut(k, T, 1);
	if (kind == TTT__ATTENTION) {
		t->qkv = cut(k, T, 3 * D);
		t->q = cut(k, T, D);
		t->o = cut(k, room, D);
		t->lse = cut(k, T, H);
		t->rq = tangent ? NULL : cut(k, T, H);
		t->rk = tangent ? NULL : cut(k, T, H);
		t->k = tangent ? cut(k, T, D) : NULL;
		t->v = tangent ? cut(k, T, D) : NULL;
	} else {
		t->ac = cut(k, T, 2 * F);
		t->h = cut(k, room, F);
	}
}

static void
cut_head(struct ttt__head_tape *t, struct cutter *k, const struct ttt_config *c, bool tangent, int64_t T, int64_t room)
{
	int64_t D = c->d_model;

	*t = (struct ttt__head_tape){0};
	t->x = cut(k, T, D);
	t->n = cut(k, room, D);
	if (tangent)
		return;
	t->m = cut(k, T, D);
	t->y = cut(k, T, D);
	t->r = cut(k, T, 1);
	t->lse = cut(k, T, 1);
	t->zy = cut(k, T, 1);
}

/* Every layer on the same memory; the residual stream goes to and fro between two arrays. */
static void
cut_shared(struct ttt__tape *out, struct cutter *k, const struct ttt__net *n, int64_t first, int64_t last, int64_t T)
{
	struct ttt__layer_tape attention, mlp;
	struct ttt_config wide = n->config;
	float *x[2];

	wide.d_ff = widest(&n->config);
	x[0] = cut(k, T, wide.d_model);
	x[1] = cut(k, T, wide.d_model);
	cut_layer(&attention, k, &wide, TTT__ATTENTION, false, T, T, false);
	cut_layer(&mlp, k, &wide, TTT__MLP, false, T, T, false);
	for (int64_t i = first; i < last; i++) {
		out->layer[i] = n->layer[i].kind == TTT__ATTENTION ? attention : mlp;
		out->layer[i].x = x[i % 2];
	}
}

/* Columns of a tile of the vocabulary: of few tokens the logits stay in a core's second cache, of many they are some MB at a time; all tiles
 * about equal, and rows never a large power of two apart, which would have a column's elements meet in the same few lines of the cache. */
static int64_t
tile_of(int64_t V, int64_t T)
{
	int64_t most = ((int64_t)1 << (T <= 64 ? 15 : 20)) / T, n, tile;

	most = most < 256 ? 256 : most > 2048 ? 2048 : most;
	n = (V + most - 1) / most;
	tile = ((V + n - 1) / n + 15) / 16 * 16;
	return tile % 128 == 0 ? tile + 16 : tile;
}

static void
cut_kept(struct ttt__tape *out, struct cutter *k, const struct ttt__net *n, int64_t first, int64_t last, int64_t T)
{
	int64_t D = n->config.d_model, V = n->config.n_vocab, tile = tile_of(V, T);

	for (int64_t i = first; i < last; i++) {
		struct ttt__layer_tape *t = &out->layer[i];

		*t = (struct ttt__layer_tape){.n = cut(k, T, D)};
		if (n->layer[i].kind == TTT__ATTENTION)
			t->o = cut(k, T, D);
		else
			t->h = cut(k, T, n->layer[i].kind == TTT__PRIME ? n->config.d_prime : n->config.d_ff);
	}
	out->head = (struct ttt__head_tape){0};
	if (last < n->n_layer)
		return;
	out->head.e = cut(k, T, V);
	out->head.max = cut(k, (V + tile - 1) / tile, T);
}

static void
cut_tape(struct ttt__tape *out, struct cutter *k, const struct ttt__net *n, enum ttt__tape_kind kind, int64_t first, int64_t last, int64_t T)
{
	bool tangent = kind == TTT__TAPE_TANGENTS;
	int64_t room = tangent ? 0 : kind == TTT__TAPE_STACKED ? 2 * T : T;

	if (kind == TTT__TAPE_KEPT) {
		cut_kept(out, k, n, first, last, T);
		return;
	}
	if (kind == TTT__TAPE_SHARED)
		cut_shared(out, k, n, first, last, T);
	else
		for (int64_t i = first; i < last; i++)
			cut_layer(&out->layer[i], k, &n->config, n->layer[i].kind, tangent, T, room, !(tangent && i == n->split));
	if (last == n->n_layer)
		cut_head(&out->head, k, &n->config, tangent, T, room);
}

enum ttt_status
ttt__tape_create(struct ttt__tape *out, const struct ttt__net *n, enum ttt__tape_kind kind, int64_t first, int64_t last, int64_t T,
    struct ttt_error *err)
{
	struct cutter k = {0};
	enum ttt_status status;

	*out = (struct ttt__tape){0};
	out->layer = ttt__new((size_t)n->n_layer, sizeof *out->layer);
	if (!out->layer)
		return ttt__fail_memory(err, "the tape");
	cut_tape(out, &k, n, kind, first, last, T);
	if (k.overflow)
		return ttt__fail_memory(err, "the tape");
	status = ttt__device_floats(n->device, &out->memory, k.used, "the tape", err);
	if (status)
		return status;
	k = (struct cutter){.memory = out->memory};
	cut_tape(out, &k, n, kind, first, last, T);
	return TTT_OK;
}

int64_t
ttt__tape_floats(const struct ttt__net *n, enum ttt__tape_kind kind, int64_t first, int64_t last, int64_t T)
{
	struct ttt__tape tape = {.layer = ttt__new((size_t)n->n_layer, sizeof *tape.layer)};
	struct cutter k = {0};

	if (tape.layer)
		cut_tape(&tape, &k, n, kind, first, last, T);
	k.overflow |= !tape.layer;
	free(tape.layer);
	return k.overflow ? -1 : k.used;
}

void
ttt__tape_stack(struct ttt__tape *tangent, const struct ttt__tape *values, const struct ttt__net *n, int64_t first, int64_t last, int64_t T)
{
	int64_t D = n->config.d_model;

	for (int64_t i = first; i < last; i++) {
		const struct ttt__layer_tape *t = &values->layer[i];
		int64_t F = n->layer[i].kind == TTT__PRIME ? n->config.d_prime : n->config.d_ff;

		tangent->layer[i].n = t->n + T * D;
		tangent->layer[i].o = t->o ? t->o + T * D : NULL;
		tangent->layer[i].h = t->h ? t->h + T * F : NULL;
	}
	if (last == n->n_layer)
		tangent->head.n = values->head.n + T * D;
}

void
ttt__tape_free(struct ttt__tape *t, const struct ttt__net *n)
{
	free(t->layer);
	if (t->memory)
		ttt__device_release(n->device, t->memory);
	*t = (struct ttt__tape){0};
}

static void
cut_work(struct ttt__work *w, struct cutter *k, const struct ttt__net *n, int64_t T, int64_t S)
{
	const struct ttt_config *c = &n->config;
	int64_t D = c->d_model, F = widest(c);
	struct ttt__attention_shape shape = {.T = T, .S = S, .H = c->n_head, .K = c->d_head, .window = n->window};

	w->y = cut(k, T, D);
	w->attention = cut(k, n->device->ops->attention_scratch(n->device, &shape), 1);
	w->z = cut(k, 2 * T, w->tile);
	w->row = cut(k, 8, T);
	w->residual = cut(k, 2 * T, D);
	w->ds = cut(k, 2 * T, D);
	w->dn = cut(k, 2 * T, D);
	w->dq = cut(k, 2 * T, D);
	w->dh = cut(k, 2 * T, F);
	w->dac = cut(k, 2 * T, 2 * F);
	w->dqkv = cut(k, 2 * T, 3 * D);
	w->dk = cut(k, T, D);
	w->own = cut(k, 4 * T, D);
	w->t = cut(k, 2 * T, D);
}

enum ttt_status
ttt__work_create(struct ttt__work *out, const struct ttt__net *n, int64_t T, int64_t S, struct ttt_error *err)
{
	struct cutter k = {0};
	enum ttt_status status;

	*out = (struct ttt__work){0};
	out->tile = tile_of(n->config.n_vocab, T);
	cut_work(out, &k, n, T, S);
	if (k.overflow)
		return ttt__fail_memory(err, "the work buffers");
	status = ttt__device_floats(n->device, &out->memory, k.used, "the work buffers", err);
	if (status)
		return status;
	k = (struct cutter){.memory = out->memory};
	cut_work(out, &k, n, T, S);
	return TTT_OK;
}

void
ttt__work_free(struct ttt__work *w, const struct ttt__net *n)
{
	if (w->memory)
		ttt__device_release(n->device, w->memory);
	*w = (struct ttt__work){0};
}
