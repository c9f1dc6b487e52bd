/* Words of Unix that stand for one another, so that a question in other words than the text finds it. Private. */
#ifndef TTT_USE_THESAURUS_H
#define TTT_USE_THESAURUS_H
#include "libttt/use/fulltext.h"

struct ttt__thesaurus;

/* Stems the table with the index's stemmer. */
enum ttt_status ttt__thesaurus_create(struct ttt__thesaurus **out, struct ttt__fulltext *ix, struct ttt_error *err);
void ttt__thesaurus_free(struct ttt__thesaurus *t);

/* Call fn for each word that may stand for one with this stem, each once; fn returns false to stop. same: a form of the
 * very word ("written", "write"). */
typedef bool ttt__synonym_fn(void *ctx, const struct ttt__term *synonym, bool same);
void ttt__thesaurus_walk(const struct ttt__thesaurus *t, const char *stem, ttt__synonym_fn *fn, void *ctx);

#endif
