/* The absorbed text as passages: one copy of the text, cut into units at blank lines. Private.
 *
 * A unit is a run of whole lines of one file. Units do not overlap and cover the text; two neighbours together make
 * a union, which competes with them, so that an answer across a cut is found too. */
#ifndef TTT_USE_UNITS_H
#define TTT_USE_UNITS_H
#include "libttt/base.h"

struct ttt__unit {
	size_t offset;   /* first byte in the text */
	uint32_t n_byte;
	int32_t n_line;
	int64_t line;    /* number of its first line in the file */
	int32_t file;    /* index in file[] */
};

struct ttt__corpus_file {
	size_t name;     /* offset of its NUL-terminated name in names */
	size_t text, n_byte;
	int64_t line;    /* number of its first line */
	int64_t line_end; /* number of the line that its next byte would belong to */
};

/* Zero-initialise. */
struct ttt__corpus {
	struct ttt__bytes text, names;
	struct ttt__corpus_file *file;
	int64_t n_file, capacity_file;
	struct ttt__unit *unit; /* [n] in the order of the text */
	int64_t n, capacity;
};

/* Add a record. One that goes on where the last ended (same name, same line) belongs to the same file. */
enum ttt_status ttt__corpus_add(struct ttt__corpus *c, const char *name, int64_t first_line, const char *text, size_t n,
    struct ttt_error *err);
/* All records are there: cut the text into units. */
enum ttt_status ttt__corpus_cut(struct ttt__corpus *c, struct ttt_error *err);
void ttt__corpus_free(struct ttt__corpus *c);

const char *ttt__corpus_name(const struct ttt__corpus *c, int32_t file);
/* Of nothing but spaces, tabs and ends of lines and pages. */
bool ttt__is_blank(const char *p, size_t n);
/* True when units i and i + 1 are neighbours in one file and short enough to be shown together. */
bool ttt__corpus_joins(const struct ttt__corpus *c, int64_t i);

#endif
