/* Matrix products of float32 activations and bfloat16 weights, on the calling thread.
 *
 * Exact: a block of weights at a time is widened to float32, which loses nothing, and multiplied as ever. Narrow, on processors that multiply
 * bfloat16: activations are rounded to bfloat16 as well, and pairs of products that follow each other along the sum are added by one
 * instruction, in float32: of a vector's pairs (AVX512_BF16), or of a tile's (AMX). */
#include <string.h>

#include "kernels/cpu/amx.h"

enum {
	BLOCK = 1 << 15, /* weights widened at a time, into the second cache */
	THIN = 4,        /* tokens below which widening is most of the work, */
	THIN_BLOCK = 1 << 12, /* and is done within the first cache */
	TERMS = 128,     /* of a sum, as many as gemm_few.c adds in one go */
	PAIR_TERMS = 256, /* the same of pairs */
	TOKENS = 128     /* whose activations stay near as pairs */
};

static void
exact(bool add, bool tb, int64_t M, int64_t N, int64_t K, const float *A, int64_t lda, const uint16_t *B, int64_t ldb, float *C, int64_t ldc)
{
	float wide[BLOCK];

	for (int64_t k = 0; k < K; k += TERMS, add = true) {
		int64_t depth = K - k < TERMS ? K - k : TERMS, width = (M < THIN ? THIN_BLOCK : BLOCK) / depth / COLS * COLS;

		for (int64_t j = 0; j < N; j += width) {
			int64_t n = N - j < width ? N - j : width;

			for (int64_t i = 0; i < (tb ? n : depth); i++)
				ttt__cpu_widen(wide + i * (tb ? depth : n), B + (tb ? (j + i) * ldb + k : (k + i) * ldb + j), tb ? depth : n);
			ISA(ttt__cpu_gemm_one)(false, tb, M, n, depth, 1, A + k, lda, wide, tb ? depth : n, add ? 1 : 0, C + j, ldc);
		}
	}
}

#if defined(__AVX512F__)
typedef uint32_t word __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint16_t half __attribute__((vector_size(2 * LANES), aligned(2), may_alias));

static inline half
rounded(vec x)
{
	half y;

	__asm__("vcvtneps2bf16 %1, %0" : "=v"(y) : "v"(x));
	return y;
}

static inline word
pairs_of(half low, half high)
{
	return __builtin_convertvector(low, word) | __builtin_convertvector(high, word) << 16;
}

/* to [terms / 2, COLS] = pairs along the rows of A [m, terms], m <= COLS, turned round; zero where there are fewer rows. */
static void
pair_rows(float *to, const float *A, int64_t lda, int64_t m, int64_t terms)
{
	float rows[LANES * COLS] = {0};

	for (int64_t k = 0; k < terms; k += LANES) {
		int64_t n = terms - k < LANES ? terms - k : LANES;

		turn(false, rows, COLS, 1, A + k, lda, m, n);
		for (int64_t i = 0; i < n; i += 2)
#pragma GCC unroll 2
			for (int j = 0; j < COLS; j += LANES, to += LANES)
				*(word *)to = pairs_of(rounded(*(const vec *)(rows + i * COLS + j)),
				    rounded(*(const vec *)(rows + (i + 1) * COLS + j)));
	}
}

/* C [M, COLS] = A B of pairs, or with add, +=. fetch: as panel() takes it, where A comes from far away. */
static inline void
pairs_part(bool tiles, bool add, int64_t M, int64_t K, struct left a, const float *b, int64_t fetch, float *C, int64_t ldc)
{
	if (tiles)
		amx_panel(add, M, K, a, b, COLS, C, ldc);
	else
		pairs_panel(add, M, K, a, b, COLS, fetch, C, ldc);
}

/* C = A B', or with add, +=: made as C' = B A'. */
static void
turned(bool tiles, bool add, int64_t M, int64_t N, int64_t K, const float *A, int64_t lda, const uint16_t *B, int64_t ldb, float *C, int64_t ldc)
{
	float across[TOKENS * PAIR_TERMS / 2], block[GROUP * COLS];

	for (int64_t k = 0; k < K; k += PAIR_TERMS, add = true) {
		int64_t terms = K - k < PAIR_TERMS ? K - k : PAIR_TERMS;

		for (int64_t i = 0; i < M; i += COLS)
			pair_rows(across + i * terms / 2, A + i * lda + k, lda, M - i < COLS ? M - i : COLS, terms);
		for (int64_t j = 0; j < N; j += GROUP) {
			int64_t n = N - j < GROUP ? N - j : GROUP;
			/* The last group fetches for the first one of the terms that follow. */
			int64_t fetch = j + GROUP < N || k + PAIR_TERMS >= K ? GROUP * ldb / 2 : PAIR_TERMS / 2 - j * ldb / 2;
			struct left b = {(const float *)(const void *)(B + j * ldb + k), ldb / 2, 1};

			for (int64_t i = 0; i < M; i += COLS) {
				pairs_part(tiles, false, n, terms / 2, b, across + i * terms / 2, fetch, block, COLS);
				turn(add, C + i * ldc + j, ldc, 1, block, COLS, n, M - i < COLS ? M - i : COLS);
			}
		}
	}
}

/* to [terms / 2, COLS] = pairs down the columns of B [terms, n], n <= COLS; zero where there are fewer columns. */
static void
pair_columns(float *to, const uint16_t *B, int64_t ldb, int64_t terms, int64_t n)
{
	uint16_t narrow[2][COLS] = {0};

	for (int64_t k = 0; k < terms; k += 2, B += 2 * ldb) {
		const uint16_t *low = B, *high = B + ldb;

		if (n < COLS) {
			low = memcpy(narrow[0], low, (size_t)n * sizeof *B);
			high = memcpy(narrow[1], high, (size_t)n * sizeof *B);
		} else {
			bring((const float *)(const void *)low, COLS / 2);
			bring((const float *)(const void *)high, COLS / 2);
		}
#pragma GCC unroll 2
		for (int j = 0; j < COLS; j += LANES, to += LANES)
			*(word *)to = pairs_of(*(const half *)(low + j), *(const half *)(high + j));
	}
}

/* C = A B, or with add, += */
static void
straight(bool tiles, bool add, int64_t M, int64_t N, int64_t K, const float *A, int64_t lda, const uint16_t *B, int64_t ldb, float *C, int64_t ldc)
{
	float rows[TOKENS * PAIR_TERMS / 2], together[PAIR_TERMS / 2 * COLS], block[TOKENS * COLS];
	int64_t whole = N / COLS * COLS;

	for (int64_t k = 0; k < K; k += PAIR_TERMS, add = true) {
		int64_t terms = K - k < PAIR_TERMS ? K - k : PAIR_TERMS;
		struct left a = {rows, PAIR_TERMS / 2, 1};

		for (int64_t i = 0; i < M; i++)
			for (int64_t l = 0; l < terms; l += LANES) {
				float wide[LANES] = {0};
				const float *from = A + i * lda + k + l;

				if (terms - l < LANES)
					from = memcpy(wide, from, (size_t)(terms - l) * sizeof *from);
				*(half *)(rows + i * PAIR_TERMS / 2 + l / 2) = rounded(*(const vec *)from);
			}
		for (int64_t j = 0; j < whole; j += COLS) {
			pair_columns(together, B + k * ldb + j, ldb, terms, COLS);
			pairs_part(tiles, add, M, terms / 2, a, together, 0, C + j, ldc);
		}
		if (whole == N)
			continue;
		pair_columns(together, B + k * ldb + whole, ldb, terms, N - whole);
		pairs_part(tiles, false, M, terms / 2, a, together, 0, block, COLS);
		for (int64_t i = 0; i < M; i++)
			for (int64_t j = whole; j < N; j++)
				C[i * ldc + j] = block[i * COLS + j - whole] + (add ? C[i * ldc + j] : 0);
	}
}

/* Pairs have to lie as elements do. */
static bool
can_pair(bool tb, int64_t K, const uint16_t *B, int64_t ldb)
{
	return K % 2 == 0 && (!tb || (ldb % 2 == 0 && (uintptr_t)B % 4 == 0));
}
#endif

void
ISA(ttt__cpu_gemm_one_bf16)(enum ttt__bf16 how, bool tb, int64_t M, int64_t N, int64_t K, const float *A, int64_t lda, const uint16_t *B, int64_t ldb,
    float beta, float *C, int64_t ldc)
{
	if (M <= 0 || N <= 0 || K <= 0)
		return;
#if defined(__AVX512F__)
	if (how != TTT__BF16_WIDENED && M >= THIN && can_pair(tb, K, B, ldb)) {
		bool tiles = how == TTT__BF16_TILES;

		if (tiles)
			amx_start();
		for (int64_t i = 0; i < M; i += TOKENS)
			(tb ? turned : straight)(tiles, beta == 1, M - i < TOKENS ? M - i : TOKENS, N, K, A + i * lda, lda, B, ldb, C + i * ldc, ldc);
		if (tiles)
			amx_end();
		return;
	}
#endif
	(void)how;
	exact(beta == 1, tb, M, N, K, A, lda, B, ldb, C, ldc);
}
