/* The interface a backend fills. Private.
 *
 * A backend is a table of operations on the memory of one device. Every float * and int32_t * below, unless named host, is such
 * memory: layer code adds offsets to it and hands it on, and never reads it. Operations are queued in order on the device and do
 * not fail; those that return a value, and download, wait for what came before.
 *
 * Of each differentiable operation there is a forward, a tangent (directional derivative along W + e v) and a backward. The backward
 * carries two adjoints (METAGRAD.md section 2): u, the total adjoint, and b, the adjoint of the chunk's own loss. Where the tangent
 * is exactly zero, its pointer (rx) is NULL, b is not needed, and the backward is the ordinary one of u. Matrices are row-major; ld is the
 * distance of rows. Outputs say set (=) or added to (+=). */
#ifndef TTT_KERNELS_H
#define TTT_KERNELS_H
#include "libttt/base.h"

struct ttt__attention_shape {
	int64_t T;      /* own tokens: queries */
	int64_t S;      /* cached keys before them; query t stands at key S + t */
	int64_t H, K;   /* heads, head size; a row is D = H * K */
	int64_t window; /* keys a query sees, itself included; 0 = all up to itself */
};

struct ttt__adamw {
	double lr, b1, b2, eps, weight_decay;
	double correct1, correct2; /* 1 - b1^t, 1 - b2^t */
	double scale;              /* factor on the gradient (the clip) */
};

struct ttt__ops {
	void (*destroy)(struct ttt_device *); /* the device itself */
	/* memory; n counts bytes */
	void *(*alloc)(struct ttt_device *, size_t n);
	void (*free)(struct ttt_device *, void *p);
	void (*upload)(struct ttt_device *, void *to, const void *host, size_t n);
	void (*download)(struct ttt_device *, void *host, const void *from, size_t n);
	void (*copy)(struct ttt_device *, void *to, const void *from, size_t n); /* may overlap */
	/* fn(ctx, i) for i = 0 .. n - 1, side by side as far as n_lane allows; each may drive the device with buffers of its own */
	void (*side_by_side)(struct ttt_device *, int64_t n, void (*fn)(void *ctx, int64_t i), void *ctx);
	/* Host memory to be read where it lies, for as long as the device is used: its address on the device; NULL: it has to be
	 * copied, since the device has memory of its own or this lies as no memory of alloc would. */
	const void *(*adopt)(struct ttt_device *, const void *host, size_t n);
	/* How many threads a product of so many multiply-adds is worth; from now on work on one operation with n at most, while none runs. */
	int (*threads_worth)(const struct ttt_device *, double work);
	void (*limit_threads)(struct ttt_device *, int n);

	/* elementwise and reductions over n floats */
	void (*zero)(struct ttt_device *, float *y, int64_t n);
	void (*add)(struct ttt_device *, float *y, const float *a, const float *b, int64_t n);     /* y = a + b */
	void (*axpy)(struct ttt_device *, float *y, double a, const float *x, int64_t n);          /* y += a x */
	void (*combine)(struct ttt_device *, float *y, double a, const float *x, double b, const float *z, int64_t n); /* y = a x + b z */
	double (*dot)(struct ttt_device *, const float *a, const float *b, int64_t n);             /* summed in double */
	void (*adamw)(struct ttt_device *, float *p, float *m, float *v, const float *g, int64_t n, const struct ttt__adamw *o);

	/* rows: [T, n] with row distances */
	void (*copy_rows)(struct ttt_device *, float *y, int64_t ldy, const float *x, int64_t ldx, int64_t T, int64_t n);
	/* y_t = a_t x_t + b_t z_t (=); b, z may be NULL */
	void (*combine_rows)(struct ttt_device *, float *y, const float *a, const float *x, const float *b, const float *z, int64_t T,
	    int64_t n);
	void (*add_row)(struct ttt_device *, float *y, const float *x, int64_t T, int64_t n); /* y_t += x [n], the same for every row */
	void (*dot_rows)(struct ttt_device *, float *y, const float *x, const float *z, int64_t T, int64_t n); /* y_t = <x_t, z_t> */
	void (*gather_rows)(struct ttt_device *, float *y, const float *E, const int32_t *id, int64_t T, int64_t n); /* y_t = E[id_t] */
	void (*gather_rows_bf16)(struct ttt_device *, float *y, const uint16_t *E, const int32_t *id, int64_t T, int64_t n); /* E in bfloat16 */
	/* E[id_t] += a x_t, in the order of t */
	void (*scatter_rows)(struct ttt_device *, float *E, const int32_t *id, double a, const float *x, int64_t T, int64_t n);

	/* count places (row, column) of a matrix, of which z holds columns j .. j + n - 1, rows n apart: what lies there += value; out = the sum,
	 * where out is not NULL. No place comes twice. */
	void (*add_at)(struct ttt_device *, float *z, int64_t j, int64_t n, const int32_t *row, const int32_t *column, const float *value, float *out,
	    int64_t count);
	/* The same of the one column id_t of each row t: y_t += value where the place is (t, id_t) */
	void (*add_at_ids)(struct ttt_device *, float *y, const int32_t *id, const int32_t *row, const int32_t *column, const float *value,
	    int64_t count);

	/* C [M, N] = alpha op(A) [M, K] op(B) [K, N] + beta C; ta, tb: the matrix is stored transposed */
	void (*gemm)(struct ttt_device *, bool ta, bool tb, int64_t M, int64_t N, int64_t K, double alpha, const float *A, int64_t lda,
	    const float *B, int64_t ldb, double beta, float *C, int64_t ldc);
	/* C [M, N] = A [M, K] op(B) [K, N] + beta C with B in bfloat16, beta 0 or 1. narrow: where the device multiplies bfloat16 faster, A
	 * is rounded to it; else nothing is lost. */
	void (*gemm_bf16)(struct ttt_device *, bool narrow, bool tb, int64_t M, int64_t N, int64_t K, const float *A, int64_t lda,
	    const uint16_t *B, int64_t ldb, double beta, float *C, int64_t ldc);

	/* RMSNorm of groups of n in a row: y = g xh, xh = x r, r = (mean x^2 + eps)^-1/2 (SEMANTICS section 1; METAGRAD section 4).
	 * Element j of group h of row t is x[t * ldx + h * n + j]; r [T, G]; g [n] shared by the groups. With base (as y, or NULL),
	 * y = base + g xh, and so for the tangent. */
	void (*rmsnorm_forward)(struct ttt_device *, float *y, int64_t ldy, float *r, const float *base, const float *x, int64_t ldx, const float *g,
	    int64_t T, int64_t G, int64_t n, double eps);
	void (*rmsnorm_tangent)(struct ttt_device *, float *ry, int64_t ldry, const float *base, const float *rx, int64_t ldrx, const float *x, int64_t ldx,
	    const float *r, const float *g, int64_t T, int64_t G, int64_t n);
	/* ux, bx: = or, with add, +=; ug += or NULL. x and rx lie ldx apart, uy and by ldy, ux and bx ldd. */
	void (*rmsnorm_backward)(struct ttt_device *, float *ux, float *bx, float *ug, bool add, int64_t ldd, const float *uy, const float *by,
	    int64_t ldy, const float *x, const float *rx, int64_t ldx, const float *r, const float *g, int64_t T, int64_t G, int64_t n);

	/* Rotary embedding: pairs (2i, 2i + 1) of every head of row t turned by the row's angles: y = R x, or with back y = R' x; y may be x.
	 * angle [T, K / 2, 2] holds cosine and sine. */
	void (*rope)(struct ttt_device *, float *y, int64_t ldy, const float *x, int64_t ldx, const float *angle, int64_t T, int64_t H,
	    int64_t K, bool back);

	/* Windowed causal attention. q, o [T, D]; k, v [S + T, D], all rows D apart; lse [H, T]. Tangents of
	 * keys and values (rk, rv) have the T own rows only. rho [H, T] is the tangent of lse. scratch: attention_scratch() floats. */
	int64_t (*attention_scratch)(struct ttt_device *, const struct ttt__attention_shape *);
	void (*attention_forward)(struct ttt_device *, float *o, float *lse, const float *q, const float *k, const float *v,
	    const struct ttt__attention_shape *, float *scratch);
	void (*attention_tangent)(struct ttt_device *, float *ro, float *rho, const float *q, const float *rq, const float *k, const float *rk,
	    const float *v, const float *rv, const float *o, const float *lse, const struct ttt__attention_shape *, float *scratch);
	/* uq, bq (=) [T, D]; uk, uv (+=) for keys first_key .. S + T - 1, row 0 being first_key (0 or S); bk, bv (=) own rows. */
	void (*attention_backward)(struct ttt_device *, float *uq, float *bq, float *uk, float *uv, int64_t first_key, float *bk, float *bv,
	    const float *q, const float *rq, const float *k, const float *rk, const float *v, const float *rv, const float *o,
	    const float *ro, const float *lse, const float *rho, const float *uo, const float *bo, const struct ttt__attention_shape *,
	    float *scratch);

	/* SwiGLU gate: ac [T, 2F] holds a (gate) and c (up); h [T, F] = silu(a) c */
	void (*swiglu_forward)(struct ttt_device *, float *h, const float *ac, int64_t T, int64_t F);
	void (*swiglu_tangent)(struct ttt_device *, float *rh, const float *ac, const float *rac, int64_t T, int64_t F);
	void (*swiglu_backward)(struct ttt_device *, float *uac, float *bac, const float *ac, const float *rac, const float *uh,
	    const float *bh, int64_t T, int64_t F);

	/* Softmax over tiles of the vocabulary. z [T, n]: in logits, out exp(z - max); max, sum [T] running; keep_t = exp(old max -
	 * new max), the factor on what was summed before. Start with max = -inf (softmax_start). */
	void (*softmax_start)(struct ttt_device *, float *max, float *sum, int64_t T);
	void (*softmax_tile)(struct ttt_device *, float *z, float *max, float *sum, float *keep, int64_t T, int64_t n);
	/* lse = max + log sum; inverse = 1 / sum; sum may be inverse */
	void (*softmax_end)(struct ttt_device *, float *lse, float *inverse, const float *max, const float *sum, int64_t T);
	/* z = exp(z - lse) in place; with rz, rz = z rz in place */
	void (*softmax_known)(struct ttt_device *, float *z, float *rz, const float *lse, int64_t T, int64_t n);
	/* The same from a tile that softmax_tile made, with the max it left: z = e exp(max - lse) */
	void (*softmax_kept)(struct ttt_device *, float *z, float *rz, const float *e, const float *max, const float *lse, int64_t T, int64_t n);
	/* y [n] = sum over the rows with id_t != skip of such a tile's probabilities */
	void (*softmax_sum)(struct ttt_device *, float *y, const float *e, const float *max, const float *lse, const int32_t *id, int64_t skip, int64_t T,
	    int64_t n);
};

struct ttt_device {
	const struct ttt__ops *ops;
	enum ttt_dtype precision; /* of matrices that do not learn, and of products with them */
	int n_thread; /* threads that work on one operation */
	int n_lane;   /* how many host threads may drive the device side by side, each with its own buffers */
	char description[160];
};

/* n floats, not set; NULL pointer and TTT_E_MEMORY naming what, when they cannot be had. n is at least 0. */
enum ttt_status ttt__device_floats(struct ttt_device *d, float **out, int64_t n, const char *what, struct ttt_error *err);
enum ttt_status ttt__device_halves(struct ttt_device *d, uint16_t **out, int64_t n, const char *what, struct ttt_error *err);
enum ttt_status ttt__device_ids(struct ttt_device *d, int32_t **out, int64_t n, const char *what, struct ttt_error *err);
void ttt__device_release(struct ttt_device *d, void *p);

/* kernels/cpu */
enum ttt_status ttt__cpu_create(struct ttt_device **out, const struct ttt_device_options *o, struct ttt_error *err);

#endif
