/* The heart of the matrix products made here: a tile of ROWS x COLS sums in registers, where at every step two vectors of B are multiplied by
 * one element each of ROWS rows of A; and the transposition of small blocks. Private.
 *
 * An element is a float, or with PAIRS two bfloat16 numbers that follow each other along the sum, which one instruction multiplies and
 * adds. */
#ifndef TTT_CPU_TILE_H
#define TTT_CPU_TILE_H
#include "kernels/cpu/cpu.h"

#if defined(__AVX512F__)
enum { LEVEL = 2, LANES = 16, ROWS = 12 };
#elif defined(__AVX2__)
enum { LEVEL = 1, LANES = 8, ROWS = 6 };
#else
enum { LEVEL = 0, LANES = 4, ROWS = 6 };
#endif

enum {
	COLS = 2 * LANES,
	LINE = 16,    /* floats of a cache line */
	GROUP = 48,   /* rows of a transposed result that wait to be turned round: whole tiles, whole squares */
	SIDE = 8      /* of the squares of a transposition */
};

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef float cell __attribute__((aligned(4), may_alias));
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

/* sum += the products of two pairs of bfloat16 each. */
static inline __attribute__((always_inline)) vec
fused_pairs(vec sum, vec x, vec b)
{
#if defined(__AVX512F__)
	__asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(x), "v"(b));
	return sum;
#else
	return sum + x + b; /* nobody asks */
#endif
}

/* The element at p in every place of a vector; what it holds may be no number, so nothing is computed with it. */
static inline __attribute__((always_inline)) vec
spread(const float *p)
{
#if defined(__AVX512F__)
	vec x;

	__asm__("vbroadcastss %1, %0" : "=v"(x) : "m"(*(const cell *)p));
	return x;
#else
	return *p - (vec){0};
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
enum element { FLOATS, PAIRS };

/* C [m, COLS] = A [m, K] B [K, COLS], or with add, +=. kind, m, add and way are constants where this is used. */
static inline __attribute__((always_inline)) void
tile(enum element kind, int m, bool add, enum way way, int64_t K, struct left A, const float *b, int64_t ldb, int64_t fetch, float *C, int64_t ldc)
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
				if (kind == PAIRS) {
					vec x = spread(a + i * row);

					sum[i][0] = fused_pairs(sum[i][0], x, b0);
					sum[i][1] = fused_pairs(sum[i][1], x, b1);
				} else {
					vec x = a[i * row] - (vec){0};

					sum[i][0] = fused(sum[i][0], x, b0);
					sum[i][1] = fused(sum[i][1], x, b1);
				}
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
tiles_of(enum element kind, int m, bool add, enum way way, int64_t n, int64_t K, struct left a, const float *b, int64_t ldb, int64_t fetch, float *C, int64_t ldc)
{
	for (; n > 0; n--) {
		tile(kind, m, add, way, K, a, b, ldb, fetch, C, ldc);
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
tiles(enum element kind, bool add, enum way way, int64_t m, int64_t n, int64_t K, struct left a, const float *b, int64_t ldb, int64_t fetch, float *C, int64_t ldc)
{
#define CASE(m)                                                          \
	case m:                                                          \
		tiles_of(kind, m, add, way, n, K, a, b, ldb, fetch, C, ldc);   \
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
panel(enum element kind, bool add, enum way way, int64_t M, int64_t K, struct left a, const float *b, int64_t ldb, int64_t fetch, float *C, int64_t ldc)
{
	int64_t n = (M + ROWS - 1) / ROWS, m = M / n, higher = M % n, rows = higher * (m + 1);

	tiles(kind, add, way, m + 1, higher, K, a, b, ldb, fetch, C, ldc);
	a.at += rows * a.row;
	tiles(kind, add, way, m, n - higher, K, a, b, ldb, fetch, C + rows * ldc, ldc);
}

/* The same of pairs: C [M, COLS] = A B, or with add, +=. With fetch, A comes from far away, and C is set. */
static inline void
pairs_panel(bool add, int64_t M, int64_t K, struct left a, const float *b, int64_t ldb, int64_t fetch, float *C, int64_t ldc)
{
	if (fetch)
		panel(PAIRS, false, DOWN_LEFT, M, K, a, b, ldb, fetch, C, ldc);
	else if (add)
		panel(PAIRS, true, DOWN, M, K, a, b, ldb, 0, C, ldc);
	else
		panel(PAIRS, false, DOWN, M, K, a, b, ldb, 0, C, ldc);
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

static inline void
turn(bool add, float *to, int64_t ldt, float alpha, const float *from, int64_t ldf, int64_t m, int64_t n)
{
	if (add)
		turn_kind(true, to, ldt, 1, from, ldf, m, n);
	else
		turn_kind(false, to, ldt, alpha, from, ldf, m, n);
}

#endif
