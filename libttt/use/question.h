/* A question as terms to look for and cues on what the answer holds. Private. */
#ifndef TTT_USE_QUESTION_H
#define TTT_USE_QUESTION_H
#include "libttt/use/definition.h"
#include "libttt/use/thesaurus.h"

struct ttt__question {
	const char *text;                     /* as it was asked; borrowed */
	struct ttt__term term[TTT__TERM_MAX]; /* [n_own] the question's own, then their synonyms */
	int of[TTT__TERM_MAX];                /* the term a synonym stands for; of an own term itself */
	bool same[TTT__TERM_MAX];             /* not merely a synonym, but the word itself or a form of it */
	int n, n_own;
	bool number; /* it asks for an amount, a limit, a default */
	bool error;  /* it asks for an error or a result */
	struct ttt__verbatim verbatim;        /* what of it must stand as it is */
	struct ttt__wanted wanted;            /* what it asks the definition of */
};

/* Terms: the question's words without stop words (with them when there is nothing else), parts of identifiers and,
 * as terms of their own, whole identifiers; each stem once, in the order of the question. Synonyms come from t,
 * which may be NULL, as far as there is room. */
enum ttt_status ttt__question_parse(struct ttt__question *q, struct ttt__fulltext *ix, const struct ttt__thesaurus *t,
    const char *text, struct ttt_error *err);
/* Sum over own terms of the best of value [n], that of the term and those of its synonyms. */
double ttt__question_sum(const struct ttt__question *q, const double *value);
/* Whether term t is the stem of n bytes. */
bool ttt__question_has(const struct ttt__question *q, int t, const char *stem, size_t n);

#endif
