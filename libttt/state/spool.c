/* Temporary files that vanish with the process. */
#include "libttt/state/passages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *
folder(void)
{
	const char *dir = getenv("TMPDIR");

	return dir != NULL && dir[0] != '\0' ? dir : "/tmp";
}

static enum ttt_status
failed(const char *what, const char *why, struct ttt_error *err)
{
	(void)ttt__fail(err, TTT_E_IO, "%s: cannot %s a temporary file: %s", folder(), what, why);
	return ttt__hint(err, TTT_E_IO, "TMPDIR names the folder where text waits");
}

static int
open_nameless(const char *dir)
{
	char path[4096];
	int fd = open(dir, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	/* a file system without nameless files: a kill between the next two steps leaves an empty one behind */
	if ((size_t)snprintf(path, sizeof(path), "%s/ttt-XXXXXX", dir) >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		(void)unlink(path);
	return fd;
}

enum ttt_status
ttt__spool_open(int *fd, struct ttt_error *err)
{
	*fd = open_nameless(folder());
	return *fd >= 0 ? TTT_OK : failed("make", strerror(errno), err);
}

enum ttt_status
ttt__spool_write(int fd, const void *p, size_t n, int64_t offset, struct ttt_error *err)
{
	const char *at = p;

	while (n > 0) {
		ssize_t done = pwrite(fd, at, n, offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return failed("write to", strerror(done < 0 ? errno : ENOSPC), err);
		at += done;
		n -= (size_t)done;
		offset += done;
	}
	return TTT_OK;
}

enum ttt_status
ttt__spool_read(int fd, void *p, size_t n, int64_t offset, struct ttt_error *err)
{
	char *at = p;

	while (n > 0) {
		ssize_t done = pread(fd, at, n, offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return failed("read", done < 0 ? strerror(errno) : "it ends early", err);
		at += done;
		n -= (size_t)done;
		offset += done;
	}
	return TTT_OK;
}
