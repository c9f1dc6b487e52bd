/* Matrix products by oneDNN, or by any CBLAS where configure found no oneDNN. */
#include "config.h"

#include <omp.h>

#include "kernels/cpu/cpu.h"

/* Below this many multiply-adds a product runs on the calling thread: two threads that meet at every small product lose more by waiting
 * for each other, far more on a busy machine, than they gain. */
#define PARALLEL_MIN ((int64_t)1 << 25)

/* The matrix library asks OpenMP how many threads to use; this is a setting of the calling thread alone. */
static void
begin_product(const struct ttt_device *d, int64_t M, int64_t N, int64_t K)
{
	if (d->n_thread > 1)
		omp_set_num_threads(M * N < PARALLEL_MIN / K ? 1 : d->n_thread);
}

#ifdef HAVE_DNNL
#include <oneapi/dnnl/dnnl.h>

const char ttt__cpu_gemm_name[] = "oneDNN";

void
ttt__cpu_gemm(struct ttt_device *d, bool ta, bool tb, int64_t M, int64_t N, int64_t K, double alpha, const float *A, int64_t lda,
    const float *B, int64_t ldb, double beta, float *C, int64_t ldc)
{
	if (M <= 0 || N <= 0 || K <= 0)
		return;
	begin_product(d, M, N, K);
	dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', M, N, K, (float)alpha, A, lda, B, ldb, (float)beta, C, ldc);
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
ttt__cpu_gemm(struct ttt_device *d, bool ta, bool tb, int64_t M, int64_t N, int64_t K, double alpha, const float *A, int64_t lda,
    const float *B, int64_t ldb, double beta, float *C, int64_t ldc)
{
	if (M <= 0 || N <= 0 || K <= 0)
		return;
	begin_product(d, M, N, K);
	cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, (int)M, (int)N, (int)K,
		    (float)alpha, A, (int)lda, B, (int)ldb, (float)beta, C, (int)ldc);
}

void
ttt__cpu_gemm_limit(int level)
{
	(void)level;
}
#endif
