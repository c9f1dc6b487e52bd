/* How far files were read, and what they are known again by; as JSON between runs. Private. */
#ifndef TTT_TEXT_POSITIONS_H
#define TTT_TEXT_POSITIONS_H
#include "libttt/base.h"

enum { TTT__MARK_HEAD = 1024, TTT__MARK_TAIL = 256 };

/* One file. */
struct ttt__mark {
	int64_t device, inode; /* their bits: a file system may use all 64 */
	int64_t mtime;         /* nanoseconds; when it was opened for reading */
	int64_t offset, lines; /* what was read, in bytes after decompression */
	int64_t n_head;        /* min(TTT__MARK_HEAD, offset); at offset 0, of the unfinished line that is there */
	int64_t n_tail;        /* min(TTT__MARK_TAIL, offset) */
	char head[65];         /* checksum of the first n_head bytes */
	char tail[65];         /* of the last n_tail bytes before offset */
};

struct ttt__position {
	char *path;
	bool read;                  /* at is something: nothing before the first line or the end of an empty file */
	bool has_previous;
	struct ttt__mark at;        /* what path led to, or, where that was not reached, what it was rotated to */
	struct ttt__mark previous;  /* what path led to before: it may still grow */
};

/* By path; zero-initialise. */
struct ttt__positions {
	struct ttt__position *p;
	size_t n, capacity;
};

/* The one of path, made where there is none; borrowed until the next call. */
enum ttt_status ttt__positions_at(struct ttt__positions *s, struct ttt__position **out, const char *path,
    struct ttt_error *err);
/* Was the file name in the folder of path read as a log of its own? */
bool ttt__positions_beside(const struct ttt__positions *s, const char *path, const char *name);
void ttt__positions_free(struct ttt__positions *s);

/* Fill empty positions. Errors: TTT_E_FORMAT. */
enum ttt_status ttt__positions_parse(struct ttt__positions *s, const void *json, size_t n, struct ttt_error *err);
enum ttt_status ttt__positions_write(const struct ttt__positions *s, struct ttt__bytes *out, struct ttt_error *err);

#endif
