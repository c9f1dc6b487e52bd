/* Asking a state: passages by index and cues (rank.c), where asked for reordered by what the model makes of them. */
#include "libttt/use/excerpt.h"
#include "libttt/use/relevance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Best evidence (rank.c) below which nothing absorbed bears on a question. Deliberately low, since a passage that
 * is shown can be judged and one that is not cannot: on 121 questions that manual pages and C sources answer, and 8
 * that they do not, it refuses none of the 121 and 2 of the 8. */
static const double FLOOR = 0.25;

/* What a nat a token by which the model predicts the question better adds to a passage's score. The measure orders passages (area under ROC
 * .74 to .80 within a question, against .84 of the score), but what it knows the words mostly know too, so that the first place is left to
 * them; see bench/RESULTS.md. */
static const double W_MODEL = 8;

enum {
	DEFAULT_K = 5,
	RANKED_K = 20,     /* candidates kept for a question at least */
	REORDERED_K = 10   /* of which the model orders all but the first */
};

struct ttt_ask {
	struct ttt_ask_options options;
	struct ttt__corpus corpus;
	struct ttt__fulltext *index;
	struct ttt__thesaurus *thesaurus;
	struct ttt__ranker *ranker;
	struct ttt__relevance *relevance; /* NULL where words alone give the order */
	struct ttt_passage *passage;      /* [k] of the last answer */
	struct ttt__question question;    /* the last one, .. */
	struct ttt__ranking ranking;      /* .. and what it found */
};

static enum ttt_status
read_records(struct ttt_ask *a, struct ttt_state *state, struct ttt_error *err)
{
	struct ttt_error local = { .status = TTT_OK };
	struct ttt_record r;
	int64_t cursor = 0;
	enum ttt_status s = TTT_OK;

	while (s == TTT_OK && ttt_state_record_next(state, &cursor, &r, &local))
		s = ttt__corpus_add(&a->corpus, r.name, r.first_line, r.text, r.n, err);
	if (s == TTT_OK && local.status != TTT_OK) {
		if (err != NULL)
			*err = local;
		return local.status;
	}
	if (s == TTT_OK && a->corpus.text.n == 0)
		return ttt__fail(err, TTT_E_USAGE,
		    "keeps no passages: it was made with --no-passages, or absorbed no text");
	return s == TTT_OK ? ttt__corpus_cut(&a->corpus, err) : s;
}

enum ttt_status
ttt_ask_create(struct ttt_ask **out, struct ttt_state *state, const struct ttt_ask_options *o, struct ttt_error *err)
{
	struct ttt_ask *a = ttt__new(1, sizeof(*a));
	enum ttt_status s;

	*out = NULL;
	if (a == NULL)
		return ttt__fail_memory(err, "passages");
	if (o != NULL)
		a->options = *o;
	if (a->options.k <= 0)
		a->options.k = DEFAULT_K;
	if (a->options.floor <= 0)
		a->options.floor = FLOOR;
	s = read_records(a, state, err);
	if (s == TTT_OK)
		s = ttt__fulltext_create(&a->index, &a->corpus, err);
	if (s == TTT_OK)
		s = ttt__thesaurus_create(&a->thesaurus, a->index, err);
	if (s == TTT_OK)
		s = ttt__ranker_create(&a->ranker, &a->corpus, a->index, err);
	if (s == TTT_OK && (a->options.rank == TTT_RANK_INITIAL || a->options.rank == TTT_RANK_ABSORBED))
		s = ttt__relevance_create(&a->relevance, ttt_state_session(state), a->options.rank == TTT_RANK_INITIAL, err);
	if (s != TTT_OK) {
		ttt_ask_free(a);
		return s;
	}
	*out = a;
	return TTT_OK;
}

void
ttt_ask_free(struct ttt_ask *a)
{
	if (a == NULL)
		return;
	ttt__relevance_free(a->relevance);
	ttt__ranker_free(a->ranker);
	ttt__thesaurus_free(a->thesaurus);
	ttt__fulltext_free(a->index);
	ttt__corpus_free(&a->corpus);
	free(a->passage);
	free(a);
}

static int
compare(const void *a, const void *b)
{
	const struct ttt__candidate *x = a, *y = b;

	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	return x->rank < y->rank ? -1 : x->rank > y->rank;
}

/* Put all but the first of n passages in the order that score and model together give. */
static enum ttt_status
reorder(struct ttt_ask *a, const char *question, struct ttt__candidate *p, int64_t n, struct ttt_error *err)
{
	enum ttt_status s;

	if (n <= 2)
		return TTT_OK;
	s = ttt__relevance_question(a->relevance, question, err);
	for (int64_t i = 1; i < n && s == TTT_OK; i++) {
		size_t n_text;
		const char *text = ttt__candidate_text(&a->corpus, &p[i], &n_text);
		double gain = 0;

		s = ttt__relevance_gain(a->relevance, text, n_text, &gain, err);
		p[i].score += W_MODEL * gain;
		p[i].rank = i;
	}
	if (s != TTT_OK)
		return s;
	qsort(p + 1, (size_t)n - 1, sizeof(*p), compare);
	return TTT_OK;
}

enum ttt_status
ttt_ask_question(struct ttt_ask *a, const char *question, struct ttt_answer *out, struct ttt_error *err)
{
	struct ttt__question *q = &a->question;
	struct ttt__ranking *r = &a->ranking;
	struct ttt_passage *p;
	int64_t k = a->options.k;
	bool bm25 = a->options.rank == TTT_RANK_BM25;
	enum ttt_status s = ttt__question_parse(q, a->index, bm25 ? NULL : a->thesaurus, question, err);

	if (s == TTT_OK)
		s = ttt__rank(a->ranker, q, k > RANKED_K ? k : RANKED_K, bm25, r, err);
	if (s == TTT_OK && a->relevance != NULL && k > 1)
		s = reorder(a, question, r->p, r->n < REORDERED_K ? r->n : REORDERED_K, err);
	if (s != TTT_OK)
		return s;
	for (int64_t i = 1; i < r->n; i++) /* scores fall along an answer */
		r->p[i].score = fmin(r->p[i].score, r->p[i - 1].score);
	k = k < r->n ? k : r->n;
	p = ttt__grow(a->passage, (size_t)k, sizeof(*p));
	if (p == NULL)
		return ttt__fail_memory(err, "answer");
	a->passage = p;
	for (int64_t i = 0; i < k; i++) {
		p[i] = r->p[i].shown;
		p[i].score = r->p[i].score;
	}
	*out = (struct ttt_answer){ .passage = p, .n = k, .bears = k > 0 && r->evidence >= a->options.floor };
	return s;
}

enum ttt_status
ttt_ask_excerpt(struct ttt_ask *a, const char *line, size_t n, size_t most, size_t *from, size_t *n_part, struct ttt_error *err)
{
	return ttt__line_excerpt(from, n_part, most, a->index, &a->question, &a->ranking, line, n, err);
}
