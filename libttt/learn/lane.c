/* The memory of one lane. */
#include <stdlib.h>

#include "libttt/learn/outer.h"

/* Key-value rows of every attention layer, and their adjoints for those of the suffix. */
static enum ttt_status
make_kv(struct ttt__lane *l, struct ttt_error *err)
{
	const struct ttt__net *n = l->net;
	int64_t D = n->config.d_model, floats, arrays = 0, used = 0;
	enum ttt_status status;

	l->kv = ttt__new((size_t)n->n_layer, sizeof *l->kv);
	l->adjoint = ttt__new((size_t)n->n_layer, sizeof *l->adjoint);
	l->kv_at = ttt__new((size_t)n->n_layer, sizeof *l->kv_at);
	l->adjoint_at = ttt__new((size_t)n->n_layer, sizeof *l->adjoint_at);
	if (!l->kv || !l->adjoint || !l->kv_at || !l->adjoint_at)
		return ttt__fail_memory(err, "keys and values");
	for (int64_t i = 0; i < n->n_layer; i++)
		if (n->layer[i].kind == TTT__ATTENTION)
			arrays += i < n->split ? 2 : 4;
	if (!ttt__i64_mul(&floats, l->T, D) || !ttt__i64_mul(&floats, floats, arrays))
		return ttt__fail_memory(err, "keys and values");
	status = ttt__device_floats(n->device, &l->kv_memory, floats, "keys and values", err);
	if (status)
		return status;
	for (int64_t i = 0; i < n->n_layer; i++) {
		if (n->layer[i].kind != TTT__ATTENTION)
			continue;
		l->kv[i] = (struct ttt__kv){.k = l->kv_memory + used, .v = l->kv_memory + used + l->T * D};
		used += 2 * l->T * D;
		if (i < n->split)
			continue;
		l->adjoint[i] = (struct ttt__kv){.k = l->kv_memory + used, .v = l->kv_memory + used + l->T * D};
		used += 2 * l->T * D;
	}
	return TTT_OK;
}

static enum ttt_status
make_arrays(struct ttt__lane *l, struct ttt_error *err)
{
	const struct ttt__parameters *p = l->net->parameters;
	int64_t TD = l->T * l->net->config.d_model, fast = p->n_fast, steps = l->meta ? l->n - 1 : 0, floats;
	enum ttt_status status;
	float *at;

	if (!ttt__i64_mul(&floats, fast, steps + 5) || !ttt__i64_add(&floats, floats, 2 * TD + 4 * l->T + p->n_float))
		return ttt__fail_memory(err, "the outer gradient");
	status = ttt__device_floats(l->net->device, &l->memory, floats, "the outer gradient", err);
	if (status)
		return status;
	at = l->memory;
	l->h = at;
	l->dh = at + TD;
	at += 2 * TD;
	l->w = at;
	l->v = at + fast;
	l->lambda = at + 2 * fast;
	l->held = at + 3 * fast;
	l->held_lambda = at + 4 * fast;
	l->steps = at + 5 * fast;
	at += (steps + 5) * fast;
	l->om = at;
	l->gradient = at + 4 * l->T;
	status = ttt__device_ids(l->net->device, &l->ids, l->T + 1, "the sequence", err);
	l->host = ttt__new((size_t)(5 * l->T), sizeof *l->host);
	l->norm = ttt__new((size_t)l->n, sizeof *l->norm);
	return status ? status : l->host && l->norm ? TTT_OK : ttt__fail_memory(err, "the sequence");
}

/* What is kept of chunks 0, 1, ... as far as keep bytes go. */
static enum ttt_status
make_kept(struct ttt__lane *l, int64_t keep, struct ttt_error *err)
{
	const struct ttt__net *n = l->net;
	int64_t each = ttt__tape_floats(n, TTT__TAPE_KEPT, n->split, n->n_layer, l->C), fit = each > 0 ? keep / (int64_t)sizeof(float) / each : 0;
	enum ttt_status status = TTT_OK;

	l->kept = ttt__new((size_t)l->n, sizeof *l->kept);
	if (!l->kept)
		return ttt__fail_memory(err, "the tapes");
	while (l->n_kept < l->n && l->n_kept < fit && !status)
		status = ttt__tape_create(&l->kept[l->n_kept++], n, TTT__TAPE_KEPT, n->split, n->n_layer, l->C, err);
	return status;
}

/* Tapes of the chunks; the input of a chunk's first layer is its part of the prefix's output. */
static enum ttt_status
make_chunks(struct ttt__lane *l, int64_t keep, struct ttt_error *err)
{
	const struct ttt__net *n = l->net;
	int64_t cached = n->window && n->window - 1 < l->T ? n->window - 1 : l->T;
	enum ttt_status status;

	l->suffix = ttt__new((size_t)l->n, sizeof *l->suffix);
	if (!l->suffix)
		return ttt__fail_memory(err, "the tapes");
	for (int64_t i = 0; i < l->n; i++) {
		status = ttt__tape_create(&l->suffix[i], n, TTT__TAPE_STACKED, n->split, n->n_layer, l->C, err);
		if (status)
			return status;
		l->suffix[i].layer[n->split].x = l->h + i * l->C * n->config.d_model;
	}
	if ((status = make_kept(l, keep, err)) || (status = ttt__ngram_create(&l->ngram, &n->config, err)))
		return status;
	l->biases = ttt__new((size_t)l->n, sizeof *l->biases);
	if (!l->biases)
		return ttt__fail_memory(err, "the n-grams");
	status = ttt__biases_create(l->biases, l->n, n, err);
	if (status)
		return status;
	status = ttt__tape_create(&l->tangent, n, TTT__TAPE_TANGENTS, n->split, n->n_layer, l->C, err);
	return status ? status : ttt__work_create(&l->chunk, n, l->C, cached, err);
}

enum ttt_status
ttt__lane_create(struct ttt__lane *out, const struct ttt__net *n, bool meta, int64_t T, int64_t keep, struct ttt_error *err)
{
	enum ttt_status status;

	*out = (struct ttt__lane){.net = n, .meta = meta && n->split < n->n_layer, .T = T, .C = n->config.chunk};
	out->n = T / out->C;
	if ((status = make_kv(out, err)) || (status = make_arrays(out, err)) ||
	    (status = ttt__work_create(&out->whole, n, T, 0, err)) ||
	    (status = ttt__tape_create(&out->prefix, n, TTT__TAPE_VALUES, 0, out->meta ? n->split : n->n_layer, T, err)))
		return status;
	return out->meta ? make_chunks(out, keep, err) : TTT_OK;
}

void
ttt__lane_free(struct ttt__lane *l)
{
	if (!l->net)
		return;
	for (int64_t i = 0; l->suffix && i < l->n; i++)
		ttt__tape_free(&l->suffix[i], l->net);
	free(l->suffix);
	for (int64_t i = 0; i < l->n_kept; i++)
		ttt__tape_free(&l->kept[i], l->net);
	free(l->kept);
	if (l->biases)
		ttt__biases_free(l->biases, l->net);
	free(l->biases);
	ttt__ngram_free(&l->ngram);
	ttt__tape_free(&l->tangent, l->net);
	ttt__tape_free(&l->prefix, l->net);
	ttt__work_free(&l->whole, l->net);
	ttt__work_free(&l->chunk, l->net);
	ttt__device_release(l->net->device, l->kv_memory);
	ttt__device_release(l->net->device, l->memory);
	ttt__device_release(l->net->device, l->ids);
	free(l->kv);
	free(l->adjoint);
	free(l->kv_at);
	free(l->adjoint_at);
	free(l->host);
	free(l->norm);
	*l = (struct ttt__lane){0};
}
