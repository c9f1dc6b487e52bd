/* For unit tests: the passes of struct problem as the library makes them on a device. */
#ifndef TEST_PROBLEM_RUN_H
#define TEST_PROBLEM_RUN_H
#include "problem.h"

/* What a pass gives, by the library; rn, m, y: the tangent of the final norm's output, and the head's. */
struct outcome {
	float *out, *rout, *nll, *u, *b, *g, *k[LAYERS], *v[LAYERS], *ak[LAYERS], *av[LAYERS], *rn, *m, *y;
};

static inline void
outcome_free(struct outcome *o)
{
	void *const all[] = {o->out, o->rout, o->nll, o->u, o->b, o->g, o->rn, o->m, o->y};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		free(all[i]);
	for (int64_t i = 0; i < LAYERS; i++) {
		free(o->k[i]);
		free(o->v[i]);
		free(o->ak[i]);
		free(o->av[i]);
	}
}

/* A problem on a device. */
struct placed {
	struct ttt_device *d;
	struct ttt__net net;
	struct ttt__work work;
	struct ttt__tape tape, tangent;
	struct ttt__kv kv[LAYERS], adjoint[LAYERS];
	struct ttt__run run;
	struct ttt__row_weights in, out;
	float *w, *v, *g, *result, *rresult;
	int32_t *ids, *target;
	struct ttt__biases biases;
};

static inline int32_t *
upload_ids(struct ttt_device *d, const int32_t *ids, int64_t n)
{
	int32_t *out;

	TINY_OK(ttt__device_ids(d, &out, n, "test data", &err));
	d->ops->upload(d, out, ids, (size_t)n * sizeof *ids);
	return out;
}

/* The trace has keys and their adjoints unturned; the library, turned by their positions. */
static inline void
problem_turn(const struct problem *q, struct placed *s, float *k, bool back)
{
	int64_t D = q->c.d_model;

	s->d->ops->rope(s->d, k, D, k, D, s->net.rope, q->S + q->T, q->c.n_head, q->c.d_head, back);
}

static inline void
problem_place(const struct problem *q, struct placed *s, struct ttt_device *d)
{
	int64_t D = q->c.d_model, TD = q->T * D, all = (q->S + q->T) * D, n = problem_n_layer(&q->c);

	*s = (struct placed){.d = d};
	TINY_OK(ttt__net_create(&s->net, d, &q->c, &q->p, q->c.window, q->S + q->T, &err));
	assert_int_equal(s->net.n_layer, n);
	assert_int_equal(s->net.split, problem_split(&q->c));
	TINY_OK(ttt__work_create(&s->work, &s->net, q->T, q->S, &err));
	TINY_OK(ttt__tape_create(&s->tape, &s->net, q->dual ? TTT__TAPE_STACKED : TTT__TAPE_VALUES, q->first, n, q->T, &err));
	if (q->dual) {
		TINY_OK(ttt__tape_create(&s->tangent, &s->net, TTT__TAPE_TANGENTS, s->net.split, n, q->T, &err));
		ttt__tape_stack(&s->tangent, &s->tape, &s->net, q->first, n, q->T);
	}
	if (q->tile)
		s->work.tile = q->tile;
	s->w = tiny_upload(d, q->w, q->p.n_float);
	s->v = tiny_upload(d, q->v, q->p.n_fast);
	s->g = tiny_upload(d, q->g, q->p.n_float);
	s->result = tiny_upload(d, NULL, TD);
	s->rresult = tiny_upload(d, NULL, TD);
	s->in.om = tiny_upload(d, q->om_in, 2 * q->T);
	s->in.minus = s->in.om + q->T;
	s->out.om = tiny_upload(d, q->om_out, 2 * q->T);
	s->out.minus = s->out.om + q->T;
	s->ids = upload_ids(d, q->ids, q->T);
	s->target = upload_ids(d, q->target, q->T);
	if (q->biased)
		s->biases = (struct ttt__biases){.row = upload_ids(d, q->biases.row, q->biases.n), .column = upload_ids(d, q->biases.column, q->biases.n),
		    .value = tiny_upload(d, q->biases.value, q->biases.n), .z = tiny_upload(d, NULL, q->biases.n), .n = q->biases.n,
		    .every = tiny_upload(d, q->biases.every, q->c.n_vocab), .sum = tiny_upload(d, NULL, q->c.n_vocab),
		    .spare.head = {.e = tiny_upload(d, NULL, q->T * q->c.n_vocab), .max = tiny_upload(d, NULL, q->T * q->c.n_vocab)}};
	for (int64_t i = 0; i < n; i++)
		if (s->net.layer[i].kind == TTT__ATTENTION) {
			s->kv[i] = (struct ttt__kv){tiny_upload(d, q->k[i], all), tiny_upload(d, q->val[i], all), tiny_upload(d, q->k[i], all)};
			s->adjoint[i] = (struct ttt__kv){.k = tiny_upload(d, q->ak[i], all), .v = tiny_upload(d, q->av[i], all)};
			problem_turn(q, s, s->kv[i].k, false);
			problem_turn(q, s, s->adjoint[i].k, false);
		}
	s->run = (struct ttt__run){.net = &s->net, .w = {s->w, s->w + q->p.fast_offset, q->dual ? s->v : NULL, NULL}, .work = &s->work,
	    .tape = &s->tape, .tangent = q->dual ? &s->tangent : NULL, .T = q->T, .S = q->S,
	    .angle = s->net.rope + q->S * q->c.d_head, .kv = s->kv, .biases = q->biased ? &s->biases : NULL};
}

static inline void
problem_leave(struct placed *s)
{
	void *const all[] = {s->w, s->v, s->g, s->result, s->rresult, s->in.om, s->out.om, s->ids, s->target, s->biases.row, s->biases.column,
	    s->biases.value, s->biases.z, s->biases.every, s->biases.sum, s->biases.spare.head.e, s->biases.spare.head.max};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		ttt__device_release(s->d, all[i]);
	for (int64_t i = 0; i < LAYERS; i++) {
		ttt__device_release(s->d, s->kv[i].k);
		ttt__device_release(s->d, s->kv[i].v);
		ttt__device_release(s->d, s->kv[i].raw);
		ttt__device_release(s->d, s->adjoint[i].k);
		ttt__device_release(s->d, s->adjoint[i].v);
	}
	ttt__tape_free(&s->tangent, &s->net);
	ttt__tape_free(&s->tape, &s->net);
	ttt__work_free(&s->work, &s->net);
	ttt__net_free(&s->net);
}

static inline void
run_tangent(const struct problem *q, struct placed *s)
{
	for (int64_t i = q->first; i < q->last; i++) {
		float *out = i + 1 < q->last ? s->tangent.layer[i + 1].x : q->head ? s->tangent.head.x : s->rresult;

		if (s->net.layer[i].kind == TTT__ATTENTION)
			ttt__attention_tangent(&s->run, i, out);
		else
			ttt__mlp_tangent(&s->run, i, out);
	}
}

static inline void
run_forward(const struct problem *q, struct placed *s)
{
	size_t bytes = (size_t)(q->T * q->c.d_model) * sizeof(float);
	float *x = q->first < s->net.n_layer ? s->tape.layer[q->first].x : s->tape.head.x;

	if (q->embed)
		ttt__embed_forward(&s->run, x, s->ids);
	else
		s->d->ops->upload(s->d, x, q->x, bytes);
	ttt__net_forward(&s->run, q->first, q->last, q->head ? NULL : s->result);
	if (q->head)
		ttt__head_forward(&s->run, s->target, true);
	if (!q->dual)
		return;
	if (q->rx)
		s->d->ops->upload(s->d, q->first < s->net.n_layer ? s->tangent.layer[q->first].x : s->tangent.head.x, q->rx, bytes);
	if (q->first == s->net.split && q->last == s->net.n_layer && q->head)
		ttt__net_tangent(&s->run);
	else
		run_tangent(q, s);
	if (q->head)
		ttt__head_tangent(&s->run);
}

static inline void
run_backward(const struct problem *q, struct placed *s)
{
	struct ttt__gradients g = {.slow = q->inner ? NULL : s->g, .fast = s->g + q->p.fast_offset};
	int64_t TD = q->T * q->c.d_model;

	if (q->head) {
		ttt__head_backward(&s->run, &g, s->target, q->dual ? &s->in : NULL, &s->out);
	} else {
		s->d->ops->upload(s->d, s->work.residual, q->seed_u, (size_t)TD * sizeof(float));
		s->d->ops->upload(s->d, s->work.residual + TD, q->seed_b, (size_t)TD * sizeof(float));
	}
	ttt__net_backward(&s->run, &g, q->first, q->last, q->cached ? s->adjoint : NULL, q->inner);
	if (q->embed)
		ttt__embed_backward(&s->run, &g, s->ids, s->work.residual);
}

static inline void
problem_run(const struct problem *q, struct outcome *o, struct ttt_device *d)
{
	int64_t D = q->c.d_model, TD = q->T * D, all = (q->S + q->T) * D;
	struct placed s;

	problem_place(q, &s, d);
	run_forward(q, &s);
	*o = (struct outcome){0};
	if (q->head) {
		float *zy = tiny_download(d, s.tape.head.zy, q->T);

		o->nll = tiny_download(d, s.tape.head.lse, q->T);
		for (int64_t i = 0; i < q->T; i++)
			o->nll[i] -= zy[i];
		free(zy);
		o->m = tiny_download(d, s.tape.head.m, TD);
		o->y = tiny_download(d, s.tape.head.y, TD);
		o->rn = q->dual ? tiny_download(d, s.tangent.head.n, TD) : NULL;
	} else {
		o->out = tiny_download(d, s.result, TD);
		o->rout = tiny_download(d, s.rresult, TD);
	}
	run_backward(q, &s);
	o->u = tiny_download(d, s.work.residual, TD);
	o->b = tiny_download(d, s.work.residual + TD, TD);
	o->g = tiny_download(d, s.g, q->p.n_float);
	for (int64_t l = q->first; l < q->last; l++)
		if (s.net.layer[l].kind == TTT__ATTENTION) {
			problem_turn(q, &s, s.adjoint[l].k, true);
			o->k[l] = tiny_download(d, s.kv[l].raw, all);
			o->v[l] = tiny_download(d, s.kv[l].v, all);
			o->ak[l] = tiny_download(d, s.adjoint[l].k, all);
			o->av[l] = tiny_download(d, s.adjoint[l].v, all);
		}
	problem_leave(&s);
}

/* Shapes of a chunk: own tokens, cached rows, window, blocks, suffix blocks. */
static const struct {
	int64_t T, S, window, L, P;
} chunk_shape[] = {
    {8, 0, 6, 2, 2}, {8, 5, 6, 2, 2}, {8, 7, 8, 2, 2}, {8, 30, 31, 2, 2}, {8, 5, 0, 2, 1}, {8, 5, 6, 3, 3}, {1, 5, 6, 2, 2}, {70, 15, 16, 2, 2},
};
#define N_CHUNK (sizeof chunk_shape / sizeof *chunk_shape)

/* From the first prime MLP to the loss. */
static inline struct problem
chunk_problem(size_t i)
{
	struct problem q = {.c = tiny_config(), .T = chunk_shape[i].T, .S = chunk_shape[i].S, .head = true, .tile = 7};

	q.c.window = chunk_shape[i].window;
	q.c.n_layer = chunk_shape[i].L;
	q.c.n_layer_suffix = chunk_shape[i].P;
	q.first = problem_split(&q.c);
	q.last = problem_n_layer(&q.c);
	return q;
}

#endif
