/* Windowed causal attention: forward, tangent, backward (METAGRAD.md section 4, row attention).
 *
 * A tile of TILE queries of one head meets the keys that any of them sees in blocks of KEYS at most, so that the scores of a block, the
 * only ones that ever exist, stay in the cache. The forward keeps a running maximum and sum; backward and tangent make the scores again
 * from q, k and lse. Own keys (those with a tangent) are the last of all keys. */
#include <math.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/exp.h"

#define TILE ((int64_t)64)
#define KEYS ((int64_t)320)
#define PARTS 4 /* score blocks a thread needs at once */

/* Queries of one tile and the keys that any of them sees. */
struct tile {
	int64_t t0, rows;      /* queries t0 .. t0 + rows - 1 */
	int64_t from, end;     /* keys from .. end - 1 */
	int64_t step;          /* keys of a block */
	int64_t D, K;
	float scale;
};

/* Keys of one block: from .. from + n - 1; own of them, from column own_from on, are own keys, own_key on. */
struct block {
	int64_t from, n, own_from, own, own_key;
};

static int64_t
n_tile(const struct ttt__attention_shape *s)
{
	return (s->T + TILE - 1) / TILE;
}

static struct tile
tile_at(const struct ttt__attention_shape *s, int64_t t0)
{
	struct tile x = {.t0 = t0, .rows = s->T - t0 < TILE ? s->T - t0 : TILE, .D = s->H * s->K, .K = s->K};
	int64_t n, blocks;

	x.from = s->window && s->S + t0 - s->window + 1 > 0 ? s->S + t0 - s->window + 1 : 0;
	x.end = s->S + t0 + x.rows;
	n = x.end - x.from;
	blocks = (n + KEYS - 1) / KEYS;
	x.step = ((n + blocks - 1) / blocks + 15) / 16 * 16; /* KEYS is a multiple of 16 */
	x.scale = (float)(1 / sqrt((double)s->K));
	return x;
}

static struct block
block_at(const struct ttt__attention_shape *s, const struct tile *x, int64_t from)
{
	struct block b = {.from = from, .n = x->end - from < x->step ? x->end - from : x->step};

	b.own_from = s->S <= from ? 0 : s->S - from < b.n ? s->S - from : b.n;
	b.own = b.n - b.own_from;
	b.own_key = b.own ? from + b.own_from - s->S : 0;
	return b;
}

/* Columns [*a, *b) of the block that query row i of the tile sees; none where *a = *b. */
static void
seen(const struct ttt__attention_shape *s, const struct tile *x, const struct block *k, int64_t i, int64_t *a, int64_t *b)
{
	int64_t at = s->S + x->t0 + i, last = at + 1 - k->from, first = s->window ? at + 1 - s->window - k->from : 0;

	*b = last < 0 ? 0 : last < k->n ? last : k->n;
	*a = first < 0 ? 0 : first < *b ? first : *b;
}

static void
clear(float *p, int64_t from, int64_t to)
{
	for (int64_t j = from; j < to; j++)
		p[j] = 0;
}

/* scale Q K' [rows, n] */
static void
scores(float *P, const float *q, const float *k, const struct tile *x, const struct block *b)
{
	ISA(ttt__cpu_gemm_one)(false, true, x->rows, b->n, x->K, x->scale, q + x->t0 * x->D, x->D, k + b->from * x->D, x->D, 0, P, b->n);
}

/* P = exp(scale Q K' - lse), 0 where not seen; [rows, n] */
static void
probabilities(float *P, const float *q, const float *k, const float *lse, const struct ttt__attention_shape *s, const struct tile *x,
    const struct block *b)
{
	scores(P, q, k, x, b);
	for (int64_t i = 0; i < x->rows; i++) {
		float *p = P + i * b->n, l = lse[x->t0 + i];
		int64_t first, last;

		seen(s, x, b, i, &first, &last);
		clear(p, 0, first);
#pragma omp simd
		for (int64_t j = first; j < last; j++)
			p[j] = ttt__exp(p[j] - l);
		clear(p, last, b->n);
	}
}

/* R = scale (rQ K' + Q rK'), own columns only having rK */
static void
score_tangent(float *R, const float *q, const float *rq, const float *k, const float *rk, const struct tile *x, const struct block *b)
{
	ISA(ttt__cpu_gemm_one)(false, true, x->rows, b->n, x->K, x->scale, rq + x->t0 * x->D, x->D, k + b->from * x->D, x->D, 0, R, b->n);
	ISA(ttt__cpu_gemm_one)(false, true, x->rows, b->own, x->K, x->scale, q + x->t0 * x->D, x->D, rk + b->own_key * x->D, x->D, 1,
	    R + b->own_from, b->n);
}

static int64_t
attention_scratch(struct ttt_device *d, const struct ttt__attention_shape *s)
{
	(void)s;
	return (int64_t)d->n_thread * PARTS * TILE * KEYS;
}

/* Arrays and shape of the table's operations, under their names there. */
struct attention {
	struct ttt__attention_shape s;
	float *o_out, *lse_out, *ro_out, *rho_out, *uq, *bq, *uk, *uv, *bk, *bv, *scratch;
	const float *q, *rq, *k, *rk, *v, *rv, *o, *ro, *lse, *rho, *uo, *bo;
	int64_t first_key;
};

static float *
scratch_of(const struct attention *a, int worker)
{
	return a->scratch + (int64_t)worker * PARTS * TILE * KEYS;
}

/* One block's scores to exp(score - max) with the maximum so far; sums and what was summed before follow it. */
static void
softmax_block(float *P, float *max, float *sum, float *o, const struct ttt__attention_shape *s, const struct tile *x, const struct block *b)
{
	for (int64_t i = 0; i < x->rows; i++) {
		float *p = P + i * b->n, *oi = o + i * x->D, m = max[i], part = 0, keep;
		int64_t first, last;

		seen(s, x, b, i, &first, &last);
		if (first == last) {
			clear(p, 0, b->n);
			continue;
		}
#pragma omp simd reduction(max : m)
		for (int64_t j = first; j < last; j++)
			m = p[j] > m ? p[j] : m;
		clear(p, 0, first);
#pragma omp simd reduction(+ : part)
		for (int64_t j = first; j < last; j++) {
			p[j] = ttt__exp(p[j] - m);
			part += p[j];
		}
		clear(p, last, b->n);
		keep = ttt__exp(max[i] - m);
		if (b->from > x->from)
#pragma omp simd
			for (int64_t j = 0; j < x->K; j++)
				oi[j] *= keep;
		sum[i] = sum[i] * keep + part;
		max[i] = m;
	}
}

/* One tile of one head. */
static void
forward_part(void *args, int64_t part, int worker)
{
	const struct attention *a = args;
	const struct ttt__attention_shape *s = &a->s;
	int64_t h = part / n_tile(s), t0 = part % n_tile(s) * TILE, hk = h * s->K;
	struct tile x = tile_at(s, t0);
	float *P = scratch_of(a, worker), *o = a->o_out + hk + t0 * x.D, max[TILE], sum[TILE] = {0};

	for (int64_t i = 0; i < x.rows; i++)
		max[i] = -INFINITY;
	for (int64_t from = x.from; from < x.end; from += x.step) {
		struct block b = block_at(s, &x, from);

		scores(P, a->q + hk, a->k + hk, &x, &b);
		softmax_block(P, max, sum, o, s, &x, &b);
		ISA(ttt__cpu_gemm_one)(false, false, x.rows, x.K, b.n, 1, P, b.n, a->v + hk + from * x.D, x.D, from > x.from ? 1 : 0, o, x.D);
	}
	for (int64_t i = 0; i < x.rows; i++) {
		float *oi = o + i * x.D, inverse = 1 / sum[i];

#pragma omp simd
		for (int64_t j = 0; j < x.K; j++)
			oi[j] *= inverse;
		a->lse_out[h * s->T + t0 + i] = (float)((double)max[i] + log((double)sum[i]));
	}
}

static void
attention_forward(struct ttt_device *d, float *o, float *lse, const float *q, const float *k, const float *v,
    const struct ttt__attention_shape *s, float *scratch)
{
	struct attention a = {.s = *s, .o_out = o, .lse_out = lse, .q = q, .k = k, .v = v, .scratch = scratch};

	ttt__pool_run(ttt__cpu_pool(d), s->H * n_tile(s), forward_part, &a);
}

/* R <- P R, its row sums added to rho */
static void
weigh_rows(float *R, float *rho, const float *P, const struct tile *x, const struct block *b)
{
	for (int64_t i = 0; i < x->rows; i++) {
		const float *p = P + i * b->n;
		float *r = R + i * b->n, sum = 0;

#pragma omp simd reduction(+ : sum)
		for (int64_t j = 0; j < b->n; j++) {
			r[j] *= p[j];
			sum += r[j];
		}
		rho[i] += sum;
	}
}

/* rO = (P R) V - rho O + P rV, rho = row sums of P R */
static void
tangent_part(void *args, int64_t part, int worker)
{
	const struct attention *a = args;
	const struct ttt__attention_shape *s = &a->s;
	int64_t h = part / n_tile(s), t0 = part % n_tile(s) * TILE, hk = h * s->K;
	struct tile x = tile_at(s, t0);
	float *P = scratch_of(a, worker), *R = P + TILE * KEYS, *out = a->ro_out + hk + t0 * x.D, rho[TILE] = {0};

	for (int64_t from = x.from; from < x.end; from += x.step) {
		struct block b = block_at(s, &x, from);

		probabilities(P, a->q + hk, a->k + hk, a->lse + h * s->T, s, &x, &b);
		score_tangent(R, a->q + hk, a->rq + hk, a->k + hk, a->rk + hk, &x, &b);
		weigh_rows(R, rho, P, &x, &b);
		ISA(ttt__cpu_gemm_one)(false, false, x.rows, x.K, b.n, 1, R, b.n, a->v + hk + from * x.D, x.D, from > x.from ? 1 : 0, out, x.D);
		ISA(ttt__cpu_gemm_one)(false, false, x.rows, x.K, b.own, 1, P + b.own_from, b.n, a->rv + hk + b.own_key * x.D, x.D, 1, out,
		    x.D);
	}
	for (int64_t i = 0; i < x.rows; i++) {
		const float *oi = a->o + hk + (t0 + i) * x.D;

		a->rho_out[h * s->T + t0 + i] = rho[i];
#pragma omp simd
		for (int64_t j = 0; j < x.K; j++)
			out[i * x.D + j] -= rho[i] * oi[j];
	}
}

static void
attention_tangent(struct ttt_device *d, float *ro, float *rho, const float *q, const float *rq, const float *k, const float *rk,
    const float *v, const float *rv, const float *o, const float *lse, const struct ttt__attention_shape *s, float *scratch)
{
	struct attention a = {.s = *s, .ro_out = ro, .rho_out = rho, .q = q, .rq = rq, .k = k, .rk = rk, .v = v, .rv = rv, .o = o, .lse = lse,
	    .scratch = scratch};

	ttt__pool_run(ttt__cpu_pool(d), s->H * n_tile(s), tangent_part, &a);
}

static float
dot_head(const float *a, const float *b, int64_t K)
{
	float sum = 0;

#pragma omp simd reduction(+ : sum)
	for (int64_t i = 0; i < K; i++)
		sum += a[i] * b[i];
	return sum;
}

/* Columns of the block whose keys get a gradient start here. */
static int64_t
first_column(const struct attention *a, const struct block *b)
{
	int64_t c = a->first_key - b->from;

	return c < 0 ? 0 : c < b->n ? c : b->n;
}

/* One block; du [rows] = <uO, O>; every pointer of a already at the head.
 * uV += P'uO, uP = uO V', uS = scale P (uP - du), uQ += uS K, uK += uS'Q */
static void
block_backward(const struct attention *a, const struct tile *x, const struct block *b, const float *du, float *P)
{
	int64_t D = x->D, K = x->K, c = first_column(a, b), at = c < b->n ? (b->from + c - a->first_key) * D : 0, q0 = x->t0 * D;
	float *U = P + TILE * KEYS, beta = b->from > x->from ? 1 : 0;

	probabilities(P, a->q, a->k, a->lse, &a->s, x, b);
	ISA(ttt__cpu_gemm_one)(false, true, x->rows, b->n, K, 1, a->uo + q0, D, a->v + b->from * D, D, 0, U, b->n);
	for (int64_t i = 0; i < x->rows; i++) {
		float *u = U + i * b->n, less = du[i];
		const float *p = P + i * b->n;

#pragma omp simd
		for (int64_t j = 0; j < b->n; j++)
			u[j] = p[j] * (u[j] - less) * x->scale;
	}
	ISA(ttt__cpu_gemm_one)(false, false, x->rows, K, b->n, 1, U, b->n, a->k + b->from * D, D, beta, a->uq + q0, D);
	ISA(ttt__cpu_gemm_one)(true, false, b->n - c, K, x->rows, 1, U + c, b->n, a->q + q0, D, 1, a->uk + at, D);
	ISA(ttt__cpu_gemm_one)(true, false, b->n - c, K, x->rows, 1, P + c, b->n, a->uo + q0, D, 1, a->uv + at, D);
}

/* P, uP, bP, R in; rP, uS, bS out (R becomes rP, U becomes uS, B becomes bS). */
static void
dual_scores(const struct attention *a, const struct tile *x, const struct block *b, const float *du, const float *db, const float *P,
    float *R, float *U, float *B)
{
	for (int64_t i = 0; i < x->rows; i++) {
		const float *p = P + i * b->n;
		float *r = R + i * b->n, *u = U + i * b->n, *w = B + i * b->n, rho = a->rho[x->t0 + i], less_u = du[i], less_b = db[i];

#pragma omp simd
		for (int64_t j = 0; j < b->n; j++) {
			float rp = p[j] * (r[j] - rho), bc = w[j] - less_b;

			r[j] = rp;
			w[j] = p[j] * bc * x->scale;
			u[j] = (p[j] * (u[j] - less_u) + rp * bc) * x->scale;
		}
	}
}

/* The same with tangents: du = <uO, O> + <bO, rO>, db = <bO, O>. */
static void
block_backward_dual(const struct attention *a, const struct tile *x, const struct block *b, const float *du, const float *db, float *P)
{
	int64_t D = x->D, K = x->K, c = first_column(a, b), at = c < b->n ? (b->from + c - a->first_key) * D : 0, q0 = x->t0 * D;
	int64_t own = b->own_key * D, o = b->own_from;
	float *U = P + TILE * KEYS, *B = U + TILE * KEYS, *R = B + TILE * KEYS, beta = b->from > x->from ? 1 : 0;

	probabilities(P, a->q, a->k, a->lse, &a->s, x, b);
	score_tangent(R, a->q, a->rq, a->k, a->rk, x, b);
	ISA(ttt__cpu_gemm_one)(false, true, x->rows, b->n, K, 1, a->bo + q0, D, a->v + b->from * D, D, 0, B, b->n);
	ISA(ttt__cpu_gemm_one)(false, true, x->rows, b->n, K, 1, a->uo + q0, D, a->v + b->from * D, D, 0, U, b->n);
	ISA(ttt__cpu_gemm_one)(false, true, x->rows, b->own, K, 1, a->bo + q0, D, a->rv + own, D, 1, U + o, b->n);
	dual_scores(a, x, b, du, db, P, R, U, B);
	ISA(ttt__cpu_gemm_one)(false, false, x->rows, K, b->n, 1, B, b->n, a->k + b->from * D, D, beta, a->bq + q0, D);
	ISA(ttt__cpu_gemm_one)(false, false, x->rows, K, b->n, 1, U, b->n, a->k + b->from * D, D, beta, a->uq + q0, D);
	ISA(ttt__cpu_gemm_one)(false, false, x->rows, K, b->own, 1, B + o, b->n, a->rk + own, D, 1, a->uq + q0, D);
	ISA(ttt__cpu_gemm_one)(true, false, b->n - c, K, x->rows, 1, U + c, b->n, a->q + q0, D, 1, a->uk + at, D);
	ISA(ttt__cpu_gemm_one)(true, false, b->n - c, K, x->rows, 1, B + c, b->n, a->rq + q0, D, 1, a->uk + at, D);
	ISA(ttt__cpu_gemm_one)(true, false, b->n - c, K, x->rows, 1, P + c, b->n, a->uo + q0, D, 1, a->uv + at, D);
	ISA(ttt__cpu_gemm_one)(true, false, b->n - c, K, x->rows, 1, R + c, b->n, a->bo + q0, D, 1, a->uv + at, D);
	ISA(ttt__cpu_gemm_one)(true, false, b->own, K, x->rows, 1, B + o, b->n, a->q + q0, D, 1, a->bk + own, D);
	ISA(ttt__cpu_gemm_one)(true, false, b->own, K, x->rows, 1, P + o, b->n, a->bo + q0, D, 1, a->bv + own, D);
}

/* The arrays of a at head h. */
static struct attention
at_head(const struct attention *a, int64_t h)
{
	struct attention x = *a;
	int64_t hk = h * a->s.K, ht = h * a->s.T;

	x.uq += hk, x.uk += hk, x.uv += hk, x.q += hk, x.k += hk, x.v += hk, x.o += hk, x.uo += hk, x.lse += ht;
	if (a->rq)
		x.bq += hk, x.bk += hk, x.bv += hk, x.rq += hk, x.rk += hk, x.rv += hk, x.ro += hk, x.bo += hk, x.rho += ht;
	return x;
}

/* One head: its tiles add to the same keys. */
static void
backward_part(void *args, int64_t h, int worker)
{
	struct attention a = at_head(args, h);
	float *P = scratch_of(&a, worker), du[TILE], db[TILE];

	for (int64_t t0 = 0; t0 < a.s.T; t0 += TILE) {
		struct tile x = tile_at(&a.s, t0);

		for (int64_t i = 0; i < x.rows; i++) {
			int64_t row = (t0 + i) * x.D;

			du[i] = dot_head(a.uo + row, a.o + row, x.K);
			if (!a.rq)
				continue;
			du[i] += dot_head(a.bo + row, a.ro + row, x.K);
			db[i] = dot_head(a.bo + row, a.o + row, x.K);
		}
		for (int64_t from = x.from; from < x.end; from += x.step) {
			struct block b = block_at(&a.s, &x, from);

			if (a.rq)
				block_backward_dual(&a, &x, &b, du, db, P);
			else
				block_backward(&a, &x, &b, du, P);
		}
	}
}

static void
attention_backward(struct ttt_device *d, float *uq, float *bq, float *uk, float *uv, int64_t first_key, float *bk, float *bv, const float *q,
    const float *rq, const float *k, const float *rk, const float *v, const float *rv, const float *o, const float *ro, const float *lse,
    const float *rho, const float *uo, const float *bo, const struct ttt__attention_shape *s, float *scratch)
{
	struct attention a = {.s = *s, .uq = uq, .bq = bq, .uk = uk, .uv = uv, .bk = bk, .bv = bv, .q = q, .rq = rq, .k = k, .rk = rk, .v = v,
	    .rv = rv, .o = o, .ro = ro, .lse = lse, .rho = rho, .uo = uo, .bo = bo, .scratch = scratch, .first_key = first_key};

	if (rq) {
		clear(bk, 0, s->T * s->H * s->K);
		clear(bv, 0, s->T * s->H * s->K);
	}
	ttt__pool_run(ttt__cpu_pool(d), s->H, backward_part, &a);
}

void
ISA(ttt__cpu_attention)(struct ttt__ops *o)
{
	o->attention_scratch = attention_scratch;
	o->attention_forward = attention_forward;
	o->attention_tangent = attention_tangent;
	o->attention_backward = attention_backward;
}
