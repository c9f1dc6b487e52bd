/* config.json: the names of Hugging Face configurations where they mean the same, the paper's where they do not exist
 * there. */
#include "libttt/model/config.h"

#include <math.h>
#include <string.h>

#include "libttt/json.h"

enum { MAX_VOCAB = 1 << 22, MAX_SIZE = 1 << 24, MAX_LAYER = 4096, MAX_NGRAM_VOCAB = 1 << 16 };
#define MAX_PARAMETER (INT64_C(1) << 40)

/* A configuration being read. The first failure is kept; what follows it does nothing. */
struct reader {
	const json_t *root;
	const char *label;
	enum ttt_status status;
	struct ttt_error *err;
};

/* The value of a key, NULL where it is absent or null. */
static const json_t *
get(const struct reader *r, const char *key)
{
	const json_t *v = json_object_get(r->root, key);

	return json_is_null(v) ? NULL : v;
}

/* An integer in [low, high]; absent gives fallback, or an error where fallback is below low and required. */
static int64_t
read_integer(struct reader *r, const char *key, int64_t low, int64_t high, bool required, int64_t fallback)
{
	const json_t *v = get(r, key);

	if (r->status != TTT_OK)
		return fallback;
	if (v == NULL && !required)
		return fallback;
	if (v == NULL)
		r->status = ttt__fail(r->err, TTT_E_FORMAT, "%s: %s is missing", r->label, key);
	else if (!json_is_integer(v))
		r->status = ttt__fail(r->err, TTT_E_FORMAT, "%s: %s is not an integer", r->label, key);
	else if (json_integer_value(v) < low || json_integer_value(v) > high)
		r->status = ttt__fail(r->err, TTT_E_RANGE, "%s: %s is %lld, outside %lld .. %lld", r->label, key,
		    (long long)json_integer_value(v), (long long)low, (long long)high);
	return r->status == TTT_OK ? json_integer_value(v) : fallback;
}

static double
read_number(struct reader *r, const char *key, double low, double high, bool required, double fallback)
{
	const json_t *v = get(r, key);
	double x;

	if (r->status != TTT_OK)
		return fallback;
	if (v == NULL && !required)
		return fallback;
	if (v == NULL) {
		r->status = ttt__fail(r->err, TTT_E_FORMAT, "%s: %s is missing", r->label, key);
		return fallback;
	}
	if (!json_is_number(v)) {
		r->status = ttt__fail(r->err, TTT_E_FORMAT, "%s: %s is not a number", r->label, key);
		return fallback;
	}
	x = json_number_value(v);
	if (!(x >= low && x <= high)) {
		r->status = ttt__fail(r->err, TTT_E_RANGE, "%s: %s is %g, outside %g .. %g", r->label, key, x, low,
		    high);
		return fallback;
	}
	return x;
}

static enum ttt_status
unsupported(struct reader *r, const char *key, const char *value)
{
	char text[TTT__EXCERPT];

	if (r->status == TTT_OK)
		r->status = ttt__fail(r->err, TTT_E_UNSUPPORTED, "%s: %s '%s' is not supported", r->label, key,
		    ttt__excerpt(text, value));
	return r->status;
}

/* Other software's models are told by name: their files would otherwise fail on the first tensor that is called
 * differently. */
static void
check_kind(struct reader *r)
{
	const json_t *type = get(r, "model_type"), *list = get(r, "architectures"), *name;

	if (type != NULL && !json_is_string(type))
		r->status = ttt__fail(r->err, TTT_E_FORMAT, "%s: model_type is not a string", r->label);
	else if (type != NULL && strcmp(json_string_value(type), "ttt") != 0)
		(void)unsupported(r, "model_type", json_string_value(type));
	if (r->status != TTT_OK || type != NULL || list == NULL)
		return;
	name = json_array_get(list, 0);
	if (!json_is_string(name))
		r->status = ttt__fail(r->err, TTT_E_FORMAT, "%s: architectures is not a list of names", r->label);
	else if (strncmp(json_string_value(name), "Ttt", 3) != 0)
		(void)unsupported(r, "architecture", json_string_value(name));
}

static void
check_boolean(struct reader *r, const char *key, bool wanted)
{
	const json_t *v = get(r, key);

	if (r->status != TTT_OK || v == NULL)
		return;
	if (!json_is_boolean(v))
		r->status = ttt__fail(r->err, TTT_E_FORMAT, "%s: %s is not true or false", r->label, key);
	else if (json_is_true(v) != wanted)
		(void)unsupported(r, key, wanted ? "false" : "true");
}

static void
check_string(struct reader *r, const char *key, const char *wanted)
{
	const json_t *v = get(r, key);

	if (r->status != TTT_OK || v == NULL)
		return;
	if (!json_is_string(v))
		r->status = ttt__fail(r->err, TTT_E_FORMAT, "%s: %s is not a string", r->label, key);
	else if (strcmp(json_string_value(v), wanted) != 0)
		(void)unsupported(r, key, json_string_value(v));
}

static void
check_number(struct reader *r, const char *key, double wanted)
{
	double x = read_number(r, key, -1e300, 1e300, false, wanted);

	if (r->status == TTT_OK && fabs(x - wanted) > 1e-6)
		r->status = ttt__fail(r->err, TTT_E_UNSUPPORTED, "%s: %s is %g; only %g is supported", r->label, key, x,
		    wanted);
}

/* What would change the arithmetic must be said to be missing, or every result would be quietly wrong. */
static void
check_arithmetic(struct reader *r, const struct ttt_config *c)
{
	static const char *const absent[] = { "rope_scaling", "quantization_config", "final_logit_softcapping",
		"attn_logit_softcapping", "layer_types", "num_experts", "num_local_experts" };

	check_boolean(r, "rope_interleaved", true);
	check_boolean(r, "norm_weight_plus_one", false);
	check_boolean(r, "tie_word_embeddings", true);
	check_boolean(r, "attention_bias", false);
	check_boolean(r, "mlp_bias", false);
	check_string(r, "hidden_act", "silu");
	check_number(r, "embedding_scale", 1.0);
	check_number(r, "partial_rotary_factor", 1.0);
	check_number(r, "logit_scale", 1.0);
	if (r->status == TTT_OK)
		check_number(r, "attention_scale", 1.0 / sqrt((double)c->d_head));
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]) && r->status == TTT_OK; i++)
		if (get(r, absent[i]) != NULL)
			r->status = ttt__fail(r->err, TTT_E_UNSUPPORTED, "%s: %s is not supported", r->label,
			    absent[i]);
}

static void
read_sizes(struct reader *r, struct ttt_config *c)
{
	int64_t n_kv, n_all;

	c->n_vocab = read_integer(r, "vocab_size", 1, MAX_VOCAB, true, 0);
	c->d_model = read_integer(r, "hidden_size", 1, MAX_SIZE, true, 0);
	c->n_layer = read_integer(r, "num_hidden_layers", 1, MAX_LAYER, true, 0);
	c->n_head = read_integer(r, "num_attention_heads", 1, MAX_SIZE, true, 0);
	c->d_ff = read_integer(r, "intermediate_size", 1, MAX_SIZE, true, 0);
	n_kv = read_integer(r, "num_key_value_heads", 1, MAX_SIZE, false, c->n_head);
	if (r->status == TTT_OK && n_kv != c->n_head) {
		r->status = c->n_head % n_kv != 0
		    ? ttt__fail(r->err, TTT_E_FORMAT,
		    "%s: num_attention_heads, %lld, is not a multiple of num_key_value_heads, %lld",
		    r->label, (long long)c->n_head, (long long)n_kv)
		    : ttt__fail(r->err, TTT_E_UNSUPPORTED,
		    "%s: num_key_value_heads is %lld and num_attention_heads %lld; only equal "
		    "numbers are supported", r->label, (long long)n_kv, (long long)c->n_head);
	}
	if (r->status == TTT_OK && get(r, "head_dim") == NULL && c->d_model % c->n_head != 0)
		r->status = ttt__fail(r->err, TTT_E_FORMAT,
		    "%s: hidden_size, %lld, is not a multiple of num_attention_heads, %lld",
		    r->label, (long long)c->d_model, (long long)c->n_head);
	c->d_head = read_integer(r, "head_dim", 1, MAX_SIZE, false, c->n_head > 0 ? c->d_model / c->n_head : 0);
	if (r->status == TTT_OK && c->d_head % 2 != 0)
		r->status = ttt__fail(r->err, TTT_E_FORMAT, "%s: head_dim is %lld; rotary embedding needs an even one",
		    r->label, (long long)c->d_head);
	n_all = c->n_head * c->d_head;
	if (r->status == TTT_OK && c->d_model != n_all)
		r->status = ttt__fail(r->err, TTT_E_FORMAT,
		    "%s: hidden_size is %lld, but num_attention_heads * head_dim is %lld",
		    r->label, (long long)c->d_model, (long long)n_all);
	(void)read_integer(r, "max_position_embeddings", 1, INT64_C(1) << 40, false, 1);
}

static void
read_attention(struct reader *r, struct ttt_config *c)
{
	const json_t *kind = get(r, "attention");
	bool full;

	c->window = read_integer(r, "sliding_window", 0, MAX_SIZE, false, 0);
	if (r->status != TTT_OK || kind == NULL)
		return;
	if (!json_is_string(kind)) {
		r->status = ttt__fail(r->err, TTT_E_FORMAT, "%s: attention is not a string", r->label);
		return;
	}
	full = strcmp(json_string_value(kind), "full") == 0;
	if (!full && strcmp(json_string_value(kind), "sliding_window") != 0)
		(void)unsupported(r, "attention", json_string_value(kind));
	else if (full != (c->window == 0))
		r->status = ttt__fail(r->err, TTT_E_FORMAT, "%s: attention is '%s', but sliding_window is %lld",
		    r->label, json_string_value(kind), (long long)c->window);
}

static void
read_learning(struct reader *r, struct ttt_config *c)
{
	c->n_layer_suffix = read_integer(r, "num_suffix_layers", 0, MAX_LAYER, false, 0);
	if (r->status == TTT_OK && c->n_layer_suffix > c->n_layer)
		r->status = ttt__fail(r->err, TTT_E_FORMAT, "%s: num_suffix_layers is %lld, but num_hidden_layers %lld",
		    r->label, (long long)c->n_layer_suffix, (long long)c->n_layer);
	c->d_prime = read_integer(r, "prime_intermediate_size", 0, MAX_SIZE, false,
	    c->n_layer_suffix > 0 ? c->d_ff : 0);
	if (r->status == TTT_OK && (c->d_prime == 0) != (c->n_layer_suffix == 0))
		r->status = ttt__fail(r->err, TTT_E_FORMAT,
		    "%s: prime_intermediate_size is %lld, but num_suffix_layers %lld", r->label,
		    (long long)c->d_prime, (long long)c->n_layer_suffix);
	c->chunk = read_integer(r, "chunk_size", 1, MAX_SIZE, false, 1024);
	c->seq_length = read_integer(r, "seq_length", 1, INT64_C(1) << 32, false, 8192);
	c->bos = read_integer(r, "bos_token_id", -1, c->n_vocab - 1, false, -1);
	c->inner_lr = read_number(r, "inner_lr", 0, 1e6, false, 1.0);
	c->inner_clip = read_number(r, "inner_clip", -1e30, 1e30, false, 1.0);
	c->inner_lr_effective = read_number(r, "inner_lr_effective", 0, 1e6, false, c->inner_lr);
	c->inner_pull = read_number(r, "inner_pull", 0, 1, false, 0);
	c->mean_share = read_number(r, "mean_share", 0, 1, false, 1);
	c->mean_decay = read_number(r, "mean_decay", 0, 1e6, false, 0);
	c->noise_bits = read_number(r, "noise_bits", 0, 1e6, false, 0);
	c->rms_eps = read_number(r, "rms_norm_eps", 1e-30, 1, true, 0);
	c->rope_theta = read_number(r, "rope_theta", 1e-3, 1e30, true, 0);
}

/* A list of n_max numbers at most in [low, high]; absent gives none. Returns how many. */
static int64_t
read_list(struct reader *r, const char *key, double low, double high, double *out, size_t n_max)
{
	const json_t *v = get(r, key);
	size_t n = json_array_size(v);

	if (r->status == TTT_OK && v != NULL && (!json_is_array(v) || n > n_max))
		r->status = ttt__fail(r->err, TTT_E_FORMAT, "%s: %s is not a list of at most %zu numbers", r->label, key, n_max);
	for (size_t i = 0; i < n && r->status == TTT_OK; i++) {
		const json_t *x = json_array_get(v, i);

		out[i] = json_number_value(x);
		if (!json_is_number(x))
			r->status = ttt__fail(r->err, TTT_E_FORMAT, "%s: %s holds what is not a number", r->label, key);
		else if (!(out[i] >= low && out[i] <= high))
			r->status = ttt__fail(r->err, TTT_E_RANGE, "%s: %s holds %g, outside %g .. %g", r->label, key, out[i], low, high);
	}
	return r->status == TTT_OK ? (int64_t)n : 0;
}

static void
read_ngrams(struct reader *r, struct ttt_config *c)
{
	double order[TTT_NGRAM_MAX] = { 0 }, last = -1;
	int64_t n_rate;

	c->n_ngram = read_list(r, "ngram_orders", 0, 32, order, TTT_NGRAM_MAX);
	n_rate = read_list(r, "ngram_rates", 1e-30, 1e6, c->ngram_rate, TTT_NGRAM_MAX);
	c->ngram_bits = read_integer(r, "ngram_bits", 10, 24, false, 17);
	if (r->status == TTT_OK && n_rate != c->n_ngram)
		r->status = ttt__fail(r->err, TTT_E_FORMAT, "%s: ngram_orders has %lld numbers, but ngram_rates %lld", r->label,
		    (long long)c->n_ngram, (long long)n_rate);
	for (int64_t i = 0; i < c->n_ngram && r->status == TTT_OK; i++) {
		if (order[i] <= last || order[i] != floor(order[i]))
			r->status = ttt__fail(r->err, TTT_E_FORMAT, "%s: ngram_orders are not ascending integers", r->label);
		last = order[i];
		c->ngram_order[i] = (int64_t)order[i];
	}
	if (r->status == TTT_OK && c->n_ngram > 0 && c->n_layer_suffix == 0)
		r->status = ttt__fail(r->err, TTT_E_FORMAT, "%s: has ngram_orders, but num_suffix_layers 0: it learns nothing while reading",
		    r->label);
	if (r->status == TTT_OK && c->n_ngram > 0 && c->n_vocab > MAX_NGRAM_VOCAB)
		r->status = ttt__fail(r->err, TTT_E_RANGE, "%s: vocab_size is %lld, but with ngram_orders at most %d is supported", r->label,
		    (long long)c->n_vocab, MAX_NGRAM_VOCAB);
}

/* Parameters of SEMANTICS section 1, all together; no product may wrap and the sum must fit MAX_PARAMETER. */
static bool
count_fits(const struct ttt_config *c)
{
	int64_t block = 0, prime = 0, all = 0, n = 0;

	return ttt__i64_mul(&block, 4 * c->d_model, c->d_model) && ttt__i64_mul(&n, 3 * c->d_model, c->d_ff) &&
	    ttt__i64_add(&block, block, n) && ttt__i64_add(&block, block, 8 * c->d_model) &&
	    ttt__i64_mul(&block, block, c->n_layer) && ttt__i64_mul(&prime, 3 * c->d_model, c->d_prime) &&
	    ttt__i64_mul(&prime, prime, c->n_layer_suffix) && ttt__i64_mul(&all, c->n_vocab, c->d_model) &&
	    ttt__i64_add(&all, all, block) && ttt__i64_add(&all, all, prime) && all <= MAX_PARAMETER;
}

enum ttt_status
ttt__config_parse(struct ttt_config *out, const void *json, size_t n, const char *label, struct ttt_error *err)
{
	static const struct ttt__json_limits limits = { 32, 1 << 16 };
	struct ttt_config c = { 0 };
	struct reader r = { .label = label, .err = err };
	json_t *root;

	r.status = ttt__json_parse(&root, json, n, &limits, label, "the configuration", err);
	if (r.status != TTT_OK)
		return r.status;
	r.root = root;
	check_kind(&r);
	read_sizes(&r, &c);
	read_attention(&r, &c);
	read_learning(&r, &c);
	read_ngrams(&r, &c);
	check_arithmetic(&r, &c);
	if (r.status == TTT_OK && !count_fits(&c))
		r.status = ttt__fail(err, TTT_E_RANGE, "%s: these sizes make more than 2^40 parameters", label);
	json_decref(root);
	if (r.status == TTT_OK)
		*out = c;
	return r.status;
}

enum ttt_status
ttt__config_fits(const struct ttt_config *c, const struct ttt_tokenizer *t, const char *label, struct ttt_error *err)
{
	int64_t n = ttt_tokenizer_n_vocab(t);

	if (n > c->n_vocab)
		return ttt__fail(err, TTT_E_FORMAT, "%s: token ids reach %lld, but the vocab_size of config.json is %lld", label,
		    (long long)n - 1, (long long)c->n_vocab);
	return TTT_OK;
}
