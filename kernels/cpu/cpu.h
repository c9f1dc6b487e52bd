/* The CPU backend: one set of sources, built once for each instruction set, each build filling a table. Private.
 * TTT__ISA (plain, avx2, avx512) is defined by the build; ISA(f) is that build's name of f. */
#ifndef TTT_CPU_H
#define TTT_CPU_H
#include "kernels/cpu/pool.h"

#define TTT__JOIN2(a, b) a##__##b
#define TTT__JOIN(a, b) TTT__JOIN2(a, b)
#ifdef TTT__ISA
#define ISA(f) TTT__JOIN(f, TTT__ISA)
#endif

/* C [M, N] = alpha op(A) [M, K] op(B) [K, N] + beta C on the calling thread. */
typedef void ttt__gemm_fn(bool ta, bool tb, int64_t M, int64_t N, int64_t K, float alpha, const float *A, int64_t lda, const float *B,
    int64_t ldb, float beta, float *C, int64_t ldc);

/* How products with bfloat16 are made: B widened to float32; A rounded to bfloat16 too, by AVX512_BF16; the same by AMX. */
enum ttt__bf16 { TTT__BF16_WIDENED, TTT__BF16_PAIRS, TTT__BF16_TILES };
/* C [M, N] = A [M, K] op(B) [K, N] + beta C on the calling thread, beta 0 or 1, B in bfloat16. */
typedef void ttt__gemm_bf16_fn(enum ttt__bf16 how, bool tb, int64_t M, int64_t N, int64_t K, const float *A, int64_t lda, const uint16_t *B, int64_t ldb,
    float beta, float *C, int64_t ldc);

struct ttt__cpu {
	struct ttt_device device;
	struct ttt__ops ops;
	ttt__gemm_fn *gemm_one;
	ttt__gemm_bf16_fn *gemm_one_bf16;
	int level;           /* instruction set in use: 0 plain, 1 avx2, 2 avx512 */
	enum ttt__bf16 bf16; /* the best that processor and instruction set in use have */
	struct ttt__pool *pool;
};

static inline struct ttt__pool *
ttt__cpu_pool(const struct ttt_device *d)
{
	return ((const struct ttt__cpu *)d)->pool;
}

/* x [n] = from, in bfloat16 */
static inline void
ttt__cpu_widen(float *x, const uint16_t *from, int64_t n)
{
	typedef uint32_t bits __attribute__((may_alias));
	bits *to = (bits *)(void *)x;

#pragma omp simd
	for (int64_t i = 0; i < n; i++)
		to[i] = (bits)from[i] << 16;
}

/* fn(args, from, to) over parts of 0 .. n - 1, side by side where n times cost is worth another thread; cost: of one, in plain operations on
 * one element (an addition 1, an exponential 8). The parts depend on n and cost alone, not on the number of threads. */
typedef void ttt__range_fn(const void *args, int64_t from, int64_t to);
void ttt__cpu_split(struct ttt_device *d, int64_t n, int64_t cost, ttt__range_fn *fn, const void *args);

/* Fill ops with what is built for one instruction set, gemm_one and gemm_one_bf16. */
void ttt__cpu_table__plain(struct ttt__cpu *);
void ttt__cpu_table__avx2(struct ttt__cpu *);
void ttt__cpu_table__avx512(struct ttt__cpu *);

/* The operations: cut among the threads. */
void ttt__cpu_gemm(struct ttt_device *, bool ta, bool tb, int64_t M, int64_t N, int64_t K, double alpha, const float *A, int64_t lda,
    const float *B, int64_t ldb, double beta, float *C, int64_t ldc);
void ttt__cpu_gemm_bf16(struct ttt_device *, bool narrow, bool tb, int64_t M, int64_t N, int64_t K, const float *A, int64_t lda, const uint16_t *B,
    int64_t ldb, double beta, float *C, int64_t ldc);
int ttt__cpu_threads_worth(const struct ttt_device *, double work);
/* The best instruction set of this processor: 0 plain, 1 avx2, 2 avx512. */
int ttt__cpu_level(void);
/* The same as gemm_one by the matrix library. False: there is none, or the kernels are for a lesser instruction set than this processor has (level),
 * beyond which it would go. */
bool ttt__cpu_gemm_library(int level, bool ta, bool tb, int64_t M, int64_t N, int64_t K, float alpha, const float *A, int64_t lda, const float *B,
    int64_t ldb, float beta, float *C, int64_t ldc);

#ifdef TTT__ISA
ttt__gemm_fn ISA(ttt__cpu_gemm_one);
ttt__gemm_bf16_fn ISA(ttt__cpu_gemm_one_bf16);
/* Fill the entries that live in one file each. */
void ISA(ttt__cpu_elementwise)(struct ttt__ops *);
void ISA(ttt__cpu_rows)(struct ttt__ops *);
void ISA(ttt__cpu_rmsnorm)(struct ttt__ops *);
void ISA(ttt__cpu_rope)(struct ttt__ops *);
void ISA(ttt__cpu_attention)(struct ttt__ops *);
void ISA(ttt__cpu_swiglu)(struct ttt__ops *);
void ISA(ttt__cpu_softmax)(struct ttt__ops *);
#endif

#endif
