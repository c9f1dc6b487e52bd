/* RMSNorm of groups of a row: forward, tangent, backward (METAGRAD.md section 4, row RMSNorm). */
#include <math.h>

#include "kernels/cpu/cpu.h"

static void
rmsnorm_forward(struct ttt_device *d, float *y, int64_t ldy, float *r, const float *x, int64_t ldx, const float *g, int64_t T,
    int64_t G, int64_t n, double eps)
{
#pragma omp parallel for schedule(static) num_threads(d->n_thread) if (T * G * n > TTT__PARALLEL_MIN)
	for (int64_t t = 0; t < T; t++)
		for (int64_t h = 0; h < G; h++) {
			const float *xi = x + t * ldx + h * n;
			float *yi = y + t * ldy + h * n, sum = 0, ri;

#pragma omp simd reduction(+ : sum)
			for (int64_t i = 0; i < n; i++)
				sum += xi[i] * xi[i];
			ri = (float)(1 / sqrt((double)sum / (double)n + eps));
			r[t * G + h] = ri;
#pragma omp simd
			for (int64_t i = 0; i < n; i++)
				yi[i] = g[i] * (xi[i] * ri);
		}
}

/* ry = g r (rx - m xh), m = <xh, rx> / n */
static void
rmsnorm_tangent(struct ttt_device *d, float *ry, int64_t ldry, const float *rx, int64_t ldrx, const float *x, int64_t ldx,
    const float *r, const float *g, int64_t T, int64_t G, int64_t n)
{
#pragma omp parallel for schedule(static) num_threads(d->n_thread) if (T * G * n > TTT__PARALLEL_MIN)
	for (int64_t t = 0; t < T; t++)
		for (int64_t h = 0; h < G; h++) {
			const float *xi = x + t * ldx + h * n, *rxi = rx + t * ldrx + h * n;
			float *ryi = ry + t * ldry + h * n, ri = r[t * G + h], m = 0;

#pragma omp simd reduction(+ : m)
			for (int64_t i = 0; i < n; i++)
				m += xi[i] * rxi[i];
			m = m * ri / (float)n;
#pragma omp simd
			for (int64_t i = 0; i < n; i++)
				ryi[i] = g[i] * (ri * (rxi[i] - m * (xi[i] * ri)));
		}
}

/* One group: p = g uy; ux = r (p - xh <xh, p> / n). */
static void
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
static void
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

static void
rmsnorm_backward(struct ttt_device *d, float *ux, float *bx, float *ug, bool add, int64_t ldd, const float *uy, const float *by,
    int64_t ldy, const float *x, const float *rx, int64_t ldx, const float *r, const float *g, int64_t T, int64_t G, int64_t n)
{
	/* ug is one array that every row adds to: no rows side by side then. */
#pragma omp parallel for schedule(static) num_threads(d->n_thread) if (!ug && T * G * n > TTT__PARALLEL_MIN)
	for (int64_t t = 0; t < T; t++)
		for (int64_t h = 0; h < G; h++) {
			int64_t id = t * ldd + h * n, iy = t * ldy + h * n, ix = t * ldx + h * n;

			if (rx)
				backward_dual(ux + id, bx + id, ug, add, uy + iy, by + iy, x + ix, rx + ix, r[t * G + h], g, n);
			else
				backward_ordinary(ux + id, ug, add, uy + iy, x + ix, r[t * G + h], g, n);
		}
}

void
ISA(ttt__cpu_rmsnorm)(struct ttt__ops *o)
{
	o->rmsnorm_forward = rmsnorm_forward;
	o->rmsnorm_tangent = rmsnorm_tangent;
	o->rmsnorm_backward = rmsnorm_backward;
}
