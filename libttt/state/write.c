/* A state written: sizes and checksums first, then the manifest, then the members. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "libttt/file.h"
#include "libttt/json.h"
#include "libttt/learn/ngram.h"
#include "libttt/learn/session.h"
#include "libttt/state/members.h"

enum { COPY = 65536 };

typedef enum ttt_status produce_fn(struct ttt_state *s, struct ttt__sink *k, struct ttt_error *err);

/* One member to write: made by a function, or copied from the spool. */
struct part {
	const char *name;
	produce_fn *produce;
	const struct ttt__extra *extra;
};

static enum ttt_status
put_extra(struct ttt_state *s, const struct ttt__extra *x, struct ttt__sink *k, struct ttt_error *err)
{
	enum ttt_status status = TTT_OK;
	uint64_t at = 0;

	while (at < x->member.size && status == TTT_OK) {
		size_t n = x->member.size - at < COPY ? (size_t)(x->member.size - at) : COPY;

		status = ttt__spool_read(s->extra_fd, s->text, n, x->offset + (int64_t)at, err);
		if (status == TTT_OK)
			status = ttt__sink_put(k, s->text, n, err);
		at += n;
	}
	return status;
}

static enum ttt_status
produce(struct ttt_state *s, const struct part *p, struct ttt__sink *k, struct ttt_error *err)
{
	return p->produce != NULL ? p->produce(s, k, err) : put_extra(s, p->extra, k, err);
}

static bool
keeps_ngrams(const struct ttt_state *s, bool tail)
{
	return s->model->config.n_ngram > 0 && !tail;
}

static void
set_ngrams(struct ttt_state_info *i, const struct ttt_state *s, bool tail)
{
	bool kept = keeps_ngrams(s, tail);

	i->version = kept ? TTT__STATE_VERSION : TTT__STATE_PLAIN;
	i->n_bias = kept ? ttt__ngram_count(ttt__session_ngram(s->session)) : -1;
}

enum ttt_status
ttt__state_manifest(struct ttt_state *s, struct ttt__manifest *m, struct ttt_error *err)
{
	struct ttt_state_info *i = &m->info;
	struct ttt__guard guard = ttt__session_guard(s->session);
	char text[TTT__EXCERPT];
	double moved, initial;
	size_t n_byte;

	memset(m, 0, sizeof(*m));
	if (ttt_session_n_token(s->session) != s->n_fed)
		return ttt__fail(err, TTT_E_USAGE,
		    "the state's session was fed directly: what it holds cannot be told");
	if (s->curve.n + s->curve.n_partial > 0 && !(isfinite(s->loss_last) && isfinite(s->curve.sum)))
		return ttt__fail(err, TTT_E_RANGE, "the loss is no longer a finite number: the rate is too large");
	(void)snprintf(i->model_name, sizeof(i->model_name), "%s", ttt__excerpt(text, ttt_model_name(s->model)));
	(void)snprintf(i->model_checksum, sizeof(i->model_checksum), "%s", ttt_model_checksum(s->model));
	(void)snprintf(i->rule, sizeof(i->rule), "sgd");
	i->rate = s->rate;
	i->n_token = s->n_fed;
	i->n_byte = s->n_byte;
	(void)ttt_session_pending(s->session, &i->n_pending_token);
	i->n_chunk = (i->n_token - i->n_pending_token) / s->model->config.chunk;
	(void)ttt_state_pending(s, &n_byte);
	i->n_pending_byte = (int64_t)n_byte;
	i->n_source = (int64_t)s->sources.n;
	i->n_passage_byte = s->keeps_passages ? (int64_t)ttt__passages_size(&s->passages) : 0;
	i->n_passage_record = s->keeps_passages ? (int64_t)ttt__passages_count(&s->passages) : 0;
	i->loss_first = s->loss_first;
	i->loss_last = s->loss_last;
	ttt_session_drift(s->session, &moved, &initial);
	i->guards = guard.count;
	i->n_mean = guard.n_settled;
	m->n_noisy = guard.noisy;
	i->drift = initial > 0 ? moved / initial : 0;
	i->has_window = true;
	set_ngrams(i, s, false);
	m->keeps_passages = s->keeps_passages;
	m->passages_max = s->passages.max;
	m->open_record = s->keeps_passages && s->passages.n_open > 0;
	m->line = s->passages.line;
	m->begun = ttt_state_begun(s);
	m->curve_stride = s->curve.stride;
	m->curve_partial = s->curve.n_partial;
	m->curve_sum = s->curve.sum;
	m->check_loss = NAN;
	(void)snprintf(m->check_precision, sizeof(m->check_precision), "%s", s->model->half != NULL ? "bf16" : "f32");
	return TTT_OK;
}

/* The check is computed on just what the reader of the file will have: the window as it is and the n-grams, or a window made again and
 * none. */
static enum ttt_status
check_loss(struct ttt_state *s, bool tail, double *loss, struct ttt_error *err)
{
	struct ttt_session *copy;
	enum ttt_status status;

	if (!tail)
		return ttt__state_check_loss(s, s->session, loss, err);
	status = ttt_session_clone(&copy, s->session, err);
	if (status != TTT_OK)
		return status;
	ttt__ngram_reset(ttt__session_ngram(copy));
	status = ttt__state_remake_window(s, copy, err);
	if (status == TTT_OK)
		status = ttt__state_check_loss(s, copy, loss, err);
	ttt_session_free(copy);
	return status;
}

static size_t
list_parts(const struct ttt_state *s, bool tail, struct part *p)
{
	size_t n = 0;

	p[n++] = (struct part){ .name = "fast.safetensors", .produce = ttt__put_fast };
	if (ttt__session_has(s->session, TTT__FAST_MEAN))
		p[n++] = (struct part){ .name = "mean.safetensors", .produce = ttt__put_mean };
	if (ttt__session_has(s->session, TTT__FAST_GOOD))
		p[n++] = (struct part){ .name = "good.safetensors", .produce = ttt__put_good };
	if (keeps_ngrams(s, tail))
		p[n++] = (struct part){ .name = "ngrams", .produce = ttt__put_ngrams };
	if (!tail)
		p[n++] = (struct part){ .name = "window.safetensors", .produce = ttt__put_window };
	p[n++] = (struct part){ .name = "pending", .produce = ttt__put_pending };
	p[n++] = (struct part){ .name = "recent", .produce = ttt__put_recent };
	p[n++] = (struct part){ .name = "sources.tsv", .produce = ttt__put_sources };
	if (s->keeps_passages)
		p[n++] = (struct part){ .name = "passages", .produce = ttt__put_passages };
	p[n++] = (struct part){ .name = "curve.tsv", .produce = ttt__put_curve };
	for (size_t i = 0; i < s->n_extra; i++)
		p[n++] = (struct part){ .name = s->extra[i].member.name, .extra = &s->extra[i] };
	return n;
}

/* First pass: what the manifest must say of every member. */
static enum ttt_status
measure(struct ttt_state *s, const struct part *p, size_t n, struct ttt__manifest *m, struct ttt_error *err)
{
	enum ttt_status status = TTT_OK;
	char hex[65];

	for (size_t i = 0; i < n && status == TTT_OK; i++) {
		struct ttt__sink k = { .n = 0 };

		ttt__checksum_start(&k.sum);
		status = produce(s, &p[i], &k, err);
		ttt__checksum_end(&k.sum, hex);
		if (status == TTT_OK)
			status = ttt__manifest_add(m, p[i].name, k.n, hex, "the state", err);
	}
	return status;
}

static enum ttt_status
write_parts(struct ttt_state *s, const struct part *p, const struct ttt__manifest *m, const struct ttt__bytes *json,
    struct ttt__tar_out *tar, struct ttt_error *err)
{
	enum ttt_status status = ttt__tar_out_member(tar, "manifest.json", json->n, err);

	if (status == TTT_OK)
		status = ttt__tar_out_data(tar, json->p, json->n, err);
	for (size_t i = 0; i < m->n_member && status == TTT_OK; i++) {
		struct ttt__sink k = { .tar = tar };

		status = ttt__tar_out_member(tar, m->member[i].name, m->member[i].size, err);
		if (status == TTT_OK)
			status = produce(s, &p[i], &k, err);
	}
	return status;
}

static enum ttt_status
write_state(struct ttt_state *s, FILE *f, const char *label, const struct ttt_save_options *o, struct ttt__manifest *m,
    struct part *p, struct ttt_error *err)
{
	bool tail = o != NULL && o->window_tail;
	size_t n = list_parts(s, tail, p);
	struct ttt__bytes json = { 0 };
	struct ttt__tar_out tar;
	enum ttt_status status;

	if (tail && s->model->config.window == 0)
		return ttt__fail(err, TTT_E_UNSUPPORTED,
		    "model '%s' attends to everything: its window cannot be left out of the state",
		    ttt_model_name(s->model));
	status = ttt__state_manifest(s, m, err);
	m->info.has_window = !tail;
	set_ngrams(&m->info, s, tail);
	if (status == TTT_OK)
		status = check_loss(s, tail, &m->check_loss, err);
	if (status == TTT_OK)
		status = measure(s, p, n, m, err);
	if (status == TTT_OK)
		status = ttt__manifest_format(m, &json, err);
	if (status == TTT_OK)
		status = ttt__tar_out_open(&tar, f, label, o != NULL ? o->compress : TTT_COMPRESS_GZIP, err);
	if (status == TTT_OK) {
		status = write_parts(s, p, m, &json, &tar, err);
		if (status == TTT_OK)
			status = ttt__tar_out_close(&tar, err);
		else
			ttt__tar_out_abort(&tar);
	}
	ttt__bytes_free(&json);
	return status;
}

static enum ttt_status
write_labelled(struct ttt_state *s, FILE *f, const char *label, const struct ttt_save_options *o, struct ttt_error *err)
{
	struct ttt__manifest *m = ttt__new(1, sizeof(*m));
	struct part *p = ttt__new(10 + s->n_extra, sizeof(*p));
	enum ttt_status status;

	if (m == NULL || p == NULL)
		status = ttt__fail_memory(err, "the state");
	else
		status = write_state(s, f, label, o, m, p, err);
	free(m);
	free(p);
	return status;
}

enum ttt_status
ttt_state_write(struct ttt_state *s, FILE *f, const struct ttt_save_options *o, struct ttt_error *err)
{
	return write_labelled(s, f, "the state", o, err);
}

enum ttt_status
ttt_state_save(struct ttt_state *s, const char *path, const struct ttt_save_options *o, struct ttt_error *err)
{
	struct ttt__replace r;
	enum ttt_status status = ttt__replace_open(&r, path, false, err);

	return status == TTT_OK ? ttt__replace_end(&r, write_labelled(s, r.f, path, o, err), err) : status;
}

enum ttt_status
ttt_state_info(struct ttt_state *s, struct ttt_state_info *out, struct ttt_error *err)
{
	struct ttt__manifest *m = ttt__new(1, sizeof(*m));
	enum ttt_status status;

	if (m == NULL)
		return ttt__fail_memory(err, "the state");
	status = ttt__state_manifest(s, m, err);
	if (status == TTT_OK)
		*out = m->info;
	free(m);
	return status;
}
