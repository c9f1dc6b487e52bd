/* Reading a tokenizer.json: what its parts share. Private. */
#ifndef TTT_TEXT_TOKENIZER_JSON_H
#define TTT_TEXT_TOKENIZER_JSON_H
#include "libttt/text/tokenizer.h"

#include <jansson.h>

struct ttt__tokenizer_reader {
	struct ttt_tokenizer *t;
	const char *label;
	struct ttt_error *err;
};

/* Fail unless object o, named what, is an object with no member but those in the NULL-terminated list. */
enum ttt_status ttt__json_members(const struct ttt__tokenizer_reader *r, const json_t *o, const char *what,
    const char *const *members);
/* A truth value that must be there. */
enum ttt_status ttt__json_bool(const struct ttt__tokenizer_reader *r, const json_t *o, const char *what,
    const char *member, bool *value);
/* A string that must be there: borrowed. */
enum ttt_status ttt__json_string(const struct ttt__tokenizer_reader *r, const json_t *o, const char *what,
    const char *member, const char **value);
/* Text from the file, made fit for one line of a message. */
struct ttt__shown {
	char text[64];
};
struct ttt__shown ttt__show(const char *text);

/* model: vocabulary and merges. n_added: how many added tokens there are. */
enum ttt_status ttt__read_bpe(const struct ttt__tokenizer_reader *r, const json_t *model, size_t n_added);
/* The largest id that a file with n tokens may use: tables stay in proportion to the file. */
int64_t ttt__id_limit(size_t n);
/* Make room for ids below n. */
enum ttt_status ttt__grow_vocab(const struct ttt__tokenizer_reader *r, int64_t n);

/* normalizer, pre_tokenizer, post_processor, decoder. */
enum ttt_status ttt__read_normalizer(const struct ttt__tokenizer_reader *r, const json_t *o, int depth);
enum ttt_status ttt__read_pre_tokenizer(const struct ttt__tokenizer_reader *r, const json_t *o);
enum ttt_status ttt__read_post_processor(const struct ttt__tokenizer_reader *r, const json_t *o, int depth);
enum ttt_status ttt__read_decoder(const struct ttt__tokenizer_reader *r, const json_t *o, int depth);

#endif
