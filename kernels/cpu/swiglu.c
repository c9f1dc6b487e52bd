/* The SwiGLU gate h = F(a) c with F = silu: forward, tangent, backward (METAGRAD.md section 4).
 * F = a s, F1 = F' = s (1 + a (1 - s)), F2 = F'' = s (1 - s) (2 + a (1 - 2 s)), s = logistic(a). */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/exp.h"

static void
swiglu_forward(struct ttt_device *d, float *h, const float *ac, int64_t T, int64_t F)
{
#pragma omp parallel for schedule(static) num_threads(d->n_thread) if (T * F > TTT__PARALLEL_MIN / 4)
	for (int64_t t = 0; t < T; t++) {
		const float *a = ac + t * 2 * F, *c = a + F;
		float *ht = h + t * F;

#pragma omp simd
		for (int64_t i = 0; i < F; i++)
			ht[i] = a[i] * ttt__sigmoid(a[i]) * c[i];
	}
}

static void
swiglu_tangent(struct ttt_device *d, float *rh, const float *ac, const float *rac, int64_t T, int64_t F)
{
#pragma omp parallel for schedule(static) num_threads(d->n_thread) if (T * F > TTT__PARALLEL_MIN / 4)
	for (int64_t t = 0; t < T; t++) {
		const float *a = ac + t * 2 * F, *c = a + F, *ra = rac + t * 2 * F, *rc = ra + F;
		float *rht = rh + t * F;

#pragma omp simd
		for (int64_t i = 0; i < F; i++) {
			float s = ttt__sigmoid(a[i]), f1 = s * (1 + a[i] * (1 - s));

			rht[i] = f1 * ra[i] * c[i] + a[i] * s * rc[i];
		}
	}
}

static void
backward_ordinary(float *uac, const float *ac, const float *uh, int64_t F)
{
	const float *a = ac, *c = ac + F;
	float *ua = uac, *uc = uac + F;

#pragma omp simd
	for (int64_t i = 0; i < F; i++) {
		float s = ttt__sigmoid(a[i]), f1 = s * (1 + a[i] * (1 - s)), u = uh[i];

		ua[i] = u * c[i] * f1;
		uc[i] = u * a[i] * s;
	}
}

static void
backward_dual(float *uac, float *bac, const float *ac, const float *rac, const float *uh, const float *bh, int64_t F)
{
	const float *a = ac, *c = ac + F, *ra = rac, *rc = rac + F;
	float *ua = uac, *uc = uac + F, *ba = bac, *bc = bac + F;

#pragma omp simd
	for (int64_t i = 0; i < F; i++) {
		float s = ttt__sigmoid(a[i]), f = a[i] * s, f1 = s * (1 + a[i] * (1 - s));
		float f2 = s * (1 - s) * (2 + a[i] * (1 - 2 * s)), u = uh[i], b = bh[i];

		ba[i] = b * c[i] * f1;
		bc[i] = b * f;
		ua[i] = u * c[i] * f1 + b * (rc[i] * f1 + c[i] * f2 * ra[i]);
		uc[i] = u * f + b * f1 * ra[i];
	}
}

static void
swiglu_backward(struct ttt_device *d, float *uac, float *bac, const float *ac, const float *rac, const float *uh, const float *bh,
    int64_t T, int64_t F)
{
#pragma omp parallel for schedule(static) num_threads(d->n_thread) if (T * F > TTT__PARALLEL_MIN / 4)
	for (int64_t t = 0; t < T; t++) {
		if (rac)
			backward_dual(uac + t * 2 * F, bac + t * 2 * F, ac + t * 2 * F, rac + t * 2 * F, uh + t * F, bh + t * F, F);
		else
			backward_ordinary(uac + t * 2 * F, ac + t * 2 * F, uh + t * F, F);
	}
}

void
ISA(ttt__cpu_swiglu)(struct ttt__ops *o)
{
	o->swiglu_forward = swiglu_forward;
	o->swiglu_tangent = swiglu_tangent;
	o->swiglu_backward = swiglu_backward;
}
