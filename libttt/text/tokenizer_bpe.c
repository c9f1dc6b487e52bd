/* The "model" of a tokenizer.json: vocabulary and merges. */
#include "libttt/text/tokenizer_json.h"

#include <stdlib.h>
#include <string.h>

int64_t
ttt__id_limit(size_t n)
{
	const int64_t most = (1 << 24) - 1;
	return n >= (size_t)1 << 21 ? most : (int64_t)n * 4 + 65536;
}

enum ttt_status
ttt__grow_vocab(const struct ttt__tokenizer_reader *r, int64_t n)
{
	struct ttt_tokenizer *t = r->t;
	if (n <= t->n_vocab)
		return TTT_OK;
	struct ttt__token *grown = ttt__grow(t->token, (size_t)n, sizeof *grown);
	if (grown == NULL)
		return ttt__fail_memory(r->err, r->label);
	t->token = grown;
	memset(grown + t->n_vocab, 0, (size_t)(n - t->n_vocab) * sizeof *grown);
	t->n_vocab = n;
	return TTT_OK;
}

/* Check the ids, and make the tables; *n_arena: bytes that the tokens' texts take at most. */
static enum ttt_status
size_vocab(const struct ttt__tokenizer_reader *r, json_t *vocab, size_t n_added)
{
	const char *key;
	json_t *value;
	size_t n = json_object_size(vocab), n_arena = 1;
	int64_t limit = ttt__id_limit(n + n_added), largest = 0;

	json_object_foreach(vocab, key, value) {
		if (!json_is_integer(value))
			return ttt__fail(r->err, TTT_E_FORMAT, "%s: token '%s' of the vocabulary has an id that is no whole number",
			    r->label, ttt__show(key).text);
		json_int_t id = json_integer_value(value);
		if (id < 0 || id > limit)
			return ttt__fail(r->err, TTT_E_FORMAT, "%s: token '%s' has id %" JSON_INTEGER_FORMAT ", outside 0 to %lld "
			    "for a vocabulary of %zu", r->label, ttt__show(key).text, id, (long long)limit, n);
		largest = id > largest ? id : largest;
		n_arena += strlen(key);
	}
	r->t->arena = ttt__new(n_arena, 1);
	if (r->t->arena == NULL)
		return ttt__fail_memory(r->err, r->label);
	enum ttt_status status = ttt__grow_vocab(r, largest + 1);
	return status == TTT_OK ? ttt__names_reserve(&r->t->names, n, r->err) : status;
}

static enum ttt_status
read_vocab(const struct ttt__tokenizer_reader *r, json_t *vocab, size_t n_added)
{
	struct ttt_tokenizer *t = r->t;
	const char *key;
	json_t *value;
	size_t at = 0;

	enum ttt_status status = size_vocab(r, vocab, n_added);
	if (status != TTT_OK)
		return status;
	json_object_foreach(vocab, key, value) {
		int32_t id = (int32_t)json_integer_value(value);
		struct ttt__token *token = &t->token[id];
		if (token->p != NULL)
			return ttt__fail(r->err, TTT_E_FORMAT, "%s: token '%s' has id %d, which another token has", r->label,
			    ttt__show(key).text, id);
		token->p = t->arena + at;
		token->n = strlen(key);
		/* A text outside the byte alphabet can only be decoded: no bytes lead to it, unless it is an added token. */
		if (ttt__letters_to_bytes(key, token->n, t->arena + at, &token->n))
			ttt__names_add(&t->names, token->p, token->n, id);
		else
			memcpy(t->arena + at, key, token->n);
		at += token->n;
	}
	for (int c = 0; c < 256; c++) {
		unsigned char byte = (unsigned char)c;
		t->byte_id[c] = ttt__names_find(&t->names, &byte, 1);
		if (t->byte_id[c] < 0)
			return ttt__fail(r->err, TTT_E_FORMAT, "%s: not a byte-level vocabulary: it has no token for byte 0x%02x",
			    r->label, (unsigned)c);
	}
	return TTT_OK;
}

/* The two sides of merge number index, borrowed. */
static enum ttt_status
merge_sides(const struct ttt__tokenizer_reader *r, const json_t *merge, size_t index, const char *side[2], size_t n[2])
{
	if (json_is_string(merge)) {
		const char *text = json_string_value(merge), *blank = strchr(text, ' ');
		if (blank == NULL || strchr(blank + 1, ' ') != NULL)
			return ttt__fail(r->err, TTT_E_FORMAT, "%s: merge %zu ('%s') is not two tokens with a blank between them",
			    r->label, index, ttt__show(text).text);
		side[0] = text;
		n[0] = (size_t)(blank - text);
		side[1] = blank + 1;
		n[1] = strlen(side[1]);
		return TTT_OK;
	}
	if (!json_is_array(merge) || json_array_size(merge) != 2 || !json_is_string(json_array_get(merge, 0)) ||
	    !json_is_string(json_array_get(merge, 1)))
		return ttt__fail(r->err, TTT_E_FORMAT, "%s: merge %zu is not a pair of tokens", r->label, index);
	for (size_t i = 0; i < 2; i++) {
		side[i] = json_string_value(json_array_get(merge, i));
		n[i] = json_string_length(json_array_get(merge, i));
	}
	return TTT_OK;
}

static enum ttt_status
read_merge(const struct ttt__tokenizer_reader *r, const json_t *merge, size_t index, int32_t rank,
    struct ttt__bytes *both)
{
	const char *side[2] = { NULL, NULL };
	size_t n[2] = { 0, 0 };
	int32_t id[3];

	enum ttt_status status = merge_sides(r, merge, index, side, n);
	both->n = 0;
	if (status == TTT_OK && (status = ttt__bytes_add(both, side[0], n[0], r->err)) == TTT_OK)
		status = ttt__bytes_add(both, side[1], n[1], r->err);
	if (status != TTT_OK)
		return status;
	if (n[0] == 0 || n[1] == 0)
		return ttt__fail(r->err, TTT_E_FORMAT, "%s: merge %zu has an empty side", r->label, index);
	/* both has room: the bytes are never more than the letters. */
	size_t n_left = 0, n_right = 0;
	bool letters = ttt__letters_to_bytes(side[0], n[0], both->p, &n_left) &&
	    ttt__letters_to_bytes(side[1], n[1], both->p + n_left, &n_right);
	id[0] = letters ? ttt__names_find(&r->t->names, both->p, n_left) : -1;
	id[1] = letters ? ttt__names_find(&r->t->names, both->p + n_left, n_right) : -1;
	id[2] = letters ? ttt__names_find(&r->t->names, both->p, n_left + n_right) : -1;
	if (id[0] < 0 || id[1] < 0 || id[2] < 0)
		return ttt__fail(r->err, TTT_E_FORMAT,
		    "%s: merge %zu ('%s' + '%s') needs a token that is not in the vocabulary", r->label, index,
		    ttt__show(side[0]).text, ttt__show(side[1]).text);
	ttt__merges_add(&r->t->merges, id[0], id[1], rank, id[2]);
	return TTT_OK;
}

static enum ttt_status
read_merges(const struct ttt__tokenizer_reader *r, const json_t *merges)
{
	struct ttt__bytes both = { 0 };
	size_t n = json_array_size(merges);
	int32_t rank = 0;
	if (n > INT32_MAX)
		return ttt__fail(r->err, TTT_E_UNSUPPORTED, "%s: too many merges", r->label);
	enum ttt_status status = ttt__merges_reserve(&r->t->merges, n, r->err);
	for (size_t i = 0; i < n && status == TTT_OK; i++) {
		const json_t *merge = json_array_get(merges, i);
		/* The first line of the merges.txt from which files of the old form were made. */
		if (json_is_string(merge) && strncmp(json_string_value(merge), "#version", 8) == 0)
			continue;
		status = read_merge(r, merge, i, rank++, &both);
	}
	ttt__bytes_free(&both);
	return status;
}

/* Members that can be absent, null, or have the one value that changes nothing. */
static enum ttt_status
check_model(const struct ttt__tokenizer_reader *r, const json_t *model)
{
	static const char *const prefixes[] = { "continuing_subword_prefix", "end_of_word_suffix" };
	const json_t *type = json_object_get(model, "type"), *dropout = json_object_get(model, "dropout");
	const json_t *unknown = json_object_get(model, "unk_token"), *fuse = json_object_get(model, "fuse_unk");
	const json_t *fallback = json_object_get(model, "byte_fallback");

	if (type != NULL && (!json_is_string(type) || strcmp(json_string_value(type), "BPE") != 0))
		return ttt__fail(r->err, TTT_E_UNSUPPORTED, "%s: its model is of type '%s'; only BPE is supported", r->label,
		    json_is_string(type) ? ttt__show(json_string_value(type)).text : "?");
	if (dropout != NULL && !json_is_null(dropout) && !(json_is_number(dropout) && json_number_value(dropout) == 0))
		return ttt__fail(r->err, TTT_E_UNSUPPORTED, "%s: its model has a dropout, which is not supported", r->label);
	for (size_t i = 0; i < 2; i++) {
		const json_t *v = json_object_get(model, prefixes[i]);
		if (v != NULL && !json_is_null(v) && !(json_is_string(v) && json_string_length(v) == 0))
			return ttt__fail(r->err, TTT_E_UNSUPPORTED, "%s: its model has a %s, which is not supported", r->label,
			    prefixes[i]);
	}
	/* Every byte has a token, so no text is unknown. */
	if (unknown != NULL && !json_is_null(unknown) && !json_is_string(unknown))
		return ttt__fail(r->err, TTT_E_FORMAT, "%s: unk_token is not a string", r->label);
	if (fuse != NULL && !json_is_boolean(fuse))
		return ttt__fail(r->err, TTT_E_FORMAT, "%s: fuse_unk is neither true nor false", r->label);
	if (fallback != NULL && !json_is_false(fallback))
		return ttt__fail(r->err, TTT_E_UNSUPPORTED, "%s: its model uses byte_fallback, which is not supported",
		    r->label);
	return TTT_OK;
}

enum ttt_status
ttt__read_bpe(const struct ttt__tokenizer_reader *r, const json_t *model, size_t n_added)
{
	static const char *const members[] = { "type", "dropout", "unk_token", "continuing_subword_prefix",
		"end_of_word_suffix", "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges", NULL };

	if (model == NULL || json_is_null(model))
		return ttt__fail(r->err, TTT_E_FORMAT, "%s: it has no model", r->label);
	enum ttt_status status = ttt__json_members(r, model, "its model", members);
	if (status == TTT_OK)
		status = check_model(r, model);
	if (status == TTT_OK && json_object_get(model, "ignore_merges") != NULL)
		status = ttt__json_bool(r, model, "its model", "ignore_merges", &r->t->ignore_merges);
	if (status != TTT_OK)
		return status;
	json_t *vocab = json_object_get(model, "vocab");
	const json_t *merges = json_object_get(model, "merges");
	if (!json_is_object(vocab))
		return ttt__fail(r->err, TTT_E_FORMAT, "%s: its model has no vocabulary", r->label);
	if (!json_is_array(merges))
		return ttt__fail(r->err, TTT_E_FORMAT, "%s: its model has no array of merges", r->label);
	status = read_vocab(r, vocab, n_added);
	return status == TTT_OK ? read_merges(r, merges) : status;
}
