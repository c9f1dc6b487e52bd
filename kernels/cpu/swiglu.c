/* The SwiGLU gate h = F(a) c with F = silu: forward, tangent, backward (METAGRAD.md section 4).
 * F = a s, F1 = F' = s (1 + a (1 - s)), F2 = F'' = s (1 - s) (2 + a (1 - 2 s)), s = logistic(a). */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/exp.h"

/* Arrays of the table's operations, under their names there. */
struct gate {
	float *h, *rh, *uac, *bac;
	const float *ac, *rac, *uh, *bh;
	int64_t F;
};

static void
forward_range(const void *args, int64_t from, int64_t to)
{
	const struct gate *o = args;
	int64_t F = o->F;

	for (int64_t t = from; t < to; t++) {
		const float *a = o->ac + t * 2 * F, *c = a + F;
		float *ht = o->h + t * F;

#pragma omp simd
		for (int64_t i = 0; i < F; i++)
			ht[i] = a[i] * ttt__sigmoid(a[i]) * c[i];
	}
}

static void
swiglu_forward(struct ttt_device *d, float *h, const float *ac, int64_t T, int64_t F)
{
	ttt__cpu_split(d, T, 10 * F, forward_range, &(struct gate){.h = h, .ac = ac, .F = F});
}

static void
tangent_range(const void *args, int64_t from, int64_t to)
{
	const struct gate *o = args;
	int64_t F = o->F;

	for (int64_t t = from; t < to; t++) {
		const float *a = o->ac + t * 2 * F, *c = a + F, *ra = o->rac + t * 2 * F, *rc = ra + F;
		float *rht = o->rh + t * F;

#pragma omp simd
		for (int64_t i = 0; i < F; i++) {
			float s = ttt__sigmoid(a[i]), f1 = s * (1 + a[i] * (1 - s));

			rht[i] = f1 * ra[i] * c[i] + a[i] * s * rc[i];
		}
	}
}

static void
swiglu_tangent(struct ttt_device *d, float *rh, const float *ac, const float *rac, int64_t T, int64_t F)
{
	ttt__cpu_split(d, T, 12 * F, tangent_range, &(struct gate){.rh = rh, .ac = ac, .rac = rac, .F = F});
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
backward_range(const void *args, int64_t from, int64_t to)
{
	const struct gate *o = args;
	int64_t F = o->F;

	for (int64_t t = from; t < to; t++) {
		int64_t at = t * 2 * F;

		if (o->rac)
			backward_dual(o->uac + at, o->bac + at, o->ac + at, o->rac + at, o->uh + t * F, o->bh + t * F, F);
		else
			backward_ordinary(o->uac + at, o->ac + at, o->uh + t * F, F);
	}
}

static void
swiglu_backward(struct ttt_device *d, float *uac, float *bac, const float *ac, const float *rac, const float *uh, const float *bh,
    int64_t T, int64_t F)
{
	ttt__cpu_split(d, T, (rac ? 20 : 12) * F, backward_range,
	    &(struct gate){.uac = uac, .bac = bac, .ac = ac, .rac = rac, .uh = uh, .bh = bh, .F = F});
}

void
ISA(ttt__cpu_swiglu)(struct ttt__ops *o)
{
	o->swiglu_forward = swiglu_forward;
	o->swiglu_tangent = swiglu_tangent;
	o->swiglu_backward = swiglu_backward;
}
