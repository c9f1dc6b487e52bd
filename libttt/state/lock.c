/* A lock beside a file, so that the file itself can be replaced while the lock is held. The lock's file is removed
 * again: a process that then holds the lock of a removed file notices, and starts over. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "libttt/file.h"

struct ttt_lock {
	int fd;
	char *path;
};

/* path.lock, of the file a link leads to; NULL with errno. */
static char *
lock_path(const char *path)
{
	char *target = ttt__file_target(path), *out = NULL;
	int why = errno;

	if (target != NULL) {
		size_t n = strlen(target) + sizeof(".lock");

		out = ttt__new(n, 1);
		why = ENOMEM;
		if (out != NULL)
			(void)snprintf(out, n, "%s.lock", target);
	}
	free(target);
	errno = why;
	return out;
}

static double
now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Lock fd; wait_until < 0 waits for ever. */
static enum ttt_status
wait_for(const struct ttt_lock *l, double wait_until, struct ttt_error *err)
{
	const struct timespec pause = { .tv_nsec = 50000000 };

	while (flock(l->fd, wait_until < 0 ? LOCK_EX : LOCK_EX | LOCK_NB) != 0) {
		if (errno == EINTR)
			return ttt__fail(err, TTT_E_INTERRUPTED, "%s: interrupted while waiting for the lock", l->path);
		if (errno != EWOULDBLOCK)
			return ttt__fail(err, TTT_E_IO, "%s: cannot be locked: %s", l->path, strerror(errno));
		if (now() >= wait_until)
			return ttt__fail(err, TTT_E_LOCKED, "%s: another process holds the lock", l->path);
		(void)nanosleep(&pause, NULL);
	}
	return TTT_OK;
}

/* The locked file is still the one that path names. */
static bool
is_current(const struct ttt_lock *l)
{
	struct stat a, b;

	return fstat(l->fd, &a) == 0 && stat(l->path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static void
forget(struct ttt_lock *l)
{
	if (l->fd >= 0)
		close(l->fd);
	free(l->path);
	free(l);
}

enum ttt_status
ttt_lock_take(struct ttt_lock **out, const char *path, double wait_seconds, struct ttt_error *err)
{
	double wait_until = wait_seconds < 0 ? -1 : now() + wait_seconds;
	struct ttt_lock *l = ttt__new(1, sizeof(*l));
	enum ttt_status status;

	*out = NULL;
	if (l == NULL)
		return ttt__fail_memory(err, path);
	if (isnan(wait_seconds)) {
		free(l);
		return ttt__fail(err, TTT_E_RANGE, "%s: the time to wait for its lock is no number", path);
	}
	l->path = lock_path(path);
	if (l->path == NULL) {
		status = errno == ENOMEM ? ttt__fail_memory(err, path)
		    : ttt__fail(err, TTT_E_IO, "%s: cannot be followed as a link: %s", path, strerror(errno));
		free(l);
		return status;
	}
	for (;;) {
		l->fd = open(l->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (l->fd < 0)
			status = ttt__fail(err, TTT_E_IO, "%s: cannot be opened: %s", l->path, strerror(errno));
		else
			status = wait_for(l, wait_until, err);
		if (status != TTT_OK) {
			forget(l);
			return status;
		}
		if (is_current(l)) {
			*out = l;
			return TTT_OK;
		}
		close(l->fd);
	}
}

const char *
ttt_lock_path(const struct ttt_lock *l)
{
	return l->path;
}

void
ttt_lock_release(struct ttt_lock *l)
{
	if (l == NULL)
		return;
	(void)unlink(l->path);       /* while it is held: whoever waits on it starts over */
	(void)flock(l->fd, LOCK_UN); /* a child process may still have the descriptor */
	forget(l);
}
