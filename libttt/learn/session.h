/* What saving and restoring a session needs. Private. All arrays are on the host. */
#ifndef TTT_LEARN_SESSION_H
#define TTT_LEARN_SESSION_H
#include "libttt/base.h"

const struct ttt_model *ttt__session_model(const struct ttt_session *s);
/* Weights as one array in the order of ttt__parameters (fast part): [n_fast]. */
enum ttt__fast {
	TTT__FAST_LAST,
	TTT__FAST_MEAN, /* the running mean, not moved by mean_share */
	TTT__FAST_GOOD  /* those from before the noise that is being read */
};
bool ttt__session_has(const struct ttt_session *s, enum ttt__fast which);
void ttt__session_fast_read(const struct ttt_session *s, enum ttt__fast which, float *out);
/* n of them, from the given one on. */
void ttt__session_fast_read_part(const struct ttt_session *s, enum ttt__fast which, int64_t from, int64_t n, float *out);
/* TTT_E_MEMORY where the session had none of them yet. */
enum ttt_status ttt__session_fast_write(struct ttt_session *s, enum ttt__fast which, const float *in, struct ttt_error *err);
/* What goes with mean and good weights: how often the slow ones moved, which is how many weights the mean is of; chunks of noise in a row;
 * counts. */
struct ttt__guard {
	int64_t n_settled, noisy;
	struct ttt_guard_count count;
};
struct ttt__guard ttt__session_guard(const struct ttt_session *s);
void ttt__session_guard_set(struct ttt_session *s, const struct ttt__guard *g);
/* The biases by the last tokens, to be read, written or copied as a whole. */
struct ttt__ngram;
struct ttt__ngram *ttt__session_ngram(struct ttt_session *s);
/* The key-value window: rows cached (the same in every block), at most window - 1; keys after QK-norm and before rotation, values;
 * block l of n_layer: k, v [rows, D]. The newest row is the last. */
int64_t ttt__session_window_rows(const struct ttt_session *s);
void ttt__session_window_read(const struct ttt_session *s, int64_t l, float *k, float *v);
/* Set the number of rows (at most window - 1), then write each block. */
enum ttt_status ttt__session_window_resize(struct ttt_session *s, int64_t rows, struct ttt_error *err);
void ttt__session_window_write(struct ttt_session *s, int64_t l, const float *k, const float *v);
/* The waiting tokens (0 .. chunk) and the count of tokens whose chunks have run. The ids are checked. */
enum ttt_status ttt__session_stream_set(struct ttt_session *s, const int32_t *pending, int64_t n_pending, int64_t n_done,
    struct ttt_error *err);

#endif
