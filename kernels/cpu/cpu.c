/* Making the CPU device: the best instruction set this processor has, or the one asked for. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/cpu.h"

enum { ALIGNMENT = 64 }; /* bytes, of all memory */

static const char *const level_name[] = {"plain", "avx2", "avx512"};

static int
level_of_processor(void)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
	    __builtin_cpu_supports("avx512dq"))
		return 2;
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
		return 1;
#endif
	return 0;
}

static void *
cpu_alloc(struct ttt_device *d, size_t n)
{
	size_t rounded;

	(void)d;
	if (!ttt__size_add(&rounded, n, ALIGNMENT - 1))
		return NULL;
	return aligned_alloc(ALIGNMENT, rounded / ALIGNMENT * ALIGNMENT);
}

static void
cpu_free(struct ttt_device *d, void *p)
{
	(void)d;
	free(p);
}

static void
cpu_copy(struct ttt_device *d, void *to, const void *from, size_t n)
{
	(void)d;
	if (n)
		memmove(to, from, n);
}

static const void *
cpu_adopt(struct ttt_device *d, const void *host, size_t n)
{
	(void)d;
	(void)n;
	return (uintptr_t)host % ALIGNMENT == 0 ? host : NULL;
}

static enum ttt_status
choose_level(int *level, const char *wanted, struct ttt_error *err)
{
	int best = level_of_processor();

	*level = best;
	if (!wanted)
		return TTT_OK;
	for (int i = 0; i < 3; i++)
		if (strcmp(wanted, level_name[i]) == 0) {
			if (i > best)
				return ttt__fail(err, TTT_E_UNSUPPORTED, "kernels '%s': this processor has up to '%s'", wanted,
				    level_name[best]);
			*level = i;
			return TTT_OK;
		}
	return ttt__fail(err, TTT_E_UNSUPPORTED, "kernels '%.64s': no such instruction set (plain, avx2, avx512)", wanted);
}

struct cpu_device {
	struct ttt_device device;
	struct ttt__ops ops;
};

enum ttt_status
ttt__cpu_create(struct ttt_device **out, const struct ttt_device_options *o, struct ttt_error *err)
{
	struct cpu_device *c;
	struct ttt_device *d;
	enum ttt_status status;
	int level;

	status = choose_level(&level, o->kernels, err);
	if (status)
		return status;
	c = ttt__new(1, sizeof *c);
	if (!c)
		return ttt__fail_memory(err, "device 'cpu'");
#if defined(__x86_64__)
	if (level == 2)
		ttt__cpu_table__avx512(&c->ops);
	else if (level == 1)
		ttt__cpu_table__avx2(&c->ops);
	else
#endif
		ttt__cpu_table__plain(&c->ops);
	if (o->kernels)
		ttt__cpu_gemm_limit(level);
	c->ops.alloc = cpu_alloc;
	c->ops.free = cpu_free;
	c->ops.adopt = cpu_adopt;
	c->ops.upload = c->ops.download = c->ops.copy = cpu_copy;
	c->ops.gemm = ttt__cpu_gemm;
	d = &c->device;
	d->ops = &c->ops;
	d->n_thread = o->n_thread ? o->n_thread : omp_get_num_procs();
	d->n_lane = d->n_thread;
	/* The matrix library takes its number of threads from here. */
	omp_set_num_threads(d->n_thread);
	snprintf(d->description, sizeof d->description, "cpu, kernels %s, %d thread%s, matrix products by %s", level_name[level],
	    d->n_thread, d->n_thread == 1 ? "" : "s", ttt__cpu_gemm_name);
	*out = d;
	return TTT_OK;
}

void
ttt_device_free(struct ttt_device *d)
{
	free(d);
}
