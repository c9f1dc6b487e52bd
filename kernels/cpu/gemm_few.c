/* Matrix products on the calling thread: those of a small chunk made here, the others by the library.
 *
 * A library rearranges both factors before it multiplies, which pays where each is used hundreds of times. In a chunk of 32 tokens a weight
 * is used 32 times; so the weights are read as they lie, and only what is small is turned round. The heart is a tile of ROWS x COLS sums in
 * registers: at every step two vectors of B are multiplied by one element each of ROWS rows of A. */
#include <string.h>

#include "kernels/cpu/cpu.h"

#if defined(__AVX512F__)
enum { LANES = 16, ROWS = 12 };
#elif defined(__AVX2__)
enum { LANES = 8, ROWS = 6 };
#else
enum { LANES = 4, ROWS = 6 };
#endif

enum {
	COLS = 2 * LANES,
	FEW = 64,     /* the most tokens that count as few */
	LINE = 16,    /* floats of a cache line */
	DEPTH = 128,  /* terms of a sum that are added in one go */
	NEAR = 4096,  /* floats that stay in the nearest cache beside others; at least FEW * COLS */
	FAR = 512,    /* floats between rows that lie far apart */
	MANY = 4 * ROWS, /* tokens for which it pays to bring such rows together */
	GROUP = 48,   /* rows of a transposed result that wait to be turned round: whole tiles, whole squares */
	SIDE = 8,     /* of the squares of a transposition */
	THIN = 4      /* tokens below which a vector goes along the sum instead of along the tokens */
};

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef float side __attribute__((vector_size(4 * SIDE), aligned(4), may_alias));

/* sum += x b. Left to itself the compiler picks forms of the instruction that overwrite x or b, moves sums about in every step, and with a
 * longer loop puts them on the stack. */
static inline __attribute__((always_inline)) vec
fused(vec sum, vec x, vec b)
{
#if defined(__FMA__)
	__asm__("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(x), "v"(b));
	return sum;
#else
	return sum + x * b;
#endif
}

/* Element (i, k) of a left factor is at[i * row + k * col]; one of row and col is 1. */
struct left {
	const float *at;
	int64_t row, col;
};

/* Have what lies n floats after p, or what would if that were memory, brought near. */
static inline __attribute__((always_inline)) void
bring(const float *p, int64_t n)
{
	__builtin_prefetch((const void *)((uintptr_t)p + (uintptr_t)n * sizeof *p));
}

/* A run of tiles, and what each fetches for those after it, since weights come from far away at every chunk: DOWN_LEFT and DOWN go from
 * rows to rows (a.col is 1) and fetch the left factor fetch floats on, or the right one; ACROSS goes from columns to columns (a.row is 1)
 * and fetches the C of later rows. */
enum way { DOWN_LEFT, DOWN, ACROSS };

/* C [m, COLS] = A [m, K] B [K, COLS], or with add, +=. m, add and way are constants where this is used. */
static inline __attribute__((always_inline)) void
tile(int m, bool add, enum way way, int64_t K, struct left A, const float *b, int64_t ldb, int64_t fetch, float *C, int64_t ldc)
{
	const float *a = A.at;
	int64_t row = way == ACROSS ? 1 : A.row, col = way == ACROSS ? A.col : 1;
	vec sum[ROWS][2] = {0};

	if (way == ACROSS)
#pragma GCC unroll 12
		for (int i = 0; i < m; i++)
#pragma GCC unroll 2
			for (int j = 0; j < COLS; j += LINE)
				bring(C + i * ldc, fetch + j);
	for (int64_t k = 0; k < K;) {
		int64_t end = way == DOWN_LEFT && K - k > LINE ? k + LINE : K;

		if (way == DOWN_LEFT)
#pragma GCC unroll 12
			for (int i = 0; i < m; i++)
				bring(a + i * row, fetch);
		for (; k < end; k++, a += col, b += ldb) {
			vec b0 = *(const vec *)b, b1 = *(const vec *)(b + LANES);

			if (way == DOWN)
#pragma GCC unroll 2
				for (int i = 0; i < COLS; i += LINE)
					bring(b, fetch + i);
#pragma GCC unroll 12
			for (int i = 0; i < m; i++) {
				vec x = a[i * row] - (vec){0};

				sum[i][0] = fused(sum[i][0], x, b0);
				sum[i][1] = fused(sum[i][1], x, b1);
			}
		}
	}
#pragma GCC unroll 12
	for (int i = 0; i < m; i++) {
		vec *c = (vec *)(C + i * ldc), *d = (vec *)(C + i * ldc + LANES);

		if (add) {
			sum[i][0] += *c;
			sum[i][1] += *d;
		}
		*c = sum[i][0];
		*d = sum[i][1];
	}
}

/* n tiles of m rows, one after the other. */
static inline __attribute__((always_inline)) void
tiles_of(int m, bool add, enum way way, int64_t n, int64_t K, struct left a, const float *b, int64_t ldb, int64_t fetch, float *C, int64_t ldc)
{
	for (; n > 0; n--) {
		tile(m, add, way, K, a, b, ldb, fetch, C, ldc);
		if (way == ACROSS) {
			b += COLS;
			C += COLS;
		} else {
			a.at += m * a.row;
			C += m * ldc;
		}
	}
}

static inline __attribute__((always_inline)) void
tiles(bool add, enum way way, int64_t m, int64_t n, int64_t K, struct left a, const float *b, int64_t ldb, int64_t fetch, float *C, int64_t ldc)
{
#define CASE(m)                                                          \
	case m:                                                          \
		tiles_of(m, add, way, n, K, a, b, ldb, fetch, C, ldc);   \
		break;
	switch (m) {
		CASE(1)
		CASE(2)
		CASE(3)
		CASE(4)
		CASE(5)
		CASE(6)
#if defined(__AVX512F__)
		CASE(7)
		CASE(8)
		CASE(9)
		CASE(10)
		CASE(11)
		CASE(12)
#endif
	}
#undef CASE
}

/* C [M, COLS] = A B, or with add, +=, in tiles of nearly equal heights. */
static inline __attribute__((always_inline)) void
panel(bool add, enum way way, int64_t M, int64_t K, struct left a, const float *b, int64_t ldb, int64_t fetch, float *C, int64_t ldc)
{
	int64_t n = (M + ROWS - 1) / ROWS, m = M / n, higher = M % n, rows = higher * (m + 1);

	tiles(add, way, m + 1, higher, K, a, b, ldb, fetch, C, ldc);
	a.at += rows * a.row;
	tiles(add, way, m, n - higher, K, a, b, ldb, fetch, C + rows * ldc, ldc);
}

/* The last N < COLS columns. */
static void
narrow(bool add, int64_t M, int64_t N, int64_t K, struct left a, const float *b, int64_t ldb, float *C, int64_t ldc)
{
	float wide[DEPTH * COLS], block[ROWS * COLS] = {0};

	for (int64_t k = 0; k < K; k++) {
		memcpy(wide + k * COLS, b + k * ldb, (size_t)N * sizeof *b);
		memset(wide + k * COLS + N, 0, (size_t)(COLS - N) * sizeof *b);
	}
	for (int64_t i = 0; i < M; i += ROWS, a.at += ROWS * a.row) {
		int64_t m = M - i < ROWS ? M - i : ROWS;

		if (a.col == 1)
			tiles(false, DOWN, m, 1, K, a, wide, COLS, 0, block, COLS);
		else
			tiles(false, ACROSS, m, 1, K, a, wide, COLS, 0, block, COLS);
		for (int64_t r = 0; r < m; r++)
			for (int64_t j = 0; j < N; j++) {
				float *c = C + (i + r) * ldc + j;

				*c = block[r * COLS + j] + (add ? *c : 0);
			}
	}
}

/* The panel [K, COLS] of B, its rows one after the other. */
static void
gather(float *to, const float *b, int64_t ldb, int64_t K)
{
	for (int64_t k = 0; k < K; k++, b += ldb, to += COLS) {
		*(vec *)to = *(const vec *)b;
		*(vec *)(to + LANES) = *(const vec *)(b + LANES);
	}
}

/* C = A B, or with add, +=, for few rows of A: panel after panel of B, which is large, as it lies; but where its rows lie so far apart that
 * each needs a page of its own, and enough tiles read them, a panel is brought together first. */
static void
straight(bool add, int64_t M, int64_t N, int64_t K, const float *A, int64_t lda, const float *B, int64_t ldb, float *C, int64_t ldc)
{
	float together[DEPTH * COLS];
	int64_t whole = N / COLS * COLS, step = ldb >= FAR && M >= MANY ? COLS : ldb;

	for (int64_t k = 0; k < K; k += DEPTH, add = true) {
		int64_t depth = K - k < DEPTH ? K - k : DEPTH;
		struct left a = {A + k, lda, 1};
		const float *b = B + k * ldb;

		for (int64_t j = 0; j < whole; j += COLS) {
			const float *from = step == ldb ? b + j : together;
			/* The last panel fetches for the first one of the terms that follow. */
			int64_t fetch = step != ldb ? 0 : j + COLS < whole ? COLS : DEPTH * ldb - j;

			if (step != ldb)
				gather(together, b + j, ldb, depth);
			if (add)
				panel(true, DOWN, M, depth, a, from, step, fetch, C + j, ldc);
			else
				panel(false, DOWN, M, depth, a, from, step, fetch, C + j, ldc);
		}
		if (whole < N)
			narrow(add, M, N - whole, depth, a, b + whole, ldb, C + whole, ldc);
	}
}

/* C = A' B, or with add, +=, for few rows of both: C, which is large, from row to row, in columns for which B stays near. */
static void
outer(bool add, int64_t M, int64_t N, int64_t K, const float *A, int64_t lda, const float *B, int64_t ldb, float *C, int64_t ldc)
{
	int64_t whole = N / COLS * COLS, columns = NEAR / K / COLS * COLS;

	for (int64_t j = 0; j < whole; j += columns) {
		int64_t panels = (whole - j < columns ? whole - j : columns) / COLS, n = (M + ROWS - 1) / ROWS;

		for (int64_t i = 0, m; i < M; i += m, n--) {
			struct left a = {A + i, 1, lda};
			float *c = C + i * ldc + j;

			m = (M - i + n - 1) / n;
			if (add)
				tiles(true, ACROSS, m, panels, K, a, B + j, ldb, n > 1 ? m * ldc : 0, c, ldc);
			else
				tiles(false, ACROSS, m, panels, K, a, B + j, ldb, n > 1 ? m * ldc : 0, c, ldc);
		}
	}
	if (whole < N)
		narrow(add, M, N - whole, K, (struct left){A, 1, lda}, B + whole, ldb, C + whole, ldc);
}

/* to [SIDE, SIDE] = alpha from', or with add, += */
static inline __attribute__((always_inline)) void
turn_square(bool add, float *to, int64_t ldt, float alpha, const float *from, int64_t ldf)
{
	side r[SIDE], s[SIDE];

#pragma GCC unroll 8
	for (int i = 0; i < SIDE; i++)
		r[i] = *(const side *)(from + i * ldf);
#pragma GCC unroll 4
	for (int i = 0; i < SIDE; i += 2) {
		s[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
		s[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
	}
#pragma GCC unroll 2
	for (int i = 0; i < SIDE; i += 4) {
		r[i] = __builtin_shufflevector(s[i], s[i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
		r[i + 1] = __builtin_shufflevector(s[i], s[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
		r[i + 2] = __builtin_shufflevector(s[i + 1], s[i + 3], 0, 1, 8, 9, 4, 5, 12, 13);
		r[i + 3] = __builtin_shufflevector(s[i + 1], s[i + 3], 2, 3, 10, 11, 6, 7, 14, 15);
	}
#pragma GCC unroll 4
	for (int i = 0; i < SIDE / 2; i++) {
		s[i] = __builtin_shufflevector(r[i], r[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
		s[i + 4] = __builtin_shufflevector(r[i], r[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
	}
#pragma GCC unroll 8
	for (int i = 0; i < SIDE; i++) {
		side *row = (side *)(to + i * ldt);

		s[i] *= alpha;
		if (add)
			s[i] += *row;
		*row = s[i];
	}
}

/* to [n, m] = alpha from [m, n]', or with add, += */
static inline __attribute__((always_inline)) void
turn_kind(bool add, float *to, int64_t ldt, float alpha, const float *from, int64_t ldf, int64_t m, int64_t n)
{
	int64_t m8 = m / SIDE * SIDE, n8 = n / SIDE * SIDE;

	for (int64_t i = 0; i < m8; i += SIDE)
		for (int64_t j = 0; j < n8; j += SIDE)
			turn_square(add, to + j * ldt + i, ldt, alpha, from + i * ldf + j, ldf);
	for (int64_t i = 0; i < m; i++)
		for (int64_t j = i < m8 ? n8 : 0; j < n; j++)
			to[j * ldt + i] = alpha * from[i * ldf + j] + (add ? to[j * ldt + i] : 0);
}

static void
turn(bool add, float *to, int64_t ldt, float alpha, const float *from, int64_t ldf, int64_t m, int64_t n)
{
	if (add)
		turn_kind(true, to, ldt, 1, from, ldf, m, n);
	else
		turn_kind(false, to, ldt, alpha, from, ldf, m, n);
}

/* C = alpha A B', or with add, +=, for M <= FEW rows of A: made as C' = B A'. */
static void
turned(bool add, int64_t M, int64_t N, int64_t K, float alpha, const float *A, int64_t lda, const float *B, int64_t ldb, float *C, int64_t ldc)
{
	float across[(FEW + COLS - 1) / COLS * COLS * DEPTH], block[GROUP * COLS];

	for (int64_t k = 0; k < K; k += DEPTH, add = true) {
		int64_t depth = K - k < DEPTH ? K - k : DEPTH;

		for (int64_t i = 0; i < M; i += COLS) {
			int64_t m = M - i < COLS ? M - i : COLS;
			float *to = across + i * depth;

			if (m < COLS)
				memset(to, 0, (size_t)(COLS * depth) * sizeof *to);
			turn(false, to, COLS, alpha, A + i * lda + k, lda, m, depth);
		}
		for (int64_t j = 0; j < N; j += GROUP) {
			int64_t n = N - j < GROUP ? N - j : GROUP;
			/* The last group fetches for the first one of the terms that follow. */
			int64_t fetch = j + GROUP < N || k + DEPTH >= K ? GROUP * ldb : DEPTH - j * ldb;

			for (int64_t i = 0; i < M; i += COLS) {
				panel(false, DOWN_LEFT, n, depth, (struct left){B + j * ldb + k, ldb, 1}, across + i * depth, COLS, fetch, block,
				    COLS);
				turn(add, C + i * ldc + j, ldc, 1, block, COLS, n, M - i < COLS ? M - i : COLS);
			}
		}
	}
}

static float
sum_of(vec v)
{
	float s[LANES], t = 0;

	memcpy(s, &v, sizeof s);
	for (int i = 0; i < LANES; i++)
		t += s[i];
	return t;
}

/* y [N] = alpha B x, or with add, +=, four rows of B at a time. */
static void
thin_row(bool add, int64_t N, int64_t K, float alpha, const float *x, const float *B, int64_t ldb, float *y)
{
	for (int64_t j = 0; j < N; j += 4) {
		int64_t n = N - j < 4 ? N - j : 4, k = 0;
		const float *b[4];
		vec sum[4] = {0};
		float tail[4] = {0};

		for (int64_t i = 0; i < 4; i++)
			b[i] = B + (j + (i < n ? i : 0)) * ldb;
		for (; k + LANES <= K; k += LANES)
#pragma GCC unroll 4
			for (int i = 0; i < 4; i++)
				sum[i] += *(const vec *)(x + k) * *(const vec *)(b[i] + k);
		for (; k < K; k++)
			for (int i = 0; i < 4; i++)
				tail[i] += x[k] * b[i][k];
		for (int64_t i = 0; i < n; i++)
			y[j + i] = alpha * (sum_of(sum[i]) + tail[i]) + (add ? y[j + i] : 0);
	}
}

void
ISA(ttt__cpu_gemm_one)(bool ta, bool tb, int64_t M, int64_t N, int64_t K, float alpha, const float *A, int64_t lda, const float *B,
    int64_t ldb, float beta, float *C, int64_t ldc)
{
	bool add = beta == 1, set_or_add = add || beta == 0;

	if (M <= 0 || N <= 0 || K <= 0)
		return;
	if (set_or_add && tb && !ta && M < THIN)
		for (int64_t i = 0; i < M; i++)
			thin_row(add, N, K, alpha, A + i * lda, B, ldb, C + i * ldc);
	else if (set_or_add && tb && !ta && M <= FEW)
		turned(add, M, N, K, alpha, A, lda, B, ldb, C, ldc);
	else if (set_or_add && !tb && !ta && alpha == 1 && M <= FEW)
		straight(add, M, N, K, A, lda, B, ldb, C, ldc);
	else if (set_or_add && !tb && ta && alpha == 1 && K <= FEW)
		outer(add, M, N, K, A, lda, B, ldb, C, ldc);
	else
		ttt__cpu_gemm_library(ta, tb, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc);
}
