/* The attention layer: x += post(Wo attention(turn(norm(Wq n)), turn(norm(Wk n)), Wv n)), n = pre(x).
 * Forward, tangent and backward side by side; formulas of METAGRAD.md section 4. */
#include "libttt/net/network.h"

struct place {
	const struct ttt__ops *op;
	struct ttt_device *d;
	const struct ttt__block_offsets *o;
	const float *w;
	int64_t T, S, D, H, K;
	double eps;
	struct ttt__attention_shape shape;
};

static struct place
place_of(const struct ttt__run *r, int64_t i)
{
	const struct ttt_config *c = &r->net->config;
	struct place p = {.op = r->net->device->ops, .d = r->net->device, .w = r->w.slow, .T = r->T, .S = r->S, .D = c->d_model,
	    .H = c->n_head, .K = c->d_head, .eps = c->rms_eps};

	p.o = &r->net->parameters->block[r->net->layer[i].block];
	p.shape = (struct ttt__attention_shape){.T = p.T, .S = p.S, .H = p.H, .K = p.K, .window = r->net->window};
	return p;
}

void
ttt__attention_forward(const struct ttt__run *r, int64_t i, float *out)
{
	struct place p = place_of(r, i);
	struct ttt__layer_tape *t = &r->tape->layer[i];
	const struct ttt__kv *kv = &r->kv[i];
	struct ttt__work *work = r->work;
	int64_t D = p.D;
	float *own_k = kv->k + p.S * D, *raw = kv->raw ? kv->raw + p.S * D : own_k;

	p.op->rmsnorm_forward(p.d, t->n, D, t->r1, NULL, t->x, D, p.w + p.o->input_norm, p.T, 1, D, p.eps);
	ttt__times(r, true, p.T, 3 * D, D, t->n, D, ttt__slow_matrix(r, p.o->q), D, 0, t->qkv, 3 * D);
	p.op->rmsnorm_forward(p.d, t->q, D, t->rq, NULL, t->qkv, 3 * D, p.w + p.o->q_norm, p.T, p.H, p.K, p.eps);
	p.op->rope(p.d, t->q, D, t->q, D, r->angle, p.T, p.H, p.K, false);
	p.op->rmsnorm_forward(p.d, raw, D, t->rk, NULL, t->qkv + D, 3 * D, p.w + p.o->k_norm, p.T, p.H, p.K, p.eps);
	p.op->rope(p.d, own_k, D, raw, D, r->angle, p.T, p.H, p.K, false);
	p.op->copy_rows(p.d, kv->v + p.S * D, D, t->qkv + 2 * D, 3 * D, p.T, D);
	p.op->attention_forward(p.d, t->o, t->lse, t->q, kv->k, kv->v, &p.shape, work->attention);
	ttt__times(r, true, p.T, D, D, t->o, D, ttt__slow_matrix(r, p.o->o), D, 0, t->s, D);
	p.op->rmsnorm_forward(p.d, out, D, t->r2, t->x, t->s, D, p.w + p.o->post_attention_norm, p.T, 1, D, p.eps);
}

void
ttt__attention_tangent(const struct ttt__run *r, int64_t i, float *out)
{
	struct place p = place_of(r, i);
	const struct ttt__layer_tape *t = &r->tape->layer[i];
	struct ttt__layer_tape *x = &r->tangent->layer[i];
	const struct ttt__kv *kv = &r->kv[i];
	struct ttt__work *work = r->work;
	int64_t D = p.D;

	p.op->rmsnorm_tangent(p.d, x->n, D, NULL, x->x, D, t->x, D, t->r1, p.w + p.o->input_norm, p.T, 1, D);
	ttt__times(r, true, p.T, 3 * D, D, x->n, D, ttt__slow_matrix(r, p.o->q), D, 0, x->qkv, 3 * D);
	p.op->rmsnorm_tangent(p.d, x->q, D, NULL, x->qkv, 3 * D, t->qkv, 3 * D, t->rq, p.w + p.o->q_norm, p.T, p.H, p.K);
	p.op->rope(p.d, x->q, D, x->q, D, r->angle, p.T, p.H, p.K, false);
	p.op->rmsnorm_tangent(p.d, x->k, D, NULL, x->qkv + D, 3 * D, t->qkv + D, 3 * D, t->rk, p.w + p.o->k_norm, p.T, p.H, p.K);
	p.op->rope(p.d, x->k, D, x->k, D, r->angle, p.T, p.H, p.K, false);
	p.op->copy_rows(p.d, x->v, D, x->qkv + 2 * D, 3 * D, p.T, D);
	p.op->attention_tangent(p.d, x->o, x->lse, t->q, x->q, kv->k, x->k, kv->v, x->v, t->o, t->lse, &p.shape, work->attention);
	ttt__times(r, true, p.T, D, D, x->o, D, ttt__slow_matrix(r, p.o->o), D, 0, x->s, D);
	p.op->rmsnorm_tangent(p.d, out, D, x->x, x->s, D, t->s, D, t->r2, p.w + p.o->post_attention_norm, p.T, 1, D);
}

/* From the adjoints of o to those of q, k, v before QK-norm (work->dqkv). */
static void
scores_backward(const struct ttt__run *r, const struct ttt__gradients *g, int64_t i, const struct ttt__kv *adjoint, const float *uo,
    const float *bo)
{
	struct place p = place_of(r, i);
	const struct ttt__layer_tape *t = &r->tape->layer[i], *x = r->tangent ? &r->tangent->layer[i] : NULL;
	const struct ttt__kv *kv = &r->kv[i];
	struct ttt__work *k = r->work;
	int64_t D = p.D, TD = p.T * D, first = adjoint ? 0 : p.S;
	float *uk = adjoint ? adjoint[i].k : k->dk, *uv = adjoint ? adjoint[i].v : k->own + TD, *own_v = uv + (p.S - first) * D;
	float *bk = x ? k->own + 2 * TD : NULL, *bv = x ? k->own + 3 * TD : NULL, *bqkv = k->dqkv + 3 * TD;
	float *dq = g->slow ? g->slow + p.o->q_norm : NULL, *dk = g->slow ? g->slow + p.o->k_norm : NULL;

	if (!adjoint) {
		p.op->zero(p.d, uk, TD);
		p.op->zero(p.d, uv, TD);
	}
	p.op->attention_backward(p.d, k->dq, k->dq + TD, uk, uv, first, bk, bv, t->q, x ? x->q : NULL, kv->k, x ? x->k : NULL, kv->v,
	    x ? x->v : NULL, t->o, x ? x->o : NULL, t->lse, x ? x->lse : NULL, uo, bo, &p.shape, k->attention);
	/* Adjoints of own turned keys, what later chunks gave (kappa, u stream only) among them, back to keys. */
	p.op->rope(p.d, k->own, D, uk + (p.S - first) * D, D, r->angle, p.T, p.H, p.K, true);
	p.op->rope(p.d, k->dq, D, k->dq, D, r->angle, p.T, p.H, p.K, true);
	if (x) {
		p.op->rope(p.d, k->dq + TD, D, k->dq + TD, D, r->angle, p.T, p.H, p.K, true);
		p.op->rope(p.d, bk, D, bk, D, r->angle, p.T, p.H, p.K, true);
		p.op->copy_rows(p.d, bqkv + 2 * D, 3 * D, bv, D, p.T, D);
	}
	p.op->copy_rows(p.d, k->dqkv + 2 * D, 3 * D, own_v, D, p.T, D);
	p.op->rmsnorm_backward(p.d, k->dqkv, bqkv, dq, false, 3 * D, k->dq, k->dq + TD, D, t->qkv, x ? x->qkv : NULL, 3 * D, t->rq,
	    p.w + p.o->q_norm, p.T, p.H, p.K);
	p.op->rmsnorm_backward(p.d, k->dqkv + D, bqkv + D, dk, false, 3 * D, k->own, bk, D, t->qkv + D, x ? x->qkv + D : NULL, 3 * D,
	    t->rk, p.w + p.o->k_norm, p.T, p.H, p.K);
}

void
ttt__attention_backward(const struct ttt__run *r, const struct ttt__gradients *g, int64_t i, const struct ttt__kv *adjoint, bool stop)
{
	struct place p = place_of(r, i);
	const struct ttt__layer_tape *t = &r->tape->layer[i], *x = r->tangent ? &r->tangent->layer[i] : NULL;
	struct ttt__layer_tape *kept = r->kept ? &r->kept->layer[i] : NULL;
	struct ttt__work *k = r->work;
	int64_t D = p.D, TD = p.T * D, rows = x ? 2 * p.T : p.T, made = kept ? p.T : rows;
	float *s = g->slow, *uo = kept && !x ? kept->o : k->dn, *bo = kept ? kept->o : k->dn + TD;
	float *un = kept && !x ? kept->n : k->dn, *bn = kept ? kept->n : k->dn + TD;

	p.op->rmsnorm_backward(p.d, k->ds, k->ds + TD, s ? s + p.o->post_attention_norm : NULL, false, D, k->residual, k->residual + TD, D, t->s,
	    x ? x->s : NULL, D, t->r2, p.w + p.o->post_attention_norm, p.T, 1, D);
	if (s)
		p.op->gemm(p.d, true, false, D, D, rows, 1, k->ds, D, t->o, D, 1, s + p.o->o, D);
	ttt__times(r, false, made, D, D, k->ds, D, ttt__slow_matrix(r, p.o->o), D, 0, uo, D);
	scores_backward(r, g, i, adjoint, uo, bo);
	if (s)
		p.op->gemm(p.d, true, false, 3 * D, D, rows, 1, k->dqkv, 3 * D, t->n, D, 1, s + p.o->q, D);
	if (stop && !s)
		return;
	ttt__times(r, false, made, D, 3 * D, k->dqkv, 3 * D, ttt__slow_matrix(r, p.o->q), D, 0, un, D);
	p.op->rmsnorm_backward(p.d, k->residual, k->residual + TD, s ? s + p.o->input_norm : NULL, true, D, un, bn, D, t->x,
	    x ? x->x : NULL, D, t->r1, p.w + p.o->input_norm, p.T, 1, D);
}
