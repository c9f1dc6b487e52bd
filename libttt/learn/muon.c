/* Muon's step of one matrix. A Newton-Schulz iteration drives all singular values towards 1 by matrix products alone. */
#include <math.h>

#include "libttt/learn/muon.h"

#define ITERATIONS 5

bool
ttt__muon_takes(const struct ttt__parameters *p, int64_t i)
{
	return p->p[i].cols > 0 && p->p[i].offset != p->embed;
}

enum ttt_status
ttt__muon_create(struct ttt__muon *out, struct ttt_device *d, const struct ttt__parameters *p, struct ttt_error *err)
{
	int64_t most = 0, side = 0;
	enum ttt_status status;

	*out = (struct ttt__muon){0};
	for (int64_t i = 0; i < p->n; i++) {
		int64_t shorter = p->p[i].rows < p->p[i].cols ? p->p[i].rows : p->p[i].cols;

		if (!ttt__muon_takes(p, i))
			continue;
		most = p->p[i].n > most ? p->p[i].n : most;
		side = shorter > side ? shorter : side;
	}
	status = ttt__device_floats(d, &out->x, 2 * most, "the optimizer", err);
	if (!status)
		status = ttt__device_floats(d, &out->square, 2 * side * side, "the optimizer", err);
	if (status) {
		ttt__muon_free(out, d);
		return status;
	}
	out->step = out->x + most;
	out->mixed = out->square + side * side;
	return TTT_OK;
}

void
ttt__muon_free(struct ttt__muon *m, struct ttt_device *d)
{
	ttt__device_release(d, m->x);
	ttt__device_release(d, m->square);
	*m = (struct ttt__muon){0};
}

/* x [R, C] to the nearest matrix with orthonormal rows or columns, roughly: singular values end between 0.7 and 1.2. */
static void
orthogonalize(const struct ttt__muon *u, struct ttt_device *d, int64_t R, int64_t C)
{
	const double a = 3.4445, b = -4.7750, c = 2.0315;
	const struct ttt__ops *o = d->ops;
	bool wide = R <= C;
	int64_t n = wide ? R : C, other = wide ? C : R;
	float *x = u->x, *y = u->step;

	o->combine(d, x, 1 / (sqrt(o->dot(d, x, x, R * C)) + 1e-20), x, 0, x, R * C);
	for (int i = 0; i < ITERATIONS; i++) {
		/* S = x x' or x' x; P = b S + c S S; x = a x + P x or a x + x P */
		o->gemm(d, !wide, wide, n, n, other, 1, x, C, x, C, 0, u->square, n);
		o->copy(d, u->mixed, u->square, (size_t)(n * n) * sizeof(float));
		o->gemm(d, false, false, n, n, n, c, u->square, n, u->square, n, b, u->mixed, n);
		o->copy(d, y, x, (size_t)(R * C) * sizeof(float));
		if (wide)
			o->gemm(d, false, false, R, C, n, 1, u->mixed, n, x, C, a, y, C);
		else
			o->gemm(d, false, false, R, C, n, 1, x, C, u->mixed, n, a, y, C);
		o->copy(d, x, y, (size_t)(R * C) * sizeof(float));
	}
}

void
ttt__muon_step(const struct ttt__muon *u, struct ttt_device *d, const struct ttt__parameter *p, float *w, float *m, const float *g,
    const struct ttt__adamw *o)
{
	int64_t longer = p->rows > p->cols ? p->rows : p->cols;

	d->ops->combine(d, m, o->b1, m, o->scale, g, p->n);
	d->ops->combine(d, u->x, o->b1, m, o->scale, g, p->n);
	orthogonalize(u, d, p->rows, p->cols);
	d->ops->combine(d, w, 1 - o->lr * o->weight_decay, w, -o->lr * 0.2 * sqrt((double)longer), u->x, p->n);
}
