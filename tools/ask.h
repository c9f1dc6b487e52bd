/* What ttt-ask shows of a line. */
#ifndef TTT_TOOLS_ASK_H
#define TTT_TOOLS_ASK_H
#include <stddef.h>

enum { ASK_LINE = 400 }; /* bytes of a line that are shown */

/* The part of a line [n] that is shown, *n_shown bytes of whole characters: all of it, or of a long one what stands around the first of the
 * question's words, or its start. */
const char *ask_excerpt(const char *line, size_t n, const char *question, size_t *n_shown);

#endif
