/* The outer gradient of one sequence (METAGRAD.md section 3).
 *
 * Prefix over all tokens; then the chunks in order (sweep), each with its inner step; then the chunks in reverse, each with the tangent
 * along v = -rate J' lambda and one backward of the two adjoints; then the prefix's ordinary backward.
 *
 * Biases by the last tokens (ngram.h) are learned on the way too, and are constants for every gradient.
 *
 * With a held tail of h chunks, the last h are read with the weights held at W_0 + s (mean of W_1 .. W_{n - h} - W_0), s the model's
 * mean_share: what was learned is to serve later text as well. */
#include <math.h>

#include "libttt/learn/inner.h"
#include "libttt/learn/outer.h"

/* Upload weights of the inner (mean over the chunk) and the outer loss for the whole sequence: [4, T], chunk by chunk contiguous. */
static void
upload_row_weights(struct ttt__lane *l, const int32_t *target, double seed)
{
	struct ttt_device *d = l->net->device;
	float *host = l->host;

	for (int64_t i = 0; i < l->n; i++) {
		const int32_t *y = target + i * l->C;
		float *om = l->om + 4 * i * l->C;

		ttt__fill_row_weights(host, y, l->C, l->net->config.bos, 1);
		ttt__fill_row_weights(host + 2 * l->C, y, l->C, l->net->config.bos, seed);
		d->ops->upload(d, om, host, (size_t)(4 * l->C) * sizeof *host);
	}
}

static struct ttt__row_weights
inner_weights(const struct ttt__lane *l, int64_t i)
{
	float *om = l->om + 4 * i * l->C;

	return (struct ttt__row_weights){om, om + l->C};
}

static struct ttt__row_weights
outer_weights(const struct ttt__lane *l, int64_t i)
{
	float *om = l->om + (4 * i + 2) * l->C;

	return (struct ttt__row_weights){om, om + l->C};
}

/* Chunks of the held tail; at least one is learned. */
static int64_t
n_held(const struct ttt__lane *l, const struct ttt__outer *o)
{
	int64_t n = (int64_t)llround(o->held_tail * (double)l->n);

	return n < l->n ? n : l->n - 1;
}

/* Inner steps: one after every chunk that another one follows, not counting those of the held tail. */
static int64_t
n_step(const struct ttt__lane *l, const struct ttt__outer *o)
{
	int64_t n = n_held(l, o);

	return n > 0 ? l->n - n : l->n - 1;
}

/* The run of chunk i on its own tape, with keys, values and their adjoints at its oldest cached row. */
static struct ttt__run
chunk_run(struct ttt__lane *l, const struct ttt__outer *o, int64_t i)
{
	const struct ttt__net *n = l->net;
	int64_t first = i * l->C, D = n->config.d_model;
	int64_t S = n->window && first > n->window - 1 ? n->window - 1 : first, at = (first - S) * D;

	for (int64_t j = n->split; j < n->n_layer; j++)
		if (n->layer[j].kind == TTT__ATTENTION) {
			l->kv_at[j] = (struct ttt__kv){.k = l->kv[j].k + at, .v = l->kv[j].v + at};
			l->adjoint_at[j] = (struct ttt__kv){.k = l->adjoint[j].k + at, .v = l->adjoint[j].v + at};
		}
	return (struct ttt__run){.net = n, .w = {.slow = o->weights, .fast = i < l->n - n_held(l, o) ? l->w : l->held}, .work = &l->chunk, .tape = &l->suffix[i],
	    .kept = i < l->n_kept ? &l->kept[i] : NULL, .T = l->C, .S = S,
	    .angle = n->rope + first * n->config.d_head, .kv = l->kv_at, .biases = &l->biases[i]};
}

static struct ttt__run
prefix_run(struct ttt__lane *l, const struct ttt__outer *o)
{
	return (struct ttt__run){.net = l->net, .w = {.slow = o->weights, .fast = o->weights + l->net->parameters->fast_offset},
	    .work = &l->whole, .tape = &l->prefix, .T = l->T, .angle = l->net->rope, .kv = l->kv};
}

/* Chunks in order: forward, loss, and for all but the last ones the inner gradient (kept) and the step, of the n-grams too. Returns the sum
 * of chunk losses. */
static double
sweep(struct ttt__lane *l, const struct ttt__outer *o, const int32_t *ids)
{
	struct ttt_device *d = l->net->device;
	int64_t fast = l->net->parameters->n_fast, steps = n_step(l, o), tail = n_held(l, o);
	double loss = 0, share = l->net->config.mean_share;

	ttt__ngram_reset(&l->ngram);
	l->ngram.n_history = 0;
	if (tail)
		d->ops->combine(d, l->held, 1 - share, l->w, 0, l->w, fast);

	for (int64_t i = 0; i < l->n; i++) {
		struct ttt__run r = chunk_run(l, o, i);
		struct ttt__row_weights om = inner_weights(l, i);
		float *step = l->steps + i * fast;
		struct ttt__gradients g = {.fast = step, .set = true};
		const int32_t *y = l->ids + 1 + i * l->C, *target = ids + 1 + i * l->C;

		ttt__net_forward(&r, l->net->split, l->net->n_layer, NULL);
		ttt__ngram_look(&l->ngram, ids + i * l->C, 0, l->C, d, &l->biases[i]);
		ttt__head_forward(&r, y, true);
		ttt__read_nll(l->net, &r.tape->head, l->host, l->host + l->C, l->C);
		loss += ttt__mean_loss(l->host, target, l->C, l->net->config.bos);
		if (i < steps)
			ttt__ngram_learn(&l->ngram, target, l->C, i * l->C, d, &l->biases[i], &r.tape->head);
		ttt__ngram_advance(&l->ngram, ids + i * l->C, l->C);
		if (i >= steps)
			continue;
		ttt__head_backward(&r, &g, y, NULL, &om);
		ttt__net_backward(&r, &g, l->net->split, l->net->n_layer, NULL, true);
		ttt__inner_step(d, l->w, step, fast, o->inner_rate, o->inner_clip, &l->norm[i]);
		if (tail)
			d->ops->axpy(d, l->held, share / (double)steps, l->w, fast);
	}
	return loss;
}

/* Chunks in reverse: lambda, the adjoints of keys and values, dh and the slow gradients. */
static void
reverse(struct ttt__lane *l, const struct ttt__outer *o)
{
	struct ttt_device *d = l->net->device;
	int64_t fast = l->net->parameters->n_fast, CD = l->C * l->net->config.d_model, steps = n_step(l, o), tail = n_held(l, o);
	struct ttt__gradients g = {.slow = l->gradient};
	double share = l->net->config.mean_share;

	d->ops->zero(d, l->lambda, fast);
	if (tail)
		d->ops->zero(d, l->held_lambda, fast);
	for (int64_t j = l->net->split; j < l->net->n_layer; j++)
		if (l->net->layer[j].kind == TTT__ATTENTION)
			d->ops->zero(d, l->adjoint[j].k, 2 * l->T * l->net->config.d_model);
	for (int64_t i = l->n - 1; i >= 0; i--) {
		struct ttt__run r = chunk_run(l, o, i);
		struct ttt__row_weights inner = inner_weights(l, i), outer = outer_weights(l, i);
		const float *step = l->steps + i * fast;

		g.fast = i < l->n - tail ? l->lambda : l->held_lambda;
		if (i < steps && tail) /* W_{i + 1}'s part of the mean */
			d->ops->axpy(d, l->lambda, share / (double)steps, l->held_lambda, fast);
		if (i < steps)
			ttt__inner_unstep(d, l->w, step, fast, o->inner_rate, o->inner_clip, l->norm[i]);
		if (i < steps && !o->first_order) {
			ttt__inner_adjoint(d, l->v, l->lambda, step, fast, o->inner_rate, o->inner_clip, l->norm[i]);
			r.w.v = l->v;
			r.tangent = &l->tangent;
			ttt__tape_stack(&l->tangent, r.tape, l->net, l->net->split, l->net->n_layer, l->C);
			ttt__net_tangent(&r);
			ttt__head_tangent(&r);
		}
		ttt__head_backward(&r, &g, l->ids + 1 + i * l->C, &inner, &outer);
		ttt__net_backward(&r, &g, l->net->split, l->net->n_layer, l->adjoint_at, false);
		d->ops->copy(d, l->dh + i * CD, l->chunk.residual, (size_t)CD * sizeof(float));
	}
	d->ops->axpy(d, l->gradient + l->net->parameters->fast_offset, 1, l->lambda, fast);
	if (tail)
		d->ops->axpy(d, l->gradient + l->net->parameters->fast_offset, 1 - share, l->held_lambda, fast);
}

static double
meta_gradient(struct ttt__lane *l, const struct ttt__outer *o, const int32_t *ids)
{
	struct ttt_device *d = l->net->device;
	const struct ttt__parameters *p = l->net->parameters;
	struct ttt__run r = prefix_run(l, o);
	struct ttt__gradients g = {.slow = l->gradient};
	size_t bytes = (size_t)(l->T * l->net->config.d_model) * sizeof(float);
	double loss;

	ttt__net_forward(&r, 0, l->net->split, l->h);
	d->ops->copy(d, l->w, o->weights + p->fast_offset, (size_t)p->n_fast * sizeof(float));
	loss = sweep(l, o, ids) / (double)l->n;
	reverse(l, o);
	d->ops->copy(d, l->whole.residual, l->dh, bytes);
	ttt__net_backward(&r, &g, 0, l->net->split, NULL, false);
	return loss;
}

/* Fast weights held at their initial values: an ordinary forward and backward of the whole sequence. */
static double
plain_gradient(struct ttt__lane *l, const struct ttt__outer *o, const int32_t *ids)
{
	struct ttt_device *d = l->net->device;
	struct ttt__run r = prefix_run(l, o);
	struct ttt__gradients g = {.slow = l->gradient, .fast = l->gradient + l->net->parameters->fast_offset};
	struct ttt__row_weights om = {l->om, l->om + l->T};
	double loss = 0;

	for (int64_t i = 0; i < l->n; i++) {
		ttt__fill_row_weights(l->host, ids + 1 + i * l->C, l->C, l->net->config.bos, o->seed);
		d->ops->upload(d, om.om + i * l->C, l->host, (size_t)l->C * sizeof(float));
		d->ops->upload(d, om.minus + i * l->C, l->host + l->C, (size_t)l->C * sizeof(float));
	}
	ttt__net_forward(&r, 0, l->net->n_layer, NULL);
	ttt__head_forward(&r, l->ids + 1, true);
	ttt__read_nll(l->net, &r.tape->head, l->host, l->host + l->T, l->T);
	for (int64_t i = 0; i < l->n; i++)
		loss += ttt__mean_loss(l->host + i * l->C, ids + 1 + i * l->C, l->C, l->net->config.bos);
	ttt__head_backward(&r, &g, l->ids + 1, NULL, &om);
	ttt__net_backward(&r, &g, 0, l->net->n_layer, NULL, false);
	return loss / (double)l->n;
}

void
ttt__outer_gradient(struct ttt__lane *l, const struct ttt__outer *o, const int32_t *ids, double *loss)
{
	struct ttt_device *d = l->net->device;
	struct ttt__run r = prefix_run(l, o);
	struct ttt__gradients g = {.slow = l->gradient};

	d->ops->upload(d, l->ids, ids, (size_t)(l->T + 1) * sizeof *ids);
	ttt__embed_forward(&r, l->prefix.layer[0].x, l->ids);
	if (l->meta) {
		upload_row_weights(l, ids + 1, o->seed);
		*loss = meta_gradient(l, o, ids);
	} else {
		*loss = plain_gradient(l, o, ids);
	}
	ttt__embed_backward(&r, &g, l->ids, l->whole.residual);
}
