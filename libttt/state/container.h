/* State files as tar archives, through libarchive: pax tar under gzip, zstd or nothing, and nothing else. Private. */
#ifndef TTT_STATE_CONTAINER_H
#define TTT_STATE_CONTAINER_H
#include "libttt/base.h"

struct archive;

struct ttt__tar_out {
	struct archive *a;
	FILE *f;           /* borrowed */
	const char *label; /* borrowed */
	int error;         /* errno of a write that failed */
	int64_t mtime;
};
/* Members get mode 0600, owner 0 and time 0, or SOURCE_DATE_EPOCH: the same members give the same bytes. */
enum ttt_status ttt__tar_out_open(struct ttt__tar_out *o, FILE *f, const char *label, enum ttt_compress c,
    struct ttt_error *err);
enum ttt_status ttt__tar_out_member(struct ttt__tar_out *o, const char *name, uint64_t size, struct ttt_error *err);
enum ttt_status ttt__tar_out_data(struct ttt__tar_out *o, const void *p, size_t n, struct ttt_error *err);
/* Ends the archive and flushes f. */
enum ttt_status ttt__tar_out_close(struct ttt__tar_out *o, struct ttt_error *err);
void ttt__tar_out_abort(struct ttt__tar_out *o);

enum { TTT__TAR_BUFFER = 65536 };
struct ttt__tar_in {
	struct archive *raw, *tar; /* the file decompressed; that read as tar */
	FILE *f;
	bool own;                  /* close f */
	bool empty;                /* nothing could be read from it so far */
	const char *label;         /* borrowed */
	int error;                 /* errno of a read that failed */
	uint64_t n_tar;            /* decompressed bytes so far */
	unsigned char *compressed, *plain; /* [TTT__TAR_BUFFER] */
	unsigned char last[1024];  /* the newest decompressed bytes */
};
/* path "-" is standard input. */
enum ttt_status ttt__tar_in_open(struct ttt__tar_in *t, const char *path, struct ttt_error *err);
/* The next member, a plain file; *more is false at the end, which must be a whole and clean one. */
enum ttt_status ttt__tar_in_next(struct ttt__tar_in *t, char name[128], uint64_t *size, bool *more,
    struct ttt_error *err);
/* The next n bytes of the member, all of them. */
enum ttt_status ttt__tar_in_read(struct ttt__tar_in *t, void *p, size_t n, struct ttt_error *err);
void ttt__tar_in_close(struct ttt__tar_in *t);

#endif
