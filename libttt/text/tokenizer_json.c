/* tokenizer.json as a whole, and its added tokens. The rule: a member that is not understood is an error, for it could
 * change tokens. The exceptions say why. */
#include "libttt/file.h"
#include "libttt/json.h"
#include "libttt/text/nfc.h"
#include "libttt/text/tokenizer_json.h"

#include <stdlib.h>
#include <string.h>

/* The largest in the wild has 34 million bytes and some two million values. */
enum { DEPTH_MAX = 64, VALUES_MAX = 1 << 22 };

struct ttt__shown
ttt__show(const char *text)
{
	struct ttt__shown s;
	size_t n = 0;
	const unsigned char *p = (const unsigned char *)text;
	while (*p != '\0' && n < sizeof s.text - 8) {
		int length = ttt__utf8_length(p, strlen((const char *)p));
		bool plain = length > 0 && *p >= 0x20 && *p != 0x7f && !(*p == 0xc2 && p[1] < 0xa0);
		for (int i = 0; i < (plain ? length : 1); i++)
			s.text[n++] = plain ? (char)*p++ : '?';
		p += !plain;
	}
	snprintf(s.text + n, sizeof s.text - n, "%s", *p != '\0' ? "..." : "");
	return s;
}

enum ttt_status
ttt__json_members(const struct ttt__tokenizer_reader *r, const json_t *o, const char *what, const char *const *members)
{
	const char *key;
	json_t *value;
	if (!json_is_object(o))
		return ttt__fail(r->err, TTT_E_FORMAT, "%s: %s is not an object", r->label, what);
	json_object_foreach((json_t *)o, key, value) {
		size_t i = 0;
		while (members[i] != NULL && strcmp(members[i], key) != 0)
			i++;
		if (members[i] == NULL)
			return ttt__fail(r->err, TTT_E_UNSUPPORTED, "%s: %s has a member '%s', which is not supported", r->label,
			    what, ttt__show(key).text);
	}
	return TTT_OK;
}

enum ttt_status
ttt__json_bool(const struct ttt__tokenizer_reader *r, const json_t *o, const char *what, const char *member,
    bool *value)
{
	const json_t *v = json_object_get(o, member);
	if (v == NULL)
		return ttt__fail(r->err, TTT_E_FORMAT, "%s: %s has no '%s'", r->label, what, member);
	if (!json_is_boolean(v))
		return ttt__fail(r->err, TTT_E_FORMAT, "%s: '%s' of %s is neither true nor false", r->label, member, what);
	*value = json_is_true(v);
	return TTT_OK;
}

enum ttt_status
ttt__json_string(const struct ttt__tokenizer_reader *r, const json_t *o, const char *what, const char *member,
    const char **value)
{
	const json_t *v = json_object_get(o, member);
	if (v == NULL)
		return ttt__fail(r->err, TTT_E_FORMAT, "%s: %s has no '%s'", r->label, what, member);
	if (!json_is_string(v))
		return ttt__fail(r->err, TTT_E_FORMAT, "%s: '%s' of %s is not a string", r->label, member, what);
	*value = json_string_value(v);
	return TTT_OK;
}

/* The id of an added token, which the vocabulary must have under the same text or not at all. */
static enum ttt_status
added_id(const struct ttt__tokenizer_reader *r, const json_t *o, const char *what, const char *text, int64_t limit,
    int32_t *id)
{
	const json_t *v = json_object_get(o, "id");
	if (!json_is_integer(v))
		return ttt__fail(r->err, TTT_E_FORMAT, "%s: %s has no whole number as its id", r->label, what);
	json_int_t n = json_integer_value(v);
	if (n < 0 || n > limit)
		return ttt__fail(r->err, TTT_E_FORMAT, "%s: %s has id %" JSON_INTEGER_FORMAT ", outside 0 to %lld", r->label,
		    what, n, (long long)limit);
	*id = (int32_t)n;
	/* Where the vocabulary has the token, it has it as letters of the byte alphabet, or as the text itself. */
	unsigned char bytes[TTT__ADDED_MAX];
	size_t n_byte;
	const void *p = text;
	if (ttt__letters_to_bytes(text, strlen(text), bytes, &n_byte)) {
		int32_t other = ttt__names_find(&r->t->names, bytes, n_byte);
		if (other >= 0 && other != *id)
			return ttt__fail(r->err, TTT_E_FORMAT, "%s: %s has id %d here, but %d in the vocabulary", r->label, what,
			    *id, other);
		p = bytes;
	} else {
		n_byte = strlen(text);
	}
	const struct ttt__token *token = n < r->t->n_vocab ? &r->t->token[n] : NULL;
	if (token != NULL && token->p != NULL && (token->n != n_byte || memcmp(token->p, p, n_byte) != 0))
		return ttt__fail(r->err, TTT_E_FORMAT, "%s: %s has id %d, which another token has", r->label, what, *id);
	return TTT_OK;
}

/* Enter the token into the set in which it is looked for. */
static enum ttt_status
enter_added(const struct ttt__tokenizer_reader *r, const char *text, int32_t id, bool normalized)
{
	struct ttt_tokenizer *t = r->t;
	if (!normalized)
		return ttt__added_add(&t->raw, text, strlen(text), id, r->err);
	if (!t->nfc)
		return ttt__added_add(&t->normal, text, strlen(text), id, r->err);
	struct ttt__nfc nfc = { 0 };
	size_t used;
	enum ttt_status status = ttt__nfc_run(&nfc, (const unsigned char *)text, strlen(text), false, &used, r->err);
	if (status == TTT_OK)
		status = ttt__added_add(&t->normal, nfc.text.p, nfc.text.n, id, r->err);
	ttt__nfc_free(&nfc);
	return status;
}

static enum ttt_status
read_added(const struct ttt__tokenizer_reader *r, const json_t *o, size_t index, int64_t limit)
{
	static const char *const members[] = { "id", "content", "single_word", "lstrip", "rstrip", "normalized", "special",
	    NULL };
	static const char *const refused[] = { "single_word", "lstrip", "rstrip" };
	char what[128];
	const char *text = NULL;
	bool flag, normalized = false;
	int32_t id = 0;

	snprintf(what, sizeof what, "added token %zu", index);
	enum ttt_status status = ttt__json_members(r, o, what, members);
	if (status == TTT_OK)
		status = ttt__json_string(r, o, what, "content", &text);
	if (status != TTT_OK)
		return status;
	size_t n = strlen(text);
	snprintf(what, sizeof what, "added token '%s'", ttt__show(text).text);
	if (n == 0)
		return ttt__fail(r->err, TTT_E_FORMAT, "%s: added token %zu is the empty string", r->label, index);
	if (n > TTT__ADDED_MAX)
		return ttt__fail(r->err, TTT_E_UNSUPPORTED, "%s: %s has %zu bytes, more than the %d supported", r->label, what,
		    n, TTT__ADDED_MAX);
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		if ((status = ttt__json_bool(r, o, what, refused[i], &flag)) != TTT_OK)
			return status;
		if (flag)
			return ttt__fail(r->err, TTT_E_UNSUPPORTED, "%s: %s sets '%s', which is not supported", r->label, what,
			    refused[i]);
	}
	/* Special or not, a token is found in text all the same. */
	if ((status = ttt__json_bool(r, o, what, "special", &flag)) == TTT_OK)
		status = ttt__json_bool(r, o, what, "normalized", &normalized);
	if (status == TTT_OK)
		status = added_id(r, o, what, text, limit, &id);
	return status == TTT_OK ? enter_added(r, text, id, normalized) : status;
}

/* Give the vocabulary the added tokens' own texts. */
static enum ttt_status
name_added(const struct ttt__tokenizer_reader *r, struct ttt__added *added)
{
	ptrdiff_t twice;
	ttt__added_sort(added, &twice);
	for (size_t i = 0; i < added->n; i++) {
		const struct ttt__added_token *a = &added->token[i];
		enum ttt_status status = ttt__grow_vocab(r, (int64_t)a->id + 1);
		if (status != TTT_OK)
			return status;
		r->t->token[a->id] = (struct ttt__token){ .p = a->p, .n = a->n };
	}
	if (twice >= 0)
		return ttt__fail(r->err, TTT_E_FORMAT, "%s: two added tokens have the same text", r->label);
	return TTT_OK;
}

static int
compare_id(const void *x, const void *y)
{
	const int32_t *a = x, *b = y;
	return (*a > *b) - (*a < *b);
}

/* No two added tokens may share an id. */
static enum ttt_status
check_added(const struct ttt__tokenizer_reader *r)
{
	const struct ttt__added *set[] = { &r->t->raw, &r->t->normal };
	size_t n = 0;
	int32_t *id = ttt__new(set[0]->n + set[1]->n, sizeof *id);
	enum ttt_status status = TTT_OK;
	if (id == NULL)
		return ttt__fail_memory(r->err, r->label);
	for (size_t k = 0; k < 2; k++)
		for (size_t i = 0; i < set[k]->n; i++)
			id[n++] = set[k]->token[i].id;
	qsort(id, n, sizeof *id, compare_id);
	for (size_t i = 1; i < n && status == TTT_OK; i++)
		if (id[i] == id[i - 1])
			status = ttt__fail(r->err, TTT_E_FORMAT, "%s: two added tokens have id %d", r->label, id[i]);
	free(id);
	return status;
}

static enum ttt_status
read_all_added(const struct ttt__tokenizer_reader *r, const json_t *added)
{
	enum ttt_status status = TTT_OK;
	int64_t limit = ttt__id_limit((size_t)r->t->names.n + json_array_size(added));
	for (size_t i = 0; i < json_array_size(added) && status == TTT_OK; i++)
		status = read_added(r, json_array_get(added, i), i, limit);
	if (status == TTT_OK)
		status = check_added(r);
	if (status == TTT_OK)
		status = name_added(r, &r->t->raw);
	return status == TTT_OK ? name_added(r, &r->t->normal) : status;
}

static enum ttt_status
read_root(const struct ttt__tokenizer_reader *r, const json_t *root)
{
	/* truncation and padding shape batches of finished texts; they are no part of how bytes become tokens. */
	static const char *const members[] = { "version", "truncation", "padding", "added_tokens", "normalizer",
		"pre_tokenizer", "post_processor", "decoder", "model", NULL };
	const json_t *added = json_object_get(root, "added_tokens"), *version = json_object_get(root, "version");

	enum ttt_status status = ttt__json_members(r, root, "the file", members);
	if (status != TTT_OK)
		return status;
	if (version != NULL && (!json_is_string(version) || strcmp(json_string_value(version), "1.0") != 0))
		return ttt__fail(r->err, TTT_E_UNSUPPORTED, "%s: its version is not 1.0", r->label);
	if (added != NULL && !json_is_null(added) && !json_is_array(added))
		return ttt__fail(r->err, TTT_E_FORMAT, "%s: added_tokens is not an array", r->label);
	status = ttt__read_normalizer(r, json_object_get(root, "normalizer"), 0);
	if (status == TTT_OK)
		status = ttt__read_pre_tokenizer(r, json_object_get(root, "pre_tokenizer"));
	if (status == TTT_OK)
		status = ttt__read_decoder(r, json_object_get(root, "decoder"), 0);
	if (status == TTT_OK)
		status = ttt__read_bpe(r, json_object_get(root, "model"), json_array_size(added));
	if (status == TTT_OK)
		status = read_all_added(r, added);
	if (status == TTT_OK)
		status = ttt__read_post_processor(r, json_object_get(root, "post_processor"), 0);
	return status;
}

enum ttt_status
ttt_tokenizer_parse(struct ttt_tokenizer **out, const void *json, size_t n, const char *label, struct ttt_error *err)
{
	struct ttt__tokenizer_reader r = { .label = label, .err = err };
	json_t *root;
	enum ttt_status status = ttt__json_parse(&root, json, n,
	    &(struct ttt__json_limits){ .depth = DEPTH_MAX, .n_value = VALUES_MAX }, label, "the tokenizer", err);
	*out = NULL;
	if (status != TTT_OK)
		return status;
	r.t = ttt__new(1, sizeof *r.t);
	status = r.t == NULL ? ttt__fail_memory(err, label) : read_root(&r, root);
	json_decref(root);
	if (status == TTT_OK)
		*out = r.t;
	else
		ttt_tokenizer_free(r.t);
	return status;
}

enum ttt_status
ttt_tokenizer_open(struct ttt_tokenizer **out, const char *path, struct ttt_error *err)
{
	struct ttt__bytes file = { 0 };
	enum ttt_status status = ttt__file_read(&file, path, TTT__TOKENIZER_MAX, err);
	*out = NULL;
	if (status == TTT_OK)
		status = ttt_tokenizer_parse(out, file.p, file.n, path, err);
	ttt__bytes_free(&file);
	return status;
}
