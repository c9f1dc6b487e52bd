/* Token shards: documents turned into ids once and kept on disk. Private.
 *
 * A folder holds "tokens" (int32 little-endian, every document behind the BOS of the model, where it has one) and
 * "index" (a line a document), which is written last: a folder with an index is complete. */
#ifndef TTT_LEARN_DATA_H
#define TTT_LEARN_DATA_H
#include "libttt/base.h"

/* What shards are made from. */
struct ttt__data_source {
	const char *const *path; /* [n_path] files or directories; each is a group */
	size_t n_path;
	int64_t project_depth;   /* 0: a file is a document; N: all files under one directory N deep are one document */
	double held_share;       /* documents held out, by a hash of their names: about this share of them */
	const char *held_list;   /* a file with the names of documents held out, a line each; or NULL */
};

struct ttt__document {
	char *name;     /* last part of the group's path, and the path below it */
	int64_t group;
	int64_t offset; /* first token in "tokens" */
	int64_t n_token, n_byte;
	bool held;      /* held out: never trained on */
};

struct ttt__data {
	int fd;
	char *path;                     /* of "tokens" */
	struct ttt__document *document; /* [n_document] */
	int64_t n_document, n_group;
	int64_t n_token, n_byte;        /* of the documents trained on */
};

/* Make the folder dir's shards, unless they are there and were made from the same source with the same tokenizer; if
 * they are there and were not, that is an error. Notes go to note(ctx, text), which may be NULL. */
enum ttt_status ttt__data_build(const char *dir, const struct ttt__data_source *source, const struct ttt_tokenizer *t,
    int64_t bos, void (*note)(void *ctx, const char *text), void *ctx, struct ttt_error *err);
enum ttt_status ttt__data_open(struct ttt__data *out, const char *dir, struct ttt_error *err);
void ttt__data_close(struct ttt__data *d);
/* Ids [n] from token first on (=). */
enum ttt_status ttt__data_read(const struct ttt__data *d, int64_t first, int64_t n, int32_t *ids,
    struct ttt_error *err);

/* 64-bit FNV-1a of n bytes, going on from h; start with TTT__HASH_START. */
#define TTT__HASH_START UINT64_C(0xcbf29ce484222325)
uint64_t ttt__data_hash(uint64_t h, const void *bytes, size_t n);

#endif
