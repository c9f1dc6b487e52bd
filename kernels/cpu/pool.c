/* Threads that stay alive between operations. */
#include "kernels/cpu/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#if defined(__x86_64__)
#define RELAX() __builtin_ia32_pause()
#else
#define RELAX() ((void)0)
#endif

/* How often a worker looks for work before it sleeps (some tens of microseconds), and a caller for the last part before it yields. */
enum { LOOKS = 2000, MOST_PARTS = 1 << 20 };

struct ttt__pool {
	/* Parts not yet taken in the low half, the count of runs in the high one: a part is taken by lowering the whole, so a worker that
	 * slept through a run cannot take a part of the next by mistake. */
	_Atomic uint64_t ticket;
	_Atomic int64_t done;
	_Atomic int sleepers;
	atomic_flag busy;
	ttt__part_fn *fn;
	void *args;
	int n_worker;
	bool stop; /* under the lock */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct worker {
		struct ttt__pool *pool;
		pthread_t thread;
		int id;
	} *worker;
};

/* Take and do parts of the present run until none is left. */
static void
take_parts(struct ttt__pool *p, int id)
{
	uint64_t ticket = atomic_load_explicit(&p->ticket, memory_order_acquire);

	while ((uint32_t)ticket > 0)
		if (atomic_compare_exchange_weak_explicit(&p->ticket, &ticket, ticket - 1, memory_order_acq_rel, memory_order_acquire)) {
			p->fn(p->args, (int64_t)(uint32_t)ticket - 1, id);
			atomic_fetch_add_explicit(&p->done, 1, memory_order_release);
			ticket = atomic_load_explicit(&p->ticket, memory_order_acquire);
		}
}

static bool
work_waits(struct ttt__pool *p)
{
	return (uint32_t)atomic_load_explicit(&p->ticket, memory_order_acquire) > 0;
}

/* Until there is work; false when the pool closes. */
static bool
wait_for_work(struct ttt__pool *p)
{
	bool stop;

	for (int i = 0; i < LOOKS; i++) {
		if (work_waits(p))
			return true;
		RELAX();
	}
	pthread_mutex_lock(&p->lock);
	atomic_fetch_add(&p->sleepers, 1);
	while (!p->stop && (uint32_t)atomic_load(&p->ticket) == 0)
		pthread_cond_wait(&p->wake, &p->lock);
	atomic_fetch_sub(&p->sleepers, 1);
	stop = p->stop;
	pthread_mutex_unlock(&p->lock);
	return !stop;
}

static void *
work(void *arg)
{
	struct worker *w = arg;

	while (wait_for_work(w->pool))
		take_parts(w->pool, w->id);
	return NULL;
}

void
ttt__pool_run(struct ttt__pool *p, int64_t n, ttt__part_fn *fn, void *args)
{
	uint64_t run;
	int looks = 0;

	if (n <= 1 || n > MOST_PARTS || p->n_worker == 0 || atomic_flag_test_and_set_explicit(&p->busy, memory_order_acquire)) {
		for (int64_t i = 0; i < n; i++)
			fn(args, i, 0);
		return;
	}
	p->fn = fn;
	p->args = args;
	atomic_store_explicit(&p->done, 0, memory_order_relaxed);
	run = (atomic_load_explicit(&p->ticket, memory_order_relaxed) >> 32) + 1;
	atomic_store(&p->ticket, run << 32 | (uint64_t)n); /* in one order with sleepers: a worker sees this, or is seen asleep */
	if (atomic_load(&p->sleepers) > 0) {
		pthread_mutex_lock(&p->lock);
		pthread_cond_broadcast(&p->wake);
		pthread_mutex_unlock(&p->lock);
	}
	take_parts(p, 0);
	while (atomic_load_explicit(&p->done, memory_order_acquire) < n) {
		if (++looks > LOOKS)
			sched_yield();
		RELAX();
	}
	atomic_flag_clear_explicit(&p->busy, memory_order_release);
}

enum ttt_status
ttt__pool_create(struct ttt__pool **out, int n_thread, struct ttt_error *err)
{
	struct ttt__pool *p = ttt__new(1, sizeof *p);
	sigset_t all, before;

	*out = NULL;
	if (!p || !(p->worker = ttt__new((size_t)n_thread, sizeof *p->worker))) {
		free(p);
		return ttt__fail_memory(err, "the threads");
	}
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	atomic_flag_clear(&p->busy);
	/* Signals are the program's: its own threads take them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (int i = 0; i < n_thread - 1; i++) {
		p->worker[i] = (struct worker){.pool = p, .id = i + 1};
		if (pthread_create(&p->worker[i].thread, NULL, work, &p->worker[i]) != 0)
			break;
		p->n_worker++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	*out = p;
	return TTT_OK;
}

void
ttt__pool_free(struct ttt__pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->wake);
	pthread_mutex_unlock(&p->lock);
	for (int i = 0; i < p->n_worker; i++)
		pthread_join(p->worker[i].thread, NULL);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p->worker);
	free(p);
}
