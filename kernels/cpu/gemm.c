/* Matrix products cut among our threads, and the library's: oneDNN, or any CBLAS where configure found no oneDNN. It works on one thread,
 * since a library that wakes threads of its own for every product of a chunk loses more than it gains. */
#include "config.h"

#include <omp.h>

#include "kernels/cpu/cpu.h"

#ifdef HAVE_DNNL
#include <oneapi/dnnl/dnnl.h>

const char ttt__cpu_gemm_name[] = "oneDNN";

void
ttt__cpu_gemm_library(bool ta, bool tb, int64_t M, int64_t N, int64_t K, float alpha, const float *A, int64_t lda, const float *B,
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

void
ttt__cpu_gemm_library(bool ta, bool tb, int64_t M, int64_t N, int64_t K, float alpha, const float *A, int64_t lda, const float *B,
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

/* Multiply-adds of the smallest part: some microseconds of work. */
#define PART_MIN ((int64_t)1 << 18)

struct product {
	bool ta, tb, by_rows; /* by_rows: parts of M, else of N */
	int64_t M, N, K, lda, ldb, ldc, size; /* size: rows or columns of a part */
	float alpha, beta;
	const float *A, *B;
	float *C;
	ttt__gemm_fn *one;
};

static void
product_part(void *args, int64_t i, int worker)
{
	const struct product *p = args;
	int64_t from = i * p->size, all = p->by_rows ? p->M : p->N, n = all - from < p->size ? all - from : p->size;

	(void)worker;
	if (p->by_rows)
		p->one(p->ta, p->tb, n, p->N, p->K, p->alpha, p->A + from * (p->ta ? 1 : p->lda), p->lda, p->B, p->ldb, p->beta,
		    p->C + from * p->ldc, p->ldc);
	else
		p->one(p->ta, p->tb, p->M, n, p->K, p->alpha, p->A, p->lda, p->B + from * (p->tb ? p->ldb : 1), p->ldb, p->beta,
		    p->C + from, p->ldc);
}

/* The longer side is cut, in whole vectors of the library's kernels; two parts a thread where they stay large, so that a thread which is
 * held up costs little. */
void
ttt__cpu_gemm(struct ttt_device *d, bool ta, bool tb, int64_t M, int64_t N, int64_t K, double alpha, const float *A, int64_t lda,
    const float *B, int64_t ldb, double beta, float *C, int64_t ldc)
{
	struct product p = {.ta = ta, .tb = tb, .by_rows = M > N, .M = M, .N = N, .K = K, .lda = lda, .ldb = ldb, .ldc = ldc,
	    .alpha = (float)alpha, .beta = (float)beta, .A = A, .B = B, .C = C, .one = ((struct ttt__cpu *)d)->gemm_one};
	int64_t all = p.by_rows ? M : N, n = d->n_thread, part_work = M <= 0 || N <= 0 ? 0 : M * N / n * K;

	if (n == 1 || part_work < PART_MIN) {
		p.one(ta, tb, M, N, K, p.alpha, A, lda, B, ldb, p.beta, C, ldc);
		return;
	}
	if (part_work > 64 * PART_MIN && all >= 2 * n * 128)
		n *= 2;
	p.size = ((all + n - 1) / n + 15) / 16 * 16;
	ttt__pool_run(ttt__cpu_pool(d), (all + p.size - 1) / p.size, product_part, &p);
}
