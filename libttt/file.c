#include "libttt/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static enum ttt_status
fail_system(struct ttt_error *err, const char *path, const char *what)
{
	ttt__fail(err, TTT_E_IO, "%s: cannot %s: %s", path, what, strerror(errno));
	return TTT_E_IO; /* so that a checker of this file sees that it is an error */
}

/* Read what fd holds, one byte past max at most, so that a file that grows is noticed. */
static enum ttt_status
read_all(struct ttt__bytes *b, int fd, const char *path, size_t max, struct ttt_error *err)
{
	unsigned char part[16384];
	for (;;) {
		ssize_t got = read(fd, part, sizeof part);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail_system(err, path, "read");
		if (got == 0)
			return TTT_OK;
		if ((size_t)got > max - b->n)
			return ttt__fail(err, TTT_E_FORMAT, "%s: larger than the %zu bytes allowed here", path, max);
		enum ttt_status status = ttt__bytes_add(b, part, (size_t)got, err);
		if (status != TTT_OK)
			return ttt__fail_memory(err, path);
	}
}

enum ttt_status
ttt__file_read(struct ttt__bytes *b, const char *path, size_t max, struct ttt_error *err)
{
	b->n = 0;
	/* O_NONBLOCK: a named pipe must be refused, not waited for. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return fail_system(err, path, "open");
	struct stat st;
	enum ttt_status status = TTT_OK;
	if (fstat(fd, &st) != 0)
		status = fail_system(err, path, "stat");
	else if (S_ISDIR(st.st_mode))
		status = ttt__fail(err, TTT_E_IO, "%s: cannot read: %s", path, strerror(EISDIR));
	else if (!S_ISREG(st.st_mode))
		status = ttt__fail(err, TTT_E_IO, "%s: cannot read: not a regular file", path);
	else if ((uintmax_t)st.st_size > max)
		status = ttt__fail(err, TTT_E_FORMAT, "%s: %jd bytes, larger than the %zu allowed here", path,
		    (intmax_t)st.st_size, max);
	else
		status = read_all(b, fd, path, max, err);
	close(fd);
	return status;
}

enum ttt_status
ttt__file_map(struct ttt__blob *out, const char *path, struct ttt_error *err)
{
	struct stat st;
	enum ttt_status status = TTT_OK;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* as in ttt__file_read */

	*out = (struct ttt__blob){ 0 };
	if (fd < 0)
		return fail_system(err, path, "open");
	if (fstat(fd, &st) != 0)
		status = fail_system(err, path, "stat");
	else if (!S_ISREG(st.st_mode))
		status = ttt__fail(err, TTT_E_IO, "%s: cannot open: not a regular file", path);
	else if ((uintmax_t)st.st_size > SIZE_MAX)
		status = ttt__fail(err, TTT_E_MEMORY, "%s: its %jd bytes do not fit this machine", path,
		    (intmax_t)st.st_size);
	else if (st.st_size > 0) { /* no bytes cannot be mapped, and need not be */
		void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (p == MAP_FAILED)
			status = fail_system(err, path, "map");
		else
			*out = (struct ttt__blob){ .p = p, .n = (size_t)st.st_size };
	}
	close(fd);
	return status;
}

void
ttt__file_unmap(struct ttt__blob *b)
{
	if (b->p != NULL)
		munmap((void *)(uintptr_t)b->p, b->n);
	*b = (struct ttt__blob){ 0 };
}

void
ttt__file_release(const unsigned char *p, size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), before = (page - (uintptr_t)p % page) % page;

	if (n > before && n - before >= page)
		(void)madvise((void *)(uintptr_t)(p + before), (n - before) / page * page, MADV_DONTNEED);
}

/* What the link at path says, seen from where path is seen; NULL with errno EINVAL where path is no link. */
static char *
follow(const char *path)
{
	char link[4096];
	ssize_t n = readlink(path, link, sizeof link);
	if (n < 0)
		return NULL;
	const char *slash = link[0] == '/' ? NULL : strrchr(path, '/');
	size_t n_dir = slash != NULL ? (size_t)(slash - path) + 1 : 0;
	char *out = (size_t)n < sizeof link ? ttt__new(n_dir + (size_t)n + 1, 1) : NULL;
	if (out == NULL) {
		errno = (size_t)n < sizeof link ? ENOMEM : ENAMETOOLONG;
		return NULL;
	}
	memcpy(out, path, n_dir);
	memcpy(out + n_dir, link, (size_t)n);
	return out;
}

char *
ttt__file_target(const char *path)
{
	enum { MAX_LINKS = 40 }; /* as the system has it */
	char *at = strdup(path);
	for (int i = 0; i < MAX_LINKS && at != NULL; i++) {
		char *next = follow(at);
		if (next == NULL && (errno == ENOMEM || errno == ENAMETOOLONG))
			break;
		if (next == NULL)
			return at; /* what else is wrong with it shows when it is opened */
		free(at);
		at = next;
		errno = ELOOP;
	}
	int why = at != NULL ? errno : ENOMEM;
	free(at);
	errno = why;
	return NULL;
}

const char *
ttt__path_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash != NULL ? slash + 1 : path;
}

char *
ttt__path_in(const char *dir, const char *name)
{
	char *path;
	return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

char *
ttt__path_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash == NULL ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

enum ttt_status
ttt__make_directory(const char *dir, struct ttt_error *err)
{
	return mkdir(dir, 0777) == 0 || errno == EEXIST ? TTT_OK : fail_system(err, dir, "make the directory");
}

/* Where an open file can be given a name. */
enum { FD_PATH = 32 };
static const char *
fd_path(char buffer[FD_PATH], int fd)
{
	snprintf(buffer, FD_PATH, "/proc/self/fd/%d", fd);
	return buffer;
}

/* A file without a name in path's folder; -1 where that cannot be, or could not be named later. */
static int
open_nameless(const char *path, mode_t mode)
{
	char buffer[FD_PATH], *folder = ttt__path_folder(path);
	int fd = folder != NULL ? open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, mode) : -1;
	free(folder);
	if (fd >= 0 && access(fd_path(buffer, fd), F_OK) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Another temporary name; false with errno. */
static bool
next_name(struct ttt__replace *r)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	char *x = r->temporary + strlen(r->temporary) - 6;
	unsigned char random[6];
	if (getentropy(random, sizeof random) != 0)
		return false;
	for (size_t i = 0; i < sizeof random; i++)
		x[i] = letters[random[i] % (sizeof letters - 1)];
	return true;
}

enum { TRIES = 100 }; /* names */

/* A file under its temporary name; -1 with errno. */
static int
open_named(struct ttt__replace *r, mode_t mode)
{
	int fd = -1;
	for (int tries = 0; tries < TRIES && fd < 0 && next_name(r); tries++) {
		fd = open(r->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
		if (fd < 0 && errno != EEXIST)
			break;
	}
	r->named = fd >= 0;
	return fd;
}

/* Give r's file its temporary name, if it has none; false with errno. */
static bool
give_name(struct ttt__replace *r)
{
	char buffer[FD_PATH];
	for (int tries = 0; tries < TRIES && !r->named && next_name(r); tries++) {
		r->named = linkat(AT_FDCWD, fd_path(buffer, fileno(r->f)), AT_FDCWD, r->temporary, AT_SYMLINK_FOLLOW) == 0;
		if (!r->named && errno != EEXIST)
			return false;
	}
	return r->named;
}

enum ttt_status
ttt__replace_open(struct ttt__replace *r, const char *path, bool shared, struct ttt_error *err)
{
	static const char suffix[] = ".XXXXXX";

	*r = (struct ttt__replace){ 0 };
	struct stat st;
	if (path[0] == '\0') {
		ttt__fail(err, TTT_E_IO, "the name of the file to write is empty");
		return TTT_E_IO;
	}
	bool old = stat(path, &st) == 0;
	if (old && !S_ISREG(st.st_mode)) {
		ttt__fail(err, TTT_E_IO, "%s: cannot be replaced: not a regular file", path);
		return TTT_E_IO;
	}
	r->path = ttt__file_target(path);
	if (r->path == NULL && errno != ENOMEM)
		return fail_system(err, path, "be followed as a link");
	size_t n;
	if (r->path == NULL || !ttt__size_add(&n, strlen(r->path), sizeof suffix))
		goto no_memory;
	r->temporary = ttt__new(n, 1);
	if (r->temporary == NULL)
		goto no_memory;
	snprintf(r->temporary, n, "%s%s", r->path, suffix);
	mode_t mode = shared ? 0666 : 0600;
	int fd = open_nameless(r->path, mode);
	if (fd < 0)
		fd = open_named(r, mode);
	if (fd < 0) {
		enum ttt_status status = fail_system(err, path, "make a temporary file beside it");
		ttt__replace_abort(r);
		return status;
	}
	/* Whatever the umask, but for a new file that is shared. */
	bool failed = (!shared && fchmod(fd, 0600) != 0) || (shared && old && fchmod(fd, st.st_mode & 0777) != 0);
	if (failed || (r->f = fdopen(fd, "wb")) == NULL) {
		enum ttt_status status = fail_system(err, r->temporary, "open");
		close(fd);
		ttt__replace_abort(r);
		return status;
	}
	return TTT_OK;
no_memory:
	ttt__replace_abort(r);
	return ttt__fail_memory(err, path);
}

/* A rename is on disk only once its directory is. File systems that cannot sync a directory (EINVAL) are forgiven. */
static enum ttt_status
sync_directory(const char *path, struct ttt_error *err)
{
	char *dir = ttt__path_folder(path);
	if (dir == NULL)
		return ttt__fail_memory(err, path);
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum ttt_status status = TTT_OK;
	/* A directory that may be written but not read cannot be opened for this; the rename itself has happened. */
	if (fd < 0 ? errno != EACCES : fsync(fd) != 0 && errno != EINVAL && errno != ENOTSUP)
		status = fail_system(err, dir, "flush directory");
	if (fd >= 0)
		close(fd);
	free(dir);
	return status;
}

enum ttt_status
ttt__replace_commit(struct ttt__replace *r, struct ttt_error *err)
{
	enum ttt_status status = TTT_OK;
	errno = EIO; /* what a failure noted earlier, whose reason is gone, is reported as */
	if (ferror(r->f) || fflush(r->f) != 0 || fsync(fileno(r->f)) != 0)
		status = fail_system(err, r->path, "write");
	if (status == TTT_OK && !give_name(r))
		status = fail_system(err, r->path, "name the new file beside it");
	int closed = fclose(r->f);
	r->f = NULL;
	if (status == TTT_OK && closed != 0)
		status = fail_system(err, r->path, "write");
	if (status == TTT_OK && rename(r->temporary, r->path) != 0)
		status = fail_system(err, r->path, "rename onto it");
	if (status == TTT_OK) {
		r->named = false; /* there is nothing to remove */
		status = sync_directory(r->path, err);
	}
	ttt__replace_abort(r);
	return status;
}

void
ttt__replace_abort(struct ttt__replace *r)
{
	if (r->f != NULL)
		fclose(r->f);
	if (r->named)
		unlink(r->temporary);
	free(r->temporary);
	free(r->path);
	*r = (struct ttt__replace){ 0 };
}

enum ttt_status
ttt__replace_end(struct ttt__replace *r, enum ttt_status status, struct ttt_error *err)
{
	if (status == TTT_OK)
		return ttt__replace_commit(r, err);
	ttt__replace_abort(r);
	return status;
}

enum ttt_status
ttt__file_write(const char *path, const void *p, size_t n, bool shared, struct ttt_error *err)
{
	struct ttt__replace r;
	enum ttt_status status = ttt__replace_open(&r, path, shared, err);
	return status == TTT_OK ? ttt__replace_end(&r, ttt__write(r.f, path, p, n, err), err) : status;
}

enum ttt_status
ttt__write(FILE *f, const char *label, const void *p, size_t n, struct ttt_error *err)
{
	if (n > 0 && fwrite(p, 1, n, f) != n)
		return fail_system(err, label, "write");
	return TTT_OK;
}
