/* Rotary angles along a stream without end. Private.
 *
 * Keys are turned once, by their position in the stream, so that those cached need no turning for later chunks. A position p is split into
 * p - p % C and p % C, C being the chunk: the first part's angles are taken in double at every chunk, the second's come from a table,
 * and cosine and sine of the sum follow. So an angle depends on p alone, wherever the stream was cut. */
#ifndef TTT_NET_ANGLES_H
#define TTT_NET_ANGLES_H
#include "libttt/base.h"

struct ttt__angles {
	int64_t C, K;
	double *rate;  /* [K / 2] theta^(-2i / K) (SEMANTICS section 1) */
	double *table; /* [C, K / 2, 2] cosine and sine of positions below C */
	double *base;  /* [K / 2, 2] of the last whole chunk asked for */
	int64_t at;    /* its position */
};

enum ttt_status ttt__angles_create(struct ttt__angles *a, const struct ttt_config *c, struct ttt_error *err);
void ttt__angles_free(struct ttt__angles *a);
/* out [n, K / 2, 2] (=): cosine and sine of n positions from position on (at least 0). */
void ttt__angles_at(struct ttt__angles *a, float *out, int64_t position, int64_t n);

#endif
