/* A trainer's parameters, gradients and checkpoints as safetensors files. */
#include <stdlib.h>
#include <string.h>

#include "libttt/file.h"
#include "libttt/learn/trainer.h"
#include "libttt/model/safetensors.h"

/* One array of the parameters' layout, its tensors named as the parameters behind prefix. */
struct part {
	const char *prefix;
	float *device;
};

static struct ttt__tensor_out
tensor_of(const struct ttt__parameter *p, const char *name, const float *host)
{
	struct ttt__tensor_out x = {.name = name, .n_dim = p->cols ? 2 : 1, .dim = {p->rows, p->cols}, .data = host + p->offset};

	return x;
}

/* step: also the count of steps, as two int32 (low, high), or NULL. */
static enum ttt_status
write_parts(struct ttt_trainer *t, const char *path, const struct part *part, size_t n_part, const int32_t *step, struct ttt_error *err)
{
	const struct ttt__parameters *p = t->net.parameters;
	size_t n = n_part * (size_t)p->n, floats = (size_t)p->n_float, all;
	struct ttt__tensor_out *x = ttt__new(n + 1, sizeof *x);
	char(*name)[128] = ttt__new(n, sizeof *name);
	float *host = ttt__size_mul(&all, n_part, floats) ? ttt__new(all, sizeof *host) : NULL;
	struct ttt__bytes b = {0};
	enum ttt_status status = x && name && host ? TTT_OK : ttt__fail_memory(err, path);

	for (size_t i = 0; i < n_part && !status; i++) {
		t->net.device->ops->download(t->net.device, host + i * floats, part[i].device, floats * sizeof *host);
		for (int64_t j = 0; j < p->n; j++) {
			size_t at = i * (size_t)p->n + (size_t)j;

			snprintf(name[at], sizeof name[at], "%s%s", part[i].prefix, p->p[j].name);
			x[at] = tensor_of(&p->p[j], name[at], host + i * floats);
		}
	}
	if (step && x)
		x[n] = (struct ttt__tensor_out){.name = "step", .n_dim = 1, .dim = {2}, .data_i32 = step};
	if (!status)
		status = ttt__safetensors_write(&b, x, n + (step != NULL), NULL, err);
	if (!status)
		status = ttt__file_write(path, b.p, b.n, false, err);
	ttt__bytes_free(&b);
	free(x);
	free(name);
	free(host);
	return status;
}

enum ttt_status
ttt_trainer_write_gradient(struct ttt_trainer *t, const char *path, struct ttt_error *err)
{
	struct part part = {"", t->n_lane ? t->lane[0].gradient : NULL};

	if (!t->n_lane)
		return ttt__fail(err, TTT_E_USAGE, "%s: no gradient has been computed yet", path);
	return write_parts(t, path, &part, 1, NULL, err);
}

enum ttt_status
ttt_trainer_write_model(struct ttt_trainer *t, const char *path, struct ttt_error *err)
{
	struct part part = {"", t->weights};

	return write_parts(t, path, &part, 1, NULL, err);
}

enum ttt_status
ttt_trainer_save(struct ttt_trainer *t, const char *path, struct ttt_error *err)
{
	const struct part part[] = {{"", t->weights}, {"m.", t->m}, {"v.", t->v}};
	const int32_t step[2] = {(int32_t)(t->step & 0x7fffffff), (int32_t)(t->step >> 31)};

	return write_parts(t, path, part, 3, step, err);
}

/* host [n_float] (=): a part as the checkpoint has it. */
static enum ttt_status
read_part(const struct ttt__parameters *p, const struct ttt__safetensors *s, const struct part *part, float *host, struct ttt_error *err)
{
	for (int64_t i = 0; i < p->n; i++) {
		const struct ttt__tensor *x;
		enum ttt_status status;
		char name[128];

		snprintf(name, sizeof name, "%s%s", part->prefix, p->p[i].name);
		x = ttt__safetensors_find(s, name);
		if (!x || x->n_element != (size_t)p->p[i].n)
			return ttt__fail(err, TTT_E_SHAPE, "%s: tensor '%s' is missing or does not fit the model", s->label, name);
		status = ttt__safetensors_f32(s, x, host + p->p[i].offset, err);
		if (status)
			return status;
	}
	return TTT_OK;
}

static enum ttt_status
read_step(int64_t *out, const struct ttt__safetensors *s, struct ttt_error *err)
{
	const struct ttt__tensor *x = ttt__safetensors_find(s, "step");
	int32_t step[2];

	if (!x || x->dtype != TTT__I32 || x->n_element != 2)
		return ttt__fail(err, TTT_E_FORMAT, "%s: not a checkpoint: it holds no step", s->label);
	memcpy(step, s->data + x->offset, sizeof step);
	if (step[0] < 0 || step[1] < 0)
		return ttt__fail(err, TTT_E_FORMAT, "%s: the step is negative", s->label);
	*out = (int64_t)step[1] << 31 | step[0];
	return TTT_OK;
}

enum ttt_status
ttt_trainer_load(struct ttt_trainer *t, const char *path, struct ttt_error *err)
{
	const struct part part[] = {{"", t->weights}, {"m.", t->m}, {"v.", t->v}};
	size_t floats = (size_t)t->net.parameters->n_float, all;
	float *host = ttt__size_mul(&all, 3, floats) ? ttt__new(all, sizeof *host) : NULL;
	struct ttt__safetensors s = {0};
	struct ttt__blob b = {0};
	int64_t step = 0;
	enum ttt_status status = host ? ttt__file_map(&b, path, err) : ttt__fail_memory(err, path);

	if (!status)
		status = ttt__safetensors_parse(&s, b.p, b.n, path, err);
	if (!status)
		status = read_step(&step, &s, err);
	for (size_t i = 0; i < 3 && !status; i++)
		status = read_part(t->net.parameters, &s, &part[i], host + i * floats, err);
	for (size_t i = 0; i < 3 && !status; i++) /* now that all is there */
		t->net.device->ops->upload(t->net.device, part[i].device, host + i * floats, floats * sizeof *host);
	if (!status)
		t->step = step;
	ttt__safetensors_free(&s);
	ttt__file_unmap(&b);
	free(host);
	return status;
}
