/* A state file on its way in. Private. */
#ifndef TTT_STATE_READER_H
#define TTT_STATE_READER_H
#include "libttt/checksum.h"
#include "libttt/state/container.h"
#include "libttt/state/state.h"

struct ttt__reader {
	struct ttt__tar_in tar;
	const char *label;
	struct ttt__manifest *manifest;
	/* the member being read */
	const struct ttt__member *member;
	struct ttt__checksum sum;
	uint64_t left;         /* of its bytes */
	unsigned char *buffer; /* [TTT__TAR_BUFFER] */
	size_t at, n;          /* unread bytes of the buffer */
};

/* Open a file and read its manifest. path "-" is standard input. On failure there is nothing to close. */
enum ttt_status ttt__reader_open(struct ttt__reader *r, const char *path, struct ttt_error *err);
void ttt__reader_close(struct ttt__reader *r);
/* Go to a member, which must be the next one of the file; after its last byte, compare its checksum. */
enum ttt_status ttt__reader_begin(struct ttt__reader *r, const struct ttt__member *m, struct ttt_error *err);
enum ttt_status ttt__reader_end(struct ttt__reader *r, struct ttt_error *err);
/* Nothing may follow the last member. */
enum ttt_status ttt__reader_finish(struct ttt__reader *r, struct ttt_error *err);

/* "LABEL: NAME: why", a damaged or impossible member. */
enum ttt_status ttt__reader_fail(const struct ttt__reader *r, const char *why, struct ttt_error *err);
/* Exactly n bytes. */
enum ttt_status ttt__reader_get(struct ttt__reader *r, void *p, size_t n, struct ttt_error *err);
/* A line without its newline, as a string of at most size - 1 bytes. */
enum ttt_status ttt__reader_line(struct ttt__reader *r, char *line, size_t size, struct ttt_error *err);
/* The whole member, of at most max bytes. Memory follows what has really come, not what was announced. */
enum ttt_status ttt__reader_all(struct ttt__reader *r, struct ttt__bytes *b, uint64_t max, struct ttt_error *err);

/* Members into a new state; the manifest says what they must be. load.c, ngrams.c, load_text.c */
enum ttt_status ttt__load_fast(struct ttt__reader *r, struct ttt_state *s, struct ttt_error *err);
enum ttt_status ttt__load_mean(struct ttt__reader *r, struct ttt_state *s, struct ttt_error *err);
enum ttt_status ttt__load_good(struct ttt__reader *r, struct ttt_state *s, struct ttt_error *err);
enum ttt_status ttt__load_ngrams(struct ttt__reader *r, struct ttt_state *s, struct ttt_error *err);
enum ttt_status ttt__load_window(struct ttt__reader *r, struct ttt_state *s, struct ttt_error *err);
enum ttt_status ttt__load_pending(struct ttt__reader *r, struct ttt_state *s, struct ttt_error *err);
enum ttt_status ttt__load_recent(struct ttt__reader *r, struct ttt_state *s, struct ttt_error *err);
enum ttt_status ttt__load_sources(struct ttt__reader *r, struct ttt_state *s, struct ttt_error *err);
enum ttt_status ttt__load_passages(struct ttt__reader *r, struct ttt_state *s, struct ttt_error *err);
enum ttt_status ttt__load_curve(struct ttt__reader *r, struct ttt_state *s, struct ttt_error *err);
enum ttt_status ttt__load_extra(struct ttt__reader *r, struct ttt_state *s, struct ttt_error *err);

/* What the file says that the check of verify gives, and how far from that is no damage. */
struct ttt__check {
	double loss, tolerance;
};

/* Open a state; check may be NULL. */
enum ttt_status ttt__state_read(struct ttt_state **out, const char *path, const struct ttt_model *m,
    const struct ttt_state_options *o, struct ttt__check *check, struct ttt_error *err);

#endif
