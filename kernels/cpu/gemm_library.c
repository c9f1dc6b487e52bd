/* Products of oneDNN, for chunks so large that each factor is used hundreds of times. It is opened when the first such product comes: a model of
 * small chunks has none, and does without the library's 4 MB. */
#include <dlfcn.h>
#include <string.h>
#include <threads.h>

#include "kernels/cpu/cpu.h"

/* What the linker would bind when a program begins: set once, and only read from then on. */
static struct {
	int (*sgemm)(char ta, char tb, int64_t M, int64_t N, int64_t K, float alpha, const float *A, int64_t lda, const float *B, int64_t ldb,
	    float beta, float *C, int64_t ldc); /* NULL: there is no library */
	int (*max_threads)(void);
	void (*set_threads)(int n);
} library;
static once_flag opened = ONCE_FLAG_INIT;

static void
open_library(void)
{
	static const struct {
		const char *name;
		void *to;
	} symbols[] = {{"omp_get_max_threads", &library.max_threads}, {"omp_set_num_threads", &library.set_threads},
	    {"dnnl_sgemm", &library.sgemm}};
	void *handle = dlopen("libdnnl.so.3", RTLD_NOW | RTLD_LOCAL);

	if (handle == NULL)
		handle = dlopen("libdnnl.so.2", RTLD_NOW | RTLD_LOCAL);
	for (size_t i = 0; handle != NULL && i < sizeof symbols / sizeof *symbols; i++) {
		/* the program's OpenMP first, where it has one, as oneDNN itself is bound; else what oneDNN brings */
		void *found = dlsym(RTLD_DEFAULT, symbols[i].name);

		if (found == NULL)
			found = dlsym(handle, symbols[i].name);
		if (found == NULL)
			break; /* the last one stays NULL */
		memcpy(symbols[i].to, &found, sizeof found);
	}
}

bool
ttt__cpu_gemm_library(int level, bool ta, bool tb, int64_t M, int64_t N, int64_t K, float alpha, const float *A, int64_t lda, const float *B,
    int64_t ldb, float beta, float *C, int64_t ldc)
{
	int before, failed;

	if (level < ttt__cpu_level())
		return false;
	call_once(&opened, open_library);
	if (library.sgemm == NULL)
		return false;
	/* One thread, since a library that wakes threads of its own for every product of a chunk loses more than it gains. It asks OpenMP how many
	 * to use; this is a setting of the calling thread alone, and given back. */
	before = library.max_threads();
	library.set_threads(1);
	failed = library.sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', M, N, K, alpha, A, lda, B, ldb, beta, C, ldc);
	library.set_threads(before);
	return !failed;
}
