/* Whole files in, and files replaced in one step out. Private. */
#ifndef TTT_FILE_H
#define TTT_FILE_H
#include "libttt/base.h"

/* Read a regular file of at most max bytes into *b (emptied first). */
enum ttt_status ttt__file_read(struct ttt__bytes *b, const char *path, size_t max, struct ttt_error *err);

/* The file that path leads to over symbolic links, whether it is there or not: what is written in path's place. Allocated;
 * NULL with errno. */
char *ttt__file_target(const char *path);
/* What of path stands behind its last slash; borrowed. */
const char *ttt__path_name(const char *path);
/* DIR/name; the folder of a path, "." where it names none. Allocated; NULL without memory. */
char *ttt__path_in(const char *dir, const char *name);
char *ttt__path_folder(const char *path);
/* Make a directory, unless there is one. */
enum ttt_status ttt__make_directory(const char *dir, struct ttt_error *err);
/* Bytes that are read and never written: a file in memory, or a part of the library. */
struct ttt__blob {
	const unsigned char *p;
	size_t n;
};
/* Map a regular file: its pages are read as they are touched, and never copied. Whoever shortens the file meanwhile ends the
 * program that touches what is gone (SIGBUS): files that others may have in use are replaced, not overwritten. */
enum ttt_status ttt__file_map(struct ttt__blob *out, const char *path, struct ttt_error *err);
void ttt__file_unmap(struct ttt__blob *b);
/* n bytes of a mapped file, or of the library, will hardly be read again: whole pages among them leave this process's memory, and come back
 * from the file when they are. */
void ttt__file_release(const unsigned char *p, size_t n);

/* A file being written beside path: without a name where the file system can do that, so that nothing is left of it when the program is
 * killed, else under a temporary one. Commit makes it path (fsync, rename, fsync of the directory), abort removes it. The old file stays whole
 * until commit succeeds. Its mode is 0600, of what holds text or was learned from it; shared: that of the old file, or as the umask says. */
struct ttt__replace {
	FILE *f;
	char *path, *temporary; /* temporary: the name, or where named is not set yet its form */
	bool named;
};
enum ttt_status ttt__replace_open(struct ttt__replace *r, const char *path, bool shared, struct ttt_error *err);
enum ttt_status ttt__replace_commit(struct ttt__replace *r, struct ttt_error *err);
void ttt__replace_abort(struct ttt__replace *r);
/* Commit where status is TTT_OK, else abort; what became of it. */
enum ttt_status ttt__replace_end(struct ttt__replace *r, enum ttt_status status, struct ttt_error *err);
/* Replace path by n bytes. */
enum ttt_status ttt__file_write(const char *path, const void *p, size_t n, bool shared, struct ttt_error *err);

/* Write n bytes; the error names label. */
enum ttt_status ttt__write(FILE *f, const char *label, const void *p, size_t n, struct ttt_error *err);

#endif
