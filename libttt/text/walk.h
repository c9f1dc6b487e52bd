/* The regular files below a directory, in the byte order of their paths. Private. */
#ifndef TTT_TEXT_WALK_H
#define TTT_TEXT_WALK_H
#include "libttt/base.h"

struct ttt__walk_level;

/* Symbolic links, special files and what is called ".git" are passed over; other hidden files are not. */
struct ttt__walk {
	struct ttt__walk_level *level; /* [n] from the top down */
	size_t n, capacity;
	char *path; /* of the file handed out */
};

/* Go down into directory path. */
enum ttt_status ttt__walk_enter(struct ttt__walk *w, const char *path, struct ttt_error *err);
/* The next file, or NULL when there is none left; *path is borrowed until the next call. A directory that cannot be
 * read is an error after which the walk can go on without it. */
enum ttt_status ttt__walk_next(struct ttt__walk *w, const char **path, struct ttt_error *err);
void ttt__walk_free(struct ttt__walk *w);

#endif
