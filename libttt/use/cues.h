/* Word lists of ttt-ask, as data: words that carry no subject, and words that say what kind of answer is wanted.
 * Private. */
#ifndef TTT_USE_CUES_H
#define TTT_USE_CUES_H
#include "libttt/base.h"

/* True for English words that stand in questions about anything. word is lower-case, n bytes. */
bool ttt__stop_word(const char *word, size_t n);

/* True when the question asks for an amount, a limit or a default. words: the question's words in order, lower-case. */
bool ttt__asks_number(const char *const *words, size_t n);
/* True when the question asks for an error or a result. */
bool ttt__asks_error(const char *const *words, size_t n);

/* Of a name or a word: ASCII letters and digits, '_', and all beyond ASCII. */
bool ttt__is_symbol_byte(char c);
/* True when n bytes of text hold a number that is not part of a word. */
bool ttt__has_number(const char *text, size_t n);
/* True when they hold the name of an error: E and at least three more capitals (or digits after them), as in ENOSPC
 * or E2BIG. */
bool ttt__has_errno(const char *text, size_t n);

#endif
