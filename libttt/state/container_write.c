#include "libttt/state/container.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static la_ssize_t
write_out(struct archive *a, void *ctx, const void *p, size_t n)
{
	struct ttt__tar_out *o = ctx;

	(void)a;
	errno = 0;
	if (o->error == 0 && fwrite(p, 1, n, o->f) != n)
		o->error = errno != 0 ? errno : EIO;
	return (la_ssize_t)n; /* also after a failure, which whoever writes sees by error: libarchive leaks its compressor after one of its own */
}

static enum ttt_status
failed(struct ttt__tar_out *o, struct ttt_error *err)
{
	if (o->error != 0)
		return ttt__fail(err, TTT_E_IO, "%s: cannot write: %s", o->label, strerror(o->error));
	if (archive_errno(o->a) == ENOMEM)
		return ttt__fail_memory(err, o->label);
	return ttt__fail(err, TTT_E_IO, "%s: cannot write: %s", o->label, archive_error_string(o->a));
}

enum { DIGITS_MAX = 14 }; /* more make a time that tar calls out of range */

/* Seconds since 1970 that SOURCE_DATE_EPOCH says, 0 without it; -1: what it says is none that an archive can hold. */
static int64_t
source_date(void)
{
	const char *text = getenv("SOURCE_DATE_EPOCH");
	size_t n = text != NULL ? strlen(text) : 0;

	if (n == 0)
		return 0;
	return n <= DIGITS_MAX && strspn(text, "0123456789") == n ? strtoll(text, NULL, 10) : -1;
}

static int
add_filter(struct archive *a, enum ttt_compress c)
{
	if (c == TTT_COMPRESS_NONE)
		return archive_write_add_filter_none(a);
	if (c == TTT_COMPRESS_ZSTD)
		return archive_write_add_filter_zstd(a);
	if (archive_write_add_filter_gzip(a) != ARCHIVE_OK)
		return ARCHIVE_FATAL;
	return archive_write_set_filter_option(a, "gzip", "timestamp", NULL);
}

enum ttt_status
ttt__tar_out_open(struct ttt__tar_out *o, FILE *f, const char *label, enum ttt_compress c, struct ttt_error *err)
{
	*o = (struct ttt__tar_out){ .a = archive_write_new(), .f = f, .label = label, .mtime = source_date() };
	if (o->a == NULL)
		return ttt__fail_memory(err, label);
	if (o->mtime < 0) {
		ttt__tar_out_abort(o);
		return ttt__fail(err, TTT_E_RANGE, "SOURCE_DATE_EPOCH: is no number of seconds since 1970");
	}
	if (archive_write_set_format_pax_restricted(o->a) != ARCHIVE_OK || add_filter(o->a, c) != ARCHIVE_OK ||
	    archive_write_set_bytes_per_block(o->a, 65536) != ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(o->a, 1) != ARCHIVE_OK ||
	    archive_write_open(o->a, o, NULL, write_out, NULL) != ARCHIVE_OK) {
		enum ttt_status status = failed(o, err);

		ttt__tar_out_abort(o);
		return status;
	}
	return TTT_OK;
}

enum ttt_status
ttt__tar_out_member(struct ttt__tar_out *o, const char *name, uint64_t size, struct ttt_error *err)
{
	struct archive_entry *e = archive_entry_new();
	int r;

	if (e == NULL)
		return ttt__fail_memory(err, o->label);
	archive_entry_set_pathname(e, name);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, 0600);
	archive_entry_set_size(e, (la_int64_t)size);
	archive_entry_set_mtime(e, o->mtime, 0);
	archive_entry_set_uid(e, 0);
	archive_entry_set_gid(e, 0);
	r = archive_write_header(o->a, e);
	archive_entry_free(e);
	return r == ARCHIVE_OK && o->error == 0 ? TTT_OK : failed(o, err);
}

enum ttt_status
ttt__tar_out_data(struct ttt__tar_out *o, const void *p, size_t n, struct ttt_error *err)
{
	return n == 0 || (archive_write_data(o->a, p, n) == (la_ssize_t)n && o->error == 0) ? TTT_OK : failed(o, err);
}

enum ttt_status
ttt__tar_out_close(struct ttt__tar_out *o, struct ttt_error *err)
{
	enum ttt_status status = TTT_OK;

	errno = 0;
	if (archive_write_close(o->a) != ARCHIVE_OK || o->error != 0)
		status = failed(o, err);
	else if (fflush(o->f) != 0)
		status = ttt__fail(err, TTT_E_IO, "%s: cannot write: %s", o->label, strerror(errno));
	archive_write_free(o->a);
	o->a = NULL;
	return status;
}

void
ttt__tar_out_abort(struct ttt__tar_out *o)
{
	if (o->a == NULL)
		return;
	o->error = ECANCELED; /* nothing more is written */
	archive_write_free(o->a);
	o->a = NULL;
}
