/* Merging a word: always the pair of lowest rank, the leftmost of equals. */
#include "libttt/text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

enum { SHORT = 48 }; /* bytes; up to here, looking for the best pair anew each time is the faster way */

/* A symbol of a word, linked to its neighbours; id < 0: merged into its left neighbour. */
struct symbol {
	int32_t id, previous, next;
};

/* A merge that was possible at some time. */
struct candidate {
	int32_t rank, at, id;
	int32_t left, right; /* the ids it was possible for */
};

struct ttt__bpe {
	const struct ttt_tokenizer *t;
	int32_t *id;              /* the result */
	size_t id_capacity;
	struct symbol *symbol;
	struct candidate *heap;   /* smallest rank, then place, first */
	size_t n_heap, long_capacity;
};

enum ttt_status
ttt__bpe_create(struct ttt__bpe **out, const struct ttt_tokenizer *t, struct ttt_error *err)
{
	struct ttt__bpe *b = ttt__new(1, sizeof *b);
	if (b == NULL)
		return ttt__fail_memory(err, "tokenizer stream");
	b->t = t;
	*out = b;
	return TTT_OK;
}

void
ttt__bpe_free(struct ttt__bpe *b)
{
	if (b == NULL)
		return;
	free(b->id);
	free(b->symbol);
	free(b->heap);
	free(b);
}

static enum ttt_status
reserve(struct ttt__bpe *b, size_t n, struct ttt_error *err)
{
	if (n > b->id_capacity) {
		int32_t *id = ttt__grow(b->id, n, sizeof *id);
		if (id == NULL)
			return ttt__fail_memory(err, "tokenizer stream");
		b->id = id;
		b->id_capacity = n;
	}
	if (n <= SHORT || n <= b->long_capacity)
		return TTT_OK;
	/* n - 1 pairs at the start, and two new ones at most for each of n - 1 merges. */
	struct symbol *symbol = ttt__grow(b->symbol, n, sizeof *symbol);
	if (symbol != NULL)
		b->symbol = symbol;
	struct candidate *heap = ttt__grow(b->heap, 3 * n, sizeof *heap);
	if (heap != NULL)
		b->heap = heap;
	if (symbol == NULL || heap == NULL)
		return ttt__fail_memory(err, "tokenizer stream");
	b->long_capacity = n;
	return TTT_OK;
}

static size_t
merge_short(struct ttt__bpe *b, size_t n)
{
	const struct ttt__merge *merge[SHORT];
	int32_t *id = b->id;
	for (size_t i = 0; i + 1 < n; i++)
		merge[i] = ttt__merges_find(&b->t->merges, id[i], id[i + 1]);
	for (;;) {
		size_t best = n;
		for (size_t i = 0; i + 1 < n; i++)
			if (merge[i] != NULL && (best == n || merge[i]->rank < merge[best]->rank))
				best = i;
		if (best == n)
			return n;
		id[best] = merge[best]->id;
		n--;
		memmove(id + best + 1, id + best + 2, (n - best - 1) * sizeof *id);
		if (best + 1 < n) {
			for (size_t i = best + 1; i + 1 < n; i++)
				merge[i] = merge[i + 1];
			merge[best] = ttt__merges_find(&b->t->merges, id[best], id[best + 1]);
		}
		if (best > 0)
			merge[best - 1] = ttt__merges_find(&b->t->merges, id[best - 1], id[best]);
	}
}

static bool
before(const struct candidate *x, const struct candidate *y)
{
	return x->rank != y->rank ? x->rank < y->rank : x->at < y->at;
}

/* Enter the merge of the symbol at place at with its right neighbour, if there is one. */
static void
push(struct ttt__bpe *b, int32_t at)
{
	const struct symbol *s = b->symbol;
	if (at < 0 || s[at].next < 0)
		return;
	int32_t left = s[at].id, right = s[s[at].next].id;
	const struct ttt__merge *m = ttt__merges_find(&b->t->merges, left, right);
	if (m == NULL)
		return;
	struct candidate c = { .rank = m->rank, .at = at, .id = m->id, .left = left, .right = right };
	size_t i = b->n_heap++;
	for (; i > 0 && before(&c, &b->heap[(i - 1) / 2]); i = (i - 1) / 2)
		b->heap[i] = b->heap[(i - 1) / 2];
	b->heap[i] = c;
}

static struct candidate
pop(struct ttt__bpe *b)
{
	struct candidate top = b->heap[0], last = b->heap[--b->n_heap];
	size_t i = 0;
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= b->n_heap)
			break;
		if (child + 1 < b->n_heap && before(&b->heap[child + 1], &b->heap[child]))
			child++;
		if (!before(&b->heap[child], &last))
			break;
		b->heap[i] = b->heap[child];
		i = child;
	}
	b->heap[i] = last;
	return top;
}

/* Time n log n, whatever the word. */
static size_t
merge_long(struct ttt__bpe *b, size_t n)
{
	struct symbol *s = b->symbol;
	for (size_t i = 0; i < n; i++)
		s[i] = (struct symbol){ .id = b->id[i], .previous = (int32_t)i - 1, .next = i + 1 < n ? (int32_t)i + 1 : -1 };
	b->n_heap = 0;
	for (size_t i = 0; i + 1 < n; i++)
		push(b, (int32_t)i);
	while (b->n_heap > 0) {
		struct candidate c = pop(b);
		int32_t right = s[c.at].next;
		if (s[c.at].id != c.left || right < 0 || s[right].id != c.right)
			continue; /* one of the two has been merged since */
		s[c.at].id = c.id;
		s[c.at].next = s[right].next;
		s[right].id = -1;
		if (s[right].next >= 0)
			s[s[right].next].previous = c.at;
		push(b, c.at);
		push(b, s[c.at].previous);
	}
	size_t count = 0;
	for (int32_t i = 0; i >= 0; i = s[i].next)
		b->id[count++] = s[i].id;
	return count;
}

enum ttt_status
ttt__bpe_word(struct ttt__bpe *b, const unsigned char *word, size_t n, const int32_t **id, size_t *n_id,
    struct ttt_error *err)
{
	enum ttt_status status = reserve(b, n, err);
	if (status != TTT_OK)
		return status;
	*id = b->id;
	*n_id = 1;
	if (b->t->ignore_merges) {
		b->id[0] = ttt__names_find(&b->t->names, word, n);
		if (b->id[0] >= 0)
			return TTT_OK;
	}
	for (size_t i = 0; i < n; i++)
		b->id[i] = b->t->byte_id[word[i]];
	*n_id = n <= SHORT ? merge_short(b, n) : merge_long(b, n);
	return TTT_OK;
}
