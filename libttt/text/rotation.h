/* The files that a log was rotated to, by their names: LOG.1, LOG.2.gz, LOG-20240131.xz, and for NAME.log also
 * NAME-20240131.log and NAME.1.log.gz. Private. */
#ifndef TTT_TEXT_ROTATION_H
#define TTT_TEXT_ROTATION_H
#include <sys/stat.h>

#include "libttt/text/positions.h"

struct ttt__rotated {
	char *name;
	int64_t device, inode, mtime; /* as in struct ttt__mark */
	bool counted;    /* it is named by a number or a date, as programs that rotate do; else (LOG.bak, LOG.err) only its
	                  * bytes can prove it part of the log */
	bool unreadable; /* for who reads it to set */
	bool spare;      /* the same is there uncompressed; none such is left */
	int number;      /* LOG.2: 2; else -1 */
	size_t tag, n_tag; /* of name: what stands for the number */
};

/* Oldest first. */
struct ttt__rotation {
	int folder;    /* its descriptor */
	int64_t mtime; /* of the folder, before it was read */
	struct ttt__rotated *p;
	size_t n, capacity;
};

/* Find the regular files that the log at path may have been rotated to, or that have the device and inode of was, where a link led before;
 * none is the file of current; that is
 * NULL where there is none. On failure there is nothing to free. */
enum ttt_status ttt__rotation_find(struct ttt__rotation *r, const char *path, const struct stat *current,
    const struct ttt__mark *was, struct ttt_error *err);
void ttt__rotation_free(struct ttt__rotation *r);
/* Files came, went or got other names since: what was found may be half of one state and half of another. */
bool ttt__rotation_changed(const struct ttt__rotation *r);
/* Open r->p[i]; -1 with errno, ESTALE where that name is now another file's. */
int ttt__rotation_open(const struct ttt__rotation *r, size_t i);

/* st's mtime in nanoseconds. */
int64_t ttt__mtime(const struct stat *st);

#endif
