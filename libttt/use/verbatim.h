/* What a question holds as it must stand in the text, which words, stems and synonyms forget: a message that was pasted, a version, an
 * address, a dotted name. Private. */
#ifndef TTT_USE_VERBATIM_H
#define TTT_USE_VERBATIM_H
#include "libttt/base.h"

enum { TTT__COMPOUND_MAX = 8 };

struct ttt__span {
	const char *p;
	size_t n;
};

struct ttt__verbatim {
	struct ttt__span whole;                       /* the question without what stands around it; n 0 for a single word */
	struct ttt__span compound[TTT__COMPOUND_MAX]; /* words with more than letters within: "2.38.1", "File::Path", "no-cache" */
	int n_compound;
};

/* What question, which must outlive it, holds. */
void ttt__verbatim_read(struct ttt__verbatim *v, const char *question);
bool ttt__verbatim_any(const struct ttt__verbatim *v);
/* 1 where text has the whole question, half of the share of its compound words that it has otherwise; those that are part of name, which
 * the question then names, are not looked for. Letter case does not count. */
double ttt__verbatim_in(const struct ttt__verbatim *v, const char *name, const char *text, size_t n);

#endif
