/* What a session is made of, and what its files give each other. Private to them: session.c runs chunks, session_window.c holds keys and
 * values, session_guard.c what guards against noise and drift, session_saved.c what is saved and restored. */
#ifndef TTT_LEARN_SESSION_PARTS_H
#define TTT_LEARN_SESSION_PARTS_H
#include "libttt/learn/ngram.h"
#include "libttt/learn/session.h"
#include "libttt/net/angles.h"
#include "libttt/net/network.h"

enum { TTT__SETTLE = 8 }; /* chunks between two times that what moves slowly moves */

struct ttt_session {
	const struct ttt_model *model;
	enum ttt_attention attention;
	struct ttt__net net;
	struct ttt__work work;
	int64_t work_cached;                /* cached rows the work buffers allow */
	struct ttt__tape prefix, suffix;    /* suffix unused where the model has none */
	float *fast, *gradient;             /* [n_fast] */
	float *mean, *good;                 /* [n_fast] or NULL: see session.h */
	struct ttt__guard guard;
	struct ttt__angles angles;
	float *angle;                       /* [C, K] device: cosine and sine of the chunk's positions */
	bool turned;                        /* the cached keys are turned; not after rows were written from outside */
	float *kv_memory;
	struct ttt__kv *kv;                 /* [net.n_layer] whole buffers of capacity rows */
	struct ttt__kv *at;                 /* [net.n_layer] the same, at the oldest cached row */
	int64_t capacity, start, rows;      /* rows of the buffers; oldest cached row; cached rows */
	int64_t ahead;                      /* waiting tokens whose keys and values stand after the cached rows already */
	int32_t *ids, *targets;             /* [C] device */
	float *om;                          /* [2, C] device */
	struct ttt__ngram ngram;
	struct ttt__biases biases;          /* of the chunk being read */
	float *host;                        /* [5, C] nll, scratch, weights; [C, K] angles */
	int32_t *pending;                   /* [C + 1] */
	int64_t n_pending, n_done;
};

static inline int64_t
ttt__session_chunk(const struct ttt_session *s)
{
	return s->net.config.chunk;
}

/* session.c */
/* Forward of waiting tokens from .. from + T - 1 as far as the head's input; *r is ready for the head and a backward. */
enum ttt_status ttt__session_forward(struct ttt_session *s, int64_t from, int64_t T, struct ttt__run *r, struct ttt_error *err);
/* *to [n_fast] = from, made where it is not there yet; nothing where there is no from. */
enum ttt_status ttt__session_copy_weights(struct ttt_session *s, float **to, const float *from, struct ttt_error *err);
/* TTT_E_RANGE for an id outside the vocabulary. */
enum ttt_status ttt__session_check_ids(const struct ttt_session *s, const int32_t *ids, int64_t n, struct ttt_error *err);

/* session_window.c */
/* Rows kept between chunks: a query sees itself and window - 1 before. */
int64_t ttt__session_rows_kept(const struct ttt_session *s, int64_t rows);
/* Buffers for capacity rows; the cached rows move to their start. */
enum ttt_status ttt__session_set_capacity(struct ttt_session *s, int64_t capacity, struct ttt_error *err);
void ttt__session_window_release(struct ttt_session *s);
/* The cached rows of one layer from row start of another buffer, or further on in the same one, to a buffer's beginning. */
void ttt__session_copy_rows(const struct ttt_session *s, const struct ttt__kv *to, const struct ttt__kv *from, int64_t start);
/* The angles of n <= C positions, on the device. */
void ttt__session_set_angles(struct ttt_session *s, int64_t position, int64_t n);
/* Room for a chunk after the cached rows: sliding in a window, growing in full attention. */
enum ttt_status ttt__session_make_room(struct ttt_session *s, struct ttt_error *err);

/* session_guard.c */
/* Around noise: before its first step the weights are put aside, after its last one chosen. loss: of the chunk just run forward as *r, T
 * tokens, whose losses are in host; the run is that of the weights chosen afterwards. */
enum ttt_status ttt__session_guard_chunk(struct ttt_session *s, int64_t T, double loss, struct ttt__run *r, struct ttt_error *err);
/* What moves slowly, every TTT__SETTLE chunks: the pull towards the initial weights, and the mean. */
void ttt__session_settle(struct ttt_session *s, double loss);

#endif
