/* What a tokenizer is made of. Private. */
#ifndef TTT_TEXT_TOKENIZER_H
#define TTT_TEXT_TOKENIZER_H
#include "libttt/text/added.h"
#include "libttt/text/pattern.h"
#include "libttt/text/vocab.h"

enum {
	TTT__STAGE_MAX = 16,
	TTT__TOKENIZER_MAX = 48 << 20 /* bytes of a tokenizer.json; the largest in the wild has 34 million */
};

/* One pre-tokenizer: its pattern's matches cut a text into pieces, which the next stage cuts further. */
struct ttt__stage {
	struct ttt__pattern *pattern;
	enum ttt__behavior {
		TTT__ISOLATED,        /* matches and what lies between them are pieces */
		TTT__MERGED_PREVIOUS, /* a match ends the piece it follows */
		TTT__REMOVED,         /* matches are dropped */
		TTT__KEPT             /* all but matches is dropped */
	} behavior;
};

struct ttt__token {
	const unsigned char *p; /* NULL: no token has this id */
	size_t n;
};

/* Immutable once read. */
struct ttt_tokenizer {
	struct ttt__token *token; /* [n_vocab] */
	int64_t n_vocab;
	unsigned char *arena;     /* the bytes of the vocabulary's tokens */
	int32_t byte_id[256];
	struct ttt__names names;  /* bytes to id, of the tokens that are written in the byte alphabet */
	struct ttt__merges merges;
	bool ignore_merges;       /* a word that is a token is that token, whatever the merges say */
	bool prefix_space;        /* a text that does not begin with a blank gets one */
	bool nfc;
	struct ttt__added raw;    /* found in the text as it came */
	struct ttt__added normal; /* found in normalized text, between those */
	struct ttt__stage stage[TTT__STAGE_MAX];
	size_t n_stage;
};

/* Token ids of one word (n >= 1 bytes) in scratch memory that grows; *id is borrowed until the next call. */
struct ttt__bpe;
enum ttt_status ttt__bpe_create(struct ttt__bpe **out, const struct ttt_tokenizer *t, struct ttt_error *err);
void ttt__bpe_free(struct ttt__bpe *b);
enum ttt_status ttt__bpe_word(struct ttt__bpe *b, const unsigned char *word, size_t n, const int32_t **id, size_t *n_id,
    struct ttt_error *err);

#endif
