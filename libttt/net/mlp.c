/* The SwiGLU layer: x += post(down(silu(gate n) * (up n))), n = pre(x); as a prime MLP its three matrices are the fast weights, with a
 * tangent v. Forward, tangent and backward side by side; formulas of METAGRAD.md section 4. */
#include "libttt/net/network.h"

/* One layer's weights (gate and up lie together: [2F, D]), their tangents and gradients; NULL where there is none. */
struct place {
	const struct ttt__ops *op;
	struct ttt_device *d;
	int64_t T, D, F;
	double eps;
	struct ttt__matrix in, out;
	const float *pre, *post, *v_in, *v_out;
	float *d_pre, *d_post, *d_in, *d_out;
	double keep; /* factor on what d_in and d_out held: 1, or 0 where they are set */
};

static struct place
place_of(const struct ttt__run *r, const struct ttt__gradients *g, int64_t i)
{
	const struct ttt__parameters *all = r->net->parameters;
	const struct ttt__block_offsets *o = &all->block[r->net->layer[i].block];
	bool prime = r->net->layer[i].kind == TTT__PRIME;
	int64_t pre = prime ? o->pre_prime_norm : o->pre_ffn_norm, post = prime ? o->post_prime_norm : o->post_ffn_norm;
	int64_t in = prime ? o->prime_gate - all->fast_offset : o->gate, out = prime ? o->prime_down - all->fast_offset : o->down;
	const float *v = prime ? r->w.v : NULL;
	float *d = !g ? NULL : prime ? g->fast : g->slow;
	struct place p = {.op = r->net->device->ops, .d = r->net->device, .T = r->T, .D = r->net->config.d_model,
	    .F = prime ? r->net->config.d_prime : r->net->config.d_ff, .eps = r->net->config.rms_eps};

	p.pre = r->w.slow + pre;
	p.post = r->w.slow + post;
	if (prime) {
		p.in.f = r->w.fast + in;
		p.out.f = r->w.fast + out;
	} else {
		p.in = ttt__slow_matrix(r, in);
		p.out = ttt__slow_matrix(r, out);
	}
	p.v_in = v ? v + in : NULL;
	p.v_out = v ? v + out : NULL;
	p.d_pre = g && g->slow ? g->slow + pre : NULL;
	p.d_post = g && g->slow ? g->slow + post : NULL;
	p.d_in = d ? d + in : NULL;
	p.d_out = d ? d + out : NULL;
	p.keep = prime && g && g->set ? 0 : 1;
	return p;
}

void
ttt__mlp_forward(const struct ttt__run *r, int64_t i, float *out)
{
	struct place p = place_of(r, NULL, i);
	struct ttt__layer_tape *t = &r->tape->layer[i];
	int64_t D = p.D, F = p.F;

	p.op->rmsnorm_forward(p.d, t->n, D, t->r1, NULL, t->x, D, p.pre, p.T, 1, D, p.eps);
	ttt__times(r, true, p.T, 2 * F, D, t->n, D, p.in, D, 0, t->ac, 2 * F);
	p.op->swiglu_forward(p.d, t->h, t->ac, p.T, F);
	ttt__times(r, true, p.T, D, F, t->h, F, p.out, F, 0, t->s, D);
	p.op->rmsnorm_forward(p.d, out, D, t->r2, t->x, t->s, D, p.post, p.T, 1, D, p.eps);
}

/* The first prime MLP's input has no tangent: its tangent tape's x is NULL. */
void
ttt__mlp_tangent(const struct ttt__run *r, int64_t i, float *out)
{
	struct place p = place_of(r, NULL, i);
	const struct ttt__layer_tape *t = &r->tape->layer[i];
	struct ttt__layer_tape *x = &r->tangent->layer[i];
	int64_t D = p.D, F = p.F;

	if (x->x) {
		p.op->rmsnorm_tangent(p.d, x->n, D, NULL, x->x, D, t->x, D, t->r1, p.pre, p.T, 1, D);
		ttt__times(r, true, p.T, 2 * F, D, x->n, D, p.in, D, 0, x->ac, 2 * F);
	}
	if (p.v_in)
		p.op->gemm(p.d, false, true, p.T, 2 * F, D, 1, t->n, D, p.v_in, D, x->x ? 1 : 0, x->ac, 2 * F);
	p.op->swiglu_tangent(p.d, x->h, t->ac, x->ac, p.T, F);
	ttt__times(r, true, p.T, D, F, x->h, F, p.out, F, 0, x->s, D);
	if (p.v_out)
		p.op->gemm(p.d, false, true, p.T, D, F, 1, t->h, F, p.v_out, F, 1, x->s, D);
	p.op->rmsnorm_tangent(p.d, out, D, x->x, x->s, D, t->s, D, t->r2, p.post, p.T, 1, D);
}

void
ttt__mlp_backward(const struct ttt__run *r, const struct ttt__gradients *g, int64_t i, bool stop)
{
	struct place p = place_of(r, g, i);
	const struct ttt__layer_tape *t = &r->tape->layer[i], *x = r->tangent ? &r->tangent->layer[i] : NULL;
	struct ttt__layer_tape *kept = r->kept ? &r->kept->layer[i] : NULL;
	struct ttt__work *k = r->work;
	int64_t D = p.D, F = p.F, TD = p.T * D, TF = p.T * F;
	const float *rx = x ? x->x : NULL; /* tangent of the input: where it is zero, b ends here */
	float *uh = kept && !x ? kept->h : k->dh, *bh = kept ? kept->h : k->dh + TF;
	float *un = kept && !x ? kept->n : k->dn, *bn = kept ? kept->n : k->dn + TD;

	p.op->rmsnorm_backward(p.d, k->ds, k->ds + TD, p.d_post, false, D, k->residual, k->residual + TD, D, t->s, x ? x->s : NULL, D, t->r2,
	    p.post, p.T, 1, D);
	if (p.d_out)
		p.op->gemm(p.d, true, false, D, F, x ? 2 * p.T : p.T, 1, k->ds, D, t->h, F, p.keep, p.d_out, F);
	ttt__times(r, false, x && !kept ? 2 * p.T : p.T, F, D, k->ds, D, p.out, F, 0, uh, F);
	if (p.v_out && x)
		p.op->gemm(p.d, false, false, p.T, F, D, 1, k->ds + TD, D, p.v_out, F, 1, uh, F);
	p.op->swiglu_backward(p.d, k->dac, k->dac + 2 * TF, t->ac, x ? x->ac : NULL, uh, bh, p.T, F);
	if (p.d_in)
		p.op->gemm(p.d, true, false, 2 * F, D, rx ? 2 * p.T : p.T, 1, k->dac, 2 * F, t->n, D, p.keep, p.d_in, D);
	if (stop && !p.d_pre)
		return;
	ttt__times(r, false, rx && !kept ? 2 * p.T : p.T, D, 2 * F, k->dac, 2 * F, p.in, D, 0, un, D);
	if (p.v_in && x)
		p.op->gemm(p.d, false, false, p.T, D, 2 * F, 1, k->dac + 2 * TF, 2 * F, p.v_in, D, 1, un, D);
	p.op->rmsnorm_backward(p.d, k->residual, k->residual + TD, p.d_pre, true, D, un, bn, D, t->x, rx, D, t->r1, p.pre, p.T, 1, D);
}
