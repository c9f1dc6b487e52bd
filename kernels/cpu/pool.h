/* The device's threads: one piece of work at a time, cut into parts that are dealt out among them. Private.
 *
 * Small chunks make small operations, of a few microseconds each, so workers wait for the next one awake and sleep only after a pause.
 * Nobody waits for a worker that has not begun its parts: where the system runs something else in its place, others do them.
 * Which thread takes a part changes nothing in its result. */
#ifndef TTT_CPU_POOL_H
#define TTT_CPU_POOL_H
#include "kernels/kernels.h"

struct ttt__pool;

/* Part i of some work; worker is 0 .. n_thread - 1, unique among those at work on it. */
typedef void ttt__part_fn(void *args, int64_t i, int worker);

/* n_thread: the caller and n_thread - 1 workers, or as many as the system gives. Errors: TTT_E_MEMORY. */
enum ttt_status ttt__pool_create(struct ttt__pool **out, int n_thread, struct ttt_error *err);
void ttt__pool_free(struct ttt__pool *p);
/* fn(args, i, worker) for every i in 0 .. n - 1, in any order; back when all are done. From within a part, or while another thread uses
 * the pool, the caller does all of them itself as worker 0. */
void ttt__pool_run(struct ttt__pool *p, int64_t n, ttt__part_fn *fn, void *args);

#endif
