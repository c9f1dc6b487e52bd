/* Matrix products by oneDNN, or by any CBLAS where configure found no oneDNN. */
#include "config.h"

#include "kernels/cpu/cpu.h"

#ifdef HAVE_DNNL
#include <oneapi/dnnl/dnnl.h>

const char ttt__cpu_gemm_name[] = "oneDNN";

void
ttt__cpu_gemm(struct ttt_device *d, bool ta, bool tb, int64_t M, int64_t N, int64_t K, double alpha, const float *A, int64_t lda,
    const float *B, int64_t ldb, double beta, float *C, int64_t ldc)
{
	(void)d;
	if (M > 0 && N > 0 && K > 0)
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
	(void)d;
	if (M > 0 && N > 0 && K > 0)
		cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, (int)M, (int)N, (int)K,
		    (float)alpha, A, (int)lda, B, (int)ldb, (float)beta, C, (int)ldc);
}

void
ttt__cpu_gemm_limit(int level)
{
	(void)level;
}
#endif
