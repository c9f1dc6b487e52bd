/* Training a byte-level BPE and writing it as a tokenizer.json. Ids: the 256 bytes by value, then the merges in their
 * order, then the special tokens in theirs. */
#include "libttt/file.h"
#include "libttt/text/train.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { VOCAB_MAX = 1 << 20 };

/* Llama-3's pattern. */
static const char PATTERN[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
    "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/* The vocabulary without special tokens. */
struct tokens {
	char **text; /* in the byte alphabet */
	size_t n;
};

static void
tokens_free(struct tokens *v)
{
	for (size_t i = 0; v->text != NULL && i < v->n; i++)
		free(v->text[i]);
	free(v->text);
}

/* Texts of the bytes and of the merges. */
static bool
tokens_make(struct tokens *v, const struct ttt__chosen *merge, size_t n_merge)
{
	v->n = 256 + n_merge;
	v->text = ttt__new(v->n, sizeof *v->text);
	if (v->text == NULL)
		return false;
	for (size_t i = 0; i < v->n; i++) {
		const char *left = i < 256 ? "" : v->text[merge[i - 256].left];
		const char *right = i < 256 ? "" : v->text[merge[i - 256].right];
		size_t n = i < 256 ? 3 : strlen(left) + strlen(right) + 1;
		v->text[i] = ttt__new(n, 1);
		if (v->text[i] == NULL)
			return false;
		if (i < 256)
			ttt__byte_letter((unsigned char)i, v->text[i]);
		else
			snprintf(v->text[i], n, "%s%s", left, right);
	}
	return true;
}

static json_t *
make_model(const struct tokens *v, const struct ttt__chosen *merge)
{
	json_t *vocab = json_object(), *merges = json_array();
	bool ok = true;
	for (size_t i = 0; i < v->n; i++) {
		ok = json_object_set_new(vocab, v->text[i], json_integer((json_int_t)i)) == 0 && ok;
		if (i >= 256)
			ok = json_array_append_new(merges, json_pack("[ss]", v->text[merge[i - 256].left],
			    v->text[merge[i - 256].right])) == 0 && ok;
	}
	if (!ok) {
		json_decref(vocab);
		json_decref(merges);
		return NULL;
	}
	return json_pack("{ss sn sn sn sn sb sb sb so so}", "type", "BPE", "dropout", "unk_token",
	    "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", 0, "byte_fallback", 0, "ignore_merges", 0,
	    "vocab", vocab, "merges", merges);
}

static json_t *
make_added(const char *const *special, size_t first)
{
	json_t *added = json_array();
	bool ok = added != NULL;
	for (size_t i = 0; ok && special != NULL && special[i] != NULL; i++)
		ok = json_array_append_new(added, json_pack("{sI ss sb sb sb sb sb}", "id",
		    (json_int_t)first + (json_int_t)i, "content", special[i], "single_word", 0, "lstrip", 0, "rstrip", 0,
		    "normalized", 0, "special", 1)) == 0;
	if (ok)
		return added;
	json_decref(added);
	return NULL;
}

static json_t *
make_byte_level(void)
{
	return json_pack("{ss sb sb sb}", "type", "ByteLevel", "add_prefix_space", 0, "trim_offsets", 1, "use_regex", 0);
}

/* The whole file as a value; NULL without memory. */
static json_t *
make_root(const char *const *special, const struct ttt__chosen *merge, size_t n_merge)
{
	struct tokens v = { 0 };
	json_t *model = tokens_make(&v, merge, n_merge) ? make_model(&v, merge) : NULL;
	json_t *added = make_added(special, v.n);
	tokens_free(&v);
	json_t *split = json_pack("{s[{ss s{ss} ss sb}o] ss}", "pretokenizers", "type", "Split", "pattern", "Regex",
	    PATTERN, "behavior", "Isolated", "invert", 0, make_byte_level(), "type", "Sequence");
	return json_pack("{ss sn sn so sn so sn so so}", "version", "1.0", "truncation", "padding", "added_tokens", added,
	    "normalizer", "pre_tokenizer", split, "post_processor", "decoder", make_byte_level(), "model", model);
}

/* Read root as the tokenizer that it is. */
static enum ttt_status
parse_root(struct ttt_tokenizer **out, const json_t *root, const char *label, struct ttt_error *err)
{
	char *text = root == NULL ? NULL : json_dumps(root, JSON_COMPACT);
	if (text == NULL)
		return ttt__fail_memory(err, label);
	enum ttt_status status = ttt_tokenizer_parse(out, text, strlen(text), label, err);
	free(text);
	return status;
}

static int
write_part(const char *p, size_t n, void *f)
{
	return fwrite(p, 1, n, f) == n ? 0 : -1;
}

static enum ttt_status
write_root(const char *path, const json_t *root, struct ttt_error *err)
{
	struct ttt__replace r;
	enum ttt_status status = ttt__replace_open(&r, path, true, err);
	if (status != TTT_OK)
		return status;
	if (json_dump_callback(root, write_part, r.f, JSON_INDENT(1)) != 0 && !ferror(r.f))
		status = ttt__fail_memory(err, path);
	fputc('\n', r.f);
	return ttt__replace_end(&r, status, err);
}

static enum ttt_status
check_options(const struct ttt_tokenizer_train_options *o, size_t *n_merge, struct ttt_error *err)
{
	int64_t n_special = 0;
	for (; o->special != NULL && o->special[n_special] != NULL; n_special++) {
		const unsigned char *p = (const unsigned char *)o->special[n_special];
		size_t n = strlen((const char *)p);
		if (n == 0 || n > TTT__ADDED_MAX)
			return ttt__fail(err, TTT_E_RANGE, "special token %lld has %zu bytes; 1 to %d are possible",
			    (long long)n_special + 1, n, TTT__ADDED_MAX);
		for (int length; n > 0; p += length, n -= (size_t)length)
			if ((length = ttt__utf8_length(p, n)) <= 0)
				return ttt__fail(err, TTT_E_FORMAT, "special token %lld is not UTF-8", (long long)n_special + 1);
	}
	if (o->n_vocab < 256 + n_special || o->n_vocab > VOCAB_MAX)
		return ttt__fail(err, TTT_E_RANGE,
		    "a vocabulary of %lld tokens is not possible: 256 bytes and %lld special tokens make %lld, the most is %d",
		    (long long)o->n_vocab, (long long)n_special, 256 + (long long)n_special, VOCAB_MAX);
	*n_merge = (size_t)(o->n_vocab - 256 - n_special);
	return TTT_OK;
}

static enum ttt_status
count_files(struct ttt__word_counts *counts, const char *const *files, size_t n_files,
    const struct ttt_tokenizer_train_options *o, struct ttt_error *err)
{
	struct ttt_tokenizer *t = NULL;
	size_t left = o->max_bytes == 0 ? SIZE_MAX : o->max_bytes;
	json_t *root = make_root(o->special, NULL, 0);
	enum ttt_status status = parse_root(&t, root, "special tokens", err);
	json_decref(root);
	for (size_t i = 0; i < n_files && left > 0 && status == TTT_OK; i++)
		status = ttt__count_words(counts, t, files[i], &left, err);
	ttt_tokenizer_free(t);
	return status;
}

enum ttt_status
ttt_tokenizer_train(const char *out_path, const char *const *files, size_t n_files,
    const struct ttt_tokenizer_train_options *o, struct ttt_error *err)
{
	struct ttt__word_counts counts = { 0 };
	struct ttt__chosen *chosen = NULL;
	struct ttt_tokenizer *check = NULL;
	json_t *root = NULL;
	size_t n_merge = 0, n_chosen = 0;

	enum ttt_status status = check_options(o, &n_merge, err);
	if (status == TTT_OK && (chosen = ttt__new(n_merge, sizeof *chosen)) == NULL)
		status = ttt__fail_memory(err, out_path);
	if (status == TTT_OK)
		status = count_files(&counts, files, n_files, o, err);
	if (status == TTT_OK)
		status = ttt__choose_merges(chosen, &n_chosen, n_merge, &counts, err);
	ttt__word_counts_free(&counts);
	if (status == TTT_OK && n_chosen < n_merge) {
		status = ttt__fail(err, TTT_E_RANGE,
		    "the text gives only %zu merges, and %zu are needed for a vocabulary of %lld", n_chosen, n_merge,
		    (long long)o->n_vocab);
		status = ttt__hint(err, status, "train on more text, or ask for a smaller vocabulary");
	}
	if (status == TTT_OK) {
		root = make_root(o->special, chosen, n_chosen);
		status = parse_root(&check, root, out_path, err);
	}
	if (status == TTT_OK)
		status = write_root(out_path, root, err);
	json_decref(root);
	ttt_tokenizer_free(check);
	free(chosen);
	return status;
}
