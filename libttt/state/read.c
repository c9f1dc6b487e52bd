/* A state read: the manifest, then member by member what it announces, all of it checked before the state is handed
 * out. */
#include <math.h>
#include <string.h>

#include "libttt/json.h"
#include "libttt/learn/session.h"
#include "libttt/state/reader.h"

static const struct known {
	const char *name;
	enum ttt_status (*load)(struct ttt__reader *r, struct ttt_state *s, struct ttt_error *err);
} known[] = {
	{ "fast.safetensors", ttt__load_fast },
	{ "mean.safetensors", ttt__load_mean },
	{ "good.safetensors", ttt__load_good },
	{ "ngrams", ttt__load_ngrams },
	{ "window.safetensors", ttt__load_window },
	{ "pending", ttt__load_pending },
	{ "recent", ttt__load_recent },
	{ "sources.tsv", ttt__load_sources },
	{ "passages", ttt__load_passages },
	{ "curve.tsv", ttt__load_curve },
};
enum { FAST, MEAN, GOOD, NGRAMS, WINDOW, PENDING, RECENT, SOURCES, PASSAGES, CURVE, N_KNOWN };

static enum ttt_status
check_model(const struct ttt__reader *r, const struct ttt_model *m, struct ttt_error *err)
{
	const struct ttt_state_info *i = &r->manifest->info;
	char text[TTT__EXCERPT], sum[TTT__EXCERPT];

	if (strcmp(i->model_checksum, ttt_model_checksum(m)) == 0)
		return TTT_OK;
	(void)ttt__fail(err, TTT_E_SHAPE, "%s: made with model '%s' (%.8s), not with '%s' (%.8s)", r->label,
	    ttt__excerpt(text, i->model_name), ttt__excerpt(sum, i->model_checksum), ttt_model_name(m),
	    ttt_model_checksum(m));
	return ttt__hint(err, TTT_E_SHAPE, "use -m with the directory of the model that it was made with");
}

/* The members that must be there are, in the one order in which each finds what it builds on; the numbers agree. */
static enum ttt_status
check_manifest(const struct ttt__reader *r, const struct ttt_model *m, struct ttt_error *err)
{
	const struct ttt__manifest *f = r->manifest;
	const struct ttt_state_info *i = &f->info;
	int64_t n_done = i->n_token - i->n_pending_token, chunk = m->config.chunk;
	size_t at = 0;

	for (size_t k = 0; k < N_KNOWN; k++) {
		if ((k == WINDOW && !i->has_window) || (k == PASSAGES && !f->keeps_passages) ||
		    (k == MEAN && i->n_mean == 0) || (k == GOOD && f->n_noisy == 0) || (k == NGRAMS && i->n_bias < 0))
			continue;
		if (at == f->n_member || strcmp(f->member[at].name, known[k].name) != 0)
			return ttt__fail(err, TTT_E_FORMAT, "%s: manifest.json: %s is missing or out of order",
			    r->label, known[k].name);
		at++;
	}
	for (; at < f->n_member; at++)
		for (size_t k = 0; k < N_KNOWN; k++)
			if (strcmp(f->member[at].name, known[k].name) == 0)
				return ttt__fail(err, TTT_E_FORMAT, "%s: manifest.json: %s is out of order", r->label,
				    known[k].name);
	if (i->n_pending_token > chunk || n_done % chunk != 0 || n_done / chunk != i->n_chunk ||
	    (i->n_pending_token == 0) != (i->n_token == 0) || (!i->has_window && m->config.window == 0) ||
	    isfinite(i->loss_last) != (i->n_chunk > 0) || isfinite(f->check_loss) != (i->n_chunk > 0))
		return ttt__fail(err, TTT_E_FORMAT,
		    "%s: manifest.json: its numbers contradict one another or the model", r->label);
	return TTT_OK;
}

static enum ttt_status
load_member(struct ttt__reader *r, struct ttt_state *s, const struct ttt__member *m, struct ttt_error *err)
{
	enum ttt_status status = ttt__reader_begin(r, m, err);
	size_t k = 0;

	if (status != TTT_OK)
		return status;
	while (k < N_KNOWN && strcmp(m->name, known[k].name) != 0)
		k++;
	status = k < N_KNOWN ? known[k].load(r, s, err) : ttt__load_extra(r, s, err);
	/* a model that fits was checked before: what does not fit it now is damage */
	if (status == TTT_E_SHAPE || status == TTT_E_RANGE) {
		status = TTT_E_FORMAT;
		if (err != NULL)
			err->status = status;
	}
	return status == TTT_OK ? ttt__reader_end(r, err) : status;
}

/* What the caller leaves open is as it was when the state was saved. */
static struct ttt_state_options
merge_options(const struct ttt_state_options *o, const struct ttt__manifest *m)
{
	struct ttt_state_options out = { 0 };

	if (o != NULL)
		out = *o;
	if (out.rate == 0)
		out.rate = m->info.rate;
	if (out.passages_max == 0)
		out.passages_max = (size_t)m->passages_max;
	out.no_passages = out.no_passages || !m->keeps_passages;
	return out;
}

static enum ttt_status
load(struct ttt__reader *r, struct ttt_state *s, struct ttt_error *err)
{
	const struct ttt__manifest *m = r->manifest;
	enum ttt_status status = TTT_OK;

	for (size_t i = 0; i < m->n_member && status == TTT_OK; i++)
		status = load_member(r, s, &m->member[i], err);
	if (status == TTT_OK)
		status = ttt__reader_finish(r, err);
	if (status != TTT_OK)
		return status;
	ttt__session_guard_set(s->session, &(struct ttt__guard){ m->info.n_mean, m->n_noisy, m->info.guards });
	s->n_byte = m->info.n_byte;
	s->loss_first = m->info.loss_first;
	s->loss_last = m->info.loss_last;
	return m->info.has_window ? TTT_OK : ttt__state_remake_window(s, s->session, err);
}

/* Another processor sums in another order; products in bfloat16 and in float32 are further apart, and a state older than the note may
 * have had either. Where such a one has no window, its loss was of keys turned to other places than those of the stream. */
static double
check_tolerance(const struct ttt__manifest *f, const struct ttt_model *m)
{
	if (f->check_precision[0] == '\0' && !f->info.has_window)
		return INFINITY;
	return strcmp(f->check_precision, "f32") == 0 && m->half == NULL ? 1e-4 : 2e-2;
}

enum ttt_status
ttt__state_read(struct ttt_state **out, const char *path, const struct ttt_model *m, const struct ttt_state_options *o,
    struct ttt__check *check, struct ttt_error *err)
{
	struct ttt_state_options merged;
	struct ttt_state *s = NULL;
	struct ttt__reader r;
	enum ttt_status status = ttt__reader_open(&r, path, err);

	*out = NULL;
	if (status != TTT_OK)
		return status;
	status = check_model(&r, m, err);
	if (status == TTT_OK)
		status = check_manifest(&r, m, err);
	merged = merge_options(o, r.manifest);
	if (status == TTT_OK)
		status = ttt_state_create(&s, m, &merged, err);
	if (status == TTT_OK)
		status = load(&r, s, err);
	if (status == TTT_OK && check != NULL)
		*check = (struct ttt__check){ r.manifest->check_loss, check_tolerance(r.manifest, m) };
	ttt__reader_close(&r);
	if (status == TTT_OK)
		*out = s;
	else
		ttt_state_free(s);
	return status;
}

enum ttt_status
ttt_state_open(struct ttt_state **out, const char *path, const struct ttt_model *m, const struct ttt_state_options *o,
    struct ttt_error *err)
{
	return ttt__state_read(out, path, m, o, NULL, err);
}

enum ttt_status
ttt_state_info_read(struct ttt_state_info *out, const char *path, struct ttt_error *err)
{
	struct ttt__reader r;
	enum ttt_status status = ttt__reader_open(&r, path, err);

	if (status != TTT_OK)
		return status;
	*out = r.manifest->info;
	ttt__reader_close(&r);
	return TTT_OK;
}
