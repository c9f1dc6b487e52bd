/* Which passages bear on a question: BM25 with the cues that measured well. No model here. Private. */
#ifndef TTT_USE_RANK_H
#define TTT_USE_RANK_H
#include "libttt/use/question.h"

/* Neighbouring units first .. first + n - 1, ranked together. */
struct ttt__candidate {
	int64_t first;
	int n;
	double score; /* the order */
	int64_t rank; /* place in that order */
	struct ttt_passage shown; /* its score is not set; text borrowed from the corpus */
};

struct ttt__ranker;

/* Both must outlive it. */
enum ttt_status ttt__ranker_create(struct ttt__ranker **out, const struct ttt__corpus *c, struct ttt__fulltext *ix,
    struct ttt_error *err);
void ttt__ranker_free(struct ttt__ranker *r);

struct ttt__ranking {
	struct ttt__candidate *p; /* [n] best first, no line shown twice; borrowed until the next */
	int64_t n;
	double evidence;              /* how far any passage bears on the question, whatever the text's size */
	double weight[TTT__TERM_MAX]; /* of each term: idf, of a synonym a part of it; 0 when it stands nowhere */
};
/* At most k candidates for a question; with bm25, in the order of BM25 alone. */
enum ttt_status ttt__rank(struct ttt__ranker *r, const struct ttt__question *q, int64_t k, bool bm25, struct ttt__ranking *out,
    struct ttt_error *err);

/* All bytes of a candidate. */
const char *ttt__candidate_text(const struct ttt__corpus *c, const struct ttt__candidate *p, size_t *n);

#endif
