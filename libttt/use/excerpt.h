/* The part of a long line that bears most on a question. Private. */
#ifndef TTT_USE_EXCERPT_H
#define TTT_USE_EXCERPT_H
#include "libttt/use/rank.h"

/* Of a line [n] the *n_part bytes from *from on, at most `most`, of whole characters: those with the terms that weigh most together, and what
 * follows them rather than what goes before. */
enum ttt_status ttt__line_excerpt(size_t *from, size_t *n_part, size_t most, struct ttt__fulltext *ix, const struct ttt__question *q,
    const struct ttt__ranking *r, const char *line, size_t n, struct ttt_error *err);

#endif
