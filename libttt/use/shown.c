/* Cutting a passage down to what is shown: the lines around its best one. */
#include "libttt/use/shown.h"
#include "libttt/use/best.h"

#include <string.h>

enum {
	SHOWN_LINES = 21, /* at most */
	BEFORE_BEST = 5   /* of them before the best one, where there are as many */
};

/* Bytes of a passage's first line, or offset of its last one. */
static size_t
first_line(const struct ttt_passage *p)
{
	const char *q = memchr(p->text, '\n', p->n);

	return q == NULL ? p->n : (size_t)(q - p->text) + 1;
}

static size_t
last_line(const struct ttt_passage *p)
{
	size_t at = p->n - 1;

	while (at > 0 && p->text[at - 1] != '\n')
		at--;
	return at;
}

static void
drop_first(struct ttt_passage *p)
{
	size_t n = first_line(p);

	p->text += n;
	p->n -= n;
	p->start++;
}

static void
drop_last(struct ttt_passage *p)
{
	p->n = last_line(p);
	p->end--;
}

/* Leave out blank lines at both ends. */
static void
trim(struct ttt_passage *p)
{
	while (p->start < p->end && ttt__is_blank(p->text, first_line(p)))
		drop_first(p);
	while (p->start < p->end && ttt__is_blank(p->text + last_line(p), p->n - last_line(p)))
		drop_last(p);
}

/* Leave of a long passage SHOWN_LINES around its best line, most of them behind it: what is asked for follows the words that it is asked
 * with more often than it stands before them. */
static void
crop(struct ttt_passage *p)
{
	while (p->end - p->start >= SHOWN_LINES)
		if (p->best - p->start > BEFORE_BEST)
			drop_first(p);
		else
			drop_last(p);
	trim(p);
}

enum ttt_status
ttt__shown_cut(struct ttt_passage *p, struct ttt__fulltext *ix, const struct ttt__question *q, const struct ttt__ranking *r,
    struct ttt_error *err)
{
	enum ttt_status s;

	trim(p);
	s = ttt__best_line(&p->best, ix, q, r, p, err);
	p->best += p->start;
	if (s == TTT_OK)
		crop(p);
	return s;
}
