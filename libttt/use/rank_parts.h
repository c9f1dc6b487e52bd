/* What rank.c and rank_order.c share. Private to them. */
#ifndef TTT_USE_RANK_PARTS_H
#define TTT_USE_RANK_PARTS_H
#include "libttt/use/rank.h"

struct ttt__ranker {
	const struct ttt__corpus *corpus;
	struct ttt__fulltext *index;
	int64_t n_passage;
	double mean_length;
	struct ttt__bytes rows, found, kept; /* of row, of ttt__candidate, twice */
	unsigned char *file_terms;           /* [files, TTT__TERM_MAX] the file has the term */
	double *file_score;                  /* [files] W_FILE file + W_NAME name + W_NAMED named */
	bool *named;                         /* [files] the question asks for what is in it */
	bool *older;                         /* [files] a later file has the same name */
};

/* One question. */
struct ttt__search {
	struct ttt__ranker *r;
	const struct ttt__question *q;
	struct ttt__ranking *out;
	size_t row_size;
	bool bm25; /* nothing but it */
	bool any_named; /* files */
	/* weights for the evidence: of terms, of all own ones, of a word that is nowhere */
	double plain[TTT__TERM_MAX], total, absent;
};

/* Put what r->found holds in order, best first. */
void ttt__rank_sort(struct ttt__ranker *r);
/* A file's name as it is compared with others: "./a" is "a". */
const char *ttt__rank_name(const char *name);
/* The first k of what r->found holds, in order, into r->kept. */
enum ttt_status ttt__rank_keep_best(const struct ttt__search *s, int64_t k, struct ttt_error *err);

#endif
