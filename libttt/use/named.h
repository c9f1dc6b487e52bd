/* Whether a question asks for what is in a file that it names. Private. */
#ifndef TTT_USE_NAMED_H
#define TTT_USE_NAMED_H
#include "libttt/base.h"

/* The question has the file's name, its base name at least, as it is ("start.c", "tools/start.c", "Makefile"), and asks for what is in it;
 * or it is the name, and nothing else. A name without a dot or a capital at its start is a word like others. */
bool ttt__asks_for_file(const char *question, const char *name);

#endif
