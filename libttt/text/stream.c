#include "libttt/text/stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libttt/json.h"

/* Up to n bytes; -1 with errno set. */
static ssize_t
read_some(int fd, void *p, size_t n)
{
	ssize_t done;

	do
		done = read(fd, p, n);
	while (done < 0 && errno == EINTR);
	return done;
}

enum ttt_status
ttt__stream_open_file(struct ttt__stream *s, const char *path, struct ttt_error *err)
{
	bool standard = strcmp(path, "-") == 0;
	struct stat st;
	enum ttt_status status = TTT_OK;

	memset(s, 0, sizeof(*s));
	s->size = -1;
	s->own = !standard;
	s->fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	s->label = strdup(standard ? "standard input" : path);
	s->head = ttt__new(TTT__STREAM_BLOCK, 1);
	if (s->label == NULL || s->head == NULL)
		status = ttt__fail_memory(err, path);
	else if (s->fd < 0)
		status = ttt__fail(err, TTT_E_IO, "%s: cannot open: %s", path, strerror(errno));
	else if (fstat(s->fd, &st) != 0)
		status = ttt__fail(err, TTT_E_IO, "%s: cannot read: %s", s->label, strerror(errno));
	else if (S_ISDIR(st.st_mode))
		status = ttt__fail(err, TTT_E_IO, "%s: is a directory (use -r)", s->label);
	else if (S_ISREG(st.st_mode))
		s->size = (int64_t)st.st_size;
	if (status != TTT_OK)
		ttt__stream_close(s);
	return status;
}

/* What libarchive reads: first the bytes already read, then the file. */
static la_ssize_t
read_below(struct archive *a, void *ctx, const void **p)
{
	struct ttt__stream *s = ctx;
	ssize_t n;

	*p = s->head + s->at_head;
	if (s->at_head < s->n_head) {
		n = (ssize_t)(s->n_head - s->at_head);
		s->at_head = s->n_head;
		return n;
	}
	*p = s->head;
	n = read_some(s->fd, s->head, TTT__STREAM_BLOCK);
	if (n < 0) {
		s->error = errno;
		archive_set_error(a, s->error, "read failed");
	}
	return n;
}

enum ttt_status
ttt__stream_fail(struct ttt__stream *s, struct ttt_error *err)
{
	const char *why = s->a != NULL ? archive_error_string(s->a) : NULL;
	char text[TTT__EXCERPT];

	if (s->error != 0)
		return ttt__fail(err, TTT_E_IO, "%s: cannot read: %s", s->label, strerror(s->error));
	if (s->a == NULL || archive_errno(s->a) == ENOMEM)
		return ttt__fail_memory(err, s->label);
	if (s->is_archive && why != NULL && strstr(why, "Unrecognized") != NULL)
		return ttt__fail(err, TTT_E_FORMAT, "%s: not an archive of a kind that is read (tar, cpio, zip)",
		    s->label);
	return ttt__fail(err, TTT_E_FORMAT, "%s: damaged %s: %s", s->label,
	    s->is_archive ? "archive" : "compressed data", ttt__excerpt(text, why != NULL ? why : "it ends early"));
}

/* These and no others; a library built without one must not start a program in its place. */
enum ttt_status
ttt__stream_filters(struct ttt__stream *s, struct ttt_error *err)
{
	s->a = archive_read_new();
	if (s->a == NULL)
		return ttt__fail_memory(err, s->label);
	if (archive_read_support_filter_gzip(s->a) != ARCHIVE_OK ||
	    archive_read_support_filter_xz(s->a) != ARCHIVE_OK ||
	    archive_read_support_filter_zstd(s->a) != ARCHIVE_OK ||
	    archive_read_support_filter_bzip2(s->a) != ARCHIVE_OK)
		return ttt__fail(err, TTT_E_UNSUPPORTED,
		    "%s: this libarchive cannot read gzip, xz, zstd and bzip2 by itself", s->label);
	return TTT_OK;
}

enum ttt_status
ttt__stream_start(struct ttt__stream *s, struct ttt_error *err)
{
	return archive_read_open(s->a, s, NULL, read_below, NULL) == ARCHIVE_OK ? TTT_OK : ttt__stream_fail(s, err);
}

/* Text that begins with "BZh9" is text: bzip2 data goes on with one of two fixed words. */
static bool
looks_compressed(const unsigned char *p, size_t n)
{
	if (n >= 3 && memcmp(p, "\x1f\x8b\x08", 3) == 0)
		return true;
	if (n >= 6 && memcmp(p, "\xfd" "7zXZ\0", 6) == 0)
		return true;
	if (n >= 4 && memcmp(p, "\x28\xb5\x2f\xfd", 4) == 0)
		return true;
	return n >= 10 && memcmp(p, "BZh", 3) == 0 && p[3] >= '1' && p[3] <= '9' &&
	    (memcmp(p + 4, "\x31\x41\x59\x26\x53\x59", 6) == 0 || memcmp(p + 4, "\x17\x72\x45\x38\x50\x90", 6) == 0);
}

static enum ttt_status
start_decompression(struct ttt__stream *s, struct ttt_error *err)
{
	struct archive_entry *e;
	enum ttt_status status = ttt__stream_filters(s, err);
	int r;

	if (status != TTT_OK)
		return status;
	if (archive_read_support_format_raw(s->a) != ARCHIVE_OK ||
	    archive_read_support_format_empty(s->a) != ARCHIVE_OK)
		return ttt__stream_fail(s, err);
	s->size = -1;
	status = ttt__stream_start(s, err);
	if (status != TTT_OK)
		return status;
	r = archive_read_next_header(s->a, &e);
	s->ended = r == ARCHIVE_EOF; /* compressed nothing */
	return r == ARCHIVE_OK || r == ARCHIVE_EOF ? TTT_OK : ttt__stream_fail(s, err);
}

/* Begin to read what is open. Failure closes it. */
static enum ttt_status
begin(struct ttt__stream *s, struct ttt_error *err)
{
	enum ttt_status status = TTT_OK;

	/* ten bytes tell: a slow pipe is not held up for more */
	while (s->n_head < 10) {
		ssize_t n = read_some(s->fd, s->head + s->n_head, TTT__STREAM_BLOCK - s->n_head);

		if (n < 0) {
			s->error = errno;
			status = ttt__stream_fail(s, err);
		}
		if (n <= 0)
			break;
		s->n_head += (size_t)n;
	}
	if (status == TTT_OK && looks_compressed(s->head, s->n_head))
		status = start_decompression(s, err);
	if (status != TTT_OK)
		ttt__stream_close(s);
	return status;
}

enum ttt_status
ttt__stream_open(struct ttt__stream *s, const char *path, struct ttt_error *err)
{
	enum ttt_status status = ttt__stream_open_file(s, path, err);

	return status == TTT_OK ? begin(s, err) : status;
}

enum ttt_status
ttt__stream_open_fd(struct ttt__stream *s, int fd, const char *label, struct ttt_error *err)
{
	*s = (struct ttt__stream){ .fd = fd, .size = -1 };
	s->label = strdup(label);
	s->head = ttt__new(TTT__STREAM_BLOCK, 1);
	if (s->label != NULL && s->head != NULL)
		return begin(s, err);
	ttt__stream_close(s);
	return ttt__fail_memory(err, label);
}

enum ttt_status
ttt__stream_read(struct ttt__stream *s, void *p, size_t capacity, size_t *n, struct ttt_error *err)
{
	ssize_t got;

	*n = 0;
	if (s->ended)
		return TTT_OK;
	if (s->a == NULL && s->at_head < s->n_head) {
		*n = s->n_head - s->at_head < capacity ? s->n_head - s->at_head : capacity;
		memcpy(p, s->head + s->at_head, *n);
		s->at_head += *n;
		return TTT_OK;
	}
	if (s->a != NULL)
		got = archive_read_data(s->a, p, capacity);
	else {
		got = read_some(s->fd, p, capacity);
		if (got < 0)
			s->error = errno;
	}
	if (got < 0)
		return ttt__stream_fail(s, err);
	s->ended = got == 0 && s->a != NULL; /* libarchive, asked again, would go on with a hole at the end */
	*n = (size_t)got;
	return TTT_OK;
}

void
ttt__stream_close(struct ttt__stream *s)
{
	if (s->label == NULL && s->head == NULL)
		return;
	if (s->a != NULL)
		archive_read_free(s->a);
	if (s->names != (locale_t)0)
		freelocale(s->names);
	if (s->own && s->fd >= 0)
		close(s->fd);
	free(s->label);
	free(s->head);
	memset(s, 0, sizeof(*s));
	s->fd = -1;
}
