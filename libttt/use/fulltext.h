/* Which passage has which word how often: SQLite's FTS5 in memory, over rows that only this process wrote. Private. */
#ifndef TTT_USE_FULLTEXT_H
#define TTT_USE_FULLTEXT_H
#include "libttt/use/units.h"
#include "libttt/use/words.h"

enum { TTT__TERM_MAX = 160 }; /* terms of a question that count, synonyms included */

/* A word of a question. */
struct ttt__term {
	char word[TTT__WORD_MAX + 1]; /* lower-case */
	char stem[TTT__WORD_MAX + 1];
};

struct ttt__fulltext;

/* Index the units of a corpus, which must outlive it, and the base names of its files. */
enum ttt_status ttt__fulltext_create(struct ttt__fulltext **out, const struct ttt__corpus *c, struct ttt_error *err);
void ttt__fulltext_free(struct ttt__fulltext *ix);
/* Words of unit i. */
int64_t ttt__fulltext_length(const struct ttt__fulltext *ix, int64_t i);

/* Call fn for each stemmed word of a text, in order, with its place there. With whole, words with '_' stay whole,
 * else their parts come, then the whole. fn returns false to stop. */
typedef bool ttt__stem_fn(void *ctx, const char *stem, size_t n, size_t start, size_t end);
enum ttt_status ttt__fulltext_words(struct ttt__fulltext *ix, const char *text, size_t n, bool whole,
    ttt__stem_fn *fn, void *ctx, struct ttt_error *err);

enum ttt__table { TTT__UNITS, TTT__NAMES };
/* Call fn for each row (unit, or file whose base name is meant) with at least one of the terms, in rising order,
 * with how often each stands in it: count [n]. fn returns TTT_OK to go on. */
typedef enum ttt_status ttt__row_fn(void *ctx, int64_t row, const uint32_t *count, struct ttt_error *err);
enum ttt_status ttt__fulltext_find(struct ttt__fulltext *ix, enum ttt__table table, const struct ttt__term *term,
    int n, ttt__row_fn *fn, void *ctx, struct ttt_error *err);

#endif
