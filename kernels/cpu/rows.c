/* Operations on rows [T, n]: copies, sums of two, dot products, rows of a table. */
#include <string.h>

#include "kernels/cpu/cpu.h"

static void
copy_rows(struct ttt_device *d, float *y, int64_t ldy, const float *x, int64_t ldx, int64_t T, int64_t n)
{
	(void)d;
	for (int64_t t = 0; t < T; t++)
		memcpy(y + t * ldy, x + t * ldx, (size_t)n * sizeof *y);
}

struct rows {
	float *y;
	const float *a, *x, *b, *z;
	int64_t n;
};

static void
combine_range(const void *args, int64_t from, int64_t to)
{
	const struct rows *o = args;
	int64_t n = o->n;

	for (int64_t t = from; t < to; t++) {
		const float *xt = o->x + t * n, *zt = o->z ? o->z + t * n : NULL;
		float *yt = o->y + t * n, at = o->a[t], bt = o->b ? o->b[t] : 0;

		if (zt)
#pragma omp simd
			for (int64_t i = 0; i < n; i++)
				yt[i] = at * xt[i] + bt * zt[i];
		else
#pragma omp simd
			for (int64_t i = 0; i < n; i++)
				yt[i] = at * xt[i];
	}
}

static void
combine_rows(struct ttt_device *d, float *y, const float *a, const float *x, const float *b, const float *z, int64_t T, int64_t n)
{
	ttt__cpu_split(d, T, n, combine_range, &(struct rows){.y = y, .a = a, .x = x, .b = b, .z = z, .n = n});
}

static void
add_range(const void *args, int64_t from, int64_t to)
{
	const struct rows *o = args;
	int64_t n = o->n;

	for (int64_t t = from; t < to; t++) {
		float *yt = o->y + t * n;

#pragma omp simd
		for (int64_t i = 0; i < n; i++)
			yt[i] += o->x[i];
	}
}

static void
add_row(struct ttt_device *d, float *y, const float *x, int64_t T, int64_t n)
{
	ttt__cpu_split(d, T, n, add_range, &(struct rows){.y = y, .x = x, .n = n});
}

static void
dot_range(const void *args, int64_t from, int64_t to)
{
	const struct rows *o = args;
	int64_t n = o->n;

	for (int64_t t = from; t < to; t++) {
		const float *xt = o->x + t * n, *zt = o->z + t * n;
		double sum = 0;

#pragma omp simd reduction(+ : sum)
		for (int64_t i = 0; i < n; i++)
			sum += (double)xt[i] * (double)zt[i];
		o->y[t] = (float)sum;
	}
}

static void
dot_rows(struct ttt_device *d, float *y, const float *x, const float *z, int64_t T, int64_t n)
{
	ttt__cpu_split(d, T, 2 * n, dot_range, &(struct rows){.y = y, .x = x, .z = z, .n = n});
}

static void
gather_rows(struct ttt_device *d, float *y, const float *E, const int32_t *id, int64_t T, int64_t n)
{
	(void)d;
	for (int64_t t = 0; t < T; t++)
		memcpy(y + t * n, E + id[t] * n, (size_t)n * sizeof *y);
}

static void
gather_rows_bf16(struct ttt_device *d, float *y, const uint16_t *E, const int32_t *id, int64_t T, int64_t n)
{
	(void)d;
	for (int64_t t = 0; t < T; t++)
		ttt__cpu_widen(y + t * n, E + id[t] * n, n);
}

static void
scatter_rows(struct ttt_device *d, float *E, const int32_t *id, double a, const float *x, int64_t T, int64_t n)
{
	float f = (float)a;

	(void)d;
	for (int64_t t = 0; t < T; t++) {
		float *row = E + id[t] * n;
		const float *xt = x + t * n;

#pragma omp simd
		for (int64_t i = 0; i < n; i++)
			row[i] += f * xt[i];
	}
}

static void
add_at(struct ttt_device *d, float *z, int64_t j, int64_t n, const int32_t *row, const int32_t *column, const float *value, float *out, int64_t count)
{
	(void)d;
	for (int64_t i = 0; i < count; i++) {
		int64_t at = column[i] - j;

		if (at < 0 || at >= n)
			continue;
		z[row[i] * n + at] += value[i];
		if (out)
			out[i] = z[row[i] * n + at];
	}
}

static void
add_at_ids(struct ttt_device *d, float *y, const int32_t *id, const int32_t *row, const int32_t *column, const float *value, int64_t count)
{
	(void)d;
	for (int64_t i = 0; i < count; i++)
		if (column[i] == id[row[i]])
			y[row[i]] += value[i];
}

void
ISA(ttt__cpu_rows)(struct ttt__ops *o)
{
	o->copy_rows = copy_rows;
	o->combine_rows = combine_rows;
	o->dot_rows = dot_rows;
	o->gather_rows = gather_rows;
	o->gather_rows_bf16 = gather_rows_bf16;
	o->scatter_rows = scatter_rows;
	o->add_row = add_row;
	o->add_at = add_at;
	o->add_at_ids = add_at_ids;
}
