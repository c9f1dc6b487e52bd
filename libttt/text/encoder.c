/* Streams of bytes to streams of token ids. */
#include "libttt/text/split.h"

#include <stdlib.h>
#include <string.h>

enum {
	CACHE_SLOTS = 1 << 14,
	CACHE_WORD = 19,  /* longer words, and those of more tokens, are rare and are merged each time */
	CACHE_IDS = 7
};

/* A word merged before. One word a slot: the newest. */
struct cached {
	int32_t id[CACHE_IDS];
	unsigned char n_word, n_id; /* n_word 0: empty */
	unsigned char word[CACHE_WORD];
};

struct ttt_encoder {
	struct ttt__splitter *splitter;
	struct ttt__bpe *bpe;
	struct cached *cache; /* [CACHE_SLOTS] */
	struct ttt_ids *out;  /* of the call that is running */
};

static enum ttt_status
add_ids(struct ttt_ids *out, const int32_t *id, size_t n, struct ttt_error *err)
{
	enum ttt_status status = TTT_OK;
	for (size_t i = 0; i < n && status == TTT_OK; i++)
		status = ttt__ids_add(out, id[i], err);
	return status;
}

static enum ttt_status
take_word(void *ctx, const unsigned char *word, size_t n, int32_t known, struct ttt_error *err)
{
	struct ttt_encoder *e = ctx;
	if (known >= 0)
		return ttt__ids_add(e->out, known, err);
	struct cached *c = n > CACHE_WORD ? NULL : &e->cache[ttt__hash(word, n) % CACHE_SLOTS];
	if (c != NULL && c->n_word == n && memcmp(c->word, word, n) == 0)
		return add_ids(e->out, c->id, c->n_id, err);
	const int32_t *id;
	size_t n_id;
	enum ttt_status status = ttt__bpe_word(e->bpe, word, n, &id, &n_id, err);
	if (status != TTT_OK)
		return status;
	if (c != NULL && n_id <= CACHE_IDS) {
		c->n_word = (unsigned char)n;
		c->n_id = (unsigned char)n_id;
		memcpy(c->word, word, n);
		memcpy(c->id, id, n_id * sizeof *id);
	}
	return add_ids(e->out, id, n_id, err);
}

enum ttt_status
ttt_encoder_create(struct ttt_encoder **out, const struct ttt_tokenizer *t, struct ttt_error *err)
{
	struct ttt_encoder *e = ttt__new(1, sizeof *e);
	if (e == NULL)
		return ttt__fail_memory(err, "tokenizer stream");
	enum ttt_status status = ttt__splitter_create(&e->splitter, t, take_word, e, err);
	if (status == TTT_OK)
		status = ttt__bpe_create(&e->bpe, t, err);
	if (status == TTT_OK && (e->cache = ttt__new(CACHE_SLOTS, sizeof *e->cache)) == NULL)
		status = ttt__fail_memory(err, "tokenizer stream");
	if (status == TTT_OK)
		*out = e;
	else
		ttt_encoder_free(e);
	return status;
}

void
ttt_encoder_free(struct ttt_encoder *e)
{
	if (e == NULL)
		return;
	ttt__splitter_free(e->splitter);
	ttt__bpe_free(e->bpe);
	free(e->cache);
	free(e);
}

enum ttt_status
ttt_encoder_feed(struct ttt_encoder *e, struct ttt_ids *out, const void *bytes, size_t n, struct ttt_error *err)
{
	e->out = out;
	return ttt__splitter_feed(e->splitter, bytes, n, err);
}

enum ttt_status
ttt_encoder_end(struct ttt_encoder *e, struct ttt_ids *out, struct ttt_error *err)
{
	e->out = out;
	return ttt__splitter_end(e->splitter, err);
}

void
ttt_encoder_continue(struct ttt_encoder *e)
{
	ttt__splitter_continue(e->splitter);
}

bool
ttt__encoder_begun(const struct ttt_encoder *e)
{
	return ttt__splitter_begun(e->splitter);
}

const unsigned char *
ttt_encoder_pending(const struct ttt_encoder *e, size_t *n)
{
	return ttt__splitter_pending(e->splitter, n);
}
