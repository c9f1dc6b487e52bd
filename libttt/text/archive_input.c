/* Archives as inputs: their regular members, by name. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "libttt/json.h"
#include "libttt/text/stream.h"

/* Zip keeps its directory at the end; where the file can be moved about in, libarchive reads that. */
static la_int64_t
seek_below(struct archive *a, void *ctx, la_int64_t offset, int whence)
{
	struct ttt__stream *s = ctx;
	off_t at = lseek(s->fd, offset, whence);

	if (at < 0) {
		s->error = errno;
		archive_set_error(a, s->error, "seek failed");
		return ARCHIVE_FATAL;
	}
	return at;
}

enum ttt_status
ttt__archive_open(struct ttt__stream *s, const char *path, struct ttt_error *err)
{
	enum ttt_status status = ttt__stream_open_file(s, path, err);

	if (status != TTT_OK)
		return status;
	s->is_archive = true;
	s->names = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	status = ttt__stream_filters(s, err);
	if (status == TTT_OK && (archive_read_support_format_tar(s->a) != ARCHIVE_OK ||
	    archive_read_support_format_cpio(s->a) != ARCHIVE_OK ||
	    archive_read_support_format_zip(s->a) != ARCHIVE_OK ||
	    archive_read_set_format_option(s->a, "tar", "read_concatenated_archives", "1") != ARCHIVE_OK ||
	    (lseek(s->fd, 0, SEEK_CUR) == 0 && s->size >= 0 &&
	    archive_read_set_seek_callback(s->a, seek_below) != ARCHIVE_OK)))
		status = ttt__stream_fail(s, err);
	if (status == TTT_OK)
		status = ttt__stream_start(s, err);
	if (status != TTT_OK)
		ttt__stream_close(s);
	return status;
}

/* A link to a file that was there: passed over, but in cpio's newer formats, where the last of several links has the bytes. */
static bool
is_link(const struct ttt__stream *s, struct archive_entry *e)
{
	int format = archive_format(s->a);

	return archive_entry_hardlink(e) != NULL && (archive_entry_size(e) == 0 ||
	    (format != ARCHIVE_FORMAT_CPIO_SVR4_NOCRC && format != ARCHIVE_FORMAT_CPIO_SVR4_CRC));
}

/* The header of the next file and its name, or how the archive ended. */
static int
next_file(struct ttt__stream *s, struct archive_entry **e, const char **name)
{
	int r;

	while ((r = archive_read_next_header(s->a, e)) == ARCHIVE_OK || r == ARCHIVE_WARN) {
		*name = archive_entry_pathname(*e);
		if (archive_entry_filetype(*e) == AE_IFREG && !is_link(s, *e))
			break;
	}
	return r;
}

enum ttt_status
ttt__archive_next(struct ttt__stream *s, const char **name, struct ttt_error *err)
{
	/* libarchive gives names in the caller's encoding, and none where that has no such letters; without a locale the caller's stays */
	locale_t before = uselocale(s->names);
	struct archive_entry *e = NULL;
	char text[TTT__EXCERPT];
	const char *path = NULL;
	int r = next_file(s, &e, &path);

	(void)uselocale(before);
	*name = NULL;
	if (r == ARCHIVE_EOF)
		return TTT_OK;
	if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
		return ttt__stream_fail(s, err);
	if (path == NULL)
		path = "?";
	if (archive_entry_is_encrypted(e))
		return ttt__fail(err, TTT_E_UNSUPPORTED, "%s: member '%s' is encrypted", s->label, ttt__excerpt(text, path));
	s->ended = false;
	s->sparse = archive_entry_sparse_count(e) > 0;
	s->size = archive_entry_size_is_set(e) ? (int64_t)archive_entry_size(e) : -1;
	*name = path;
	return TTT_OK;
}
