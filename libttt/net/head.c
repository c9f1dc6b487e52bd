/* Final norm, tied head and cross-entropy, by tiles of the vocabulary: logits of a chunk are never stored. Forward, tangent, backward:
 * METAGRAD.md section 4, row "tied head + CE". p = softmax, m = p E, E_y the target's row. Also the embedding, which shares E. */
#include "libttt/net/network.h"

/* Row j of E and those after it. */
static struct ttt__matrix
rows_of_embedding(const struct ttt__run *r, int64_t j)
{
	return ttt__slow_matrix(r, r->net->parameters->embed + j * r->net->config.d_model);
}

void
ttt__embed_forward(const struct ttt__run *r, float *x, const int32_t *id)
{
	struct ttt_device *d = r->net->device;
	struct ttt__matrix E = rows_of_embedding(r, 0);

	if (E.half)
		d->ops->gather_rows_bf16(d, x, E.half, id, r->T, r->net->config.d_model);
	else
		d->ops->gather_rows(d, x, E.f, id, r->T, r->net->config.d_model);
}

void
ttt__embed_backward(const struct ttt__run *r, const struct ttt__gradients *g, const int32_t *id, const float *u)
{
	struct ttt_device *d = r->net->device;

	d->ops->scatter_rows(d, g->slow + r->net->parameters->embed, id, 1, u, r->T, r->net->config.d_model);
}

/* The biases of n tokens of the vocabulary from j on; out: see network.h, or NULL. */
static void
add_biases(const struct ttt__run *r, float *z, int64_t j, int64_t n, float *out)
{
	const struct ttt__biases *b = r->biases;

	if (b && b->every)
		r->net->device->ops->add_row(r->net->device, z, b->every + j, r->T, n);
	if (b)
		r->net->device->ops->add_at(r->net->device, z, j, n, b->row, b->column, b->value, out, b->n);
}

/* The targets' logits get their biases too. */
static void
add_target_biases(const struct ttt__run *r, float *zy, const int32_t *target)
{
	const struct ttt__biases *b = r->biases;
	struct ttt_device *d = r->net->device;
	float *every = r->work->row;

	if (b && b->every) {
		d->ops->gather_rows(d, every, b->every, target, r->T, 1);
		d->ops->add(d, zy, zy, every, r->T);
	}
	if (b)
		d->ops->add_at_ids(d, zy, target, b->row, b->column, b->value, b->n);
}

/* biases->sum, from the tiles that were kept. */
static void
sum_probabilities(const struct ttt__run *r, const struct ttt__head_tape *kept, const int32_t *target)
{
	struct ttt_device *d = r->net->device;
	const struct ttt_config *c = &r->net->config;
	int64_t V = c->n_vocab, tile = r->work->tile, T = r->T;

	for (int64_t j = 0; j < V; j += tile)
		d->ops->softmax_sum(d, r->biases->sum + j, kept->e + T * j, kept->max + j / tile * T, r->tape->head.lse, target, c->bos, T,
		    V - j < tile ? V - j : tile);
}

void
ttt__head_forward(const struct ttt__run *r, const int32_t *target, bool mean)
{
	struct ttt_device *d = r->net->device;
	const struct ttt__ops *op = d->ops;
	const struct ttt_config *c = &r->net->config;
	struct ttt__head_tape *t = &r->tape->head;
	struct ttt__work *k = r->work;
	int64_t T = r->T, D = c->d_model, V = c->n_vocab;
	float *max = k->row, *sum = k->row + T, *keep = k->row + 2 * T;
	bool sums = mean && r->biases && r->biases->every;
	const struct ttt__head_tape *kept = r->kept ? &r->kept->head : sums ? &r->biases->spare.head : NULL;

	op->rmsnorm_forward(d, t->n, D, t->r, NULL, t->x, D, r->w.slow + r->net->parameters->final_norm, T, 1, D, c->rms_eps);
	op->softmax_start(d, max, sum, T);
	for (int64_t j = 0; j < V; j += k->tile) {
		int64_t n = V - j < k->tile ? V - j : k->tile;

		float *z = kept ? kept->e + T * j : k->z;

		ttt__times(r, true, T, n, D, t->n, D, rows_of_embedding(r, j), D, 0, z, n);
		add_biases(r, z, j, n, r->biases ? r->biases->z : NULL);
		op->softmax_tile(d, z, max, sum, keep, T, n);
		if (kept)
			op->copy(d, kept->max + j / k->tile * T, max, (size_t)T * sizeof *max);
		if (!mean)
			continue;
		if (j)
			op->combine_rows(d, t->m, keep, t->m, NULL, NULL, T, D);
		ttt__times(r, false, T, D, n, z, n, rows_of_embedding(r, j), D, j ? 1 : 0, t->m, D);
	}
	op->softmax_end(d, t->lse, sum, max, sum, T);
	if (mean)
		op->combine_rows(d, t->m, sum, t->m, NULL, NULL, T, D);
	ttt__embed_forward(r, t->y, target);
	op->dot_rows(d, t->zy, t->n, t->y, T, D);
	add_target_biases(r, t->zy, target);
	if (sums)
		sum_probabilities(r, kept, target);
}

void
ttt__head_logits(const struct ttt__run *r, float *z)
{
	struct ttt_device *d = r->net->device;
	const struct ttt_config *c = &r->net->config;
	struct ttt__head_tape *t = &r->tape->head;

	d->ops->rmsnorm_forward(d, t->n, c->d_model, t->r, NULL, t->x, c->d_model, r->w.slow + r->net->parameters->final_norm, r->T, 1,
	    c->d_model, c->rms_eps);
	ttt__times(r, true, r->T, c->n_vocab, c->d_model, t->n, c->d_model, rows_of_embedding(r, 0), c->d_model, 0, z, c->n_vocab);
	add_biases(r, z, 0, c->n_vocab, NULL);
}

void
ttt__head_tangent(const struct ttt__run *r)
{
	struct ttt_device *d = r->net->device;
	int64_t D = r->net->config.d_model;
	struct ttt__head_tape *t = &r->tape->head, *x = &r->tangent->head;

	d->ops->rmsnorm_tangent(d, x->n, D, NULL, x->x, D, t->x, D, t->r, r->w.slow + r->net->parameters->final_norm, r->T, 1, D);
}

/* The probabilities of n tokens of the vocabulary from j on, to work->z; with a tangent, p rz behind them. */
static void
probabilities(const struct ttt__run *r, int64_t j, int64_t n, bool tangent)
{
	struct ttt_device *d = r->net->device;
	const struct ttt__ops *op = d->ops;
	const struct ttt__head_tape *t = &r->tape->head, *kept = r->kept ? &r->kept->head : NULL;
	struct ttt__work *k = r->work;
	int64_t T = r->T, D = r->net->config.d_model;
	struct ttt__matrix E = rows_of_embedding(r, j);
	float *rz = tangent ? k->z + T * n : NULL;

	if (!kept) {
		ttt__times(r, true, tangent ? 2 * T : T, n, D, t->n, D, E, D, 0, k->z, n); /* n and rn lie stacked */
		add_biases(r, k->z, j, n, NULL);
		op->softmax_known(d, k->z, rz, t->lse, T, n);
		return;
	}
	if (tangent)
		ttt__times(r, true, T, n, D, r->tangent->head.n, D, E, D, 0, rz, n);
	op->softmax_kept(d, k->z, rz, kept->e + T * j, kept->max + j / k->tile * T, t->lse, T, n);
}

/* Ordinary: dE_j += P_j' (om n) by tiles, less om n at the targets. t = om n. */
static void
embedding_gradient(const struct ttt__run *r, float *dE, const int32_t *target, const float *om)
{
	struct ttt_device *d = r->net->device;
	const struct ttt__ops *op = d->ops;
	struct ttt__head_tape *t = &r->tape->head;
	struct ttt__work *k = r->work;
	int64_t T = r->T, D = r->net->config.d_model, V = r->net->config.n_vocab;

	op->combine_rows(d, k->t, om, t->n, NULL, NULL, T, D);
	for (int64_t j = 0; j < V; j += k->tile) {
		int64_t n = V - j < k->tile ? V - j : k->tile;

		probabilities(r, j, n, false);
		op->gemm(d, true, false, n, D, T, 1, k->z, n, k->t, D, 1, dE + j * D, D);
	}
	op->scatter_rows(d, dE, target, -1, k->t, T, D);
}

/* Dual: u of n (in dn, which already holds om_out (m - E_y) - om_in c m) += om_in (p rz) E, and
 * dE_j += P_j' [(om_out - om_in c) n + om_in rn] + (p rz)_j' [om_in n], less om_out n + om_in rn at the targets. */
static void
dual_tiles(const struct ttt__run *r, float *dE, const int32_t *target, const float *om_in, const float *om_out, const float *a)
{
	struct ttt_device *d = r->net->device;
	const struct ttt__ops *op = d->ops;
	struct ttt__head_tape *t = &r->tape->head, *x = &r->tangent->head;
	struct ttt__work *k = r->work;
	int64_t T = r->T, D = r->net->config.d_model, V = r->net->config.n_vocab;

	op->combine_rows(d, k->t, a, t->n, om_in, x->n, T, D);
	op->combine_rows(d, k->t + T * D, om_in, t->n, NULL, NULL, T, D);
	for (int64_t j = 0; j < V; j += k->tile) {
		int64_t n = V - j < k->tile ? V - j : k->tile;

		probabilities(r, j, n, true);
		ttt__times(r, false, T, D, n, k->z + T * n, n, rows_of_embedding(r, j), D, j ? 1 : 0, k->y, D);
		op->gemm(d, true, false, n, D, 2 * T, 1, k->z, n, k->t, D, 1, dE + j * D, D);
	}
	op->combine_rows(d, k->y, om_in, k->y, NULL, NULL, T, D);
	op->axpy(d, k->dn, 1, k->y, T * D);
	op->combine_rows(d, k->t, om_out, t->n, om_in, x->n, T, D);
	op->scatter_rows(d, dE, target, -1, k->t, T, D);
}

void
ttt__head_backward(const struct ttt__run *r, const struct ttt__gradients *g, const int32_t *target, const struct ttt__row_weights *inner,
    const struct ttt__row_weights *outer)
{
	struct ttt_device *d = r->net->device;
	const struct ttt__ops *op = d->ops;
	const struct ttt__parameters *p = r->net->parameters;
	struct ttt__head_tape *t = &r->tape->head, *x = r->tangent ? &r->tangent->head : NULL;
	struct ttt__work *k = r->work;
	int64_t T = r->T, D = r->net->config.d_model;
	float *c = k->row + 3 * T, *a = k->row + 4 * T, *w = k->row + 5 * T;
	float *dE = g->slow ? g->slow + p->embed : NULL;

	op->combine_rows(d, k->dn, outer->om, t->m, outer->minus, t->y, T, D);
	if (x) {
		op->combine_rows(d, k->dn + T * D, inner->om, t->m, inner->minus, t->y, T, D);
		op->dot_rows(d, c, x->n, t->m, T, D);
		/* a = - om_in c, as rows of one element; u += a m; w = om_out + a */
		op->combine_rows(d, a, inner->minus, c, NULL, NULL, T, 1);
		op->combine_rows(d, k->t, a, t->m, NULL, NULL, T, D);
		op->axpy(d, k->dn, 1, k->t, T * D);
		op->add(d, w, a, outer->om, T);
		dual_tiles(r, dE, target, inner->om, outer->om, w);
	} else if (dE) {
		embedding_gradient(r, dE, target, outer->om);
	}
	op->rmsnorm_backward(d, k->residual, k->residual + T * D, g->slow ? g->slow + p->final_norm : NULL, false, D, k->dn, k->dn + T * D, D,
	    t->x, x ? x->x : NULL, D, t->r, r->w.slow + p->final_norm, T, 1, D);
}
