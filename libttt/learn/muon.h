/* Muon: momentum whose matrices are made orthogonal before they are added (Jordan 2024; scaled as in arXiv 2502.16982). Private. */
#ifndef TTT_LEARN_MUON_H
#define TTT_LEARN_MUON_H
#include "kernels/kernels.h"
#include "libttt/model/parameter.h"

/* One worker's buffers, for the largest matrix. */
struct ttt__muon {
	float *x, *step;       /* [rows, cols] */
	float *square, *mixed; /* [n, n], n the shorter side */
};

/* True for what Muon moves: the matrices of the blocks. Embedding and norms stay AdamW's. */
bool ttt__muon_takes(const struct ttt__parameters *p, int64_t i);
enum ttt_status ttt__muon_create(struct ttt__muon *out, struct ttt_device *d, const struct ttt__parameters *p, struct ttt_error *err);
void ttt__muon_free(struct ttt__muon *m, struct ttt_device *d);
/* One step of a matrix: m = b1 m + scale g; w -= lr (0.2 sqrt(longer side) orthogonal(scale g + b1 m) + weight_decay w). */
void ttt__muon_step(const struct ttt__muon *u, struct ttt_device *d, const struct ttt__parameter *p, float *w, float *m, const float *g,
    const struct ttt__adamw *o);

#endif
