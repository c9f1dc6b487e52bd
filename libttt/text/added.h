/* Tokens that are found in text before it is split: <|endoftext|> and the like. Private. */
#ifndef TTT_TEXT_ADDED_H
#define TTT_TEXT_ADDED_H
#include "libttt/base.h"

enum { TTT__ADDED_MAX = 1024 }; /* bytes of one */

/* Zero-initialise; ready for use once sorted. */
struct ttt__added {
	struct ttt__added_token {
		unsigned char *p; /* owned */
		size_t n;         /* 1 .. TTT__ADDED_MAX */
		int32_t id;
	} *token;
	size_t n;
	bool first[256]; /* bytes that begin one */
};
enum ttt_status ttt__added_add(struct ttt__added *a, const void *p, size_t n, int32_t id, struct ttt_error *err);
/* Make ready. *twice: the index of a token that is there twice, or -1. */
void ttt__added_sort(struct ttt__added *a, ptrdiff_t *twice);
void ttt__added_free(struct ttt__added *a);

/* The longest token at the start of text [n]: its length, and its id; 0: none; -1: it depends on bytes after text [n],
 * which more says will come. */
ptrdiff_t ttt__added_match(const struct ttt__added *a, const unsigned char *text, size_t n, bool more, int32_t *id);

#endif
