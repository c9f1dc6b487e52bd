/* Windowed causal attention: forward, tangent, backward (METAGRAD.md section 4, row attention).
 *
 * Heads go to threads; within a head, tiles of TILE queries meet all the keys that one of them sees. A tile's scores are the only
 * ones that ever exist; backward and tangent make them again from q, k and lse. In a tile, n keys from key "from" on; own keys (those
 * with a tangent) are the last "own" of them. */
#include <math.h>
#include <omp.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/exp.h"

#define TILE 64
#define PARTS 4 /* score tiles a thread needs at once */

struct tile {
	int64_t t0, rows;       /* queries t0 .. t0 + rows - 1 */
	int64_t from, n;        /* keys seen by any of them */
	int64_t own_from, own;  /* own keys among them: column own_from on, own of them */
	int64_t D, K;
	float scale;
};

static int64_t
most_keys(const struct ttt__attention_shape *s)
{
	int64_t all = s->S + s->T, seen = s->window ? s->window + TILE - 1 : all;

	return seen < all ? seen : all;
}

static struct tile
tile_at(const struct ttt__attention_shape *s, int64_t t0)
{
	struct tile x = {.t0 = t0, .rows = s->T - t0 < TILE ? s->T - t0 : TILE, .D = s->H * s->K, .K = s->K};
	int64_t end = s->S + t0 + x.rows;

	x.from = s->window && s->S + t0 - s->window + 1 > 0 ? s->S + t0 - s->window + 1 : 0;
	x.n = end - x.from;
	x.own_from = s->S > x.from ? s->S - x.from : 0;
	x.own = x.n - x.own_from;
	x.scale = (float)(1 / sqrt((double)s->K));
	return x;
}

/* Columns [*a, *b) of the tile that query row i sees. */
static void
seen(const struct ttt__attention_shape *s, const struct tile *x, int64_t i, int64_t *a, int64_t *b)
{
	int64_t at = s->S + x->t0 + i;

	*b = at - x->from + 1;
	*a = s->window && at - s->window + 1 > x->from ? at - s->window + 1 - x->from : 0;
}

/* P = exp(scale Q K' - lse), 0 where not seen; [rows, n] */
static void
probabilities(struct ttt_device *d, float *P, const float *q, const float *k, const float *lse, const struct ttt__attention_shape *s,
    const struct tile *x)
{
	ttt__cpu_gemm(d, false, true, x->rows, x->n, x->K, x->scale, q + x->t0 * x->D, x->D, k + x->from * x->D, x->D, 0, P, x->n);
	for (int64_t i = 0; i < x->rows; i++) {
		float *p = P + i * x->n, l = lse[x->t0 + i];
		int64_t a, b;

		seen(s, x, i, &a, &b);
		for (int64_t j = 0; j < a; j++)
			p[j] = 0;
#pragma omp simd
		for (int64_t j = a; j < b; j++)
			p[j] = ttt__exp(p[j] - l);
		for (int64_t j = b; j < x->n; j++)
			p[j] = 0;
	}
}

/* R = scale (rQ K' + Q rK'), own columns only having rK */
static void
score_tangent(struct ttt_device *d, float *R, const float *q, const float *rq, const float *k, const float *rk, const struct tile *x,
    int64_t S)
{
	ttt__cpu_gemm(d, false, true, x->rows, x->n, x->K, x->scale, rq + x->t0 * x->D, x->D, k + x->from * x->D, x->D, 0, R, x->n);
	ttt__cpu_gemm(d, false, true, x->rows, x->own, x->K, x->scale, q + x->t0 * x->D, x->D, rk + (x->from + x->own_from - S) * x->D,
	    x->D, 1, R + x->own_from, x->n);
}

static int64_t
attention_scratch(struct ttt_device *d, const struct ttt__attention_shape *s)
{
	return (int64_t)d->n_thread * PARTS * TILE * most_keys(s);
}

static int
threads_for(const struct ttt_device *d, const struct ttt__attention_shape *s)
{
	return s->H * s->T * most_keys(s) > TTT__PARALLEL_MIN ? d->n_thread : 1;
}

/* Softmax of one tile's rows in place; lse out. */
static void
softmax_rows(float *P, float *lse, const struct ttt__attention_shape *s, const struct tile *x)
{
	for (int64_t i = 0; i < x->rows; i++) {
		float *p = P + i * x->n, max = -INFINITY, sum = 0, inverse;
		int64_t a, b;

		seen(s, x, i, &a, &b);
#pragma omp simd reduction(max : max)
		for (int64_t j = a; j < b; j++)
			max = p[j] > max ? p[j] : max;
		for (int64_t j = 0; j < a; j++)
			p[j] = 0;
#pragma omp simd reduction(+ : sum)
		for (int64_t j = a; j < b; j++) {
			p[j] = ttt__exp(p[j] - max);
			sum += p[j];
		}
		for (int64_t j = b; j < x->n; j++)
			p[j] = 0;
		inverse = 1 / sum;
#pragma omp simd
		for (int64_t j = a; j < b; j++)
			p[j] *= inverse;
		lse[x->t0 + i] = (float)((double)max + log((double)sum));
	}
}

static void
attention_forward(struct ttt_device *d, float *o, float *lse, const float *q, const float *k, const float *v,
    const struct ttt__attention_shape *s, float *scratch)
{
	int64_t most = most_keys(s);

#pragma omp parallel for schedule(static) num_threads(threads_for(d, s))
	for (int64_t h = 0; h < s->H; h++) {
		float *P = scratch + (int64_t)omp_get_thread_num() * PARTS * TILE * most;
		const float *qh = q + h * s->K, *kh = k + h * s->K, *vh = v + h * s->K;

		for (int64_t t0 = 0; t0 < s->T; t0 += TILE) {
			struct tile x = tile_at(s, t0);

			ttt__cpu_gemm(d, false, true, x.rows, x.n, x.K, x.scale, qh + t0 * x.D, x.D, kh + x.from * x.D, x.D, 0, P, x.n);
			softmax_rows(P, lse + h * s->T, s, &x);
			ttt__cpu_gemm(d, false, false, x.rows, x.K, x.n, 1, P, x.n, vh + x.from * x.D, x.D, 0, o + h * s->K + t0 * x.D,
			    x.D);
		}
	}
}

/* P <- P * R and rho = its row sums */
static void
weigh_rows(float *PR, float *rho, const float *P, const float *R, const struct tile *x)
{
	for (int64_t i = 0; i < x->rows; i++) {
		const float *p = P + i * x->n, *r = R + i * x->n;
		float *pr = PR + i * x->n, sum = 0;

#pragma omp simd reduction(+ : sum)
		for (int64_t j = 0; j < x->n; j++) {
			pr[j] = p[j] * r[j];
			sum += pr[j];
		}
		rho[x->t0 + i] = sum;
	}
}

/* rO = (P R) V - rho O + P rV */
static void
attention_tangent(struct ttt_device *d, float *ro, float *rho, const float *q, const float *rq, const float *k, const float *rk,
    const float *v, const float *rv, const float *o, const float *lse, const struct ttt__attention_shape *s, float *scratch)
{
	int64_t most = most_keys(s);

#pragma omp parallel for schedule(static) num_threads(threads_for(d, s))
	for (int64_t h = 0; h < s->H; h++) {
		float *P = scratch + (int64_t)omp_get_thread_num() * PARTS * TILE * most, *R = P + TILE * most;
		int64_t hk = h * s->K;

		for (int64_t t0 = 0; t0 < s->T; t0 += TILE) {
			struct tile x = tile_at(s, t0);
			float *out = ro + hk + t0 * x.D;

			probabilities(d, P, q + hk, k + hk, lse + h * s->T, s, &x);
			score_tangent(d, R, q + hk, rq + hk, k + hk, rk + hk, &x, s->S);
			weigh_rows(R, rho + h * s->T, P, R, &x);
			ttt__cpu_gemm(d, false, false, x.rows, x.K, x.n, 1, R, x.n, v + hk + x.from * x.D, x.D, 0, out, x.D);
			ttt__cpu_gemm(d, false, false, x.rows, x.K, x.own, 1, P + x.own_from, x.n,
			    rv + hk + (x.from + x.own_from - s->S) * x.D, x.D, 1, out, x.D);
			for (int64_t i = 0; i < x.rows; i++) {
				const float *oi = o + hk + (t0 + i) * x.D;
				float r = rho[h * s->T + t0 + i];

#pragma omp simd
				for (int64_t j = 0; j < x.K; j++)
					out[i * x.D + j] -= r * oi[j];
			}
		}
	}
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

/* What one head's backward reads and writes; every pointer already at the head. */
struct head {
	float *uq, *bq, *uk, *uv, *bk, *bv;
	const float *q, *rq, *k, *rk, *v, *rv, *o, *ro, *lse, *rho, *uo, *bo;
	int64_t first_key;
};

/* Columns of the tile whose keys get a gradient start here. */
static int64_t
first_column(const struct head *a, const struct tile *x)
{
	return a->first_key > x->from ? a->first_key - x->from : 0;
}

/* uV += P'uO, uP = uO V', uS = scale P (uP - <uO, O>), uQ = uS K, uK += uS'Q */
static void
tile_backward(struct ttt_device *d, const struct head *a, const struct ttt__attention_shape *s, const struct tile *x, float *P, float *U)
{
	int64_t D = x->D, K = x->K, c = first_column(a, x), at = (x->from + c - a->first_key) * D;

	probabilities(d, P, a->q, a->k, a->lse, s, x);
	ttt__cpu_gemm(d, false, true, x->rows, x->n, K, 1, a->uo + x->t0 * D, D, a->v + x->from * D, D, 0, U, x->n);
	for (int64_t i = 0; i < x->rows; i++) {
		float *u = U + i * x->n;
		const float *p = P + i * x->n;
		float du = dot_head(a->uo + (x->t0 + i) * D, a->o + (x->t0 + i) * D, K);

#pragma omp simd
		for (int64_t j = 0; j < x->n; j++)
			u[j] = p[j] * (u[j] - du) * x->scale;
	}
	ttt__cpu_gemm(d, false, false, x->rows, K, x->n, 1, U, x->n, a->k + x->from * D, D, 0, a->uq + x->t0 * D, D);
	ttt__cpu_gemm(d, true, false, x->n - c, K, x->rows, 1, U + c, x->n, a->q + x->t0 * D, D, 1, a->uk + at, D);
	ttt__cpu_gemm(d, true, false, x->n - c, K, x->rows, 1, P + c, x->n, a->uo + x->t0 * D, D, 1, a->uv + at, D);
}

/* P, uP, bP, R in; rP, uS, bS out (R becomes rP, U becomes uS, B becomes bS). */
static void
dual_scores(const struct head *a, const struct tile *x, const float *P, float *R, float *U, float *B)
{
	for (int64_t i = 0; i < x->rows; i++) {
		int64_t row = (x->t0 + i) * x->D;
		const float *p = P + i * x->n;
		float *r = R + i * x->n, *u = U + i * x->n, *b = B + i * x->n, rho = a->rho[x->t0 + i];
		float db = dot_head(a->bo + row, a->o + row, x->K);
		float du = dot_head(a->uo + row, a->o + row, x->K) + dot_head(a->bo + row, a->ro + row, x->K);

#pragma omp simd
		for (int64_t j = 0; j < x->n; j++) {
			float rp = p[j] * (r[j] - rho), bc = b[j] - db;

			r[j] = rp;
			b[j] = p[j] * bc * x->scale;
			u[j] = (p[j] * (u[j] - du) + rp * bc) * x->scale;
		}
	}
}

static void
tile_backward_dual(struct ttt_device *d, const struct head *a, const struct ttt__attention_shape *s, const struct tile *x, float *P,
    float *U, float *B, float *R)
{
	int64_t D = x->D, K = x->K, c = first_column(a, x), at = (x->from + c - a->first_key) * D, q0 = x->t0 * D;
	int64_t own = (x->from + x->own_from - s->S) * D;

	probabilities(d, P, a->q, a->k, a->lse, s, x);
	score_tangent(d, R, a->q, a->rq, a->k, a->rk, x, s->S);
	ttt__cpu_gemm(d, false, true, x->rows, x->n, K, 1, a->bo + q0, D, a->v + x->from * D, D, 0, B, x->n);
	ttt__cpu_gemm(d, false, true, x->rows, x->n, K, 1, a->uo + q0, D, a->v + x->from * D, D, 0, U, x->n);
	ttt__cpu_gemm(d, false, true, x->rows, x->own, K, 1, a->bo + q0, D, a->rv + own, D, 1, U + x->own_from, x->n);
	dual_scores(a, x, P, R, U, B);
	ttt__cpu_gemm(d, false, false, x->rows, K, x->n, 1, B, x->n, a->k + x->from * D, D, 0, a->bq + q0, D);
	ttt__cpu_gemm(d, false, false, x->rows, K, x->n, 1, U, x->n, a->k + x->from * D, D, 0, a->uq + q0, D);
	ttt__cpu_gemm(d, false, false, x->rows, K, x->own, 1, B + x->own_from, x->n, a->rk + own, D, 1, a->uq + q0, D);
	ttt__cpu_gemm(d, true, false, x->n - c, K, x->rows, 1, U + c, x->n, a->q + q0, D, 1, a->uk + at, D);
	ttt__cpu_gemm(d, true, false, x->n - c, K, x->rows, 1, B + c, x->n, a->rq + q0, D, 1, a->uk + at, D);
	ttt__cpu_gemm(d, true, false, x->n - c, K, x->rows, 1, P + c, x->n, a->uo + q0, D, 1, a->uv + at, D);
	ttt__cpu_gemm(d, true, false, x->n - c, K, x->rows, 1, R + c, x->n, a->bo + q0, D, 1, a->uv + at, D);
	ttt__cpu_gemm(d, true, false, x->own, K, x->rows, 1, B + x->own_from, x->n, a->q + q0, D, 1, a->bk + own, D);
	ttt__cpu_gemm(d, true, false, x->own, K, x->rows, 1, P + x->own_from, x->n, a->bo + q0, D, 1, a->bv + own, D);
}

static void
attention_backward(struct ttt_device *d, float *uq, float *bq, float *uk, float *uv, int64_t first_key, float *bk, float *bv, const float *q,
    const float *rq, const float *k, const float *rk, const float *v, const float *rv, const float *o, const float *ro, const float *lse,
    const float *rho, const float *uo, const float *bo, const struct ttt__attention_shape *s, float *scratch)
{
	int64_t most = most_keys(s), D = s->H * s->K;

	if (rq)
		for (int64_t i = 0; i < s->T * D; i++)
			bk[i] = bv[i] = 0;
#pragma omp parallel for schedule(static) num_threads(threads_for(d, s))
	for (int64_t h = 0; h < s->H; h++) {
		float *P = scratch + (int64_t)omp_get_thread_num() * PARTS * TILE * most, *U = P + TILE * most, *B = U + TILE * most;
		int64_t hk = h * s->K;
		struct head a = {.uq = uq + hk, .uk = uk + hk, .uv = uv + hk, .q = q + hk, .k = k + hk, .v = v + hk, .o = o + hk,
		    .lse = lse + h * s->T, .uo = uo + hk, .first_key = first_key};

		if (rq) {
			a.bq = bq + hk, a.bk = bk + hk, a.bv = bv + hk, a.rq = rq + hk, a.rk = rk + hk, a.rv = rv + hk;
			a.ro = ro + hk, a.rho = rho + h * s->T, a.bo = bo + hk;
		}
		for (int64_t t0 = 0; t0 < s->T; t0 += TILE) {
			struct tile x = tile_at(s, t0);

			if (rq)
				tile_backward_dual(d, &a, s, &x, P, U, B, B + TILE * most);
			else
				tile_backward(d, &a, s, &x, P, U);
		}
	}
}

void
ISA(ttt__cpu_attention)(struct ttt__ops *o)
{
	o->attention_scratch = attention_scratch;
	o->attention_forward = attention_forward;
	o->attention_tangent = attention_tangent;
	o->attention_backward = attention_backward;
}
