/* RMSNorm of groups of a row: forward, tangent, backward (METAGRAD.md section 4, row RMSNorm). */
#include <math.h>

#include "kernels/cpu/cpu.h"

/* Arrays and sizes of the table's operations, under their names there. */
struct norm {
	float *y, *r_out, *ux, *bx, *ug;
	const float *base, *x, *rx, *r, *g, *uy, *by;
	int64_t ldy, ldx, ldd, ldrx, G, n;
	double eps;
	bool add;
};

static void
forward_range(const void *args, int64_t from, int64_t to)
{
	const struct norm *o = args;
	const float *g = o->g;
	int64_t n = o->n;

	for (int64_t t = from; t < to; t++)
		for (int64_t h = 0; h < o->G; h++) {
			const float *x = o->x + t * o->ldx + h * n, *base = o->base ? o->base + t * o->ldy + h * n : NULL;
			float *y = o->y + t * o->ldy + h * n, sum = 0, r;

#pragma omp simd reduction(+ : sum)
			for (int64_t i = 0; i < n; i++)
				sum += x[i] * x[i];
			r = (float)(1 / sqrt((double)sum / (double)n + o->eps));
			o->r_out[t * o->G + h] = r;
			if (base)
#pragma omp simd
				for (int64_t i = 0; i < n; i++)
					y[i] = base[i] + g[i] * (x[i] * r);
			else
#pragma omp simd
				for (int64_t i = 0; i < n; i++)
					y[i] = g[i] * (x[i] * r);
		}
}

static void
rmsnorm_forward(struct ttt_device *d, float *y, int64_t ldy, float *r, const float *base, const float *x, int64_t ldx, const float *g,
    int64_t T, int64_t G, int64_t n, double eps)
{
	ttt__cpu_split(d, T, 2 * G * n, forward_range,
	    &(struct norm){.y = y, .ldy = ldy, .r_out = r, .base = base, .x = x, .ldx = ldx, .g = g, .G = G, .n = n, .eps = eps});
}

/* ry = base + g r (rx - m xh), m = <xh, rx> / n */
static void
tangent_range(const void *args, int64_t from, int64_t to)
{
	const struct norm *o = args;
	const float *g = o->g;
	int64_t n = o->n;

	for (int64_t t = from; t < to; t++)
		for (int64_t h = 0; h < o->G; h++) {
			const float *x = o->x + t * o->ldx + h * n, *rx = o->rx + t * o->ldrx + h * n;
			const float *base = o->base ? o->base + t * o->ldy + h * n : NULL;
			float *ry = o->y + t * o->ldy + h * n, r = o->r[t * o->G + h], m = 0;

#pragma omp simd reduction(+ : m)
			for (int64_t i = 0; i < n; i++)
				m += x[i] * rx[i];
			m = m * r / (float)n;
			if (base)
#pragma omp simd
				for (int64_t i = 0; i < n; i++)
					ry[i] = base[i] + g[i] * (r * (rx[i] - m * (x[i] * r)));
			else
#pragma omp simd
				for (int64_t i = 0; i < n; i++)
					ry[i] = g[i] * (r * (rx[i] - m * (x[i] * r)));
		}
}

static void
rmsnorm_tangent(struct ttt_device *d, float *ry, int64_t ldry, const float *base, const float *rx, int64_t ldrx, const float *x, int64_t ldx,
    const float *r, const float *g, int64_t T, int64_t G, int64_t n)
{
	ttt__cpu_split(d, T, 3 * G * n, tangent_range,
	    &(struct norm){.y = ry, .ldy = ldry, .base = base, .rx = rx, .ldrx = ldrx, .x = x, .ldx = ldx, .r = r, .g = g, .G = G, .n = n});
}

/* One group: p = g uy; ux = r (p - xh <xh, p> / n). add is a constant where this is used: asked for every element, it would keep the
 * compiler from making vector code. */
static inline __attribute__((always_inline)) void
backward_ordinary(float *ux, float *ug, bool add, const float *uy, const float *x, float r, const float *g, int64_t n)
{
	float s = 0;

#pragma omp simd reduction(+ : s)
	for (int64_t i = 0; i < n; i++)
		s += x[i] * (g[i] * uy[i]);
	s = s * r / (float)n;
#pragma omp simd
	for (int64_t i = 0; i < n; i++) {
		float u = r * (g[i] * uy[i] - s * (x[i] * r));

		ux[i] = add ? ux[i] + u : u;
	}
	if (ug)
#pragma omp simd
		for (int64_t i = 0; i < n; i++)
			ug[i] += uy[i] * (x[i] * r);
}

/* One group with tangent: q = g by, mu = <xh, q> / n, bx = r (q - xh mu); ux as above - r m bx - r (rxh mu + xh <rxh, q> / n);
 * rxh = r (rx - m xh). */
static inline __attribute__((always_inline)) void
backward_dual(float *ux, float *bx, float *ug, bool add, const float *uy, const float *by, const float *x, const float *rx, float r,
    const float *g, int64_t n)
{
	float m = 0, s = 0, mu = 0, k = 0, inverse = 1 / (float)n;

#pragma omp simd reduction(+ : m, s, mu, k)
	for (int64_t i = 0; i < n; i++) {
		float xh = x[i] * r;

		m += xh * rx[i];
		s += xh * (g[i] * uy[i]);
		mu += xh * (g[i] * by[i]);
		k += rx[i] * (g[i] * by[i]);
	}
	m *= inverse;
	s *= inverse;
	mu *= inverse;
	k = r * (k * inverse - m * mu); /* <rxh, q> / n */
#pragma omp simd
	for (int64_t i = 0; i < n; i++) {
		float xh = x[i] * r, rxh = r * (rx[i] - m * xh);
		float b = r * (g[i] * by[i] - xh * mu);
		float u = r * (g[i] * uy[i] - xh * s) - r * m * b - r * (rxh * mu + xh * k);

		bx[i] = add ? bx[i] + b : b;
		ux[i] = add ? ux[i] + u : u;
	}
	if (ug)
#pragma omp simd
		for (int64_t i = 0; i < n; i++) {
			float xh = x[i] * r;

			ug[i] += uy[i] * xh + by[i] * (r * (rx[i] - m * xh));
		}
}

static inline __attribute__((always_inline)) void
backward_groups(const struct norm *o, bool add, int64_t from, int64_t to)
{
	int64_t n = o->n;

	for (int64_t t = from; t < to; t++)
		for (int64_t h = 0; h < o->G; h++) {
			int64_t id = t * o->ldd + h * n, iy = t * o->ldy + h * n, ix = t * o->ldx + h * n;
			float r = o->r[t * o->G + h];

			if (o->rx)
				backward_dual(o->ux + id, o->bx + id, o->ug, add, o->uy + iy, o->by + iy, o->x + ix, o->rx + ix, r, o->g, n);
			else
				backward_ordinary(o->ux + id, o->ug, add, o->uy + iy, o->x + ix, r, o->g, n);
		}
}

static void
backward_range(const void *args, int64_t from, int64_t to)
{
	const struct norm *o = args;

	if (o->add)
		backward_groups(o, true, from, to);
	else
		backward_groups(o, false, from, to);
}

static void
rmsnorm_backward(struct ttt_device *d, float *ux, float *bx, float *ug, bool add, int64_t ldd, const float *uy, const float *by,
    int64_t ldy, const float *x, const float *rx, int64_t ldx, const float *r, const float *g, int64_t T, int64_t G, int64_t n)
{
	const struct norm o = {.ux = ux, .bx = bx, .ug = ug, .add = add, .ldd = ldd, .uy = uy, .by = by, .ldy = ldy, .x = x, .rx = rx,
	    .ldx = ldx, .r = r, .g = g, .G = G, .n = n};

	/* ug is one array that every row adds to: no rows side by side then. */
	if (ug)
		backward_range(&o, 0, T);
	else
		ttt__cpu_split(d, T, (rx ? 10 : 5) * G * n, backward_range, &o);
}

void
ISA(ttt__cpu_rmsnorm)(struct ttt__ops *o)
{
	o->rmsnorm_forward = rmsnorm_forward;
	o->rmsnorm_tangent = rmsnorm_tangent;
	o->rmsnorm_backward = rmsnorm_backward;
}
