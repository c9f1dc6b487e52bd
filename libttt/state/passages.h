/* The absorbed text: records of whole lines in an unlinked temporary file, so that memory stays flat however much is
 * kept. Private. */
#ifndef TTT_STATE_PASSAGES_H
#define TTT_STATE_PASSAGES_H
#include "libttt/base.h"

enum {
	TTT__RECORD_MAX = 65536, /* bytes of a record */
	TTT__NAME_MAX = 4095     /* bytes of a source's name; more is cut */
};

struct ttt__source {
	char *name;
	int64_t n_byte;
};

/* What a state keeps at most besides text: a few compressed kilobytes can announce any number of empty ones. */
enum { TTT__N_SOURCE_MAX = 1 << 22, TTT__N_RECORD_MAX = 1 << 22, TTT__NAMES_MAX = 1 << 26 };

/* What was read, in the order it came. */
struct ttt__sources {
	struct ttt__source *p;
	size_t n, capacity, n_name; /* n_name: bytes of names */
};
/* TTT_E_RANGE: there are as many as a state can keep. */
enum ttt_status ttt__sources_add(struct ttt__sources *s, const char *name, int64_t n_byte, struct ttt_error *err);
void ttt__sources_free(struct ttt__sources *s);

struct ttt__record_at {
	int64_t offset, first_line;
	size_t source; /* index into the sources */
	uint32_t n;
};

/* Bytes collect in `open` until a record is full or its source ends; then they go to the file. Records end after the
 * last newline within TTT__RECORD_MAX bytes, or there where a line is longer: where they end depends on the bytes
 * alone, not on how they came. */
struct ttt__passages {
	int fd;                        /* -1 until something is spooled */
	struct ttt__record_at *record; /* [first .. n - 1] */
	size_t first, n, capacity;
	int64_t end;                   /* of the file */
	size_t n_byte;                 /* of text in records first .. n - 1 */
	size_t max;                    /* text kept, open bytes included */
	unsigned char *open;           /* [TTT__RECORD_MAX] */
	size_t n_open;
	int64_t open_line;             /* line of open[0] */
	int64_t line;                  /* of the next byte */
	size_t source;                 /* of the next byte */
};

enum ttt_status ttt__passages_start(struct ttt__passages *p, size_t max, struct ttt_error *err);
void ttt__passages_free(struct ttt__passages *p);
/* What follows belongs to source, from line 1 on. */
enum ttt_status ttt__passages_source(struct ttt__passages *p, size_t source, struct ttt_error *err);
/* Make room for sources: those of which no text is kept become one, "(earlier)". TTT_E_RANGE: there are none. */
enum ttt_status ttt__passages_fold(struct ttt__passages *p, struct ttt__sources *s, struct ttt_error *err);
enum ttt_status ttt__passages_add(struct ttt__passages *p, const void *bytes, size_t n, struct ttt_error *err);
/* Append a whole record of 1 .. TTT__RECORD_MAX bytes, as read from a state; with open, it may still grow. */
enum ttt_status ttt__passages_append(struct ttt__passages *p, size_t source, int64_t first_line, const void *bytes,
    size_t n, bool open, struct ttt_error *err);
/* Records kept, the open one included, and their text's size. */
size_t ttt__passages_count(const struct ttt__passages *p);
size_t ttt__passages_size(const struct ttt__passages *p);
/* Record i from 0, the oldest; its text goes to out [TTT__RECORD_MAX]. */
enum ttt_status ttt__passages_read(const struct ttt__passages *p, size_t i, struct ttt__record_at *r,
    unsigned char *out, struct ttt_error *err);

/* An unlinked temporary file in $TMPDIR or /tmp. */
enum ttt_status ttt__spool_open(int *fd, struct ttt_error *err);
/* n bytes at an offset, all of them. */
enum ttt_status ttt__spool_write(int fd, const void *p, size_t n, int64_t offset, struct ttt_error *err);
enum ttt_status ttt__spool_read(int fd, void *p, size_t n, int64_t offset, struct ttt_error *err);

#endif
