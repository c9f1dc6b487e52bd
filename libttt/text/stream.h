/* One file as bytes: as it is, or, where it begins like gzip, xz, zstd or bzip2 data, decompressed; or one archive,
 * member by member. Private. */
#ifndef TTT_TEXT_STREAM_H
#define TTT_TEXT_STREAM_H
#include <locale.h>

#include "libttt/base.h"

struct archive;

enum { TTT__STREAM_BLOCK = 65536 };

struct ttt__stream {
	int fd;             /* -1: closed */
	bool own;           /* not standard input */
	char *label;        /* in errors */
	struct archive *a;  /* NULL: plain bytes */
	bool is_archive;
	locale_t names;     /* in which an archive's members are named; 0: the caller's */
	bool ended;         /* what is read has come to its end */
	bool sparse;        /* a member with holes, which are NUL bytes without number */
	int error;          /* errno of a read that failed below libarchive */
	/* [TTT__STREAM_BLOCK] first bytes of the file, read to know what it is; then libarchive's buffer */
	unsigned char *head;
	size_t n_head, at_head;
	int64_t size;       /* bytes of the stream where they are known, else -1 */
};

/* path "-" is standard input. Errors: TTT_E_IO, TTT_E_FORMAT. On failure there is nothing to close. */
enum ttt_status ttt__stream_open(struct ttt__stream *s, const char *path, struct ttt_error *err);
/* The same of a file that is open already, from where it stands. fd stays the caller's, and is not closed. */
enum ttt_status ttt__stream_open_fd(struct ttt__stream *s, int fd, const char *label, struct ttt_error *err);
/* *n = 0 at the end. */
enum ttt_status ttt__stream_read(struct ttt__stream *s, void *p, size_t capacity, size_t *n, struct ttt_error *err);
void ttt__stream_close(struct ttt__stream *s);

/* Open path as an archive: tar, cpio or zip, under gzip, xz, zstd, bzip2 or nothing. archive_input.c */
enum ttt_status ttt__archive_open(struct ttt__stream *s, const char *path, struct ttt_error *err);
/* Go to the next regular member; *name is borrowed until the next call, NULL at the end. Then ttt__stream_read reads
 * it. */
enum ttt_status ttt__archive_next(struct ttt__stream *s, const char **name, struct ttt_error *err);

/* For archive_input.c. */
enum ttt_status ttt__stream_open_file(struct ttt__stream *s, const char *path, struct ttt_error *err);
enum ttt_status ttt__stream_filters(struct ttt__stream *s, struct ttt_error *err);
enum ttt_status ttt__stream_start(struct ttt__stream *s, struct ttt_error *err);
enum ttt_status ttt__stream_fail(struct ttt__stream *s, struct ttt_error *err);

#endif
