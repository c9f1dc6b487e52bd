/* manifest.json, the first member of a state file: what the file is, and what every other member must be. Private. */
#ifndef TTT_STATE_MANIFEST_H
#define TTT_STATE_MANIFEST_H
#include "libttt/base.h"

/* The newest version, of states with n-grams, which an older program would go on from without them; others are written in the plain one. */
enum { TTT__STATE_VERSION = 2, TTT__STATE_PLAIN = 1, TTT__MANIFEST_MAX = 1 << 20, TTT__MEMBER_NAME = 128, TTT__MEMBER_MAX = 1024 };

struct ttt__member {
	char name[TTT__MEMBER_NAME];
	uint64_t size;
	char checksum[65];
};

struct ttt__manifest {
	struct ttt_state_info info;
	bool keeps_passages;
	uint64_t passages_max;
	bool open_record;      /* the last record of passages may still grow */
	int64_t line;          /* of the next byte of the last source */
	bool begun;            /* what comes is not the start of a text */
	int64_t curve_stride, curve_partial;
	double curve_sum;
	int64_t n_noisy;       /* chunks of noise at the end of the stream; 0: none, and no good weights are kept */
	double check_loss;     /* of the last chunk scored again: see verify.c; NaN before the first chunk */
	char check_precision[8]; /* of the products then: "f32" or "bf16"; "" in states older than the note */
	struct ttt__member member[TTT__MEMBER_MAX]; /* in the order of the file */
	size_t n_member;
};

/* The last key, "seal", is the BLAKE2b-256 of the manifest's bytes with 64 zeros in the seal's place: every other
 * member has its checksum here, and this is the manifest's own. */
enum ttt_status ttt__manifest_format(const struct ttt__manifest *m, struct ttt__bytes *b, struct ttt_error *err);
enum ttt_status ttt__manifest_parse(struct ttt__manifest *m, const struct ttt__bytes *b, const char *label,
    struct ttt_error *err);
/* Append a member; name is 1 .. 127 of A-Z a-z 0-9 . _ - /, without empty, "." or ".." parts. */
enum ttt_status ttt__manifest_add(struct ttt__manifest *m, const char *name, uint64_t size, const char *checksum,
    const char *label, struct ttt_error *err);
const struct ttt__member *ttt__manifest_find(const struct ttt__manifest *m, const char *name);

#endif
