/* The row of layers, and passes through it. */
#include <stdlib.h>

#include "libttt/net/angles.h"
#include "libttt/net/network.h"

static void
list_layers(struct ttt__net *n)
{
	int64_t i = 0, first = n->config.n_layer - n->config.n_layer_suffix;

	n->split = -1;
	for (int64_t b = 0; b < n->config.n_layer; b++) {
		n->layer[i++] = (struct ttt__layer){TTT__ATTENTION, b};
		if (b >= first) {
			if (n->split < 0)
				n->split = i;
			n->layer[i++] = (struct ttt__layer){TTT__PRIME, b};
		}
		n->layer[i++] = (struct ttt__layer){TTT__MLP, b};
	}
	n->n_layer = i;
	if (n->split < 0)
		n->split = i;
}

enum ttt_status
ttt__net_create(struct ttt__net *out, struct ttt_device *d, const struct ttt_config *c, const struct ttt__parameters *p, int64_t window,
    int64_t n_position, struct ttt_error *err)
{
	*out = (struct ttt__net){.device = d, .config = *c, .parameters = p, .window = window};
	out->layer = ttt__new((size_t)(2 * c->n_layer + c->n_layer_suffix), sizeof *out->layer);
	if (!out->layer)
		return ttt__fail_memory(err, "the network");
	list_layers(out);
	return ttt__net_extend(out, n_position, err);
}

enum ttt_status
ttt__net_extend(struct ttt__net *n, int64_t n_position, struct ttt_error *err)
{
	int64_t floats;
	struct ttt__angles angles;
	enum ttt_status status;
	float *host, *table;

	if (n_position <= n->n_position)
		return TTT_OK;
	if (!ttt__i64_mul(&floats, n_position, n->config.d_head))
		return ttt__fail_memory(err, "the rotary table");
	host = ttt__new((size_t)floats, sizeof *host);
	if (!host)
		return ttt__fail_memory(err, "the rotary table");
	status = ttt__angles_create(&angles, &n->config, err);
	if (!status)
		status = ttt__device_floats(n->device, &table, floats, "the rotary table", err);
	if (!status) {
		ttt__angles_at(&angles, host, 0, n_position);
		n->device->ops->upload(n->device, table, host, (size_t)floats * sizeof *host);
		ttt__device_release(n->device, n->rope);
		n->rope = table;
		n->n_position = n_position;
	}
	ttt__angles_free(&angles);
	free(host);
	return status;
}

void
ttt__net_free(struct ttt__net *n)
{
	free(n->layer);
	if (n->device)
		ttt__device_release(n->device, n->rope);
	*n = (struct ttt__net){0};
}

struct ttt__matrix
ttt__slow_matrix(const struct ttt__run *r, int64_t at)
{
	return r->w.half ? (struct ttt__matrix){NULL, r->w.half + at} : (struct ttt__matrix){r->w.slow + at, NULL};
}

void
ttt__times(const struct ttt__run *r, bool turned, int64_t T, int64_t N, int64_t K, const float *x, int64_t ldx, struct ttt__matrix W, int64_t ldw,
    double beta, float *y, int64_t ldy)
{
	struct ttt_device *d = r->net->device;

	if (W.half)
		d->ops->gemm_bf16(d, true, turned, T, N, K, x, ldx, W.half, ldw, beta, y, ldy);
	else
		d->ops->gemm(d, false, turned, T, N, K, 1, x, ldx, W.f, ldw, beta, y, ldy);
}

/* Where layer i's output goes: the next layer's input, the head's, or out. */
static float *
after(const struct ttt__net *n, const struct ttt__tape *t, int64_t i, float *out)
{
	float *next = i + 1 < n->n_layer ? t->layer[i + 1].x : t->head.x;

	return next ? next : out;
}

void
ttt__net_forward(const struct ttt__run *r, int64_t first, int64_t last, float *out)
{
	for (int64_t i = first; i < last; i++) {
		float *next = i + 1 == last && out ? out : after(r->net, r->tape, i, out);

		if (r->net->layer[i].kind == TTT__ATTENTION)
			ttt__attention_forward(r, i, next);
		else
			ttt__mlp_forward(r, i, next);
	}
}

void
ttt__net_tangent(const struct ttt__run *r)
{
	for (int64_t i = r->net->split; i < r->net->n_layer; i++) {
		float *next = after(r->net, r->tangent, i, NULL);

		if (r->net->layer[i].kind == TTT__ATTENTION)
			ttt__attention_tangent(r, i, next);
		else
			ttt__mlp_tangent(r, i, next);
	}
}

void
ttt__net_backward(const struct ttt__run *r, const struct ttt__gradients *g, int64_t first, int64_t last, const struct ttt__kv *adjoint,
    bool stop)
{
	for (int64_t i = last - 1; i >= first; i--) {
		if (r->net->layer[i].kind == TTT__ATTENTION)
			ttt__attention_backward(r, g, i, adjoint, stop && i == first);
		else
			ttt__mlp_backward(r, g, i, stop && i == first);
	}
}
