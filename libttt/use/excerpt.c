/* Choosing a part of a line: a paragraph written as one, minified code, data. Terms weigh as in the choice of passages, each once. */
#include "libttt/use/excerpt.h"

#include <string.h>

enum { HITS = 1 << 16 }; /* words of the question in a line that are looked at */

struct hit {
	size_t start, end;
	int term;
};

struct hits {
	const struct ttt__question *q;
	struct ttt__bytes b; /* of struct hit */
	struct ttt_error *err;
	enum ttt_status status;
};

static bool
note_word(void *ctx, const char *stem, size_t n, size_t start, size_t end)
{
	struct hits *h = ctx;

	for (int t = 0; t < h->q->n && h->status == TTT_OK; t++)
		if (ttt__question_has(h->q, t, stem, n)) {
			struct hit x = { start, end, t };

			h->status = ttt__bytes_add(&h->b, &x, sizeof(x), h->err);
		}
	return h->status == TTT_OK && h->b.n < HITS * sizeof(struct hit);
}

/* The worth of terms that stand count times in a part. */
static double
worth(const struct ttt__question *q, const struct ttt__ranking *r, const int *count)
{
	double value[TTT__TERM_MAX];

	for (int t = 0; t < q->n; t++)
		value[t] = count[t] > 0 ? r->weight[t] : 0;
	return ttt__question_sum(q, value);
}

/* The first and last hit of the best part no longer than `most`. */
static void
find_part(const struct hits *h, const struct ttt__ranking *r, size_t most, size_t *first, size_t *last)
{
	const struct hit *x = (const struct hit *)(const void *)h->b.p;
	size_t n = h->b.n / sizeof(*x);
	int count[TTT__TERM_MAX] = { 0 };
	double best = -1;

	*first = *last = 0;
	for (size_t i = 0, end = 0; i < n; i++) {
		double w;

		for (; end < n && x[end].end - x[i].start <= most; end++)
			count[x[end].term]++;
		w = worth(h->q, r, count);
		if (end > i && w > best) {
			best = w;
			*first = i;
			*last = end - 1;
		}
		if (end > i)
			count[x[i].term]--;
		else
			end = i + 1; /* a word longer than the part */
	}
}

enum ttt_status
ttt__line_excerpt(size_t *from, size_t *n_part, size_t most, struct ttt__fulltext *ix, const struct ttt__question *q,
    const struct ttt__ranking *r, const char *line, size_t n, struct ttt_error *err)
{
	struct hits h = { .q = q, .err = err };
	size_t to = n, first, last;
	enum ttt_status s;

	*from = 0;
	*n_part = n;
	if (n <= most)
		return TTT_OK;
	s = ttt__fulltext_words(ix, line, n, false, note_word, &h, err);
	if (h.status != TTT_OK)
		s = h.status;
	if (s == TTT_OK && h.b.n > 0) {
		const struct hit *x = (const struct hit *)(const void *)h.b.p;

		find_part(&h, r, most - most / 4, &first, &last);
		*from = x[first].start > most / 8 ? x[first].start - most / 8 : 0;
	}
	ttt__bytes_free(&h.b);
	if (n - *from < most)
		*from = n - most;
	to = *from + most;
	/* not in the middle of a character */
	while (*from < to && ((unsigned char)line[*from] & 0xc0) == 0x80)
		++*from;
	while (to > *from && to < n && ((unsigned char)line[to] & 0xc0) == 0x80)
		to--;
	*n_part = to - *from;
	return s;
}
