/* Byte pair encoding, trained incrementally: a merge touches the words that hold its pair and no others. Each pair
 * knows those words (some may have lost it since). The heap may hold counts that have fallen since they were entered,
 * never ones that have risen: a pair gains occurrences only in the step that makes the younger of its two tokens. */
#include "libttt/text/train.h"

#include <stdlib.h>

struct pair {
	int32_t left, right;
	int64_t count;
	uint32_t *where; /* [n_where] words it occurs in */
	size_t n_where, capacity;
};

struct entry {
	int64_t count;
	uint32_t pair;
};

/* A word as symbols [n] from at on in one big array. */
struct word {
	size_t at;
	uint32_t n;
	int64_t count;
};

struct trainer {
	struct word *word;
	size_t n_word;
	int32_t *symbol;
	struct pair *pair;
	size_t n_pair, pair_capacity;
	uint32_t *slot; /* hash table of pairs: index + 1, 0: empty */
	size_t n_slot;  /* a power of two */
	struct entry *heap;
	size_t n_heap, heap_capacity;
};

static void
trainer_free(struct trainer *t)
{
	for (size_t i = 0; i < t->n_pair; i++)
		free(t->pair[i].where);
	free(t->pair);
	free(t->slot);
	free(t->heap);
	free(t->symbol);
	free(t->word);
}

static size_t
slot_of(const struct trainer *t, int32_t left, int32_t right)
{
	uint64_t h = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9e3779b97f4a7c15u;
	size_t i = (h ^ h >> 32) & (t->n_slot - 1);
	while (t->slot[i] != 0 && (t->pair[t->slot[i] - 1].left != left || t->pair[t->slot[i] - 1].right != right))
		i = (i + 1) & (t->n_slot - 1);
	return i;
}

static bool
grow_pairs(struct trainer *t)
{
	size_t capacity = t->pair_capacity < 4096 ? 4096 : t->pair_capacity * 2;
	struct pair *pair = ttt__grow(t->pair, capacity, sizeof *pair);
	if (pair != NULL)
		t->pair = pair;
	uint32_t *slot = ttt__new(capacity * 2, sizeof *slot);
	if (pair == NULL || slot == NULL || capacity > UINT32_MAX / 4) {
		free(slot);
		return false;
	}
	t->pair_capacity = capacity;
	free(t->slot);
	t->slot = slot;
	t->n_slot = capacity * 2;
	for (size_t i = 0; i < t->n_pair; i++)
		t->slot[slot_of(t, t->pair[i].left, t->pair[i].right)] = (uint32_t)i + 1;
	return true;
}

/* count more occurrences of a pair, in word w. */
static bool
gain(struct trainer *t, int32_t left, int32_t right, uint32_t w)
{
	if (t->n_pair == t->pair_capacity && !grow_pairs(t))
		return false;
	size_t i = slot_of(t, left, right);
	if (t->slot[i] == 0) {
		t->pair[t->n_pair] = (struct pair){ .left = left, .right = right };
		t->slot[i] = (uint32_t)++t->n_pair;
	}
	struct pair *p = &t->pair[t->slot[i] - 1];
	p->count += t->word[w].count;
	if (p->n_where > 0 && p->where[p->n_where - 1] == w)
		return true;
	if (p->n_where == p->capacity) {
		size_t capacity = p->capacity < 4 ? 4 : p->capacity * 2;
		uint32_t *where = ttt__grow(p->where, capacity, sizeof *where);
		if (where == NULL)
			return false;
		p->where = where;
		p->capacity = capacity;
	}
	p->where[p->n_where++] = w;
	return true;
}

static void
lose(struct trainer *t, int32_t left, int32_t right, uint32_t w)
{
	t->pair[t->slot[slot_of(t, left, right)] - 1].count -= t->word[w].count;
}

/* More frequent, or as frequent and of older tokens. */
static bool
before(const struct trainer *t, const struct entry *x, const struct entry *y)
{
	const struct pair *a = &t->pair[x->pair], *b = &t->pair[y->pair];
	if (x->count != y->count)
		return x->count > y->count;
	return a->left != b->left ? a->left < b->left : a->right < b->right;
}

static bool
push(struct trainer *t, struct entry e)
{
	if (t->n_heap == t->heap_capacity) {
		size_t capacity = t->heap_capacity < 4096 ? 4096 : t->heap_capacity * 2;
		struct entry *grown = ttt__grow(t->heap, capacity, sizeof *grown);
		if (grown == NULL)
			return false;
		t->heap = grown;
		t->heap_capacity = capacity;
	}
	size_t i = t->n_heap++;
	for (; i > 0 && before(t, &e, &t->heap[(i - 1) / 2]); i = (i - 1) / 2)
		t->heap[i] = t->heap[(i - 1) / 2];
	t->heap[i] = e;
	return true;
}

static struct entry
pop(struct trainer *t)
{
	struct entry top = t->heap[0], last = t->heap[--t->n_heap];
	size_t i = 0;
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= t->n_heap)
			break;
		if (child + 1 < t->n_heap && before(t, &t->heap[child + 1], &t->heap[child]))
			child++;
		if (!before(t, &t->heap[child], &last))
			break;
		t->heap[i] = t->heap[child];
		i = child;
	}
	t->heap[i] = last;
	return top;
}

static bool
push_pairs(struct trainer *t, size_t from)
{
	for (size_t i = from; i < t->n_pair; i++)
		if (!push(t, (struct entry){ .count = t->pair[i].count, .pair = (uint32_t)i }))
			return false;
	return true;
}

/* The words as bytes, and the pairs in them. */
static bool
load_words(struct trainer *t, const struct ttt__word_counts *c)
{
	size_t n = 0;
	for (size_t i = 0; i < c->n; i++)
		n += c->word[i].n;
	t->word = ttt__new(c->n, sizeof *t->word);
	t->symbol = ttt__new(n, sizeof *t->symbol);
	if (t->word == NULL || t->symbol == NULL || !grow_pairs(t))
		return false;
	t->n_word = c->n;
	n = 0;
	for (size_t w = 0; w < c->n; w++) {
		t->word[w] = (struct word){ .at = n, .n = c->word[w].n, .count = c->word[w].count };
		for (size_t i = 0; i < c->word[w].n; i++, n++) {
			t->symbol[n] = c->word[w].p[i];
			if (i > 0 && !gain(t, t->symbol[n - 1], t->symbol[n], (uint32_t)w))
				return false;
		}
	}
	return push_pairs(t, 0);
}

/* Replace left, right by id everywhere in word w, from the left. */
static bool
merge_word(struct trainer *t, uint32_t w, int32_t left, int32_t right, int32_t id)
{
	int32_t *s = t->symbol + t->word[w].at;
	size_t n = t->word[w].n, to = 0;
	for (size_t i = 0; i < n; to++) {
		if (s[i] != left || i + 1 == n || s[i + 1] != right) {
			s[to] = s[i++];
			continue;
		}
		lose(t, left, right, w);
		if (to > 0) {
			lose(t, s[to - 1], left, w);
			if (!gain(t, s[to - 1], id, w))
				return false;
		}
		if (i + 2 < n) {
			lose(t, right, s[i + 2], w);
			if (!gain(t, id, s[i + 2], w))
				return false;
		}
		s[to] = id;
		i += 2;
	}
	t->word[w].n = (uint32_t)to;
	return true;
}

/* Merge the pair everywhere. */
static bool
merge_pair(struct trainer *t, size_t index, int32_t id)
{
	struct pair p = t->pair[index];
	size_t known = t->n_pair;
	t->pair[index].where = NULL; /* merge_word may move the pairs; this list goes with p */
	t->pair[index].n_where = t->pair[index].capacity = 0;
	bool ok = true;
	for (size_t i = 0; i < p.n_where && ok; i++)
		ok = merge_word(t, p.where[i], p.left, p.right, id);
	free(p.where);
	return ok && push_pairs(t, known);
}

enum ttt_status
ttt__choose_merges(struct ttt__chosen *chosen, size_t *n_chosen, size_t n, const struct ttt__word_counts *c,
    struct ttt_error *err)
{
	struct trainer t = { 0 };
	bool ok = load_words(&t, c);
	*n_chosen = 0;
	while (ok && *n_chosen < n && t.n_heap > 0) {
		struct entry e = pop(&t);
		int64_t count = t.pair[e.pair].count;
		if (count <= 0)
			continue;
		if (count < e.count) {
			e.count = count;
			ok = push(&t, e);
			continue;
		}
		chosen[*n_chosen] = (struct ttt__chosen){ .left = t.pair[e.pair].left, .right = t.pair[e.pair].right };
		ok = merge_pair(&t, e.pair, (int32_t)(256 + *n_chosen));
		++*n_chosen;
	}
	trainer_free(&t);
	return ok ? TTT_OK : ttt__fail_memory(err, "tokenizer training");
}
