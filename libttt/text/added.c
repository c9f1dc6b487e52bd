/* The tokens lie in byte order; matching narrows the range of those that agree so far, a byte at a time. */
#include "libttt/text/added.h"

#include <stdlib.h>
#include <string.h>

enum ttt_status
ttt__added_add(struct ttt__added *a, const void *p, size_t n, int32_t id, struct ttt_error *err)
{
	struct ttt__added_token *grown = ttt__grow(a->token, a->n + 1, sizeof *grown);
	if (grown == NULL)
		return ttt__fail_memory(err, "added tokens");
	a->token = grown;
	unsigned char *copy = ttt__new(n, 1);
	if (copy == NULL)
		return ttt__fail_memory(err, "added tokens");
	memcpy(copy, p, n);
	a->token[a->n++] = (struct ttt__added_token){ .p = copy, .n = n, .id = id };
	a->first[copy[0]] = true;
	return TTT_OK;
}

static int
compare(const void *x, const void *y)
{
	const struct ttt__added_token *a = x, *b = y;
	size_t n = a->n < b->n ? a->n : b->n;
	int order = memcmp(a->p, b->p, n);
	return order != 0 ? order : (a->n > b->n) - (a->n < b->n);
}

void
ttt__added_sort(struct ttt__added *a, ptrdiff_t *twice)
{
	*twice = -1;
	if (a->n == 0)
		return;
	qsort(a->token, a->n, sizeof *a->token, compare);
	for (size_t i = 1; i < a->n && *twice < 0; i++)
		if (compare(&a->token[i - 1], &a->token[i]) == 0)
			*twice = (ptrdiff_t)i;
}

void
ttt__added_free(struct ttt__added *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->token[i].p);
	free(a->token);
	*a = (struct ttt__added){ 0 };
}

/* First of the tokens [from, to), all longer than depth, whose byte at depth is at least c. */
static size_t
lower_bound(const struct ttt__added *a, size_t from, size_t to, size_t depth, unsigned c)
{
	while (from < to) {
		size_t middle = from + (to - from) / 2;
		if (a->token[middle].p[depth] < c)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

ptrdiff_t
ttt__added_match(const struct ttt__added *a, const unsigned char *text, size_t n, bool more, int32_t *id)
{
	size_t from = 0, to = a->n, depth = 0;
	ptrdiff_t longest = 0;
	/* Invariant: the tokens [from, to) agree with text in their first depth bytes and are longer than that. */
	while (from < to) {
		if (depth == n)
			return more ? -1 : longest;
		unsigned c = text[depth];
		from = lower_bound(a, from, to, depth, c);
		to = lower_bound(a, from, to, depth, c + 1);
		depth++;
		if (from < to && a->token[from].n == depth) {
			longest = (ptrdiff_t)depth;
			*id = a->token[from++].id;
		}
	}
	return longest;
}
