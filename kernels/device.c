/* Choosing a backend, and memory on it with errors that name what it was for. */
#include <string.h>

#include "kernels/kernels.h"

enum ttt_status
ttt_device_create(struct ttt_device **out, const struct ttt_device_options *o, struct ttt_error *err)
{
	const struct ttt_device_options none = {0};

	*out = NULL;
	if (!o)
		o = &none;
	if (o->n_thread < 0)
		return ttt__fail(err, TTT_E_RANGE, "device: %d threads is not a positive number", o->n_thread);
	if (!o->name || strcmp(o->name, "cpu") == 0)
		return ttt__cpu_create(out, o, err);
	if (strcmp(o->name, "cuda") == 0) {
		ttt__fail(err, TTT_E_UNSUPPORTED, "device 'cuda': this version has no CUDA backend");
		return ttt__hint(err, TTT_E_UNSUPPORTED, "use --device cpu");
	}
	return ttt__fail(err, TTT_E_UNSUPPORTED, "device '%.64s': no such backend (cpu)", o->name);
}

void
ttt_device_free(struct ttt_device *d)
{
	if (d)
		d->ops->destroy(d);
}

const char *
ttt_device_describe(const struct ttt_device *d)
{
	return d->description;
}

static enum ttt_status
allocate(struct ttt_device *d, void **out, int64_t n, size_t size, const char *what, struct ttt_error *err)
{
	size_t bytes;

	*out = NULL;
	if (n < 0 || !ttt__size_mul(&bytes, (size_t)n, size))
		return ttt__fail(err, TTT_E_MEMORY, "%s: its size does not fit this machine", what);
	*out = d->ops->alloc(d, bytes ? bytes : size);
	if (!*out)
		return ttt__fail(err, TTT_E_MEMORY, "%s: no memory for %zu bytes", what, bytes);
	return TTT_OK;
}

enum ttt_status
ttt__device_floats(struct ttt_device *d, float **out, int64_t n, const char *what, struct ttt_error *err)
{
	void *p;
	enum ttt_status status = allocate(d, &p, n, sizeof(float), what, err);

	*out = p;
	return status;
}

enum ttt_status
ttt__device_halves(struct ttt_device *d, uint16_t **out, int64_t n, const char *what, struct ttt_error *err)
{
	void *p;
	enum ttt_status status = allocate(d, &p, n, sizeof(uint16_t), what, err);

	*out = p;
	return status;
}

enum ttt_status
ttt__device_ids(struct ttt_device *d, int32_t **out, int64_t n, const char *what, struct ttt_error *err)
{
	void *p;
	enum ttt_status status = allocate(d, &p, n, sizeof(int32_t), what, err);

	*out = p;
	return status;
}

void
ttt__device_release(struct ttt_device *d, void *p)
{
	if (p)
		d->ops->free(d, p);
}
