/* The tangent form of the reverse sweep against the two-pass form of METAGRAD section 6, chunk by chunk: ordinary passes at W + e v and W - e v,
 * which need no tangent formula at all, give the same lambda, kappa, dh and slow gradients. */
#include "libttt/learn/inner.h"
#include "outer_cases.h"
#include "on_devices.h"

/* What one chunk of the reverse sweep changes. */
struct reversed {
	float *lambda, *g, *dh, *adjoint;
};

/* A lane driven from here, with buffers to go back to. */
struct twin {
	struct ttt__lane l;
	struct ttt__net net;
	struct ttt__outer o;
	struct ttt_device *d;
	int64_t fast, n_adjoint, split, n_layer;
	float *unit, *scaled_om; /* v / |v|, [2, C] */
};

static struct ttt__run
twin_run(struct twin *z, int64_t i)
{
	struct ttt__lane *l = &z->l;
	int64_t first = i * l->C, D = z->net.config.d_model;
	int64_t S = z->net.window && first > z->net.window - 1 ? z->net.window - 1 : first, at = (first - S) * D;

	for (int64_t j = z->split; j < z->n_layer; j++)
		if (z->net.layer[j].kind == TTT__ATTENTION) {
			l->kv_at[j] = (struct ttt__kv){.k = l->kv[j].k + at, .v = l->kv[j].v + at};
			l->adjoint_at[j] = (struct ttt__kv){.k = l->adjoint[j].k + at, .v = l->adjoint[j].v + at};
		}
	return (struct ttt__run){.net = &z->net, .w = {.slow = z->o.weights, .fast = l->w}, .work = &l->chunk, .tape = &l->suffix[i], .T = l->C,
	    .S = S, .angle = z->net.rope + first * z->net.config.d_head, .kv = l->kv_at};
}

/* The prefix and the inner steps, weights left at W_n; inner and outer row weights as the lane keeps them. */
static void
twin_sweep(struct twin *z, const int32_t *ids)
{
	struct ttt__lane *l = &z->l;
	struct ttt__run whole = {.net = &z->net, .w = {.slow = z->o.weights, .fast = z->o.weights + z->net.parameters->fast_offset},
	    .work = &l->whole, .tape = &l->prefix, .T = l->T, .angle = z->net.rope, .kv = l->kv};

	z->d->ops->upload(z->d, l->ids, ids, (size_t)(l->T + 1) * sizeof *ids);
	ttt__embed_forward(&whole, l->prefix.layer[0].x, l->ids);
	ttt__net_forward(&whole, 0, z->split, l->h);
	z->d->ops->copy(z->d, l->w, whole.w.fast, (size_t)z->fast * sizeof(float));
	for (int64_t i = 0; i < l->n; i++) {
		struct ttt__run r = twin_run(z, i);
		float *om = l->om + 4 * i * l->C, *step = l->steps + i * z->fast;
		struct ttt__row_weights inner = {om, om + l->C};
		struct ttt__gradients g = {.fast = step};

		ttt__fill_row_weights(l->host, ids + 1 + i * l->C, l->C, z->net.config.bos, 1);
		ttt__fill_row_weights(l->host + 2 * l->C, ids + 1 + i * l->C, l->C, z->net.config.bos, z->o.seed);
		z->d->ops->upload(z->d, om, l->host, (size_t)(4 * l->C) * sizeof(float));
		ttt__net_forward(&r, z->split, z->n_layer, NULL);
		ttt__head_forward(&r, l->ids + 1 + i * l->C, true);
		if (i == l->n - 1)
			return;
		z->d->ops->zero(z->d, step, z->fast);
		ttt__head_backward(&r, &g, l->ids + 1 + i * l->C, NULL, &inner);
		ttt__net_backward(&r, &g, z->split, z->n_layer, NULL, true);
		ttt__inner_step(z->d, l->w, step, z->fast, z->o.inner_rate, z->o.inner_clip, &l->norm[i]);
	}
}

/* Arrays of the lane that a pass adds to: copied out, or put back. */
static struct reversed
twin_take(const struct twin *z)
{
	const struct ttt__lane *l = &z->l;

	return (struct reversed){tiny_download(z->d, l->lambda, z->fast), tiny_download(z->d, l->gradient, z->net.parameters->n_float),
	    tiny_download(z->d, l->chunk.residual, l->C * z->net.config.d_model), tiny_download(z->d, l->kv_memory, z->n_adjoint)};
}

static void
twin_put(struct twin *z, const struct reversed *r)
{
	z->d->ops->upload(z->d, z->l.lambda, r->lambda, (size_t)z->fast * sizeof(float));
	z->d->ops->upload(z->d, z->l.gradient, r->g, (size_t)z->net.parameters->n_float * sizeof(float));
	z->d->ops->upload(z->d, z->l.kv_memory, r->adjoint, (size_t)z->n_adjoint * sizeof(float));
}

static void
reversed_free(struct reversed *r)
{
	free(r->lambda);
	free(r->g);
	free(r->dh);
	free(r->adjoint);
}

/* One chunk's reverse step as METAGRAD section 3 has it. v: along the lane's v. */
static void
tangent_form(struct twin *z, int64_t i, bool v)
{
	struct ttt__lane *l = &z->l;
	struct ttt__run r = twin_run(z, i);
	struct ttt__gradients g = {.slow = l->gradient, .fast = l->lambda};
	float *om = l->om + 4 * i * l->C;
	struct ttt__row_weights inner = {om, om + l->C}, outer = {om + 2 * l->C, om + 3 * l->C};

	if (v) {
		r.w.v = l->v;
		r.tangent = &l->tangent;
		ttt__tape_stack(&l->tangent, r.tape, &z->net, z->split, z->n_layer, l->C);
		ttt__net_tangent(&r);
		ttt__head_tangent(&r);
	}
	ttt__head_backward(&r, &g, l->ids + 1 + i * l->C, &inner, &outer);
	ttt__net_backward(&r, &g, z->split, z->n_layer, l->adjoint_at, false);
}

/* kappa / 2 for the chunk's own keys and values, as the pass finds them. */
static void
halve_kappa(struct twin *z, int64_t i, const float *kappa, int64_t layer)
{
	struct ttt__lane *l = &z->l;
	int64_t D = z->net.config.d_model, at = i * l->C * D;
	float *to[2] = {l->adjoint[layer].k, l->adjoint[layer].v};

	for (int j = 0; j < 2; j++) {
		z->d->ops->upload(z->d, to[j] + at, kappa + (to[j] - l->kv_memory) + at, (size_t)(l->C * D) * sizeof(float));
		z->d->ops->combine(z->d, to[j] + at, 0.5, to[j] + at, 0, to[j] + at, l->C * D);
	}
}

/* The same by ordinary passes at W + e v and W - e v, e in units of |v|. residual is left as the sum of both. */
static void
two_passes(struct twin *z, int64_t i, double e, const struct reversed *before)
{
	struct ttt__lane *l = &z->l;
	struct ttt__gradients g = {.slow = l->gradient, .fast = l->lambda};
	double size = sqrt(z->d->ops->dot(z->d, l->v, l->v, z->fast));
	int64_t CD = l->C * z->net.config.d_model;
	float *om = l->om + 4 * i * l->C, *sum = tiny_upload(z->d, NULL, CD), *keep = tiny_download(z->d, l->w, z->fast);
	struct ttt__row_weights outer = {z->scaled_om, z->scaled_om + l->C};

	z->d->ops->combine(z->d, z->unit, 1 / size, l->v, 0, l->v, z->fast);
	for (int sign = 1; sign >= -1; sign -= 2) {
		struct ttt__run r = twin_run(z, i);

		z->d->ops->upload(z->d, l->w, keep, (size_t)z->fast * sizeof(float));
		z->d->ops->axpy(z->d, l->w, sign * e, z->unit, z->fast);
		z->d->ops->combine(z->d, z->scaled_om, z->o.seed / 2 + sign * size / (2 * e), om, 0, om, 2 * l->C);
		for (int64_t j = z->split; j < z->n_layer; j++)
			if (z->net.layer[j].kind == TTT__ATTENTION)
				halve_kappa(z, i, before->adjoint, j);
		ttt__net_forward(&r, z->split, z->n_layer, NULL);
		ttt__head_forward(&r, l->ids + 1 + i * l->C, true);
		ttt__head_backward(&r, &g, l->ids + 1 + i * l->C, NULL, &outer);
		ttt__net_backward(&r, &g, z->split, z->n_layer, l->adjoint_at, false);
		z->d->ops->axpy(z->d, sum, 1, l->chunk.residual, CD);
	}
	z->d->ops->copy(z->d, l->chunk.residual, sum, (size_t)CD * sizeof(float));
	z->d->ops->upload(z->d, l->w, keep, (size_t)z->fast * sizeof(float));
	ttt__device_release(z->d, sum);
	free(keep);
}

/* How far the two forms are apart in each thing they give, at the best of the steps tried: rounding grows as a step falls, truncation as it
 * rises, and a formula that is wrong stays wrong at all of them. */
struct apart {
	const char *what[128];
	double error[128];
	int n, at;
};

static void
apart_note(struct apart *x, const char *what, double error)
{
	assert_true(x->at < 128);
	x->what[x->at] = what;
	x->error[x->at] = x->at < x->n ? fmin(x->error[x->at], error) : error;
	x->at++;
}

/* All that the two forms of one chunk's reverse step give; of kappa the rows of older tokens. */
static void
compare_forms(struct apart *x, const struct twin *z, int64_t chunk, const struct reversed *a, const struct reversed *b,
    const struct reversed *before)
{
	const struct ttt__parameters *p = z->net.parameters;
	int64_t D = z->net.config.d_model, older = chunk * z->l.C * D;
	double all = 0; /* gradients that are nothing but for rounding count against the rest */

	for (int64_t k = 0; k < p->fast_offset; k++)
		all += pow((double)b->g[k] - (double)before->g[k], 2);
	all = 1e-2 * sqrt(all);
	x->at = 0;
	apart_note(x, "lambda", difference(a->lambda, b->lambda, before->lambda, z->fast, 0));
	apart_note(x, "dh", difference(a->dh, b->dh, NULL, z->l.C * D, 0));
	for (int64_t k = 0; k < p->n && p->p[k].offset < p->fast_offset; k++) {
		int64_t at = p->p[k].offset;

		apart_note(x, p->p[k].name, difference(a->g + at, b->g + at, before->g + at, p->p[k].n, all));
	}
	for (int64_t j = z->split; j < z->n_layer; j++)
		if (z->net.layer[j].kind == TTT__ATTENTION) {
			int64_t k = z->l.adjoint[j].k - z->l.kv_memory, v = z->l.adjoint[j].v - z->l.kv_memory;

			apart_note(x, "kappa of keys", difference(a->adjoint + k, b->adjoint + k, before->adjoint + k, older, all));
			apart_note(x, "kappa of values", difference(a->adjoint + v, b->adjoint + v, before->adjoint + v, older, all));
		}
	x->n = x->at;
}

/* a <- (4 a - b) / 3: steps e and 2e, the error of order e^2 gone */
static void
extrapolate(float *a, const float *b, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		a[i] = (float)((4 * (double)a[i] - (double)b[i]) / 3);
}

/* The two-pass form from before, to which the lane returns. */
static struct reversed
two_forms(struct twin *z, int64_t chunk, double e, const struct reversed *before)
{
	struct reversed near, far;

	two_passes(z, chunk, e, before);
	near = twin_take(z);
	twin_put(z, before);
	two_passes(z, chunk, 2 * e, before);
	far = twin_take(z);
	twin_put(z, before);
	extrapolate(near.lambda, far.lambda, z->fast);
	extrapolate(near.g, far.g, z->net.parameters->n_float);
	extrapolate(near.dh, far.dh, z->l.C * z->net.config.d_model);
	extrapolate(near.adjoint, far.adjoint, z->n_adjoint);
	reversed_free(&far);
	return near;
}

static double worst_passes;

/* One chunk's reverse step in both forms, from where the lane stands; it goes on with the tangent form's. */
static void
compare_chunk(size_t i, struct twin *z, int64_t chunk)
{
	static const double step[] = {0.008, 0.004, 0.002, 0.001};
	struct reversed before = twin_take(z), tangent, passes;
	struct apart x = {.n = 0};

	tangent_form(z, chunk, true);
	tangent = twin_take(z);
	twin_put(z, &before);
	for (int k = 0; k < 4; k++) {
		passes = two_forms(z, chunk, step[k], &before);
		compare_forms(&x, z, chunk, &tangent, &passes, &before);
		reversed_free(&passes);
	}
	for (int k = 0; k < x.n; k++) {
		worst_passes = fmax(worst_passes, x.error[k]);
		if (!(x.error[k] <= 1e-3))
			fail_msg("%s, chunk %d: %s of the two forms differs by %.1e", shape[i].label, (int)chunk, x.what[k], x.error[k]);
	}
	twin_put(z, &tangent);
	reversed_free(&before);
	reversed_free(&tangent);
}

/* Chunks in reverse; the last has no tangent. */
static void
twin_reverse(size_t i, struct twin *z)
{
	struct ttt__lane *l = &z->l;

	tangent_form(z, l->n - 1, false);
	for (int64_t c = l->n - 2; c >= 0; c--) {
		ttt__inner_unstep(z->d, l->w, l->steps + c * z->fast, z->fast, z->o.inner_rate, z->o.inner_clip, l->norm[c]);
		ttt__inner_adjoint(z->d, l->v, l->lambda, l->steps + c * z->fast, z->fast, z->o.inner_rate, z->o.inner_clip, l->norm[c]);
		compare_chunk(i, z, c);
	}
}

static void
check_two_passes(size_t i, struct ttt_device *d)
{
	struct ttt_config c = config_of(i);
	int32_t *ids = ids_of(i, &c, i + 40);
	int64_t T = shape[i].n * c.chunk;
	struct twin z = {.d = d};
	struct ttt_model m;
	double loss;
	float *lambda, *fast;

	tiny_model_create(&m, d, &c, i + 20);
	TINY_OK(ttt__net_create(&z.net, d, &m.config, &m.parameters, c.window, T + c.chunk, &err));
	TINY_OK(ttt__lane_create(&z.l, &z.net, true, T, 0, &err));
	z.o = (struct ttt__outer){.weights = m.weights, .inner_rate = shape[i].rate, .inner_clip = c.inner_clip, .seed = 1 / (double)shape[i].n};
	z.fast = m.parameters.n_fast;
	z.split = z.net.split;
	z.n_layer = z.net.n_layer;
	for (int64_t j = 0; j < z.n_layer; j++)
		if (z.net.layer[j].kind == TTT__ATTENTION)
			z.n_adjoint += (j < z.split ? 2 : 4) * T * c.d_model;
	z.unit = tiny_upload(d, NULL, z.fast);
	z.scaled_om = tiny_upload(d, NULL, 2 * c.chunk);
	d->ops->zero(d, z.l.gradient, m.parameters.n_float);
	d->ops->zero(d, z.l.lambda, z.fast);
	d->ops->zero(d, z.l.kv_memory, z.n_adjoint);
	twin_sweep(&z, ids);
	twin_reverse(i, &z);
	/* The lane by itself ends with the same lambda. */
	lambda = tiny_download(d, z.l.lambda, z.fast);
	d->ops->zero(d, z.l.gradient, m.parameters.n_float);
	ttt__outer_gradient(&z.l, &z.o, ids, &loss);
	fast = tiny_download(d, z.l.gradient + m.parameters.fast_offset, z.fast);
	assert_true(difference(lambda, fast, NULL, z.fast, 0) < 1e-5);
	free(lambda);
	free(fast);
	free(ids);
	ttt__device_release(d, z.unit);
	ttt__device_release(d, z.scaled_om);
	ttt__lane_free(&z.l);
	ttt__net_free(&z.net);
	tiny_model_free(&m);
}

static void
test_two_passes(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SHAPE; i++)
		check_two_passes(i, devices.at[i % (size_t)devices.n].device);
	print_message("largest difference of the two forms %.1e\n", worst_passes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_two_passes),
	};

	return cmocka_run_group_tests(tests, open_devices, close_devices);
}
