/* A stream of bytes cut into words, each of which becomes tokens on its own. Private. */
#ifndef TTT_TEXT_SPLIT_H
#define TTT_TEXT_SPLIT_H
#include "libttt/text/tokenizer.h"

/* A word that is not decided after so many bytes ends there. This bounds memory, and is the one place where a text (a
 * run of 64 KiB of blanks, or of letters) can become other tokens than Hugging Face's, which reads texts whole. */
#define TTT__SPLIT_MAX ((size_t)64 << 10)

/* Takes a word [n] whose merges are to be found, or, with id >= 0, a token that is already known (text is then
 * NULL). */
typedef enum ttt_status ttt__word_fn(void *ctx, const unsigned char *text, size_t n, int32_t id, struct ttt_error *err);

struct ttt__splitter;
enum ttt_status ttt__splitter_create(struct ttt__splitter **out, const struct ttt_tokenizer *t, ttt__word_fn *word,
    void *ctx, struct ttt_error *err);
void ttt__splitter_free(struct ttt__splitter *s);
/* Take n bytes; word() gets the words that no later byte can change. */
enum ttt_status ttt__splitter_feed(struct ttt__splitter *s, const void *bytes, size_t n, struct ttt_error *err);
/* The stream has ended; the splitter is then as new. */
enum ttt_status ttt__splitter_end(struct ttt__splitter *s, struct ttt_error *err);
/* The stream began earlier: what comes next is not its start, which matters to tokenizers that put a blank there. */
void ttt__splitter_continue(struct ttt__splitter *s);
bool ttt__splitter_begun(const struct ttt__splitter *s);
/* Whether tokens have been made since the encoder was new or its text ended. */
bool ttt__encoder_begun(const struct ttt_encoder *e);
const unsigned char *ttt__splitter_pending(const struct ttt__splitter *s, size_t *n);

#endif
