/* Text to words, as a tokenizer of FTS5, so that index and question see the same words. Private. */
#ifndef TTT_USE_WORDS_H
#define TTT_USE_WORDS_H
#include "libttt/base.h"

#include <sqlite3.h>

enum { TTT__WORD_MAX = 64 }; /* bytes of a word that count; the rest of a longer run says nothing more */

/* Register the tokenizer "ttt" with a connection's FTS5; "porter ttt" adds stemming. A word is a run of letters,
 * digits and '_' (any script), in lower case. In a document a word with '_' gives its parts and, at the place of
 * the last, itself; in a query (FTS5_TOKENIZE_QUERY) a run is one word. *n_word, where not NULL, counts every word
 * given out. */
int ttt__words_register(fts5_api *api, int64_t *n_word);

#endif
