/* What followed the last tokens before: a table of biases, one for a context of the last o tokens and a token that came after it, added to
 * that token's logit when the context comes again. Learned beside the fast weights, which cannot hold single facts so exactly. Private.
 *
 * A context is known by a hash: some of its bits choose a bucket, others tell the contexts of a bucket apart (check). Where two contexts
 * have the same of both, they count as one; a bias moves by the gradient of the loss that it is part of, so that it does no lasting harm.
 * The entries of a bucket stand in the order in which they were seen, the newest first.
 *
 * Order 0, a context of no token, has a bias for every token of the vocabulary in place of entries: those of the text's own vocabulary rise,
 * the others fall. */
#ifndef TTT_LEARN_NGRAM_H
#define TTT_LEARN_NGRAM_H
#include "libttt/net/network.h"

enum {
	TTT__NGRAM_BUCKET = 8,      /* entries of a bucket */
	TTT__NGRAM_LEVEL = 8,       /* kinds of contexts by how often they came */
	TTT__NGRAM_HISTORY = 31,    /* tokens before a chunk that contexts reach back to */
	TTT__NGRAM_ONE = 1024,      /* a bias of 1 nat */
	TTT__NGRAM_BIAS_MAX = 31 * TTT__NGRAM_ONE,
	TTT__UNIGRAM_COUNT_MAX = 24 /* a token's biases by none move no more slowly for having come more often: other text may follow */
};

struct ttt__ngram_entry {
	uint16_t check, token;
	int16_t bias;
	uint8_t hits, zero; /* how often the token came after the context, halved now and then; 0: the entry is empty, and all of it 0 */
};

/* A context of the chunk looked at, and its entries then: those of the notes from first on. */
struct ttt__ngram_context {
	uint64_t hash;
	int64_t first, n;
	int level;    /* -1: not enough tokens were read for it to exist */
	bool several; /* entries */
};

struct ttt__ngram_note {
	int64_t cell; /* which bias of the chunk it is part of */
	uint16_t token;
	int16_t bias;
};

struct ttt__ngram {
	int64_t n, order[TTT_NGRAM_MAX], bos; /* orders above 0 */
	double rate[TTT_NGRAM_MAX];
	int bits;
	struct ttt__ngram_entry *table;              /* [2^bits]; NULL: the model has no n-grams, and nothing else is there */
	int64_t n_unigram;                           /* V where there is order 0, else 0 */
	float *unigram;                              /* [n_unigram] biases in nats */
	uint8_t *count;                              /* [n_unigram] how often a token came, TTT__UNIGRAM_COUNT_MAX at most */
	float unigram_rate[TTT__UNIGRAM_COUNT_MAX + 1]; /* by that */
	float scale[TTT_NGRAM_MAX][TTT__NGRAM_LEVEL][2]; /* factors on biases, learned; [][][1] of contexts with several entries */
	int32_t history[TTT__NGRAM_HISTORY];
	int64_t n_history;
	/* of the chunk looked at last */
	struct ttt__ngram_context *context;          /* [C, n] */
	struct ttt__ngram_note *note;                /* [C * n * TTT__NGRAM_BUCKET] */
	int32_t *row, *column;                       /* as many: the biases as struct ttt__biases has them, on the host */
	float *value, *z;
	int64_t n_note, n_cell;
	float *lse, *zy;                             /* [C] */
	float *sum;                                  /* [n_unigram] its probabilities, summed */
};

/* With a configuration without n-grams nothing is made, and everything below does nothing. */
enum ttt_status ttt__ngram_create(struct ttt__ngram *out, const struct ttt_config *c, struct ttt_error *err);
void ttt__ngram_free(struct ttt__ngram *g);
/* Nothing learned; the history stays. */
void ttt__ngram_reset(struct ttt__ngram *g);
/* Table, scales and history of one made for the same configuration. */
void ttt__ngram_copy(struct ttt__ngram *to, const struct ttt__ngram *from);
/* Biases in use. */
int64_t ttt__ngram_count(const struct ttt__ngram *g);

/* Memory of the biases of n chunks, each one of b [n], empty. */
enum ttt_status ttt__biases_create(struct ttt__biases *b, int64_t n, const struct ttt__net *net, struct ttt_error *err);
/* b: the first of them. */
void ttt__biases_free(struct ttt__biases *b, const struct ttt__net *net);

/* Biases of what follows ids[from] .. ids[from + T - 1], ids[0] being the first token after the history; row 0 of b is that of from. */
void ttt__ngram_look(struct ttt__ngram *g, const int32_t *ids, int64_t from, int64_t T, struct ttt_device *d, struct ttt__biases *b);
/* Learn from the chunk last looked at, which has run forward with b and left h: its targets [T] on the host, and the position of its first
 * token in the stream. */
void ttt__ngram_learn(struct ttt__ngram *g, const int32_t *target, int64_t T, int64_t position, struct ttt_device *d,
    const struct ttt__biases *b, const struct ttt__head_tape *h);
/* The T ids are read: they are history. */
void ttt__ngram_advance(struct ttt__ngram *g, const int32_t *ids, int64_t T);

#endif
