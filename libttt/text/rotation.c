#include "libttt/text/rotation.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "libttt/file.h"

enum { TICK = 12000000 }; /* nanoseconds; no kernel's is longer than 10 ms */

int64_t
ttt__mtime(const struct stat *st)
{
	int64_t t;

	if (!ttt__i64_mul(&t, (int64_t)st->st_mtim.tv_sec, 1000000000) ||
	    !ttt__i64_add(&t, t, (int64_t)st->st_mtim.tv_nsec))
		return st->st_mtim.tv_sec < 0 ? INT64_MIN : INT64_MAX;
	return t;
}

/* The length of name without what a compressor adds. */
static size_t
without_suffix(const char *name)
{
	static const char *const suffixes[] = { ".gz", ".xz", ".zst", ".bz2" };
	size_t n = strlen(name);

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		size_t m = strlen(suffixes[i]);

		if (n > m && strcmp(name + n - m, suffixes[i]) == 0)
			return n - m;
	}
	return n;
}

/* "1", "20240131", "2024-01-31T10:00", "old". */
static bool
counts(const char *tag, size_t n)
{
	if (n == 3 && memcmp(tag, "old", 3) == 0)
		return true;
	return n > 0 && tag[0] >= '0' && tag[0] <= '9' && strspn(tag, "0123456789-_.:+TZ") >= n;
}

/* Short ones only: a long one is a date, or the time in seconds. */
static int
number_of(const char *tag, size_t n)
{
	enum { MAX_DIGITS = 3 };
	int number = 0;

	if (n == 3 && memcmp(tag, "old", 3) == 0)
		return 1;
	if (n == 0 || n > MAX_DIGITS || strspn(tag, "0123456789") < n)
		return -1;
	for (size_t i = 0; i < n; i++)
		number = number * 10 + (tag[i] - '0');
	return number;
}

/* May name be what log was rotated to? Then c's tag and what it counts are set. */
static bool
belongs(const char *log, const char *name, struct ttt__rotated *c)
{
	size_t n_log = strlen(log), n = without_suffix(name), stem;
	const char *dot = strrchr(log, '.');

	if (strncmp(name, log, n_log) == 0 && (name[n_log] == '.' || name[n_log] == '-')) {
		c->tag = n_log + 1;
		c->n_tag = n > n_log ? n - n_log - 1 : 0;
		c->counted = counts(name + c->tag, c->n_tag);
	} else {
		stem = dot != NULL ? (size_t)(dot - log) : 0;
		if (stem == 0 || n <= n_log + 1 || strncmp(name, log, stem) != 0 ||
		    (name[stem] != '.' && name[stem] != '-') || memcmp(name + n - (n_log - stem), dot, n_log - stem) != 0)
			return false;
		c->tag = stem + 1;
		c->n_tag = n - n_log - 1;
		c->counted = counts(name + c->tag, c->n_tag);
		if (!c->counted)
			return false; /* NAME-other.log is another log */
	}
	c->number = number_of(name + c->tag, c->n_tag);
	return true;
}

/* Older first: by time, then those with dates by these, then those with numbers, the highest first. */
static int
by_age(const void *a, const void *b)
{
	const struct ttt__rotated *x = a, *y = b;
	int order;

	if (x->mtime != y->mtime)
		return x->mtime < y->mtime ? -1 : 1;
	if (x->number != y->number)
		return x->number == -1 || (y->number != -1 && x->number > y->number) ? -1 : 1;
	order = strcmp(x->name + x->tag, y->name + y->tag);
	return order != 0 ? order : strcmp(x->name, y->name);
}

/* Of LOG.1 and LOG.1.gz the first is whole, the other may be half written. */
static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct ttt__rotated *)a)->name, ((const struct ttt__rotated *)b)->name);
}

static bool
has_uncompressed(const struct ttt__rotation *r, const struct ttt__rotated *c)
{
	char name[NAME_MAX + 1];
	struct ttt__rotated key = { .name = name };
	size_t n = without_suffix(c->name);

	if (n >= sizeof(name) || c->name[n] == '\0' || r->n == 0)
		return false;
	memcpy(name, c->name, n);
	name[n] = '\0';
	return bsearch(&key, r->p, r->n, sizeof(*r->p), by_name) != NULL;
}

static enum ttt_status
add(struct ttt__rotation *r, const struct ttt__rotated *c, struct ttt_error *err)
{
	if (r->n == r->capacity) {
		size_t capacity = r->capacity > 0 ? 2 * r->capacity : 16;
		struct ttt__rotated *grown = ttt__grow(r->p, capacity, sizeof(*grown));

		if (grown == NULL)
			return ttt__fail_memory(err, "rotated files");
		r->p = grown;
		r->capacity = capacity;
	}
	r->p[r->n] = *c;
	r->p[r->n].name = strdup(c->name);
	if (r->p[r->n].name == NULL)
		return ttt__fail_memory(err, "rotated files");
	r->n++;
	return TTT_OK;
}

static enum ttt_status
read_folder(struct ttt__rotation *r, DIR *d, const char *log, const struct stat *current, const struct ttt__mark *was,
    struct ttt_error *err)
{
	enum ttt_status status = TTT_OK;
	const struct dirent *e;

	while (status == TTT_OK && (e = readdir(d)) != NULL) {
		struct ttt__rotated c = { .number = -1 };
		struct stat st;

		bool named = belongs(log, e->d_name, &c);

		if (fstatat(r->folder, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode) ||
		    (!named && ((int64_t)st.st_dev != was->device || (int64_t)st.st_ino != was->inode)))
			continue; /* where a link led to another file before, that may have any name */
		if (current != NULL && st.st_dev == current->st_dev && st.st_ino == current->st_ino)
			continue;
		c.name = (char *)(uintptr_t)e->d_name; /* copied */
		c.device = (int64_t)st.st_dev;
		c.inode = (int64_t)st.st_ino;
		c.mtime = ttt__mtime(&st);
		status = add(r, &c, err);
	}
	return status;
}

/* Leave one of each file and its compressed forms, and put them in order. */
static void
sort(struct ttt__rotation *r)
{
	size_t n = 0;

	if (r->n == 0)
		return;
	qsort(r->p, r->n, sizeof(*r->p), by_name);
	for (size_t i = 0; i < r->n; i++)
		r->p[i].spare = has_uncompressed(r, &r->p[i]);
	for (size_t i = 0; i < r->n; i++)
		if (r->p[i].spare)
			free(r->p[i].name);
		else
			r->p[n++] = r->p[i];
	r->n = n;
	qsort(r->p, r->n, sizeof(*r->p), by_age);
}

enum ttt_status
ttt__rotation_find(struct ttt__rotation *r, const char *path, const struct stat *current, const struct ttt__mark *was,
    struct ttt_error *err)
{
	const char *log = ttt__path_name(path);
	char *folder = ttt__path_folder(path);
	struct stat st;
	enum ttt_status status = TTT_OK;
	DIR *d = NULL;
	int copy;

	*r = (struct ttt__rotation){ .folder = -1 };
	if (folder == NULL)
		return ttt__fail_memory(err, path);
	r->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	copy = r->folder >= 0 ? fcntl(r->folder, F_DUPFD_CLOEXEC, 0) : -1;
	if (copy >= 0)
		d = fdopendir(copy);
	if (d == NULL || fstat(r->folder, &st) != 0) {
		status = ttt__fail(err, TTT_E_IO, "%s: cannot read the directory: %s", folder, strerror(errno));
		if (d == NULL && copy >= 0)
			close(copy);
	} else {
		r->mtime = ttt__mtime(&st);
		status = read_folder(r, d, log, current, was, err);
		sort(r);
	}
	if (d != NULL)
		closedir(d);
	free(folder);
	if (status != TTT_OK)
		ttt__rotation_free(r);
	return status;
}

void
ttt__rotation_free(struct ttt__rotation *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->p[i].name);
	free(r->p);
	if (r->folder >= 0)
		close(r->folder);
	*r = (struct ttt__rotation){ .folder = -1 };
}

bool
ttt__rotation_changed(const struct ttt__rotation *r)
{
	static const struct timespec tick = { .tv_nsec = TICK };
	struct timespec now;
	struct stat st;

	if (fstat(r->folder, &st) != 0 || ttt__mtime(&st) != r->mtime)
		return true;
	if (clock_gettime(CLOCK_REALTIME, &now) != 0 || now.tv_sec - st.st_mtim.tv_sec > 1)
		return false;
	/* Times of files go by the kernel's ticks: what was renamed within one leaves no trace. Let it pass, and look again. */
	if ((now.tv_sec - st.st_mtim.tv_sec) * 1000000000L + now.tv_nsec - st.st_mtim.tv_nsec > TICK)
		return false;
	(void)nanosleep(&tick, NULL);
	return true;
}

int
ttt__rotation_open(const struct ttt__rotation *r, size_t i)
{
	int fd = openat(r->folder, r->p[i].name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY);
	struct stat st;
	int why = 0;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) != 0)
		why = errno;
	else if (!S_ISREG(st.st_mode) || (int64_t)st.st_dev != r->p[i].device || (int64_t)st.st_ino != r->p[i].inode)
		why = ESTALE;
	if (why == 0)
		return fd;
	close(fd);
	errno = why;
	return -1;
}
