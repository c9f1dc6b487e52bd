/* The inner step (SEMANTICS section 4): loss weights of a chunk, clip by global norm, SGD on the fast weights. Private. */
#ifndef TTT_LEARN_INNER_H
#define TTT_LEARN_INNER_H
#include "libttt/net/network.h"

/* Unmasked targets of a chunk: those that are not bos. */
int64_t ttt__count_targets(const int32_t *target, int64_t T, int64_t bos);
/* host om [2T] = weight and -weight of each row: scale / count where the target is not masked, else 0. */
void ttt__fill_row_weights(float *host, const int32_t *target, int64_t T, int64_t bos, double scale);
/* Mean nll of the unmasked rows; 0 when there are none. */
double ttt__mean_loss(const float *nll, const int32_t *target, int64_t T, int64_t bos);
/* nll [T] on the host from the head's tape; scratch [2T] on the host. */
void ttt__read_nll(const struct ttt__net *n, const struct ttt__head_tape *t, float *nll, float *scratch, int64_t T);

/* w <- w - rate clip(g) (clip <= 0: off; strict, no epsilon); *norm is g's norm. g stays as it is. */
void ttt__inner_step(struct ttt_device *d, float *w, const float *g, int64_t n, double rate, double clip, double *norm);
/* w <- w + rate clip(g): the step taken back. */
void ttt__inner_unstep(struct ttt_device *d, float *w, const float *g, int64_t n, double rate, double clip, double norm);
/* v = -rate J' lambda, J the derivative of the clip at the gradient g, whose norm is norm (METAGRAD.md section 2). */
void ttt__inner_adjoint(struct ttt_device *d, float *v, const float *lambda, const float *g, int64_t n, double rate, double clip,
    double norm);

#endif
