/* JSON from files that nobody vouches for: limits first, then jansson. Private. */
#ifndef TTT_JSON_H
#define TTT_JSON_H
#include <jansson.h>
#include "libttt/base.h"

struct ttt__json_limits {
	int depth;      /* brackets within brackets */
	size_t n_value; /* values and keys in all, so that a small file cannot become a large tree */
};

/* Parse n bytes, which hold one JSON value (an object, or the call fails) and white space, nothing else. Duplicate
 * keys, NUL bytes, a byte-order mark, text that is not UTF-8, NaN and numbers out of range are errors. what names the
 * text: "label: what ...". */
enum ttt_status ttt__json_parse(json_t **out, const void *p, size_t n, const struct ttt__json_limits *limits,
    const char *label, const char *what, struct ttt_error *err);

/* A stranger's text, fit for a one-line message: cut to 60 bytes, what is not printable ASCII escaped. Returns
 * buffer. */
enum { TTT__EXCERPT = 256 };
const char *ttt__excerpt(char buffer[TTT__EXCERPT], const char *s);

#endif
