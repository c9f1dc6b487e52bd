/* Choosing a line: each own term counts with its weight, or a synonym's, in the line itself and with a part of it
 * one line away, since sentences break over lines; a wanted number or error name counts as a word would, and what stands word for word, or is
 * the definition that is asked for, as all of them. */
#include "libttt/use/best.h"
#include "libttt/use/cues.h"

#include <string.h>

static const double NEIGHBOUR = 0.5, CUE = 1; /* share of a term one line away; of the mean term weight for a cue */

struct line {
	const struct ttt__question *q;
	bool has[TTT__TERM_MAX];
};

static bool
note_word(void *ctx, const char *stem, size_t n, size_t start, size_t end)
{
	struct line *l = ctx;

	(void)start;
	(void)end;
	for (int t = 0; t < l->q->n; t++)
		if (ttt__question_has(l->q, t, stem, n))
			l->has[t] = true;
	return true;
}

static enum ttt_status
read_line(struct line *l, struct ttt__fulltext *ix, const struct ttt__question *q, const char *text, size_t n,
    struct ttt_error *err)
{
	memset(l, 0, sizeof(*l));
	l->q = q;
	return ttt__fulltext_words(ix, text, n, false, note_word, l, err);
}

/* Value of a line among its neighbours, any of which may be empty. */
static double
value(const struct line l[3], const struct ttt__ranking *r)
{
	const struct ttt__question *q = l[1].q;
	double value[TTT__TERM_MAX];

	for (int t = 0; t < q->n; t++) {
		double near = l[0].has[t] || l[2].has[t] ? NEIGHBOUR : 0;

		value[t] = r->weight[t] * (l[1].has[t] ? 1 : near);
	}
	return ttt__question_sum(q, value);
}

/* What the line at text, n bytes of the n_all that are left of a passage of file, is worth for more than its words. */
static double
cue(const struct ttt__question *q, const struct ttt__ranking *r, const char *file, const char *text, size_t n, size_t n_all)
{
	double sum = 0, more;

	for (int t = 0; t < q->n_own; t++)
		sum += r->weight[t];
	more = sum * (ttt__verbatim_in(&q->verbatim, file, text, n) + ttt__defines(&q->wanted, text, n, n_all));
	if ((q->number && ttt__has_number(text, n)) || (q->error && ttt__has_errno(text, n)))
		more += CUE * sum / (q->n_own > 0 ? q->n_own : 1);
	return more;
}

static size_t
line_end(const char *text, size_t n, size_t at)
{
	const char *q = at < n ? memchr(text + at, '\n', n - at) : NULL;

	return q == NULL ? n : (size_t)(q - text) + 1;
}

enum ttt_status
ttt__best_line(int64_t *line, struct ttt__fulltext *ix, const struct ttt__question *q, const struct ttt__ranking *r,
    const struct ttt_passage *p, struct ttt_error *err)
{
	const char *text = p->text;
	size_t n = p->n;
	struct line l[3];
	double best = -1;
	size_t at = 0, end = line_end(text, n, 0);
	enum ttt_status s = read_line(&l[0], ix, q, "", 0, err);

	*line = 0;
	if (s == TTT_OK)
		s = read_line(&l[1], ix, q, text, end, err);
	for (int64_t i = 0; at < n && s == TTT_OK; i++) {
		size_t next = line_end(text, n, end);
		double v;

		s = read_line(&l[2], ix, q, text + end, next - end, err);
		v = value(l, r) + cue(q, r, p->file, text + at, end - at, n - at);
		if (v > best && !ttt__is_blank(text + at, end - at)) {
			best = v;
			*line = i;
		}
		l[0] = l[1];
		l[1] = l[2];
		at = end;
		end = next;
	}
	return s;
}
