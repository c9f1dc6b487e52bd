/* The steps around the model of a tokenizer.json: normalizer, pre-tokenizer, post-processor, decoder. */
#include "libttt/text/tokenizer_json.h"

#include <string.h>

enum { DEPTH_MAX = 8 }; /* Sequences in Sequences */

/* What ByteLevel splits by: the pattern of GPT-2. */
static const char GPT2[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

static const char *
type_of(const json_t *o)
{
	const char *type = json_string_value(json_object_get(o, "type"));
	return type == NULL ? "" : type;
}

static enum ttt_status
unsupported(const struct ttt__tokenizer_reader *r, const char *what, const json_t *o)
{
	return ttt__fail(r->err, TTT_E_UNSUPPORTED, "%s: its %s is of type '%s', which is not supported", r->label, what,
	    ttt__show(type_of(o)).text);
}

/* The array member of a Sequence named what. */
static enum ttt_status
sequence(const struct ttt__tokenizer_reader *r, const json_t *o, const char *what, const char *member, int depth,
    const json_t **steps)
{
	const char *const members[] = { "type", member, NULL };
	enum ttt_status status = ttt__json_members(r, o, what, members);
	if (status != TTT_OK)
		return status;
	*steps = json_object_get(o, member);
	if (!json_is_array(*steps))
		return ttt__fail(r->err, TTT_E_FORMAT, "%s: its %s is a Sequence without an array of %s", r->label, what,
		    member);
	if (depth >= DEPTH_MAX)
		return ttt__fail(r->err, TTT_E_UNSUPPORTED, "%s: its %s nests more than %d Sequences", r->label, what,
		    DEPTH_MAX);
	return TTT_OK;
}

enum ttt_status
ttt__read_normalizer(const struct ttt__tokenizer_reader *r, const json_t *o, int depth)
{
	static const char *const members[] = { "type", NULL };
	const json_t *steps;

	if (o == NULL || json_is_null(o))
		return TTT_OK;
	if (strcmp(type_of(o), "NFC") == 0) {
		r->t->nfc = true;
		return ttt__json_members(r, o, "normalizer", members);
	}
	if (strcmp(type_of(o), "Sequence") != 0)
		return unsupported(r, "normalizer", o);
	enum ttt_status status = sequence(r, o, "normalizer", "normalizers", depth, &steps);
	for (size_t i = 0; status == TTT_OK && i < json_array_size(steps); i++)
		status = ttt__read_normalizer(r, json_array_get(steps, i), depth + 1);
	return status;
}

static enum ttt_status
add_stage(const struct ttt__tokenizer_reader *r, const char *regex, size_t n, bool literal, enum ttt__behavior behavior)
{
	struct ttt_tokenizer *t = r->t;
	if (t->n_stage == TTT__STAGE_MAX)
		return ttt__fail(r->err, TTT_E_UNSUPPORTED, "%s: more than %d pre-tokenizers", r->label, TTT__STAGE_MAX);
	struct ttt__stage *stage = &t->stage[t->n_stage];
	enum ttt_status status = literal ? ttt__pattern_literal(&stage->pattern, regex, n, r->label, r->err) :
	    ttt__pattern_create(&stage->pattern, regex, n, r->label, r->err);
	if (status == TTT_OK) {
		stage->behavior = behavior;
		t->n_stage++;
	}
	return status;
}

static enum ttt_status
read_behavior(const struct ttt__tokenizer_reader *r, const char *name, bool invert, enum ttt__behavior *behavior)
{
	if (strcmp(name, "Isolated") == 0)
		*behavior = TTT__ISOLATED; /* inverted or not */
	else if (strcmp(name, "Removed") == 0)
		*behavior = invert ? TTT__KEPT : TTT__REMOVED;
	else if (strcmp(name, "MergedWithPrevious") == 0 && !invert)
		*behavior = TTT__MERGED_PREVIOUS;
	else
		return ttt__fail(r->err, TTT_E_UNSUPPORTED,
		    "%s: a pre-tokenizer splits with behavior '%s'%s, which is not supported", r->label, ttt__show(name).text,
		    invert ? ", inverted" : "");
	return TTT_OK;
}

static enum ttt_status
read_split(const struct ttt__tokenizer_reader *r, const json_t *o)
{
	static const char *const members[] = { "type", "pattern", "behavior", "invert", NULL };
	static const char *const kinds[] = { "Regex", "String", NULL };
	const json_t *pattern = json_object_get(o, "pattern");
	const char *name = NULL;
	bool invert = false;
	enum ttt__behavior behavior = TTT__ISOLATED;

	enum ttt_status status = ttt__json_members(r, o, "pre-tokenizer Split", members);
	if (status == TTT_OK)
		status = ttt__json_string(r, o, "pre-tokenizer Split", "behavior", &name);
	if (status == TTT_OK)
		status = ttt__json_bool(r, o, "pre-tokenizer Split", "invert", &invert);
	if (status == TTT_OK)
		status = read_behavior(r, name, invert, &behavior);
	if (status == TTT_OK)
		status = ttt__json_members(r, pattern, "the pattern of a Split", kinds);
	if (status != TTT_OK)
		return status;
	const json_t *regex = json_object_get(pattern, "Regex"), *text = json_object_get(pattern, "String");
	const json_t *one = regex != NULL ? regex : text;
	if (json_object_size(pattern) != 1 || !json_is_string(one))
		return ttt__fail(r->err, TTT_E_FORMAT, "%s: the pattern of a Split is neither a Regex nor a String", r->label);
	return add_stage(r, json_string_value(one), json_string_length(one), one == text, behavior);
}

static enum ttt_status
read_byte_level(const struct ttt__tokenizer_reader *r, const json_t *o)
{
	static const char *const members[] = { "type", "add_prefix_space", "trim_offsets", "use_regex", NULL };
	bool prefix = false, regex = true;

	enum ttt_status status = ttt__json_members(r, o, "pre-tokenizer ByteLevel", members);
	if (status == TTT_OK)
		status = ttt__json_bool(r, o, "pre-tokenizer ByteLevel", "add_prefix_space", &prefix);
	if (status == TTT_OK && json_object_get(o, "use_regex") != NULL)
		status = ttt__json_bool(r, o, "pre-tokenizer ByteLevel", "use_regex", &regex);
	if (status != TTT_OK)
		return status;
	if (prefix && r->t->n_stage > 0)
		return ttt__fail(r->err, TTT_E_UNSUPPORTED,
		    "%s: its pre-tokenizer adds a blank to every piece of a Split, which is not supported", r->label);
	r->t->prefix_space = prefix;
	return regex ? add_stage(r, GPT2, strlen(GPT2), false, TTT__ISOLATED) : TTT_OK;
}

/* Hugging Face asks for what Rust calls numeric: the general category N. */
static enum ttt_status
read_digits(const struct ttt__tokenizer_reader *r, const json_t *o)
{
	static const char *const members[] = { "type", "individual_digits", NULL };
	bool individual = false;
	enum ttt_status status = ttt__json_members(r, o, "pre-tokenizer Digits", members);
	if (status == TTT_OK)
		status = ttt__json_bool(r, o, "pre-tokenizer Digits", "individual_digits", &individual);
	const char *regex = individual ? "\\p{N}" : "\\p{N}+";
	return status == TTT_OK ? add_stage(r, regex, strlen(regex), false, TTT__ISOLATED) : status;
}

/* *done: ByteLevel, after which the text is no longer text, has been read. */
static enum ttt_status
read_pre_tokenizer(const struct ttt__tokenizer_reader *r, const json_t *o, int depth, bool *done)
{
	const char *type = type_of(o);
	const json_t *steps;

	if (strcmp(type, "Sequence") == 0) {
		enum ttt_status status = sequence(r, o, "pre-tokenizer", "pretokenizers", depth, &steps);
		for (size_t i = 0; status == TTT_OK && i < json_array_size(steps); i++)
			status = read_pre_tokenizer(r, json_array_get(steps, i), depth + 1, done);
		return status;
	}
	if (*done)
		return ttt__fail(r->err, TTT_E_UNSUPPORTED, "%s: a pre-tokenizer of type '%s' after ByteLevel is not supported",
		    r->label, ttt__show(type).text);
	if (strcmp(type, "Split") == 0)
		return read_split(r, o);
	if (strcmp(type, "Digits") == 0)
		return read_digits(r, o);
	if (strcmp(type, "ByteLevel") != 0)
		return unsupported(r, "pre-tokenizer", o);
	*done = true;
	return read_byte_level(r, o);
}

enum ttt_status
ttt__read_pre_tokenizer(const struct ttt__tokenizer_reader *r, const json_t *o)
{
	bool done = false;
	enum ttt_status status = o == NULL || json_is_null(o) ? TTT_OK : read_pre_tokenizer(r, o, 0, &done);
	if (status == TTT_OK && !done)
		return ttt__fail(r->err, TTT_E_UNSUPPORTED, "%s: it has no ByteLevel pre-tokenizer, and others than byte-level "
		    "tokenizers are not supported", r->label);
	return status;
}

/* The tokens a template adds must exist; which of them a stream gets is the model's configuration to say. */
static enum ttt_status
read_template(const struct ttt__tokenizer_reader *r, const json_t *o)
{
	static const char *const members[] = { "type", "single", "pair", "special_tokens", NULL };
	const char *key;
	json_t *value;
	json_t *special = json_object_get(o, "special_tokens");

	enum ttt_status status = ttt__json_members(r, o, "post-processor TemplateProcessing", members);
	if (status != TTT_OK)
		return status;
	json_object_foreach(special, key, value) {
		const json_t *ids = json_object_get(value, "ids");
		if (!json_is_array(ids))
			return ttt__fail(r->err, TTT_E_FORMAT, "%s: the template's token '%s' has no ids", r->label,
			    ttt__show(key).text);
		for (size_t i = 0; i < json_array_size(ids); i++) {
			const json_t *id = json_array_get(ids, i);
			json_int_t n = json_integer_value(id);
			if (!json_is_integer(id) || n < 0 || n >= r->t->n_vocab || r->t->token[n].p == NULL)
				return ttt__fail(r->err, TTT_E_FORMAT, "%s: the template's token '%s' has an id that no token has",
				    r->label, ttt__show(key).text);
		}
	}
	return TTT_OK;
}

enum ttt_status
ttt__read_post_processor(const struct ttt__tokenizer_reader *r, const json_t *o, int depth)
{
	const json_t *steps;

	if (o == NULL || json_is_null(o) || strcmp(type_of(o), "ByteLevel") == 0)
		return TTT_OK; /* ByteLevel changes offsets only */
	if (strcmp(type_of(o), "TemplateProcessing") == 0)
		return read_template(r, o);
	if (strcmp(type_of(o), "Sequence") != 0)
		return unsupported(r, "post-processor", o);
	enum ttt_status status = sequence(r, o, "post-processor", "processors", depth, &steps);
	for (size_t i = 0; status == TTT_OK && i < json_array_size(steps); i++)
		status = ttt__read_post_processor(r, json_array_get(steps, i), depth + 1);
	return status;
}

enum ttt_status
ttt__read_decoder(const struct ttt__tokenizer_reader *r, const json_t *o, int depth)
{
	const json_t *steps;

	if (o == NULL || json_is_null(o) || strcmp(type_of(o), "ByteLevel") == 0)
		return TTT_OK; /* back to bytes is the one way there is */
	if (strcmp(type_of(o), "Sequence") != 0)
		return unsupported(r, "decoder", o);
	enum ttt_status status = sequence(r, o, "decoder", "decoders", depth, &steps);
	for (size_t i = 0; status == TTT_OK && i < json_array_size(steps); i++)
		status = ttt__read_decoder(r, json_array_get(steps, i), depth + 1);
	return status;
}
