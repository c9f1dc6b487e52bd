/* Matrix products by oneDNN, or by any CBLAS where configure found no oneDNN. The library works on one thread; products are cut among
 * ours, since a library that wakes threads of its own for every product of a small chunk loses more than it gains. */
#include "config.h"

#include <omp.h>

#include "kernels/cpu/cpu.h"

static void library_gemm(bool ta, bool tb, int64_t M, int64_t N, int64_t K, float alpha, const float *A, int64_t lda, const float *B,
    int64_t ldb, float beta, float *C, int64_t ldc);

#ifdef HAVE_DNNL
#include <oneapi/dnnl/dnnl.h>

const char ttt__cpu_gemm_name[] = "oneDNN";

static void
library_gemm(bool ta, bool tb, int64_t M, int64_t N, int64_t K, float alpha, const float *A, int64_t lda, const float *B,
    int64_t ldb, float beta, float *C, int64_t ldc)
{
	/* oneDNN asks OpenMP how many threads to use; this is a setting of the calling thread alone. */
	omp_set_num_threads(1);
	dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', M, N, K, alpha, A, lda, B, ldb, beta, C, ldc);
}

void
ttt__cpu_gemm_limit(int level)
{
	/* Refused once the first product has run; then the earlier limit holds, which is the same within one process. */
	if (level < 2)
		(void)dnnl_set_max_cpu_isa(level ? dnnl_cpu_isa_avx2 : dnnl_cpu_isa_sse41);
}
#else
#include <cblas.h>

const char ttt__cpu_gemm_name[] = "CBLAS";

static void
library_gemm(bool ta, bool tb, int64_t M, int64_t N, int64_t K, float alpha, const float *A, int64_t lda, const float *B,
    int64_t ldb, float beta, float *C, int64_t ldc)
{
	omp_set_num_threads(1);
	cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, (int)M, (int)N, (int)K, alpha, A, (int)lda,
	    B, (int)ldb, beta, C, (int)ldc);
}

void
ttt__cpu_gemm_limit(int level)
{
	(void)level;
}
#endif

enum { FEW = 64, DEEP = 512, BLOCK = 32768 };

typedef float four __attribute__((vector_size(16), aligned(4), may_alias));

/* to [4, 4] = from', or with add, += */
static inline void
transpose_four(float *to, int64_t ldt, const float *from, int64_t ldf, bool add)
{
	four r0 = *(const four *)from, r1 = *(const four *)(from + ldf), r2 = *(const four *)(from + 2 * ldf), r3 = *(const four *)(from + 3 * ldf);
	four a = __builtin_shufflevector(r0, r1, 0, 4, 1, 5), b = __builtin_shufflevector(r2, r3, 0, 4, 1, 5);
	four c = __builtin_shufflevector(r0, r1, 2, 6, 3, 7), d = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
	four out[4] = {__builtin_shufflevector(a, b, 0, 1, 4, 5), __builtin_shufflevector(a, b, 2, 3, 6, 7),
	    __builtin_shufflevector(c, d, 0, 1, 4, 5), __builtin_shufflevector(c, d, 2, 3, 6, 7)};

	for (int i = 0; i < 4; i++) {
		four *row = (four *)(to + i * ldt);

		if (add)
			out[i] += *row;
		*row = out[i];
	}
}

/* to [n, m] = from [m, n]', or with add, += */
static void
transpose(float *to, int64_t ldt, const float *from, int64_t ldf, int64_t m, int64_t n, bool add)
{
	int64_t m4 = m / 4 * 4, n4 = n / 4 * 4;

	for (int64_t i = 0; i < m4; i += 4)
		for (int64_t j = 0; j < n4; j += 4)
			transpose_four(to + j * ldt + i, ldt, from + i * ldf + j, ldf, add);
	for (int64_t i = 0; i < m; i++)
		for (int64_t j = i < m4 ? n4 : 0; j < n; j++)
			to[j * ldt + i] = from[i * ldf + j] + (add ? to[j * ldt + i] : 0);
}

/* C = alpha A B', or with add, +=, for few rows of A: B, the weights, is by far the larger, and the library would rearrange it at every call. So the
 * product is made as C' = B A', for which it reads B as it lies; only A and C are turned round. */
static void
few_rows(int64_t M, int64_t N, int64_t K, float alpha, const float *A, int64_t lda, const float *B, int64_t ldb, bool add, float *C,
    int64_t ldc)
{
	float turned[DEEP * FEW], block[BLOCK];

	transpose(turned, M, A, lda, M, K, false);
	for (int64_t j = 0, size = BLOCK / M; j < N; j += size) {
		int64_t n = N - j < size ? N - j : size;

		library_gemm(false, false, n, M, K, alpha, B + j * ldb, ldb, turned, M, 0, block, M);
		transpose(C + j, ldc, block, M, n, M, add);
	}
}

void
ttt__cpu_gemm_one(bool ta, bool tb, int64_t M, int64_t N, int64_t K, float alpha, const float *A, int64_t lda, const float *B,
    int64_t ldb, float beta, float *C, int64_t ldc)
{
	if (M <= 0 || N <= 0 || K <= 0)
		return;
	if (!ta && tb && (beta == 0 || beta == 1) && M <= FEW && K <= DEEP && N >= 2 * M)
		few_rows(M, N, K, alpha, A, lda, B, ldb, beta == 1, C, ldc);
	else
		library_gemm(ta, tb, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc);
}

/* Multiply-adds of the smallest part: some microseconds of work. */
#define PART_MIN ((int64_t)1 << 18)

struct product {
	bool ta, tb, by_rows; /* by_rows: parts of M, else of N */
	int64_t M, N, K, lda, ldb, ldc, size; /* size: rows or columns of a part */
	float alpha, beta;
	const float *A, *B;
	float *C;
};

static void
product_part(void *args, int64_t i, int worker)
{
	const struct product *p = args;
	int64_t from = i * p->size, all = p->by_rows ? p->M : p->N, n = all - from < p->size ? all - from : p->size;

	(void)worker;
	if (p->by_rows)
		ttt__cpu_gemm_one(p->ta, p->tb, n, p->N, p->K, p->alpha, p->A + from * (p->ta ? 1 : p->lda), p->lda, p->B, p->ldb, p->beta,
		    p->C + from * p->ldc, p->ldc);
	else
		ttt__cpu_gemm_one(p->ta, p->tb, p->M, n, p->K, p->alpha, p->A, p->lda, p->B + from * (p->tb ? p->ldb : 1), p->ldb, p->beta,
		    p->C + from, p->ldc);
}

/* The longer side is cut, in whole vectors of the library's kernels; two parts a thread where they stay large, so that a thread which is
 * held up costs little. */
void
ttt__cpu_gemm(struct ttt_device *d, bool ta, bool tb, int64_t M, int64_t N, int64_t K, double alpha, const float *A, int64_t lda,
    const float *B, int64_t ldb, double beta, float *C, int64_t ldc)
{
	struct product p = {.ta = ta, .tb = tb, .by_rows = M > N, .M = M, .N = N, .K = K, .lda = lda, .ldb = ldb, .ldc = ldc,
	    .alpha = (float)alpha, .beta = (float)beta, .A = A, .B = B, .C = C};
	int64_t all = p.by_rows ? M : N, n = d->n_thread, part_work = M <= 0 || N <= 0 ? 0 : M * N / n * K;

	if (n == 1 || part_work < PART_MIN) {
		ttt__cpu_gemm_one(ta, tb, M, N, K, p.alpha, A, lda, B, ldb, p.beta, C, ldc);
		return;
	}
	if (part_work > 64 * PART_MIN && all >= 2 * n * 128)
		n *= 2;
	p.size = ((all + n - 1) / n + 15) / 16 * 16;
	ttt__pool_run(ttt__cpu_pool(d), (all + p.size - 1) / p.size, product_part, &p);
}
