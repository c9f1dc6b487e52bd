/* Batches, clip, AdamW or Muon, schedule: the outer loop (SEMANTICS section 7). */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "libttt/learn/schedule.h"
#include "libttt/learn/trainer.h"

#define KEEP ((int64_t)1 << 30) /* bytes, where nothing else is asked for */

static enum ttt_status
make_muon(struct ttt_trainer *t, struct ttt_error *err)
{
	struct ttt_device *d = t->net.device;
	enum ttt_status status = TTT_OK;

	if (t->options.optimizer != TTT_OPTIMIZER_MUON)
		return TTT_OK;
	t->muon = ttt__new((size_t)d->n_lane, sizeof *t->muon);
	if (!t->muon)
		return ttt__fail_memory(err, "the optimizer");
	for (int i = 0; i < d->n_lane && !status; i++)
		status = ttt__muon_create(&t->muon[i], d, t->net.parameters, err);
	return status;
}

enum ttt_status
ttt_trainer_create(struct ttt_trainer **out, const struct ttt_model *m, const struct ttt_train_options *o, struct ttt_error *err)
{
	const struct ttt__parameters *p = &m->parameters;
	struct ttt_device *d = m->device;
	struct ttt_trainer *t;
	int64_t window = o->mode == TTT_MODE_FULL ? 0 : m->config.window;
	enum ttt_status status;

	*out = NULL;
	if (!(o->held_tail >= 0 && o->held_tail < 1))
		return ttt__fail(err, TTT_E_RANGE, "held_tail: %g is outside 0 .. 1", o->held_tail);
	if (m->half)
		return ttt__fail(err, TTT_E_UNSUPPORTED, "training wants the model in float32, but it was opened in bfloat16");
	t = ttt__new(1, sizeof *t);
	if (!t)
		return ttt__fail_memory(err, "the trainer");
	t->model = m;
	t->options = *o;
	status = ttt__net_create(&t->net, d, &m->config, p, window, 1, err);
	if (status || (status = ttt__device_floats(d, &t->weights, p->n_float, "the parameters", err)) ||
	    (status = ttt__device_floats(d, &t->m, p->n_float, "the moments", err)) ||
	    (status = ttt__device_floats(d, &t->v, p->n_float, "the moments", err)) || (status = make_muon(t, err))) {
		ttt_trainer_free(t);
		return status;
	}
	d->ops->copy(d, t->weights, m->weights, (size_t)p->n_float * sizeof(float));
	d->ops->zero(d, t->m, p->n_float);
	d->ops->zero(d, t->v, p->n_float);
	*out = t;
	return TTT_OK;
}

static void
free_lanes(struct ttt_trainer *t)
{
	for (int i = 0; i < t->n_lane; i++)
		ttt__lane_free(&t->lane[i]);
	free(t->lane);
	t->lane = NULL;
	t->n_lane = 0;
}

void
ttt_trainer_free(struct ttt_trainer *t)
{
	if (!t)
		return;
	free_lanes(t);
	if (t->net.device) {
		ttt__device_release(t->net.device, t->weights);
		ttt__device_release(t->net.device, t->m);
		ttt__device_release(t->net.device, t->v);
		for (int i = 0; t->muon && i < t->net.device->n_lane; i++)
			ttt__muon_free(&t->muon[i], t->net.device);
		free(t->muon);
	}
	ttt__net_free(&t->net);
	free(t);
}

/* As many lanes as sequences can go side by side; kept while the length stays. */
static enum ttt_status
make_lanes(struct ttt_trainer *t, int64_t n_seq, int64_t T, struct ttt_error *err)
{
	int n = n_seq < t->net.device->n_lane ? (int)n_seq : t->net.device->n_lane;
	int64_t keep = t->options.keep_bytes < 0 ? 0 : t->options.keep_bytes ? t->options.keep_bytes : KEEP;
	enum ttt_status status;

	if (t->n_lane >= n && t->T == T)
		return TTT_OK;
	free_lanes(t);
	status = ttt__net_extend(&t->net, T, err);
	if (status)
		return status;
	t->lane = ttt__new((size_t)n, sizeof *t->lane);
	if (!t->lane)
		return ttt__fail_memory(err, "the trainer");
	t->T = T;
	for (t->n_lane = 0; t->n_lane < n && !status; t->n_lane++)
		status = ttt__lane_create(&t->lane[t->n_lane], &t->net, t->options.mode == TTT_MODE_TTT, T, keep / n, err);
	if (status)
		free_lanes(t);
	return status;
}

static enum ttt_status
check_batch(const struct ttt_trainer *t, const int32_t *ids, int64_t n_seq, int64_t n_token, struct ttt_error *err)
{
	int64_t C = t->net.config.chunk, V = t->net.config.n_vocab;

	if (n_seq < 1)
		return ttt__fail(err, TTT_E_USAGE, "%" PRId64 " sequences are none to learn from", n_seq);
	if (n_token < 2 || (n_token - 1) % C != 0) {
		ttt__fail(err, TTT_E_USAGE, "a sequence of %" PRId64 " tokens does not make whole chunks of %" PRId64, n_token, C);
		return ttt__hint(err, TTT_E_USAGE, "give a multiple of %" PRId64 " tokens and one more", C);
	}
	for (int64_t i = 0; i < n_seq * n_token; i++)
		if (ids[i] < 0 || ids[i] >= V)
			return ttt__fail(err, TTT_E_RANGE, "token %" PRId64 " of sequence %" PRId64 " is %" PRId32
			    " but the model's vocabulary is 0 .. %" PRId64, i % n_token, i / n_token, ids[i], V - 1);
	return TTT_OK;
}

struct batch {
	struct ttt_trainer *t;
	const struct ttt__outer *o;
	const int32_t *ids; /* [n_seq, n_token] */
	int64_t n_seq, n_token;
	double *loss;       /* [n_seq] */
};

/* Lane i takes sequences i, i + n_lane, ...: the sums do not depend on which finishes first. */
static void
run_lane(void *ctx, int64_t i)
{
	const struct batch *b = ctx;
	struct ttt_trainer *t = b->t;
	struct ttt_device *d = t->net.device;

	d->ops->zero(d, t->lane[i].gradient, t->net.parameters->n_float);
	for (int64_t s = i; s < b->n_seq; s += t->n_lane)
		ttt__outer_gradient(&t->lane[i], b->o, b->ids + s * b->n_token, &b->loss[s]);
}

enum ttt_status
ttt_trainer_gradient(struct ttt_trainer *t, const int32_t *ids, int64_t n_seq, int64_t n_token, double inner_rate, double *loss,
    struct ttt_error *err)
{
	struct ttt_device *d = t->net.device;
	const struct ttt_config *c = &t->net.config;
	int64_t T = n_token - 1, n_float = t->net.parameters->n_float;
	double *each, sum = 0;
	struct ttt__outer o = {.weights = t->weights, .inner_clip = c->inner_clip, .first_order = t->options.first_order, .held_tail = t->options.held_tail,
	    .inner_rate = inner_rate < 0 ? c->inner_lr_effective : inner_rate};
	enum ttt_status status = check_batch(t, ids, n_seq, n_token, err);

	if (!status && isnan(inner_rate))
		status = ttt__fail(err, TTT_E_RANGE, "the inner rate is no number");
	if (status || (status = make_lanes(t, n_seq, T, err)))
		return status;
	each = ttt__new((size_t)n_seq, sizeof *each);
	if (!each)
		return ttt__fail_memory(err, "the losses");
	int64_t n_chunk = T / c->chunk;

	o.seed = 1 / ((double)n_chunk * (double)n_seq);
	d->ops->side_by_side(d, t->n_lane, run_lane, &(struct batch){t, &o, ids, n_seq, n_token, each});
	for (int i = 1; i < t->n_lane; i++)
		d->ops->axpy(d, t->lane[0].gradient, 1, t->lane[i].gradient, n_float);
	for (int64_t s = 0; s < n_seq; s++)
		sum += each[s];
	free(each);
	*loss = sum / (double)n_seq;
	return TTT_OK;
}

struct move {
	struct ttt_trainer *t;
	const struct ttt__adamw *a;
};

/* The parameters of one worker of Muon's: every n_lane-th. */
static void
move_lane(void *ctx, int64_t lane)
{
	const struct move *x = ctx;
	struct ttt_trainer *t = x->t;
	struct ttt_device *d = t->net.device;
	const struct ttt__parameters *p = t->net.parameters;

	for (int64_t i = lane; i < p->n; i += d->n_lane) {
		int64_t at = p->p[i].offset;

		if (ttt__muon_takes(p, i))
			ttt__muon_step(&t->muon[lane], d, &p->p[i], t->weights + at, t->m + at, t->lane[0].gradient + at, x->a);
		else
			d->ops->adamw(d, t->weights + at, t->m + at, t->v + at, t->lane[0].gradient + at, p->p[i].n, x->a);
	}
}

enum ttt_status
ttt_trainer_step(struct ttt_trainer *t, const int32_t *ids, int64_t n_seq, int64_t n_token, struct ttt_step_report *r,
    struct ttt_error *err)
{
	const struct ttt_train_options *o = &t->options;
	struct ttt_device *d = t->net.device;
	int64_t n = t->net.parameters->n_float;
	struct ttt__adamw a = {.b1 = o->b1, .b2 = o->b2, .eps = o->eps, .weight_decay = o->weight_decay, .scale = 1};
	enum ttt_status status;

	r->step = t->step;
	r->lr = ttt__outer_rate(o, t->step);
	r->inner_rate = ttt__inner_rate(o, t->net.config.inner_lr, t->step);
	status = ttt_trainer_gradient(t, ids, n_seq, n_token, r->inner_rate, &r->loss, err);
	if (status)
		return status;
	r->grad_norm = sqrt(d->ops->dot(d, t->lane[0].gradient, t->lane[0].gradient, n));
	if (!isfinite(r->grad_norm))
		return ttt__fail(err, TTT_E_RANGE, "step %" PRId64 ": the gradient is not finite (loss %g)", t->step, r->loss);
	if (o->clip > 0 && !(r->grad_norm < o->clip))
		a.scale = o->clip / r->grad_norm;
	t->step++;
	a.lr = r->lr;
	a.correct1 = 1 - pow(o->b1, (double)t->step);
	a.correct2 = 1 - pow(o->b2, (double)t->step);
	if (t->muon)
		d->ops->side_by_side(d, d->n_lane, move_lane, &(struct move){t, &a});
	else
		d->ops->adamw(d, t->weights, t->m, t->v, t->lane[0].gradient, n, &a);
	return TTT_OK;
}

int64_t
ttt_trainer_n_step(const struct ttt_trainer *t)
{
	return t->step;
}
