/* Reading in two stages, so that the whole file is seen: libarchive's raw format undoes the compression, and the tar
 * reader is fed from that. Where the tar reader stops at the end mark, the rest is still read: it must be what a writer
 * leaves there, and the compressed file must end well. */
#include "libttt/state/container.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "libttt/json.h"

static la_ssize_t
read_file(struct archive *a, void *ctx, const void **p)
{
	struct ttt__tar_in *t = ctx;
	size_t n;

	errno = 0;
	n = fread(t->compressed, 1, TTT__TAR_BUFFER, t->f);
	*p = t->compressed;
	t->empty = t->empty && n == 0;
	if (n > 0 || !ferror(t->f))
		return (la_ssize_t)n;
	t->error = errno != 0 ? errno : EIO;
	archive_set_error(a, t->error, "read failed");
	return -1;
}

/* Keep the newest bytes of what came. */
static void
remember(struct ttt__tar_in *t, const unsigned char *p, size_t n)
{
	enum { N = sizeof(t->last) };

	if (n >= N)
		memcpy(t->last, p + n - N, N);
	else {
		memmove(t->last, t->last + n, N - n);
		memcpy(t->last + N - n, p, n);
	}
	t->n_tar += n;
}

static la_ssize_t
read_plain(struct archive *a, void *ctx, const void **p)
{
	struct ttt__tar_in *t = ctx;
	la_ssize_t n = archive_read_data(t->raw, t->plain, TTT__TAR_BUFFER);

	*p = t->plain;
	if (n > 0)
		remember(t, t->plain, (size_t)n);
	if (n < 0)
		archive_set_error(a, archive_errno(t->raw), "%s", archive_error_string(t->raw));
	return n;
}

static enum ttt_status
failed(struct ttt__tar_in *t, struct archive *a, struct ttt_error *err)
{
	const char *why = archive_error_string(a);
	char text[TTT__EXCERPT];

	if (t->error != 0)
		return ttt__fail(err, TTT_E_IO, "%s: cannot read: %s", t->label, strerror(t->error));
	if (archive_errno(a) == ENOMEM)
		return ttt__fail_memory(err, t->label);
	if (why != NULL && strstr(why, "Unrecognized") != NULL)
		return ttt__fail(err, TTT_E_FORMAT, "%s: not a state, or damaged from its start", t->label);
	return ttt__fail(err, TTT_E_FORMAT, "%s: damaged or not a state: %s", t->label,
	    ttt__excerpt(text, why != NULL ? why : "it cannot be read as an archive"));
}

static enum ttt_status
open_file(struct ttt__tar_in *t, const char *path, struct ttt_error *err)
{
	struct stat st;

	t->label = strcmp(path, "-") == 0 ? "standard input" : path;
	t->f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rbe");
	t->own = t->f != stdin;
	if (t->f == NULL)
		return ttt__fail(err, TTT_E_IO, "%s: cannot open: %s", path, strerror(errno));
	if (fstat(fileno(t->f), &st) == 0 && S_ISDIR(st.st_mode))
		return ttt__fail(err, TTT_E_IO, "%s: cannot read: %s", t->label, strerror(EISDIR));
	return TTT_OK;
}

static enum ttt_status
open_archives(struct ttt__tar_in *t, struct ttt_error *err)
{
	struct archive_entry *e;
	int r;

	t->raw = archive_read_new();
	t->tar = archive_read_new();
	t->compressed = malloc(TTT__TAR_BUFFER);
	t->plain = malloc(TTT__TAR_BUFFER);
	if (t->raw == NULL || t->tar == NULL || t->compressed == NULL || t->plain == NULL)
		return ttt__fail_memory(err, t->label);
	if (archive_read_support_filter_gzip(t->raw) != ARCHIVE_OK ||
	    archive_read_support_filter_zstd(t->raw) != ARCHIVE_OK ||
	    archive_read_support_format_raw(t->raw) != ARCHIVE_OK ||
	    archive_read_support_format_tar(t->tar) != ARCHIVE_OK)
		return failed(t, t->raw, err);
	t->empty = true;
	r = archive_read_open(t->raw, t, NULL, read_file, NULL);
	if (r == ARCHIVE_OK)
		r = archive_read_next_header(t->raw, &e);
	if (t->empty && t->error == 0)
		return ttt__fail(err, TTT_E_FORMAT, "%s: not a state: it is empty", t->label);
	if (r != ARCHIVE_OK || archive_filter_count(t->raw) > 2)
		return failed(t, t->raw, err);
	return archive_read_open(t->tar, t, NULL, read_plain, NULL) == ARCHIVE_OK ? TTT_OK : failed(t, t->tar, err);
}

enum ttt_status
ttt__tar_in_open(struct ttt__tar_in *t, const char *path, struct ttt_error *err)
{
	enum ttt_status status;

	memset(t, 0, sizeof(*t));
	status = open_file(t, path, err);
	if (status == TTT_OK)
		status = open_archives(t, err);
	if (status != TTT_OK)
		ttt__tar_in_close(t);
	return status;
}

/* After the last member: two blocks of zeros, nothing else, and a good end of the compressed file. More than that is not
 * read to its end, which a device or a few compressed bytes can put anywhere. */
static enum ttt_status
check_end(struct ttt__tar_in *t, struct ttt_error *err)
{
	static const unsigned char zeros[sizeof(t->last)];
	uint64_t whole = (uint64_t)archive_read_header_position(t->tar) + sizeof(zeros);
	const void *p;
	la_ssize_t n = 1;

	while (n > 0 && t->n_tar <= whole)
		n = read_plain(t->tar, t, &p);
	if (n < 0)
		return failed(t, t->tar, err);
	if (whole == sizeof(zeros))
		return ttt__fail(err, TTT_E_FORMAT, "%s: not a state: it has no members", t->label);
	if (t->n_tar != whole || memcmp(t->last, zeros, sizeof(zeros)) != 0)
		return ttt__fail(err, TTT_E_FORMAT, "%s: damaged: it does not end where its last member does",
		    t->label);
	return TTT_OK;
}

enum ttt_status
ttt__tar_in_next(struct ttt__tar_in *t, char name[128], uint64_t *size, bool *more, struct ttt_error *err)
{
	struct archive_entry *e;
	char text[TTT__EXCERPT];
	const char *path;
	int r = archive_read_next_header(t->tar, &e);

	*more = r != ARCHIVE_EOF;
	if (r == ARCHIVE_EOF)
		return check_end(t, err);
	if (r != ARCHIVE_OK)
		return failed(t, t->tar, err);
	path = archive_entry_pathname(e);
	if (path == NULL || strlen(path) >= 128 || archive_entry_filetype(e) != AE_IFREG ||
	    archive_entry_hardlink(e) != NULL ||
	    archive_entry_sparse_count(e) > 0 || !archive_entry_size_is_set(e) || archive_entry_size(e) < 0)
		return ttt__fail(err, TTT_E_FORMAT, "%s: not a state: member '%s' is no plain file", t->label,
		    ttt__excerpt(text, path != NULL ? path : ""));
	memcpy(name, path, strlen(path) + 1);
	*size = (uint64_t)archive_entry_size(e);
	return TTT_OK;
}

enum ttt_status
ttt__tar_in_read(struct ttt__tar_in *t, void *p, size_t n, struct ttt_error *err)
{
	la_ssize_t done = n > 0 ? archive_read_data(t->tar, p, n) : 0;

	if (done < 0)
		return failed(t, t->tar, err);
	if ((size_t)done != n)
		return ttt__fail(err, TTT_E_FORMAT, "%s: damaged: a member ends early", t->label);
	return TTT_OK;
}

void
ttt__tar_in_close(struct ttt__tar_in *t)
{
	if (t->tar != NULL)
		archive_read_free(t->tar);
	if (t->raw != NULL)
		archive_read_free(t->raw);
	free(t->compressed);
	free(t->plain);
	if (t->own && t->f != NULL)
		fclose(t->f);
	memset(t, 0, sizeof(*t));
}
