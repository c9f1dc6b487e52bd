/* Words by which a line says that something went wrong. Private. */
#ifndef TTT_USE_SEVERITY_H
#define TTT_USE_SEVERITY_H
#include "libttt/base.h"

/* Has the line a level above "info" (WARN, error, FATAL ..) or a word of failure (denied, corrupt, timed out ..)? */
bool ttt__line_severe(const char *line, size_t n);

#endif
