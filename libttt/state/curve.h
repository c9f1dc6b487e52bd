/* The loss as it went: at most 512 points, each the mean over equally many chunks. Private. */
#ifndef TTT_STATE_CURVE_H
#define TTT_STATE_CURVE_H
#include "libttt/base.h"

enum { TTT__CURVE_MAX = 512 };

struct ttt__curve {
	int64_t n_token[TTT__CURVE_MAX]; /* tokens of the stream when the point was complete */
	double loss[TTT__CURVE_MAX];
	int64_t n;
	int64_t stride;    /* chunks a point */
	int64_t n_partial; /* chunks of the point being filled, and the sum of their losses */
	double sum;
};

void ttt__curve_start(struct ttt__curve *c);
/* A chunk's mean loss. A full curve first halves its resolution; the same losses give the same curve however they were
 * cut into runs. */
void ttt__curve_add(struct ttt__curve *c, int64_t n_token, double loss);
/* As text: a header line, then a line a point, numbers exact. */
enum ttt_status ttt__curve_format(const struct ttt__curve *c, struct ttt__bytes *b, struct ttt_error *err);
/* Read points back; stride and partial sums come from the manifest. */
enum ttt_status ttt__curve_parse(struct ttt__curve *c, const struct ttt__bytes *b, const char *label,
    struct ttt_error *err);

#endif
