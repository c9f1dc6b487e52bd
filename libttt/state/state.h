/* A state in memory. Private.
 *
 * The members of a state file, in their order:
 *   manifest.json       manifest.h
 *   fast.safetensors    the fast weights, F32, under their parameters' names
 *   mean.safetensors    the running mean of the fast weights, in the same form, once there is one
 *   good.safetensors    the fast weights from before the noise that the stream is in the middle of, else left out
 *   ngrams              "ttt-ngrams BITS ORDERS\n", where the model has them, with order 0 " VOCABULARY" before the
 *                       newline; scales, [ORDERS, 8, 2] F32; the newest 31 tokens whose chunks have run, 4 bytes each,
 *                       -1 before the first; with order 0 its biases, F32, and counts, a byte each; then of the
 *                       table's 2^BITS entries the low bytes of all checks, their high bytes, so those of tokens and
 *                       of biases, and the hits. Left out with window_tail
 *   window.safetensors  layers.N.k and layers.N.v [rows, D], F32, oldest row first: keys after QK-norm and before
 *                       rotation, values. Left out with window_tail
 *   pending             "ttt-pending BYTES TOKENS\n", then the bytes held back by the tokenizer, then the tokens
 *                       waiting for their chunk to be full, 4 bytes each, little-endian
 *   recent              the newest tokens whose chunks have run, 4 bytes each, little-endian: as many as the window
 *                       covers, whole chunks, at least one. From them the window can be made again, and the last
 *                       chunk be scored again
 *   sources.tsv         "bytes\tname\n", then a line a source; in names backslash, control bytes and DEL as \xNN
 *   passages            records, oldest first: "NAME\tFIRST LINE\tBYTES\n", then the bytes. Names as in sources.tsv,
 *                       in that order. Left out where no text is kept
 *   curve.tsv           curve.h
 * and after these whatever else a file that was read had in it. */
#ifndef TTT_STATE_STATE_H
#define TTT_STATE_STATE_H
#include "libttt/base.h"
#include "libttt/model/model.h"
#include "libttt/state/curve.h"
#include "libttt/state/manifest.h"
#include "libttt/state/passages.h"
#include "libttt/text/names.h"

/* A member that this version does not know, kept to be written again. */
struct ttt__extra {
	struct ttt__member member;
	int64_t offset; /* in the spool */
};

struct ttt_state {
	const struct ttt_model *model;
	struct ttt_session *session;
	struct ttt_encoder *encoder; /* NULL where the model has no tokenizer */
	bool learn, keeps_passages;
	double rate;
	int64_t n_byte;
	double loss_first, loss_last; /* of the first chunk and the newest; NaN before the first */
	struct ttt__curve curve;
	struct ttt__sources sources;
	struct ttt__passages passages;
	unsigned char *text;         /* [TTT__RECORD_MAX] what a record handed out points to */
	struct ttt_ids ids;          /* scratch of absorb */
	/* [tail_capacity] the newest tokens of the stream, waiting ones included, oldest first */
	int32_t *tail;
	int64_t n_tail, tail_capacity, n_fed;
	struct ttt__extra *extra;    /* [n_extra] */
	size_t n_extra;
	int extra_fd;                /* -1 without extras */
};

/* Tokens kept as `recent`: the window rounded up to chunks, at least one chunk. */
int64_t ttt__state_n_recent_max(const struct ttt_state *s);
/* The recent tokens of the state as it stands: at most that many, fewer early in a stream. Borrowed. */
const int32_t *ttt__state_recent(const struct ttt_state *s, int64_t *n);
/* Note ids that were fed, or that a file says were: n_fed counts all of the stream. */
void ttt__state_note(struct ttt_state *s, const int32_t *ids, int64_t n);

/* Fill the window again by feeding the recent tokens without learning. The first block's keys come out as they were;
 * deeper blocks' differ a little, since their rows see the weights of now, and no tokens before the recent ones.
 * session: the state's own or a clone of it. */
enum ttt_status ttt__state_remake_window(const struct ttt_state *s, struct ttt_session *session, struct ttt_error *err);
/* The check of `verify`: mean loss of the last chunk's tokens, were they to come again now, under the weights and the
 * window of session. NaN before the first chunk. The session is as it was afterwards. */
enum ttt_status ttt__state_check_loss(const struct ttt_state *s, struct ttt_session *session, double *loss,
    struct ttt_error *err);

/* Rows of the window that belong to a stream of n_done run tokens. */
int64_t ttt__state_rows(const struct ttt_model *m, int64_t n_done);

/* What the manifest says of a state, members apart. */
enum ttt_status ttt__state_manifest(struct ttt_state *s, struct ttt__manifest *m, struct ttt_error *err);

#endif
