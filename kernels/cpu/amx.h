/* Panels of products of bfloat16 pairs by Intel's AMX: tiles of 16 rows of 64 bytes. Private.
 *
 * The instructions are written out, since the compiler needs no part in them: it does not use these registers. */
#ifndef TTT_CPU_AMX_H
#define TTT_CPU_AMX_H
#include "kernels/cpu/tile.h"

#if defined(__AVX512F__)
enum { AMX_SIDE = 16 }; /* rows of a tile, and its columns of four bytes */

/* tmm0 .. tmm3: sums, 2 x 2; tmm4, tmm5: of the left factor; tmm6, tmm7: of the right one. All are whole. */
static inline void
amx_start(void)
{
	struct {
		uint8_t palette, start_row, reserved[14];
		uint16_t bytes[16];
		uint8_t rows[16];
	} config = {.palette = 1};

	for (int i = 0; i < 8; i++) {
		config.bytes[i] = 4 * AMX_SIDE;
		config.rows[i] = AMX_SIDE;
	}
	__asm__ volatile("ldtilecfg %0" : : "m"(config));
}

static inline void
amx_end(void)
{
	__asm__ volatile("tilerelease" : : : "memory");
}

#define AMX_LOAD(t, p, ld) __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t : : "r"(p), "r"((ld) * (int64_t)sizeof(float)) : "memory")
#define AMX_STORE(t, p, ld) __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" : : "r"(p), "r"((ld) * (int64_t)sizeof(float)) : "memory")
#define AMX_ZERO(t) __asm__ volatile("tilezero %%tmm" #t : :)
#define AMX_ADD(c, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)

/* C [AMX_SIDE or 2 AMX_SIDE, COLS] = A [.., K] b [K, COLS], or with add, +=; K a multiple of AMX_SIDE. */
static inline void
amx_block(bool two, bool add, int64_t K, const float *a, int64_t lda, const float *b, int64_t ldb, float *C, int64_t ldc)
{
	const float *a1 = a + AMX_SIDE * lda;
	float *C1 = C + AMX_SIDE * ldc;

	if (add) {
		AMX_LOAD(0, C, ldc);
		AMX_LOAD(1, C + AMX_SIDE, ldc);
		if (two) {
			AMX_LOAD(2, C1, ldc);
			AMX_LOAD(3, C1 + AMX_SIDE, ldc);
		}
	} else {
		AMX_ZERO(0);
		AMX_ZERO(1);
		AMX_ZERO(2);
		AMX_ZERO(3);
	}
	for (int64_t k = 0; k < K; k += AMX_SIDE, b += AMX_SIDE * ldb) {
		AMX_LOAD(6, b, ldb);
		AMX_LOAD(7, b + AMX_SIDE, ldb);
		AMX_LOAD(4, a + k, lda);
		AMX_ADD(0, 4, 6);
		AMX_ADD(1, 4, 7);
		if (two) {
			AMX_LOAD(5, a1 + k, lda);
			AMX_ADD(2, 5, 6);
			AMX_ADD(3, 5, 7);
		}
	}
	AMX_STORE(0, C, ldc);
	AMX_STORE(1, C + AMX_SIDE, ldc);
	if (two) {
		AMX_STORE(2, C1, ldc);
		AMX_STORE(3, C1 + AMX_SIDE, ldc);
	}
}

/* As panel() of PAIRS, the left factor's elements of a row lying side by side. What makes no whole tiles is left to that. */
static inline void
amx_panel(bool add, int64_t M, int64_t K, struct left a, const float *b, int64_t ldb, float *C, int64_t ldc)
{
	int64_t rows = M / AMX_SIDE * AMX_SIDE, terms = K / AMX_SIDE * AMX_SIDE;

	for (int64_t i = 0; i < rows && terms; i += 2 * AMX_SIDE)
		amx_block(rows - i > AMX_SIDE, add, terms, a.at + i * a.row, a.row, b, ldb, C + i * ldc, ldc);
	if (rows && terms < K)
		pairs_panel(add || terms, rows, K - terms, (struct left){a.at + terms, a.row, 1}, b + terms * ldb, ldb, 0, C, ldc);
	if (rows < M)
		pairs_panel(add, M - rows, K, (struct left){a.at + rows * a.row, a.row, 1}, b, ldb, 0, C + rows * ldc, ldc);
}
#endif

#endif
