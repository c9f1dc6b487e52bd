/* Finding and adding members, and manifest.json written. */
#include "libttt/state/manifest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "libttt/checksum.h"
#include "libttt/json.h"

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

static bool
name_valid(const char *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/";
	size_t n = strlen(name), part;

	if (n == 0 || n >= TTT__MEMBER_NAME || strspn(name, allowed) != n)
		return false;
	for (;; name += part + 1) {
		part = strcspn(name, "/");
		if (part == 0 || strncmp(name, ".", part) == 0 || (part == 2 && strncmp(name, "..", 2) == 0))
			return false;
		if (name[part] == '\0')
			return true;
	}
}

enum ttt_status
ttt__manifest_add(struct ttt__manifest *m, const char *name, uint64_t size, const char *checksum, const char *label,
    struct ttt_error *err)
{
	struct ttt__member *p = &m->member[m->n_member];
	char text[TTT__EXCERPT];

	if (m->n_member == TTT__MEMBER_MAX)
		return ttt__fail(err, TTT_E_FORMAT, "%s: more than %d members", label, TTT__MEMBER_MAX);
	if (!name_valid(name) || strcmp(name, "manifest.json") == 0 || ttt__manifest_find(m, name) != NULL)
		return ttt__fail(err, TTT_E_FORMAT, "%s: manifest.json: member '%s' has no valid name of its own",
		    label, ttt__excerpt(text, name));
	if (!ttt__checksum_valid(checksum))
		return ttt__fail(err, TTT_E_FORMAT, "%s: manifest.json: member '%s' has no valid checksum", label,
		    name);
	(void)snprintf(p->name, sizeof(p->name), "%s", name);
	(void)snprintf(p->checksum, sizeof(p->checksum), "%s", checksum);
	p->size = size;
	m->n_member++;
	return TTT_OK;
}

const struct ttt__member *
ttt__manifest_find(const struct ttt__manifest *m, const char *name)
{
	for (size_t i = 0; i < m->n_member; i++)
		if (strcmp(m->member[i].name, name) == 0)
			return &m->member[i];
	return NULL;
}

/* null stands for a number that is not there yet. */
static json_t *
number(double x)
{
	return isfinite(x) ? json_real(x) : json_null();
}

static json_t *
pack_members(const struct ttt__manifest *m)
{
	json_t *list = json_array();

	for (size_t i = 0; i < m->n_member && list != NULL; i++) {
		json_t *one = json_pack("{s:s, s:I, s:s}", "name", m->member[i].name, "size",
		    (json_int_t)m->member[i].size, "blake2b", m->member[i].checksum);

		if (one == NULL || json_array_append_new(list, one) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *
pack(const struct ttt__manifest *m)
{
	const struct ttt_state_info *i = &m->info;

	return json_pack("{s:s, s:i, s:{s:s, s:s}, s:{s:s, s:o}, s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}, "
	    "s:{s:b, s:I, s:I, s:I, s:b}, s:{s:I, s:I, s:o}, s:{s:o, s:o, s:o, s:s}, s:{s:I, s:I, s:I, s:I}, s:{s:I}, s:o*, s:o, s:s, s:o, s:s}",
	    "format", "ttt-state", "version", i->version,
	    "model", "name", i->model_name, "checksum", i->model_checksum,
	    "rule", "name", i->rule, "rate", number(i->rate),
	    "stream", "tokens", (json_int_t)i->n_token, "bytes", (json_int_t)i->n_byte,
	    "chunks", (json_int_t)i->n_chunk, "pending_tokens", (json_int_t)i->n_pending_token,
	    "pending_bytes", (json_int_t)i->n_pending_byte, "sources", (json_int_t)i->n_source,
	    "line", (json_int_t)m->line, "begun", (int)m->begun,
	    "passages", "kept", (int)m->keeps_passages, "max", (json_int_t)m->passages_max,
	    "records", (json_int_t)i->n_passage_record, "bytes", (json_int_t)i->n_passage_byte,
	    "open", (int)m->open_record,
	    "curve", "stride", (json_int_t)m->curve_stride, "partial", (json_int_t)m->curve_partial,
	    "sum", number(m->curve_sum),
	    "loss", "first", number(i->loss_first), "last", number(i->loss_last), "check", number(m->check_loss),
	    "precision", m->check_precision,
	    "guards", "noise", (json_int_t)i->guards.n_noise, "undone", (json_int_t)i->guards.n_undone,
	    "returned", (json_int_t)i->guards.n_returned, "now", (json_int_t)m->n_noisy,
	    "mean", "weights", (json_int_t)i->n_mean,
	    "ngrams", i->n_bias >= 0 ? json_pack("{s:I}", "entries", (json_int_t)i->n_bias) : NULL,
	    "drift", number(i->drift), "window", i->has_window ? "kept" : "tail",
	    "members", pack_members(m), "seal", ZEROS);
}

enum ttt_status
ttt__manifest_format(const struct ttt__manifest *m, struct ttt__bytes *b, struct ttt_error *err)
{
	json_t *root = pack(m);
	char *text = root != NULL ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) : NULL;
	size_t n = text != NULL ? strlen(text) : 0;
	enum ttt_status status;
	char hex[65];
	char *seal;

	json_decref(root);
	if (text == NULL)
		return ttt__fail_memory(err, "manifest.json");
	if (n + 1 > TTT__MANIFEST_MAX) {
		free(text);
		return ttt__fail(err, TTT_E_RANGE, "manifest.json would be larger than %d bytes", TTT__MANIFEST_MAX);
	}
	text[n++] = '\n'; /* in place of the NUL: text is bytes from here on */
	ttt__checksum_of(hex, text, n);
	seal = memmem(text, n, "\"seal\": \"" ZEROS, 9 + 64);
	if (seal != NULL)
		memcpy(seal + 9, hex, 64);
	status = seal != NULL ? ttt__bytes_add(b, text, n, err) : ttt__fail_memory(err, "manifest.json");
	free(text);
	return status;
}
