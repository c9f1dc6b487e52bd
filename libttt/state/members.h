/* What a state writes, member by member, to wherever it goes. Private. */
#ifndef TTT_STATE_MEMBERS_H
#define TTT_STATE_MEMBERS_H
#include "libttt/checksum.h"
#include "libttt/state/container.h"
#include "libttt/state/state.h"

/* Where a member's bytes go: a checksum, the archive, a file. Each member is made twice, once for its size and
 * checksum, which the manifest in front needs, and once to be written; none is held in memory as a whole. */
struct ttt__sink {
	struct ttt__checksum sum;
	struct ttt__tar_out *tar; /* or NULL */
	FILE *file;               /* or NULL */
	const char *label;
	uint64_t n;
};
enum ttt_status ttt__sink_put(struct ttt__sink *k, const void *p, size_t n, struct ttt_error *err);

enum ttt_status ttt__put_fast(struct ttt_state *s, struct ttt__sink *k, struct ttt_error *err);
enum ttt_status ttt__put_mean(struct ttt_state *s, struct ttt__sink *k, struct ttt_error *err);
enum ttt_status ttt__put_good(struct ttt_state *s, struct ttt__sink *k, struct ttt_error *err);
enum ttt_status ttt__put_ngrams(struct ttt_state *s, struct ttt__sink *k, struct ttt_error *err);
enum ttt_status ttt__put_window(struct ttt_state *s, struct ttt__sink *k, struct ttt_error *err);
enum ttt_status ttt__put_pending(struct ttt_state *s, struct ttt__sink *k, struct ttt_error *err);
enum ttt_status ttt__put_recent(struct ttt_state *s, struct ttt__sink *k, struct ttt_error *err);
enum ttt_status ttt__put_sources(struct ttt_state *s, struct ttt__sink *k, struct ttt_error *err);
enum ttt_status ttt__put_passages(struct ttt_state *s, struct ttt__sink *k, struct ttt_error *err);
enum ttt_status ttt__put_curve(struct ttt_state *s, struct ttt__sink *k, struct ttt_error *err);

#endif
