/* One file of a followed log, read line by line from where a mark of it stands. Private. */
#ifndef TTT_TEXT_FOLLOWED_H
#define TTT_TEXT_FOLLOWED_H
#include <sys/stat.h>

#include "libttt/text/positions.h"
#include "libttt/text/stream.h"

enum { TTT__FOLLOW_LINE = 65536 }; /* bytes of a line that are kept */

/* What is in hand of the file that is being read. */
struct ttt__followed_buffer {
	unsigned char block[TTT__STREAM_BLOCK];
	size_t n_block, at_block;
	char line[TTT__FOLLOW_LINE + 2]; /* and a CR, which does not count, and a NUL */
	size_t n_line;
	int64_t n_kept; /* bytes of the line so far, those that line has no room for as well, but no NUL */
};

enum ttt__followed_kind {
	TTT__FOLLOWED_PREVIOUS, /* rotated away in an earlier run, and read then */
	TTT__FOLLOWED_ROTATED,  /* rotated away since the last run */
	TTT__FOLLOWED_CURRENT   /* what the path leads to */
};

struct ttt__followed {
	enum ttt__followed_kind kind;
	int fd;                 /* -1: none */
	char *label;
	int64_t device, inode, mtime; /* when it was opened */
	bool known;             /* there was a mark of it, and */
	int64_t known_mtime;    /* its mtime */
	bool complete;          /* nobody writes to it any more: its last line ends with it */
	bool compressed;        /* once it is open; then it is complete too */
	bool open, ended;       /* stream is; it came to its end, or to where it is damaged */
	struct ttt__stream stream;
	int64_t offset, lines;  /* behind the last line given */
	int64_t pending;        /* bytes read behind offset: a line as far as it is read */
	unsigned char first[TTT__MARK_HEAD]; /* [n_first] as it began when it was opened */
	size_t n_first;
	/* the first bytes read; the last ones read; the last ones before offset */
	size_t n_head, n_last, n_tail;
	unsigned char head[TTT__MARK_HEAD], last[TTT__MARK_TAIL], tail[TTT__MARK_TAIL];
};

/* fd, whose status st is, and label become s's own. */
void ttt__followed_init(struct ttt__followed *s, enum ttt__followed_kind kind, int fd, const struct stat *st, char *label);
/* Leave s at its end: what is open is closed, the rest stays. */
void ttt__followed_stop(struct ttt__followed *s);
void ttt__followed_close(struct ttt__followed *s);

/* Read from the start. */
enum ttt_status ttt__followed_start(struct ttt__followed *s, struct ttt_error *err);
/* Is this the file of m? Then reading goes on behind m; else it begins at the start. Errors: damage, TTT_E_FORMAT; then
 * it is not known what it is. */
enum ttt_status ttt__followed_is(struct ttt__followed *s, const struct ttt__mark *m, struct ttt__followed_buffer *b,
    bool *same, struct ttt_error *err);

/* Is s a copy of the other, made just now and perhaps not to its end? */
bool ttt__followed_copied(const struct ttt__followed *s, const struct ttt__followed *other);

/* The next line; text NULL at the end. Empty b before the first. */
enum ttt_status ttt__followed_line(struct ttt__followed *s, struct ttt__followed_buffer *b, struct ttt_follow_line *line,
    struct ttt_error *err);
/* Where s stands. */
void ttt__followed_mark(const struct ttt__followed *s, struct ttt__mark *m);

#endif
