/* The line of a passage that bears most on a question. Private. */
#ifndef TTT_USE_BEST_H
#define TTT_USE_BEST_H
#include "libttt/use/rank.h"

/* *line: index from 0 of the line in p's text. */
enum ttt_status ttt__best_line(int64_t *line, struct ttt__fulltext *ix, const struct ttt__question *q,
    const struct ttt__ranking *r, const struct ttt_passage *p, struct ttt_error *err);

#endif
