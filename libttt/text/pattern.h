/* Regular expressions of a tokenizer.json, which are written for Oniguruma, run by PCRE2. Private. */
#ifndef TTT_TEXT_PATTERN_H
#define TTT_TEXT_PATTERN_H
#include "libttt/base.h"

struct ttt__pattern;    /* a compiled pattern; immutable, shared by threads */
struct ttt__matcher;    /* the scratch memory of one thread's matching */

/* Compile a pattern. Only what means the same in both engines, or can be rewritten so that it does, is taken; anchors,
 * look-behind and patterns that match nothing are refused, for the pieces of a stream must not depend on what came
 * before them. Errors: TTT_E_FORMAT, TTT_E_UNSUPPORTED. */
enum ttt_status ttt__pattern_create(struct ttt__pattern **out, const char *regex, size_t n, const char *label,
    struct ttt_error *err);
/* A pattern that matches the n bytes of text and nothing else. */
enum ttt_status ttt__pattern_literal(struct ttt__pattern **out, const char *text, size_t n, const char *label,
    struct ttt_error *err);
void ttt__pattern_free(struct ttt__pattern *p);

/* Rewrite an Oniguruma pattern for PCRE2 (UTF, UCP) into *out. */
enum ttt_status ttt__pattern_translate(struct ttt__bytes *out, const char *regex, size_t n, const char *label,
    struct ttt_error *err);

enum ttt_status ttt__matcher_create(struct ttt__matcher **out, struct ttt_error *err);
void ttt__matcher_free(struct ttt__matcher *m);

enum ttt__found {
	TTT__FOUND_NOT,     /* no match begins in [from, to) */
	TTT__FOUND,         /* [*start, *end) */
	TTT__FOUND_PARTIAL  /* what matches at *start depends on bytes after to */
};
/* Find the first match in text [from, to), valid UTF-8. more: the text goes on after to. */
enum ttt_status ttt__pattern_find(const struct ttt__pattern *p, struct ttt__matcher *m, const unsigned char *text,
    size_t from, size_t to, bool more, enum ttt__found *found, size_t *start, size_t *end, struct ttt_error *err);

#endif
