/* Log lines without what differs from line to line, so that lines of one kind become alike. Private. */
#ifndef TTT_TEXT_MASK_H
#define TTT_TEXT_MASK_H
#include "libttt/base.h"

/* The length of a terminal's escape sequence that begins at p, ESC [ ... letter, within n bytes; 0 where there is none. */
size_t ttt__escape_length(const char *p, size_t n);

/* Mask the n bytes of a line: every digit is 0, of a run of digits at most four are left, so that its length still tells a small number
 * from a large one; 0x and what follows it are "0x"; words of hexadecimal digits, UUIDs, long words in which digits and letters take turns,
 * keys, and the endings that a cluster gives to its pods' names are "@"; a month beside a day is "Jan"; a terminal's colours are left out; a
 * byte that is not UTF-8 is U+FFFD, as in JSON. out and place are emptied first. place.p, as an array of uint32_t [out->n + 1], has where
 * each byte of out stood in the line, and n at its end. */
enum ttt_status ttt__mask_line(struct ttt__bytes *out, struct ttt__bytes *place, const char *line, size_t n, struct ttt_error *err);

#endif
