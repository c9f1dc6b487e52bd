#include "libttt/text/split.h"
#include "libttt/text/stream.h"
#include "libttt/text/train.h"

#include <stdlib.h>
#include <string.h>

enum {
	WORD_MAX = 256,         /* longer ones (tables, encoded data) teach nothing and are passed over */
	ARENA_SIZE = 1 << 20
};

struct ttt__word_arena {
	struct ttt__word_arena *next;
	size_t n;
	unsigned char bytes[ARENA_SIZE];
};

/* A copy of the word that lives as long as the counts. */
static unsigned char *
keep(struct ttt__word_counts *c, const unsigned char *word, size_t n)
{
	struct ttt__word_arena *a = c->arena;
	if (a == NULL || ARENA_SIZE - a->n < n) {
		a = ttt__new(1, sizeof *a);
		if (a == NULL)
			return NULL;
		a->next = c->arena;
		c->arena = a;
	}
	unsigned char *copy = a->bytes + a->n;
	memcpy(copy, word, n);
	a->n += n;
	return copy;
}

static enum ttt_status
add_word(struct ttt__word_counts *c, const unsigned char *word, size_t n, struct ttt_error *err)
{
	if (c->n == c->capacity) {
		size_t capacity = c->capacity < 4096 ? 4096 : c->capacity * 2;
		struct ttt__word_count *grown = ttt__grow(c->word, capacity, sizeof *grown);
		if (grown == NULL || capacity > INT32_MAX)
			return ttt__fail_memory(err, "word counts");
		c->word = grown;
		c->capacity = capacity;
		enum ttt_status status = ttt__names_reserve(&c->index, capacity, err);
		if (status != TTT_OK)
			return status;
	}
	unsigned char *copy = keep(c, word, n);
	if (copy == NULL)
		return ttt__fail_memory(err, "word counts");
	ttt__names_add(&c->index, copy, n, (int32_t)c->n);
	c->word[c->n++] = (struct ttt__word_count){ .p = copy, .n = (uint32_t)n, .count = 1 };
	return TTT_OK;
}

static enum ttt_status
take_word(void *ctx, const unsigned char *word, size_t n, int32_t known, struct ttt_error *err)
{
	struct ttt__word_counts *c = ctx;
	if (known >= 0 || n > WORD_MAX)
		return TTT_OK;
	int32_t i = ttt__names_find(&c->index, word, n);
	if (i < 0)
		return add_word(c, word, n, err);
	c->word[i].count++;
	return TTT_OK;
}

static enum ttt_status
count_stream(struct ttt__splitter *s, struct ttt__stream *f, size_t *left, struct ttt_error *err)
{
	unsigned char part[32768];
	while (*left > 0) {
		size_t n;
		enum ttt_status status = ttt__stream_read(f, part, *left < sizeof part ? *left : sizeof part, &n, err);
		if (status != TTT_OK)
			return status;
		if (n == 0)
			break;
		status = ttt__splitter_feed(s, part, n, err);
		if (status != TTT_OK)
			return status;
		*left -= n;
	}
	return ttt__splitter_end(s, err);
}

enum ttt_status
ttt__count_words(struct ttt__word_counts *c, const struct ttt_tokenizer *t, const char *path, size_t *left,
    struct ttt_error *err)
{
	struct ttt__splitter *s = NULL;
	struct ttt__stream f;
	enum ttt_status status = ttt__stream_open(&f, path, err);
	if (status != TTT_OK)
		return status;
	status = ttt__splitter_create(&s, t, take_word, c, err);
	if (status == TTT_OK)
		status = count_stream(s, &f, left, err);
	ttt__splitter_free(s);
	ttt__stream_close(&f);
	return status;
}

void
ttt__word_counts_free(struct ttt__word_counts *c)
{
	while (c->arena != NULL) {
		struct ttt__word_arena *next = c->arena->next;
		free(c->arena);
		c->arena = next;
	}
	ttt__names_free(&c->index);
	free(c->word);
	*c = (struct ttt__word_counts){ 0 };
}
