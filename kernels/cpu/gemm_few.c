/* Matrix products on the calling thread: those of a small chunk made here, the others by the library where there is one.
 *
 * A library rearranges both factors before it multiplies, which pays where each is used hundreds of times. In a chunk of 32 tokens a weight
 * is used 32 times; so the weights are read as they lie, and only what is small is turned round. The heart is a tile of ROWS x COLS sums in
 * registers: at every step two vectors of B are multiplied by one element each of ROWS rows of A. */
#include <string.h>

#include "kernels/cpu/tile.h"

enum {
	FEW = 64,     /* the most tokens that count as few */
	DEPTH = 128,  /* terms of a sum that are added in one go */
	NEAR = 4096,  /* floats that stay in the nearest cache beside others; at least FEW * COLS */
	FAR = 512,    /* floats between rows that lie far apart */
	MANY = 4 * ROWS, /* tokens for which it pays to bring such rows together */
	THIN = 4      /* tokens below which a vector goes along the sum instead of along the tokens */
};

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
			tiles(FLOATS, false, DOWN, m, 1, K, a, wide, COLS, 0, block, COLS);
		else
			tiles(FLOATS, false, ACROSS, m, 1, K, a, wide, COLS, 0, block, COLS);
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
				panel(FLOATS, true, DOWN, M, depth, a, from, step, fetch, C + j, ldc);
			else
				panel(FLOATS, false, DOWN, M, depth, a, from, step, fetch, C + j, ldc);
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
				tiles(FLOATS, true, ACROSS, m, panels, K, a, B + j, ldb, n > 1 ? m * ldc : 0, c, ldc);
			else
				tiles(FLOATS, false, ACROSS, m, panels, K, a, B + j, ldb, n > 1 ? m * ldc : 0, c, ldc);
		}
	}
	if (whole < N)
		narrow(add, M, N - whole, K, (struct left){A, 1, lda}, B + whole, ldb, C + whole, ldc);
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
				panel(FLOATS, false, DOWN_LEFT, n, depth, (struct left){B + j * ldb + k, ldb, 1}, across + i * depth, COLS, fetch, block,
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

/* C *= beta */
static void
scale(int64_t M, int64_t N, float beta, float *C, int64_t ldc)
{
	for (int64_t i = 0; i < M; i++)
		for (int64_t j = 0; j < N; j++)
			C[i * ldc + j] *= beta;
}

/* Any product, as many of few rows. */
static void
strips(bool ta, bool tb, int64_t M, int64_t N, int64_t K, float alpha, const float *A, int64_t lda, const float *B, int64_t ldb, float beta,
    float *C, int64_t ldc)
{
	float strip[FEW * DEPTH];

	if (beta != 0 && beta != 1)
		scale(M, N, beta, C, ldc);
	for (int64_t i = 0; i < M; i += FEW, C += FEW * ldc) {
		int64_t m = M - i < FEW ? M - i : FEW;

		for (int64_t k = 0; k < K; k += DEPTH) {
			int64_t depth = K - k < DEPTH ? K - k : DEPTH;
			bool add = beta != 0 || k > 0;

			if (ta)
				turn(false, strip, depth, alpha, A + k * lda + i, lda, depth, m);
			else
				for (int64_t r = 0; r < m; r++)
					for (int64_t x = 0; x < depth; x++)
						strip[r * depth + x] = alpha * A[(i + r) * lda + k + x];
			if (tb)
				turned(add, m, N, depth, 1, strip, depth, B + k, ldb, C, ldc);
			else
				straight(add, m, N, depth, strip, depth, B + k * ldb, ldb, C, ldc);
		}
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
	else if (!ttt__cpu_gemm_library(LEVEL, ta, tb, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc))
		strips(ta, tb, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc);
}
