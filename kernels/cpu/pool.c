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

enum {
	LOOKS = 2000,     /* of a worker for work before it sleeps (some tens of microseconds), of a caller for the end before it yields */
	PATIENCE = 100,   /* of a worker before it does the work of others */
	MOST_PARTS = 1 << 20,
	COUNT_BITS = 24,  /* of a word that says in its low bits how many parts, and above of which run */
	APART = 64        /* bytes of a cache line: what different threads write lies on different ones */
};

/* The parts of a run are dealt out, the same ones to the same thread whenever there are as many: what a part wrote is then still near when
 * the same part of a later run reads it. Another thread takes them only when they have been left. */
struct ttt__pool {
	/* The present run and its parts. What they do is set before, and stays until all are done. */
	_Alignas(APART) _Atomic uint64_t run;
	_Atomic(ttt__part_fn *) fn;
	_Atomic(void *) args;
	_Alignas(APART) atomic_bool busy;
	_Alignas(APART) _Atomic int sleepers;
	int n_worker;
	bool stop; /* under the lock */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct worker *worker; /* [n_worker + 1], the first of them the caller */
};

struct worker {
	_Alignas(APART) _Atomic uint64_t taken; /* run and parts of its share that were taken, by whomever */
	_Atomic uint64_t done;                  /* run and parts that it has done, of whichever share */
	struct ttt__pool *pool;
	pthread_t thread;
	int id;
};

static int64_t
count_of(uint64_t word)
{
	return (int64_t)(word & (((uint64_t)1 << COUNT_BITS) - 1));
}

static uint64_t
word_of(uint64_t run, int64_t count)
{
	return run >> COUNT_BITS << COUNT_BITS | (uint64_t)count;
}

/* How many parts word counts of this run, whatever it says of others. */
static int64_t
count_in(uint64_t word, uint64_t run)
{
	return word >> COUNT_BITS == run >> COUNT_BITS ? count_of(word) : 0;
}

/* One more part of w's share, or -1: none is left, or the run is over. */
static int64_t
take(struct worker *w, uint64_t run)
{
	int64_t n = count_of(run), all = w->pool->n_worker + 1, base = n / all, extra = n % all, share = base + (w->id < extra), count;
	uint64_t word = atomic_load_explicit(&w->taken, memory_order_relaxed);

	do {
		count = count_in(word, run);
		if (word >> COUNT_BITS > run >> COUNT_BITS || count >= share)
			return -1;
	} while (!atomic_compare_exchange_weak_explicit(&w->taken, &word, word_of(run, count + 1), memory_order_acq_rel, memory_order_relaxed));
	return w->id * base + (w->id < extra ? w->id : extra) + count;
}

/* Take and do parts of from's share. That one could be taken says that the run goes on, and so that fn and args were its own. */
static void
do_share(struct worker *me, struct worker *from, uint64_t run)
{
	ttt__part_fn *fn = atomic_load_explicit(&me->pool->fn, memory_order_relaxed);
	void *args = atomic_load_explicit(&me->pool->args, memory_order_relaxed);

	for (int64_t i; (i = take(from, run)) >= 0;) {
		int64_t done = count_in(atomic_load_explicit(&me->done, memory_order_relaxed), run);

		fn(args, i, me->id);
		atomic_store_explicit(&me->done, word_of(run, done + 1), memory_order_release);
	}
}

static void
do_others(struct worker *me, uint64_t run)
{
	int all = me->pool->n_worker + 1;

	for (int i = 1; i < all; i++)
		do_share(me, &me->pool->worker[(me->id + i) % all], run);
}

/* Whether parts of a run after the last are left. */
static bool
work_waits(struct ttt__pool *p, uint64_t last)
{
	uint64_t run = atomic_load(&p->run);
	int64_t n = count_of(run);

	if (run == last)
		return false;
	for (int i = 0; i <= p->n_worker; i++)
		n -= count_in(atomic_load_explicit(&p->worker[i].taken, memory_order_relaxed), run);
	return n > 0;
}

/* Until there is a run after the last; false when the pool closes. Who sleeps gets up only for parts that are left. */
static bool
wait_for_work(struct worker *me, uint64_t last)
{
	struct ttt__pool *p = me->pool;
	bool stop;

	for (int i = 0; i < LOOKS; i++) {
		if (atomic_load_explicit(&p->run, memory_order_acquire) != last)
			return true;
		if (i == PATIENCE && last > 0)
			do_others(me, last);
		RELAX();
	}
	pthread_mutex_lock(&p->lock);
	atomic_fetch_add(&p->sleepers, 1);
	while (!p->stop && !work_waits(p, last))
		pthread_cond_wait(&p->wake, &p->lock);
	atomic_fetch_sub(&p->sleepers, 1);
	stop = p->stop;
	pthread_mutex_unlock(&p->lock);
	return !stop;
}

static void *
work(void *arg)
{
	struct worker *me = arg;
	uint64_t run = 0;

	while (wait_for_work(me, run)) {
		run = atomic_load_explicit(&me->pool->run, memory_order_acquire);
		do_share(me, me, run);
	}
	return NULL;
}

static bool
all_done(struct ttt__pool *p, uint64_t run)
{
	int64_t n = count_of(run);

	for (int i = 0; i <= p->n_worker; i++)
		n -= count_in(atomic_load_explicit(&p->worker[i].done, memory_order_acquire), run);
	return n == 0;
}

/* One caller at a time. A look first: a write would take the line from the others that only look. */
static bool
claim(struct ttt__pool *p)
{
	return !atomic_load_explicit(&p->busy, memory_order_relaxed) && !atomic_exchange_explicit(&p->busy, true, memory_order_acquire);
}

void
ttt__pool_run(struct ttt__pool *p, int64_t n, ttt__part_fn *fn, void *args)
{
	uint64_t run;
	int looks = 0;

	if (n <= 1 || n > MOST_PARTS || p->n_worker == 0 || !claim(p)) {
		for (int64_t i = 0; i < n; i++)
			fn(args, i, 0);
		return;
	}
	atomic_store_explicit(&p->fn, fn, memory_order_relaxed);
	atomic_store_explicit(&p->args, args, memory_order_relaxed);
	run = word_of(atomic_load_explicit(&p->run, memory_order_relaxed) + ((uint64_t)1 << COUNT_BITS), n);
	atomic_store(&p->run, run); /* in one order with sleepers: a worker sees this, or is seen asleep */
	if (atomic_load(&p->sleepers) > 0) {
		pthread_mutex_lock(&p->lock);
		pthread_cond_broadcast(&p->wake);
		pthread_mutex_unlock(&p->lock);
	}
	do_share(&p->worker[0], &p->worker[0], run);
	do_others(&p->worker[0], run);
	while (!all_done(p, run)) {
		if (++looks > LOOKS)
			sched_yield();
		RELAX();
	}
	atomic_store_explicit(&p->busy, false, memory_order_release);
}

enum ttt_status
ttt__pool_create(struct ttt__pool **out, int n_thread, struct ttt_error *err)
{
	struct ttt__pool *p = aligned_alloc(APART, sizeof *p);
	struct worker *w = NULL;
	sigset_t all, before;
	size_t size;

	*out = NULL;
	if (ttt__size_mul(&size, (size_t)n_thread, sizeof *w))
		w = aligned_alloc(APART, size);
	if (!p || !w) {
		free(p);
		free(w);
		return ttt__fail_memory(err, "the threads");
	}
	*p = (struct ttt__pool){.worker = w};
	for (int i = 0; i < n_thread; i++)
		w[i] = (struct worker){.pool = p, .id = i};
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	/* Signals are the program's: its own threads take them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (int i = 1; i < n_thread; i++) {
		if (pthread_create(&w[i].thread, NULL, work, &w[i]) != 0)
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
	for (int i = 1; i <= p->n_worker; i++)
		pthread_join(p->worker[i].thread, NULL);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p->worker);
	free(p);
}
