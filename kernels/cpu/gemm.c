/* Matrix products cut among our threads. */
#include <math.h>

#include "kernels/cpu/cpu.h"

/* What one thread more costs a product, in multiply-adds: a microsecond or two of telling it and of waiting for it. */
#define THREAD_COST ((double)(1 << 17))
/* Multiply-adds of a part that is large enough to be halved. */
#define PART_LARGE ((double)(1 << 24))

struct product {
	enum ttt__bf16 how;   /* of products with half */
	bool ta, tb, by_rows; /* by_rows: parts of M, else of N */
	int64_t M, N, K, lda, ldb, ldc, size; /* size: rows or columns of a part */
	float alpha, beta;
	const float *A, *B;
	const uint16_t *half; /* B in bfloat16; NULL: it is in float32 */
	float *C;
	const struct ttt__cpu *cpu;
};

/* C of M rows and N columns from row i and column j on. */
static void
product_of(const struct product *p, int64_t i, int64_t M, int64_t j, int64_t N)
{
	const float *A = p->A + i * (p->ta ? 1 : p->lda);
	int64_t b = j * (p->tb ? p->ldb : 1);
	float *C = p->C + i * p->ldc + j;

	if (p->half)
		p->cpu->gemm_one_bf16(p->how, p->tb, M, N, p->K, A, p->lda, p->half + b, p->ldb, p->beta, C, p->ldc);
	else
		p->cpu->gemm_one(p->ta, p->tb, M, N, p->K, p->alpha, A, p->lda, p->B + b, p->ldb, p->beta, C, p->ldc);
}

static void
product_part(void *args, int64_t i, int worker)
{
	const struct product *p = args;
	int64_t from = i * p->size, all = p->by_rows ? p->M : p->N, n = all - from < p->size ? all - from : p->size;

	(void)worker;
	if (p->by_rows)
		product_of(p, from, n, 0, p->N);
	else
		product_of(p, 0, p->M, from, n);
}

/* work / n + n THREAD_COST is least at the root. */
int
ttt__cpu_threads_worth(const struct ttt_device *d, double work)
{
	double n = sqrt(work / THREAD_COST);

	return n < d->n_thread ? (int)n : d->n_thread;
}

/* The longer side is cut, in whole panels of the kernels; two parts a thread where they stay large, so that a thread which is
 * held up costs little. */
static void
cut(struct product *p)
{
	double work = (double)p->M * (double)p->N * (double)p->K;
	int64_t all, n = ttt__cpu_threads_worth(&p->cpu->device, work);

	p->by_rows = p->M > p->N;
	all = p->by_rows ? p->M : p->N;
	if (n < 2) {
		product_of(p, 0, p->M, 0, p->N);
		return;
	}
	if (work / (double)n > PART_LARGE && all >= 2 * n * 128)
		n *= 2;
	p->size = ((all + n - 1) / n + 31) / 32 * 32;
	ttt__pool_run(p->cpu->pool, (all + p->size - 1) / p->size, product_part, p);
}

void
ttt__cpu_gemm(struct ttt_device *d, bool ta, bool tb, int64_t M, int64_t N, int64_t K, double alpha, const float *A, int64_t lda,
    const float *B, int64_t ldb, double beta, float *C, int64_t ldc)
{
	cut(&(struct product){.ta = ta, .tb = tb, .M = M, .N = N, .K = K, .lda = lda, .ldb = ldb, .ldc = ldc, .alpha = (float)alpha,
	    .beta = (float)beta, .A = A, .B = B, .C = C, .cpu = (struct ttt__cpu *)d});
}

void
ttt__cpu_gemm_bf16(struct ttt_device *d, bool narrow, bool tb, int64_t M, int64_t N, int64_t K, const float *A, int64_t lda, const uint16_t *B,
    int64_t ldb, double beta, float *C, int64_t ldc)
{
	const struct ttt__cpu *cpu = (struct ttt__cpu *)d;

	cut(&(struct product){.tb = tb, .how = narrow ? cpu->bf16 : TTT__BF16_WIDENED, .M = M, .N = N, .K = K, .lda = lda, .ldb = ldb, .ldc = ldc,
	    .beta = (float)beta, .A = A, .half = B, .C = C, .cpu = cpu});
}
