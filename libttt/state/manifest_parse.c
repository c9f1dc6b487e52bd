/* manifest.json read: a wrong seal, an unknown version, a missing or impossible value end it. */
#include "libttt/state/manifest.h"

#include <math.h>
#include <string.h>

#include "libttt/checksum.h"
#include "libttt/json.h"

/* The first failure is kept; what follows it does nothing. */
struct reader {
	const json_t *root;
	const char *label;
	enum ttt_status status;
	struct ttt_error *err;
};

static const json_t *
get(struct reader *r, const char *group, const char *key)
{
	const json_t *o = group != NULL ? json_object_get(r->root, group) : r->root, *v = json_object_get(o, key);

	if (v == NULL && r->status == TTT_OK)
		r->status = ttt__fail(r->err, TTT_E_FORMAT, "%s: manifest.json: %s%s%s is missing", r->label,
		    group != NULL ? group : "", group != NULL ? "." : "", key);
	return v;
}

static void
wrong(struct reader *r, const char *key)
{
	if (r->status == TTT_OK)
		r->status = ttt__fail(r->err, TTT_E_FORMAT, "%s: manifest.json: %s is not what it should be", r->label,
		    key);
}

static int64_t
between(struct reader *r, const char *group, const char *key, int64_t low, int64_t high)
{
	const json_t *v = get(r, group, key);

	if (!json_is_integer(v) || json_integer_value(v) < low || json_integer_value(v) > high)
		wrong(r, key);
	return r->status == TTT_OK ? json_integer_value(v) : low;
}

/* A count: no stream comes near 2^56 of anything, and sums of such numbers do not wrap. */
static int64_t
integer(struct reader *r, const char *group, const char *key, int64_t low)
{
	return between(r, group, key, low, INT64_C(1) << 56);
}

static double
number(struct reader *r, const char *group, const char *key)
{
	const json_t *v = get(r, group, key);

	if (!json_is_number(v) && !json_is_null(v))
		wrong(r, key);
	return r->status == TTT_OK && json_is_number(v) ? json_number_value(v) : NAN;
}

static bool
boolean(struct reader *r, const char *group, const char *key)
{
	const json_t *v = get(r, group, key);

	if (!json_is_boolean(v))
		wrong(r, key);
	return json_is_true(v);
}

static void
text(struct reader *r, const char *group, const char *key, char *out, size_t size)
{
	const json_t *v = get(r, group, key);
	const char *s = json_string_value(v);

	if (s == NULL || strlen(s) >= size)
		wrong(r, key);
	else
		memcpy(out, s, strlen(s) + 1);
}

static enum ttt_status
check_seal(const struct ttt__bytes *b, const json_t *root, const char *label, struct ttt_error *err)
{
	static const char zeros[64] = "0000000000000000000000000000000000000000000000000000000000000000";
	const char *seal = json_string_value(json_object_get(root, "seal"));
	const unsigned char *at = NULL;
	struct ttt__checksum sum;
	char hex[65] = "";

	if (seal != NULL && ttt__checksum_valid(seal))
		at = memmem(b->p, b->n, seal, 64);
	if (at != NULL) {
		ttt__checksum_start(&sum);
		ttt__checksum_add(&sum, b->p, (size_t)(at - b->p));
		ttt__checksum_add(&sum, zeros, sizeof(zeros));
		ttt__checksum_add(&sum, at + 64, b->n - (size_t)(at - b->p) - 64);
		ttt__checksum_end(&sum, hex);
	}
	if (at == NULL || strcmp(hex, seal) != 0)
		return ttt__fail(err, TTT_E_FORMAT, "%s: damaged: the checksum of manifest.json is wrong", label);
	return TTT_OK;
}

static enum ttt_status
check_kind(const json_t *root, const char *label, struct ttt_error *err)
{
	const json_t *format = json_object_get(root, "format"), *version = json_object_get(root, "version");

	if (!json_is_string(format) || strcmp(json_string_value(format), "ttt-state") != 0 || !json_is_integer(version))
		return ttt__fail(err, TTT_E_FORMAT, "%s: not a state: its manifest.json is of another kind", label);
	if (json_integer_value(version) > TTT__STATE_VERSION) {
		(void)ttt__fail(err, TTT_E_FORMAT,
		    "%s: made by a newer version: its format is %lld, and %d is the newest known here",
		    label, (long long)json_integer_value(version), TTT__STATE_VERSION);
		return ttt__hint(err, TTT_E_FORMAT, "use a newer ttt");
	}
	if (json_integer_value(version) < TTT__STATE_PLAIN)
		return ttt__fail(err, TTT_E_FORMAT, "%s: format version %lld does not exist", label,
		    (long long)json_integer_value(version));
	return TTT_OK;
}

static void
read_members(struct reader *r, struct ttt__manifest *m)
{
	const json_t *list = get(r, NULL, "members"), *name, *size, *sum;

	if (!json_is_array(list))
		wrong(r, "members");
	for (size_t i = 0; r->status == TTT_OK && i < json_array_size(list); i++) {
		name = json_object_get(json_array_get(list, i), "name");
		size = json_object_get(json_array_get(list, i), "size");
		sum = json_object_get(json_array_get(list, i), "blake2b");
		if (!json_is_string(name) || !json_is_integer(size) || json_integer_value(size) < 0 ||
		    !json_is_string(sum))
			wrong(r, "members");
		else
			r->status = ttt__manifest_add(m, json_string_value(name), (uint64_t)json_integer_value(size),
			    json_string_value(sum), r->label, r->err);
	}
}

static void
read_info(struct reader *r, struct ttt__manifest *m)
{
	struct ttt_state_info *i = &m->info;
	char window[8] = "";

	i->version = (int)between(r, NULL, "version", TTT__STATE_PLAIN, TTT__STATE_VERSION);
	text(r, "model", "name", i->model_name, sizeof(i->model_name));
	text(r, "model", "checksum", i->model_checksum, sizeof(i->model_checksum));
	text(r, "rule", "name", i->rule, sizeof(i->rule));
	i->rate = number(r, "rule", "rate");
	i->n_token = integer(r, "stream", "tokens", 0);
	i->n_byte = integer(r, "stream", "bytes", 0);
	i->n_chunk = integer(r, "stream", "chunks", 0);
	i->n_pending_token = integer(r, "stream", "pending_tokens", 0);
	i->n_pending_byte = integer(r, "stream", "pending_bytes", 0);
	i->n_source = integer(r, "stream", "sources", 0);
	m->line = integer(r, "stream", "line", 1);
	m->begun = i->n_byte > i->n_pending_byte; /* so it is but where ids came between texts, which older states do not tell */
	if (json_object_get(json_object_get(r->root, "stream"), "begun") != NULL)
		m->begun = boolean(r, "stream", "begun");
	m->keeps_passages = boolean(r, "passages", "kept");
	m->passages_max = (uint64_t)between(r, "passages", "max", 0, INT64_MAX);
	i->n_passage_record = integer(r, "passages", "records", 0);
	i->n_passage_byte = integer(r, "passages", "bytes", 0);
	m->open_record = boolean(r, "passages", "open");
	m->curve_stride = integer(r, "curve", "stride", 1);
	m->curve_partial = integer(r, "curve", "partial", 0);
	m->curve_sum = number(r, "curve", "sum");
	i->loss_first = number(r, "loss", "first");
	i->loss_last = number(r, "loss", "last");
	m->check_loss = number(r, "loss", "check");
	if (json_object_get(json_object_get(r->root, "loss"), "precision") != NULL) /* not in states older than the note */
		text(r, "loss", "precision", m->check_precision, sizeof(m->check_precision));
	if (json_object_get(r->root, "guards") != NULL) { /* not in states older than the guards and the mean */
		i->guards.n_noise = integer(r, "guards", "noise", 0);
		i->guards.n_undone = integer(r, "guards", "undone", 0);
		i->guards.n_returned = integer(r, "guards", "returned", 0);
		m->n_noisy = integer(r, "guards", "now", 0);
		i->n_mean = integer(r, "mean", "weights", 0);
	}
	i->n_bias = i->version > TTT__STATE_PLAIN ? integer(r, "ngrams", "entries", 0) : -1;
	i->drift = number(r, NULL, "drift");
	text(r, NULL, "window", window, sizeof(window));
	i->has_window = strcmp(window, "kept") == 0;
	if (!i->has_window && strcmp(window, "tail") != 0)
		wrong(r, "window");
	if (strcmp(i->rule, "sgd") != 0 && r->status == TTT_OK) {
		char name[TTT__EXCERPT];

		r->status = ttt__fail(r->err, TTT_E_UNSUPPORTED, "%s: made with rule '%s', which is not supported",
		    r->label, ttt__excerpt(name, i->rule));
	}
	if (!(i->rate > 0 && i->rate <= 1e6))
		wrong(r, "rate");
	if (!isfinite(m->curve_sum) || m->curve_partial >= m->curve_stride || i->n_pending_token > i->n_token || i->n_mean > i->n_chunk)
		wrong(r, "curve or stream");
}

enum ttt_status
ttt__manifest_parse(struct ttt__manifest *m, const struct ttt__bytes *b, const char *label, struct ttt_error *err)
{
	static const struct ttt__json_limits limits = { 8, 1 << 14 };
	struct reader r = { .label = label, .err = err };
	json_t *root;

	memset(m, 0, sizeof(*m));
	r.status = ttt__json_parse(&root, b->p, b->n, &limits, label, "manifest.json", err);
	if (r.status != TTT_OK)
		return r.status;
	r.root = root;
	r.status = check_kind(root, label, err);
	if (r.status == TTT_OK)
		r.status = check_seal(b, root, label, err);
	if (r.status == TTT_OK)
		read_info(&r, m);
	if (r.status == TTT_OK)
		read_members(&r, m);
	json_decref(root);
	return r.status;
}
