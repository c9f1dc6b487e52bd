/* What of a passage is shown. Private. */
#ifndef TTT_USE_SHOWN_H
#define TTT_USE_SHOWN_H
#include "libttt/use/rank.h"

/* Cut p, a whole passage, down to what bears most on a question, and find its best line. */
enum ttt_status ttt__shown_cut(struct ttt_passage *p, struct ttt__fulltext *ix, const struct ttt__question *q,
    const struct ttt__ranking *r, struct ttt_error *err);

#endif
