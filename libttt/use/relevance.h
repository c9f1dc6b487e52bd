/* What the adapted model adds to the order of passages. Private.
 *
 * A small model cannot use a passage that stands in its window, but it can learn it: after one pass of inner steps
 * over the passage it predicts a question about it better. That gain is nearly as good a measure of relevance as
 * BM25, and independent of any index. */
#ifndef TTT_USE_RELEVANCE_H
#define TTT_USE_RELEVANCE_H
#include "libttt/base.h"

struct ttt__relevance;

/* base is copied: its fast weights, or its model's initial ones, are where every passage starts from. Errors: TTT_E_USAGE without a
 * tokenizer. */
enum ttt_status ttt__relevance_create(struct ttt__relevance **out, const struct ttt_session *base, bool initial,
    struct ttt_error *err);
void ttt__relevance_free(struct ttt__relevance *r);
/* A question to measure against. */
enum ttt_status ttt__relevance_question(struct ttt__relevance *r, const char *text, struct ttt_error *err);
/* *gain: nats a token by which the model predicts the question better once it has learned the passage; negative
 * when worse. */
enum ttt_status ttt__relevance_gain(struct ttt__relevance *r, const char *text, size_t n, double *gain,
    struct ttt_error *err);

#endif
