/* Where a symbol is defined: whether a question asks for it, and whether a line does it. By the looks of a line, in the commoner languages;
 * nothing is parsed. Private. */
#ifndef TTT_USE_DEFINITION_H
#define TTT_USE_DEFINITION_H
#include "libttt/use/verbatim.h"

enum { TTT__SYMBOL_MAX = 8 };

struct ttt__wanted { /* definitions of any of these */
	struct ttt__span symbol[TTT__SYMBOL_MAX];
	int n; /* 0: none is asked for */
};

/* What question, which must outlive it, asks the definition of: "where is X defined?", "def X", or X as its only word that is about anything. */
void ttt__wanted_read(struct ttt__wanted *w, const char *question);
/* Whether one of the lines of text, n bytes, defines one of the symbols; n_all bytes of it, n at least, may be looked at for what follows them. */
bool ttt__defines(const struct ttt__wanted *w, const char *text, size_t n, size_t n_all);

#endif
