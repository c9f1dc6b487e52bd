/* The order of what was found: best first, and nothing shown twice, be it another version of a text. */
#include "libttt/use/rank_parts.h"
#include "libttt/use/shown.h"

#include <stdlib.h>
#include <string.h>

static const double LIKE = 0.5; /* of a version's score, that another must have to take its place */

/* Best first; of equals the shorter, then the later: what was absorbed last is what holds now. */
static int
compare(const void *a, const void *b)
{
	const struct ttt__candidate *x = a, *y = b;

	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	if (x->n != y->n)
		return x->n < y->n ? -1 : 1;
	return x->first > y->first ? -1 : x->first < y->first;
}

void
ttt__rank_sort(struct ttt__ranker *r)
{
	size_t n = r->found.n / sizeof(struct ttt__candidate);

	if (n > 0)
		qsort(r->found.p, n, sizeof(struct ttt__candidate), compare);
}

const char *
ttt__rank_name(const char *name)
{
	while (name[0] == '.' && name[1] == '/')
		name += 2;
	return name;
}

static bool
has_line(const struct ttt_passage *p, const char *line, size_t n)
{
	const char *at = p->text, *end = p->text + p->n;

	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((stop != NULL ? stop : end) - at);

		if (len == n && memcmp(at, line, n) == 0)
			return true;
		at += len + 1;
	}
	return false;
}

/* More than half of b's lines stand in a: another version of it. */
static bool
has_most_lines(const struct ttt_passage *a, const struct ttt_passage *b)
{
	const char *at = b->text, *end = b->text + b->n;
	int64_t n_line = 0, n_same = 0;

	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((stop != NULL ? stop : end) - at);

		if (!ttt__is_blank(at, len)) {
			n_line++;
			n_same += has_line(a, at, len);
		}
		at += len + 1;
	}
	return 2 * n_same > n_line;
}

/* b shows lines of a, or says the same elsewhere (a licence at the head of every file). */
static bool
repeats(const struct ttt_passage *a, const struct ttt_passage *b)
{
	if (a->n == b->n && memcmp(a->text, b->text, a->n) == 0)
		return true;
	return a->file == b->file && a->start <= b->end && b->start <= a->end; /* names are kept a document */
}

static enum ttt_status
cut(const struct ttt__search *s, struct ttt__candidate *p, struct ttt_error *err)
{
	const struct ttt__corpus *c = s->r->corpus;
	const struct ttt__unit *first = &c->unit[p->first], *last = first + p->n - 1;
	struct ttt_passage *x = &p->shown;

	x->file = ttt__corpus_name(c, first->file);
	x->start = first->line;
	x->end = last->line + last->n_line - 1;
	x->older = s->r->older[first->file];
	x->text = ttt__candidate_text(c, p, &x->n);
	return ttt__shown_cut(x, s->r->index, s->q, s->out, err);
}

/* Is p another version of the kept passage k? Of the two the newer is kept, in the place of the better, where it answers nearly as well. */
static bool
is_version_of(const struct ttt__search *s, struct ttt__candidate *k, const struct ttt__candidate *p)
{
	int64_t was = s->r->corpus->unit[k->first].file, is = s->r->corpus->unit[p->first].file;

	if (was == is || strcmp(ttt__rank_name(k->shown.file), ttt__rank_name(p->shown.file)) != 0 || !has_most_lines(&k->shown, &p->shown))
		return false;
	if (is > was && p->score < LIKE * k->score)
		return false; /* what was asked for is not in it */
	if (is > was) {
		double score = k->score;

		*k = *p;
		k->score = score;
	}
	return true;
}

enum ttt_status
ttt__rank_keep_best(const struct ttt__search *s, int64_t k, struct ttt_error *err)
{
	struct ttt__ranker *r = s->r;
	struct ttt__candidate *p = (struct ttt__candidate *)(void *)r->found.p;
	size_t n = r->found.n / sizeof(*p);

	ttt__rank_sort(r);
	for (size_t i = 0; i < n; i++) {
		struct ttt__candidate *kept = (struct ttt__candidate *)(void *)r->kept.p;
		size_t n_kept = r->kept.n / sizeof(*kept), j = 0;
		enum ttt_status status;

		if ((int64_t)n_kept >= k)
			break;
		status = cut(s, &p[i], err);
		if (status != TTT_OK)
			return status;
		while (j < n_kept && !repeats(&kept[j].shown, &p[i].shown))
			j++;
		for (size_t v = 0; j == n_kept && v < n_kept; v++) /* of all, before p takes the place of one */
			if (is_version_of(s, &kept[v], &p[i]))
				j = v;
		status = j < n_kept ? TTT_OK : ttt__bytes_add(&r->kept, &p[i], sizeof(p[i]), err);
		if (status != TTT_OK)
			return status;
	}
	return TTT_OK;
}
