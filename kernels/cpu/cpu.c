/* Making the CPU device: the best instruction set this processor has, or the one asked for. */
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/processors.h"

enum { ALIGNMENT = 64 }; /* bytes, of all memory */

static const char *const level_name[] = {"plain", "avx2", "avx512"};

static const char *const bf16_name[] = {", bfloat16 widened", ", bfloat16 by AVX512_BF16", ", bfloat16 by AMX"};

int
ttt__cpu_level(void)
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

/* Tiles have to be asked for: the kernel keeps room for their registers only then. */
static bool
may_use_tiles(void)
{
#if defined(__x86_64__) && defined(SYS_arch_prctl)
	enum { REQUEST = 0x1023, TILE_DATA = 18 }; /* ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA */
	unsigned a, b, c, d, wanted = 1u << 22 | 1u << 24; /* AMX-BF16, AMX-TILE in edx of leaf 7 */

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & wanted) == wanted && syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
#else
	return false;
#endif
}

static enum ttt__bf16
best_bf16(int level)
{
#if defined(__x86_64__)
	if (level == 2 && __builtin_cpu_supports("avx512bf16"))
		return may_use_tiles() ? TTT__BF16_TILES : TTT__BF16_PAIRS;
#endif
	(void)level;
	return TTT__BF16_WIDENED;
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
	int best = ttt__cpu_level();

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

/* Elements' worth of plain operations in a part: a few microseconds. */
#define PART_COST ((int64_t)8192)
/* Parts at most: enough for the threads of a large machine, and few to hand out. */
#define MOST_PARTS ((int64_t)64)

struct split {
	ttt__range_fn *fn;
	const void *args;
	int64_t n, size;
};

static void
split_part(void *args, int64_t i, int worker)
{
	const struct split *s = args;
	int64_t from = i * s->size;

	(void)worker;
	s->fn(s->args, from, s->n - from < s->size ? s->n : from + s->size);
}

void
ttt__cpu_split(struct ttt_device *d, int64_t n, int64_t cost, ttt__range_fn *fn, const void *args)
{
	struct split s = {fn, args, n, 0};
	int64_t parts;

	if (n <= 0)
		return;
	parts = n < PART_COST * MOST_PARTS / cost ? n * cost / PART_COST : MOST_PARTS;
	if (parts < 2) {
		fn(args, 0, n);
		return;
	}
	s.size = (n + parts - 1) / parts;
	ttt__pool_run(ttt__cpu_pool(d), (n + s.size - 1) / s.size, split_part, &s);
}

struct lanes {
	void (*fn)(void *ctx, int64_t i);
	void *ctx;
};

static void
lane_part(void *args, int64_t i, int worker)
{
	const struct lanes *l = args;

	(void)worker;
	l->fn(l->ctx, i);
}

static void
cpu_side_by_side(struct ttt_device *d, int64_t n, void (*fn)(void *ctx, int64_t i), void *ctx)
{
	struct lanes l = {fn, ctx};

	ttt__pool_run(ttt__cpu_pool(d), n, lane_part, &l);
}

static void
describe(struct ttt__cpu *c)
{
	struct ttt_device *d = &c->device;

	snprintf(d->description, sizeof d->description, "cpu, kernels %s, %d thread%s%s", level_name[c->level],
	    d->n_thread, d->n_thread == 1 ? "" : "s", d->precision == TTT_BF16 ? bf16_name[c->bf16] : "");
}

/* Without memory for it the threads stay as many as they are. */
static void
cpu_limit_threads(struct ttt_device *d, int n)
{
	struct ttt__cpu *c = (struct ttt__cpu *)d;
	struct ttt__pool *fewer;

	n = n < 1 ? 1 : n;
	if (n >= d->n_thread || ttt__pool_create(&fewer, n, NULL) != TTT_OK)
		return;
	ttt__pool_free(c->pool);
	c->pool = fewer;
	d->n_thread = d->n_lane = n;
	describe(c);
}

static void
cpu_destroy(struct ttt_device *d)
{
	ttt__pool_free(ttt__cpu_pool(d));
	free(d);
}

enum ttt_status
ttt__cpu_create(struct ttt_device **out, const struct ttt_device_options *o, struct ttt_error *err)
{
	struct ttt__cpu *c;
	struct ttt_device *d;
	enum ttt_status status;
	int level;

	status = choose_level(&level, o->kernels, err);
	if (status)
		return status;
	c = ttt__new(1, sizeof *c);
	if (!c)
		return ttt__fail_memory(err, "device 'cpu'");
	c->level = level;
#if defined(__x86_64__)
	if (level == 2)
		ttt__cpu_table__avx512(c);
	else if (level == 1)
		ttt__cpu_table__avx2(c);
	else
#endif
		ttt__cpu_table__plain(c);
	c->ops.destroy = cpu_destroy;
	c->ops.alloc = cpu_alloc;
	c->ops.free = cpu_free;
	c->ops.adopt = cpu_adopt;
	c->ops.upload = c->ops.download = c->ops.copy = cpu_copy;
	c->ops.gemm = ttt__cpu_gemm;
	c->ops.gemm_bf16 = ttt__cpu_gemm_bf16;
	c->bf16 = best_bf16(level);
	c->ops.side_by_side = cpu_side_by_side;
	c->ops.threads_worth = ttt__cpu_threads_worth;
	c->ops.limit_threads = cpu_limit_threads;
	d = &c->device;
	d->ops = &c->ops;
	d->precision = o->precision;
	d->n_thread = o->n_thread ? o->n_thread : ttt__cpu_processors("");
	d->n_lane = d->n_thread;
	status = ttt__pool_create(&c->pool, d->n_thread, err);
	if (status) {
		free(c);
		return status;
	}
	describe(c);
	*out = d;
	return TTT_OK;
}
