/* Model directories: configuration, index, initialisation, opening; each mistake refused in its own words. */
#include <dirent.h>
#include <math.h>

#include "libttt/model/config.h"
#include "libttt/model/index.h"
#include "libttt/model/model.h"
#include "libttt/model/safetensors.h"
#include "libttt/random.h"
#include "tests/unit/scratch.h"

#define BASE "\"vocab_size\": 96, \"hidden_size\": 32, \"num_hidden_layers\": 2, \"num_attention_heads\": 4, " \
	"\"intermediate_size\": 48, \"rms_norm_eps\": 1e-6, \"rope_theta\": 10000"

/* The base configuration with one text replaced by another and more keys added. */
static enum ttt_status
parse_variant(struct ttt_config *c, const char *from, const char *to, const char *more, struct ttt_error *err)
{
	static const char base[] = BASE;
	char json[2048];
	const char *at = from != NULL ? strstr(base, from) : base;

	assert_non_null(at);
	snprintf(json, sizeof(json), "{%.*s%s%s%s}", (int)(at - base), base, to != NULL ? to : "",
	    at + (from != NULL ? strlen(from) : 0), more);
	return ttt__config_parse(c, json, strlen(json), "m/config.json", err);
}

static void
test_config_defaults(void **state)
{
	struct ttt_error err = { 0 };
	struct ttt_config c;

	(void)state;
	assert_ok(parse_variant(&c, NULL, NULL, "", &err), &err);
	assert_int_equal(c.d_head, 8);
	assert_int_equal(c.n_layer_suffix, 0);
	assert_int_equal(c.d_prime, 0);
	assert_int_equal(c.window, 0);
	assert_int_equal(c.bos, -1);
	assert_true(c.rope_theta == 10000.0);
	assert_ok(parse_variant(&c, NULL, NULL,
	    ", \"num_suffix_layers\": 2, \"inner_lr\": 2, \"x\": {\"y\": [1, null]}", &err), &err);
	assert_int_equal(c.d_prime, 48);
	assert_true(c.inner_lr_effective == 2.0);
	assert_int_equal(c.n_ngram, 0);
	assert_ok(parse_variant(&c, NULL, NULL, ", \"num_suffix_layers\": 1, \"ngram_orders\": [2, 32], \"ngram_rates\": [1, 0.5]", &err), &err);
	assert_true(c.n_ngram == 2 && c.ngram_order[1] == 32 && c.ngram_rate[1] == 0.5 && c.ngram_bits == 17);
	assert_ok(parse_variant(&c, NULL, NULL,
	    ", \"rope_scaling\": null, \"model_type\": \"ttt\", \"hidden_act\": \"silu\"", &err), &err);
}

static void
test_config_mistakes(void **state)
{
	static const struct {
		const char *from, *to, *more;
		enum ttt_status status;
		const char *reason;
	} cases[] = {
		{ "\"hidden_size\": 32, ", "", "", TTT_E_FORMAT, "hidden_size is missing" },
		{ "\"vocab_size\": 96, ", "", "", TTT_E_FORMAT, "vocab_size is missing" },
		{ "\"num_hidden_layers\": 2, ", "", "", TTT_E_FORMAT, "num_hidden_layers is missing" },
		{ "\"intermediate_size\": 48, ", "", "", TTT_E_FORMAT, "intermediate_size is missing" },
		{ "\"rms_norm_eps\": 1e-6, ", "", "", TTT_E_FORMAT, "rms_norm_eps is missing" },
		{ "\"hidden_size\": 32", "\"hidden_size\": -32", "", TTT_E_RANGE,
		    "hidden_size is -32, outside 1 .. 16777216" },
		{ "\"hidden_size\": 32", "\"hidden_size\": 4611686018427387904", "", TTT_E_RANGE,
		    "hidden_size is 46116" },
		{ "\"hidden_size\": 32", "\"hidden_size\": \"32\"", "", TTT_E_FORMAT, "hidden_size is not an integer" },
		{ "\"hidden_size\": 32", "\"hidden_size\": 32.0", "", TTT_E_FORMAT, "hidden_size is not an integer" },
		{ "\"hidden_size\": 32", "\"hidden_size\": NaN", "", TTT_E_FORMAT, "not JSON" },
		{ "\"hidden_size\": 32", "\"hidden_size\": 1e999", "", TTT_E_FORMAT, "not JSON" },
		{ "\"hidden_size\": 32", "\"hidden_size\": 34", "", TTT_E_FORMAT,
		    "not a multiple of num_attention_heads" },
		{ "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 2000000000", "", TTT_E_RANGE,
		    "num_hidden_layers" },
		{ "\"num_hidden_layers\": 2", "\"num_hidden_layers\": -1", "", TTT_E_RANGE, "num_hidden_layers" },
		{ "\"num_attention_heads\": 4", "\"num_attention_heads\": 0", "", TTT_E_RANGE,
		    "num_attention_heads is 0" },
		{ "96", "4194304", ", \"head_dim\": 4194304, \"x\": 1", TTT_E_FORMAT, "hidden_size is 32, but" },
		{ "\"hidden_size\": 32", "\"hidden_size\": 16777216", ", \"head_dim\": 4194304", TTT_E_RANGE,
		    "2^40 parameters" },
		{ NULL, NULL, ", \"num_key_value_heads\": 2", TTT_E_UNSUPPORTED, "num_key_value_heads is 2" },
		{ NULL, NULL, ", \"num_key_value_heads\": 3", TTT_E_FORMAT, "not a multiple of num_key_value_heads" },
		{ NULL, NULL, ", \"head_dim\": 0", TTT_E_RANGE, "head_dim is 0" },
		{ "\"hidden_size\": 32", "\"hidden_size\": 28", ", \"head_dim\": 7", TTT_E_FORMAT, "head_dim is 7" },
		{ "1e-6", "\"1e-6\"", "", TTT_E_FORMAT, "rms_norm_eps is not a number" },
		{ "10000", "0", "", TTT_E_RANGE, "rope_theta is 0" },
		{ "10000", "-1.0", "", TTT_E_RANGE, "rope_theta is -1" },
		{ NULL, NULL, ", \"rope_scaling\": {\"rope_type\": \"llama3\"}", TTT_E_UNSUPPORTED, "rope_scaling" },
		{ NULL, NULL, ", \"hidden_act\": \"gelu\"", TTT_E_UNSUPPORTED, "hidden_act 'gelu'" },
		{ NULL, NULL, ", \"model_type\": \"llama\"", TTT_E_UNSUPPORTED, "model_type 'llama'" },
		{ NULL, NULL, ", \"architectures\": [\"LlamaForCausalLM\"]", TTT_E_UNSUPPORTED, "'LlamaForCausalLM'" },
		{ NULL, NULL, ", \"max_position_embeddings\": -1", TTT_E_RANGE, "max_position_embeddings" },
		{ NULL, NULL, ", \"rope_interleaved\": false", TTT_E_UNSUPPORTED, "rope_interleaved" },
		{ NULL, NULL, ", \"norm_weight_plus_one\": true", TTT_E_UNSUPPORTED, "norm_weight_plus_one" },
		{ NULL, NULL, ", \"tie_word_embeddings\": 1", TTT_E_FORMAT,
		    "tie_word_embeddings is not true or false" },
		{ NULL, NULL, ", \"embedding_scale\": 2", TTT_E_UNSUPPORTED, "embedding_scale is 2" },
		{ NULL, NULL, ", \"attention_scale\": 1", TTT_E_UNSUPPORTED, "attention_scale is 1" },
		{ NULL, NULL, ", \"num_suffix_layers\": 3", TTT_E_FORMAT, "num_suffix_layers is 3" },
		{ NULL, NULL, ", \"prime_intermediate_size\": 8", TTT_E_FORMAT, "prime_intermediate_size is 8" },
		{ NULL, NULL, ", \"chunk_size\": 0", TTT_E_RANGE, "chunk_size is 0" },
		{ NULL, NULL, ", \"bos_token_id\": 96", TTT_E_RANGE, "bos_token_id is 96" },
		{ NULL, NULL, ", \"inner_lr\": -1", TTT_E_RANGE, "inner_lr is -1" },
		{ NULL, NULL, ", \"attention\": \"full\", \"sliding_window\": 8", TTT_E_FORMAT, "sliding_window is 8" },
		{ NULL, NULL, ", \"attention\": \"sparse\"", TTT_E_UNSUPPORTED, "attention 'sparse'" },
		{ NULL, NULL, ", \"ngram_orders\": 2, \"ngram_rates\": [1]", TTT_E_FORMAT, "ngram_orders is not a list" },
		{ NULL, NULL, ", \"ngram_orders\": [2, \"4\"], \"ngram_rates\": [1, 1]", TTT_E_FORMAT, "ngram_orders holds what is not a number" },
		{ NULL, NULL, ", \"ngram_orders\": [2, 33], \"ngram_rates\": [1, 1]", TTT_E_RANGE, "ngram_orders holds 33" },
		{ NULL, NULL, ", \"ngram_orders\": [-1], \"ngram_rates\": [1]", TTT_E_RANGE, "ngram_orders holds -1" },
		{ NULL, NULL, ", \"ngram_orders\": [0, 0], \"ngram_rates\": [1, 1]", TTT_E_FORMAT, "not ascending integers" },
		{ NULL, NULL, ", \"ngram_orders\": [4, 2], \"ngram_rates\": [1, 1]", TTT_E_FORMAT, "not ascending integers" },
		{ NULL, NULL, ", \"ngram_orders\": [2.5], \"ngram_rates\": [1]", TTT_E_FORMAT, "not ascending integers" },
		{ NULL, NULL, ", \"ngram_orders\": [1, 2, 3, 4, 5, 6, 7, 8, 9]", TTT_E_FORMAT, "a list of at most 8" },
		{ NULL, NULL, ", \"ngram_orders\": [2, 4], \"ngram_rates\": [1]", TTT_E_FORMAT, "has 2 numbers, but ngram_rates 1" },
		{ NULL, NULL, ", \"ngram_rates\": [1]", TTT_E_FORMAT, "has 0 numbers, but ngram_rates 1" },
		{ NULL, NULL, ", \"ngram_orders\": [2], \"ngram_rates\": [1]", TTT_E_FORMAT, "but num_suffix_layers 0" },
		{ NULL, NULL, ", \"ngram_orders\": [2], \"ngram_rates\": [0]", TTT_E_RANGE, "ngram_rates holds 0" },
		{ NULL, NULL, ", \"ngram_orders\": [2], \"ngram_rates\": [1], \"ngram_bits\": 9", TTT_E_RANGE, "ngram_bits is 9" },
		{ "96", "65537", ", \"num_suffix_layers\": 1, \"ngram_orders\": [2], \"ngram_rates\": [1]", TTT_E_RANGE, "vocab_size is 65537, but with ngram_orders" },
		{ NULL, NULL, ", \"chunk_size\": 8, \"chunk_size\": 8", TTT_E_FORMAT, "duplicate" },
		{ NULL, NULL, ",", TTT_E_FORMAT, "not JSON" },
		{ NULL, NULL, "} {", TTT_E_FORMAT, "not JSON" },
		{ NULL, NULL, ", \"model_type\": \"\xff\"", TTT_E_FORMAT, "not JSON" },
	};
	struct ttt_error err = { 0 };
	struct ttt_config c;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_fails(parse_variant(&c, cases[i].from, cases[i].to, cases[i].more, &err), cases[i].status, &err,
		    cases[i].reason);
	assert_fails(ttt__config_parse(&c, "\xef\xbb\xbf{}", 5, "x", &err), TTT_E_FORMAT, &err, "byte-order mark");
	assert_fails(ttt__config_parse(&c, "{}\0", 3, "x", &err), TTT_E_FORMAT, &err, "not JSON");
	assert_fails(ttt__config_parse(&c, "null", 4, "x", &err), TTT_E_FORMAT, &err, "not a JSON object");
	assert_fails(ttt__config_parse(&c, "", 0, "x", &err), TTT_E_FORMAT, &err, "empty");
}

/* Other software's files, good and bad: none is taken, each is answered in one short line. */
static void
test_config_cases(void **state)
{
	DIR *d = opendir(data_path("files/config"));
	struct dirent *e;
	int n = 0;

	(void)state;
	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		struct ttt_error err = { 0 };
		struct ttt_config c;
		struct ttt__bytes b;

		if (e->d_name[0] == '.')
			continue;
		b = slurp(in(data_path("files/config"), e->d_name));
		if (ttt__config_parse(&c, b.p, b.n, "c", &err) == TTT_OK)
			fail_msg("%s is taken", e->d_name);
		if (strncmp(e->d_name, "ok_", 3) == 0)
			assert_fails(err.status, TTT_E_UNSUPPORTED, &err, "model_type 'llama'");
		assert_true(strlen(err.text) < 200);
		ttt__bytes_free(&b);
		n++;
	}
	closedir(d);
	assert_int_equal(n, 38);
}

static void
test_random(void **state)
{
	struct ttt__random r, s;
	double sum = 0, square = 0;

	(void)state;
	/* xoshiro256**, state filled by splitmix64 of 0: first outputs as published for that pair */
	ttt__random_seed(&r, 0);
	assert_true(r.s[0] == UINT64_C(0xe220a8397b1dcdaf));
	assert_true(ttt__random_bits(&r) == UINT64_C(0x99ec5f36cb75f2b4));
	ttt__random_seed(&s, 1);
	for (int i = 0; i < 100000; i++) {
		double x = ttt__random_normal(&s);

		sum += x;
		square += x * x;
	}
	assert_true(fabs(sum / 1e5) < 0.015);
	assert_true(fabs(square / 1e5 - 1) < 0.02);
}

static const char config_json[] = "{" BASE ", \"num_suffix_layers\": 1, \"sliding_window\": 20, \"attention\": "
    "\"sliding_window\", \"chunk_size\": 8, \"seq_length\": 64}";

#include "tests/unit/model_fixture.h"

static void
test_init(void **state)
{
	struct fixture *f = *state;
	struct ttt_init_options o = { .seed = 7 };
	struct ttt__bytes a = slurp(in(f->model, "model.safetensors")), b;
	struct ttt__safetensors s;
	struct ttt_error err = { 0 };
	float x[48 * 32];
	double square = 0;

	o.config = in(f->dir, "c.json");
	assert_ok(ttt_model_init(in(f->dir, "same"), &o, &err), &err);
	b = slurp(in(f->dir, "same/model.safetensors"));
	assert_int_equal(a.n, b.n);
	assert_memory_equal(a.p, b.p, a.n);
	ttt__bytes_free(&b);
	o.seed = 8;
	o.prime_fan_in = true;
	assert_ok(ttt_model_init(in(f->dir, "other"), &o, &err), &err);
	b = slurp(in(f->dir, "other/model.safetensors"));
	assert_int_equal(a.n, b.n);
	assert_memory_not_equal(a.p, b.p, a.n);
	assert_ok(ttt__safetensors_parse(&s, b.p, b.n, "b", &err), &err);
	assert_ok(ttt__safetensors_f32(&s, ttt__safetensors_find(&s, "model.layers.1.prime_mlp.gate_proj.weight"), x,
	    &err), &err);
	for (int i = 0; i < 48 * 32; i++)
		square += (double)x[i] * x[i] / (48 * 32);
	assert_true(fabs(square * 32 - 1) < 0.15);
	assert_ok(ttt__safetensors_f32(&s, ttt__safetensors_find(&s, "model.norm.weight"), x, &err), &err);
	assert_true(x[0] == 1 && x[31] == 1);
	ttt__safetensors_free(&s);
	ttt__bytes_free(&a);
	ttt__bytes_free(&b);
	b = slurp(in(f->model, "config.json"));
	assert_int_equal(b.n, strlen(config_json));
	assert_memory_equal(b.p, config_json, b.n);
	ttt__bytes_free(&b);
}

static enum ttt_status
open_model(struct fixture *f, const char *dir, char checksum[65], struct ttt_error *err)
{
	struct ttt_model *m = NULL;
	enum ttt_status status = ttt_model_open(&m, f->device, dir, err);

	if (status == TTT_OK && checksum != NULL)
		strcpy(checksum, ttt_model_checksum(m));
	ttt_model_free(m);
	return status;
}

static void
test_open(void **state)
{
	struct fixture *f = *state;
	struct ttt_error err = { 0 };
	struct ttt_model *m;
	char a[65], b[65];

	assert_ok(ttt_model_open(&m, f->device, f->model, &err), &err);
	assert_string_equal(ttt_model_name(m), "m");
	assert_int_equal(ttt_model_n_fast(m), 3 * 48 * 32);
	assert_int_equal(ttt_model_n_parameter(m), m->parameters.n_float);
	assert_null(ttt_model_tokenizer(m));
	ttt_model_free(m);
	assert_ok(open_model(f, f->model, a, &err), &err);
	assert_int_equal(strlen(a), 64);
	assert_ok(open_model(f, in(f->dir, "m/"), b, &err), &err);
	assert_string_equal(a, b);
	assert_fails(open_model(f, in(f->dir, "none"), NULL, &err), TTT_E_IO, &err, "none/config.json");
}

/* Rewrite the model's weights through change() into a new directory and open that. */
static enum ttt_status
open_changed(struct fixture *f, const char *name, const char *config, void (*change)(struct ttt__bytes *b),
    struct ttt_error *err)
{
	struct ttt__bytes b = slurp(in(f->model, "model.safetensors"));
	char dir[300];
	enum ttt_status status;

	snprintf(dir, sizeof(dir), "%s/%s", f->dir, name);
	assert_int_equal(mkdir(dir, 0700), 0);
	spill(in(dir, "config.json"), config, strlen(config));
	if (change != NULL)
		change(&b);
	spill(in(dir, "model.safetensors"), b.p, b.n);
	ttt__bytes_free(&b);
	status = open_model(f, dir, NULL, err);
	return status;
}

static void
put_nan(struct ttt__bytes *b)
{
	memcpy(b->p + b->n - 4, "\0\0\xc0\x7f", 4);
}

static void
cut_end(struct ttt__bytes *b)
{
	b->n -= 1;
}

/* One letter of a tensor's name changed: one is missing, one too many. */
static void
rename_tensor(struct ttt__bytes *b)
{
	unsigned char *p = memmem(b->p, b->n, "model.norm", 10);

	assert_non_null(p);
	p[6] = 'm';
}

static void
test_open_mistakes(void **state)
{
	struct fixture *f = *state;
	struct ttt_error err = { 0 };
	char config[2048], *at;

	assert_fails(open_changed(f, "nan", config_json, put_nan, &err), TTT_E_FORMAT, &err, "not a finite number");
	assert_fails(open_changed(f, "cut", config_json, cut_end, &err), TTT_E_FORMAT, &err,
	    "beyond the end of the file");
	assert_fails(open_changed(f, "name", config_json, rename_tensor, &err), TTT_E_FORMAT, &err,
	    "'model.norm.weight' is missing");
	strcpy(config, config_json);
	at = strstr(config, "96");
	memcpy(at, "97", 2);
	assert_fails(open_changed(f, "vocab", config, NULL, &err), TTT_E_SHAPE, &err,
	    "is [96, 32] but config.json says [97, 32]");
	strcpy(config, config_json);
	at = strstr(config, "layers\": 2");
	memcpy(at, "layers\": 9", 10);
	assert_fails(open_changed(f, "layers", config, NULL, &err), TTT_E_FORMAT, &err, "is missing");
}

/* The same weights as one shard under an index; then every malformed index in place of it. */
static void
test_index(void **state)
{
	struct fixture *f = *state;
	struct ttt__bytes w = slurp(in(f->model, "model.safetensors"));
	struct ttt__safetensors s;
	struct ttt_error err = { 0 };
	char dir[300], json[8192], *at = json;
	static const char *const bad[] = { "missing_shard", "path_traversal", "tensor_not_in_shard", "weight_map_array",
		"weight_map_numbers" };

	snprintf(dir, sizeof(dir), "%s/sharded", f->dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	spill(in(dir, "config.json"), config_json, strlen(config_json));
	spill(in(dir, "shard.safetensors"), w.p, w.n);
	assert_ok(ttt__safetensors_parse(&s, w.p, w.n, "w", &err), &err);
	at += sprintf(at, "{\"metadata\": {\"total_size\": 1}, \"weight_map\": {");
	for (size_t i = 0; i < s.n; i++)
		at += sprintf(at, "%s\"%s\": \"shard.safetensors\"", i > 0 ? ", " : "", s.tensor[i].name);
	sprintf(at, "}}");
	spill(in(dir, "model.safetensors.index.json"), json, strlen(json));
	assert_ok(open_model(f, dir, NULL, &err), &err);
	at = strstr(json, "model.norm");
	at[6] = 'm';
	spill(in(dir, "model.safetensors.index.json"), json, strlen(json));
	assert_fails(open_model(f, dir, NULL, &err), TTT_E_FORMAT, &err, "'model.morm.weight' is not in");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char name[64];
		struct ttt__bytes b;

		snprintf(name, sizeof(name), "files/index/%s.index.json", bad[i]);
		b = slurp(data_path(name));
		spill(in(dir, "model.safetensors.index.json"), b.p, b.n);
		ttt__bytes_free(&b);
		if (open_model(f, dir, NULL, &err) == TTT_OK)
			fail_msg("%s is taken", bad[i]);
		assert_non_null(strstr(err.text, i == 0 ? "absent-00002.safetensors" : "index.json"));
	}
	ttt__safetensors_free(&s);
	ttt__bytes_free(&w);
}

/* A tokenizer that knows more tokens than the model has rows for: refused before it can index past the embedding. */
static void
test_tokenizer_too_large(void **state)
{
	struct fixture *f = *state;
	struct ttt_init_options o = { .seed = 1, .tokenizer = data_path("golden/tokenizers/gpt2/tokenizer.json") };
	struct ttt__bytes b = slurp(o.tokenizer);
	struct ttt_error err = { 0 };

	o.config = in(f->dir, "c.json");
	assert_fails(ttt_model_init(in(f->dir, "toobig"), &o, &err), TTT_E_FORMAT, &err, "token ids reach 1199");
	assert_int_not_equal(access(in(f->dir, "toobig"), F_OK), 0);
	spill(in(f->model, "tokenizer.json"), b.p, b.n);
	assert_fails(open_model(f, f->model, NULL, &err), TTT_E_FORMAT, &err,
	    "m/tokenizer.json: token ids reach 1199, but the "
	    "vocab_size of config.json is 96");
	assert_int_equal(unlink(in(f->model, "tokenizer.json")), 0);
	ttt__bytes_free(&b);
}

static void
test_golden_configs(void **state)
{
	static const char *const names[] = { "full", "swa", "meta", "meta_clip", "meta_mask" };
	static const int suffix[] = { 0, 0, 2, 2, 1 }, window[] = { 0, 20, 20, 24, 10 };
	struct ttt_error err = { 0 };

	(void)state;
	for (int i = 0; i < 5; i++) {
		char name[64];
		struct ttt_config c;
		struct ttt__bytes b;

		snprintf(name, sizeof(name), "golden/cases/%s/config.json", names[i]);
		b = slurp(data_path(name));
		assert_ok(ttt__config_parse(&c, b.p, b.n, name, &err), &err);
		assert_int_equal(c.n_layer_suffix, suffix[i]);
		assert_int_equal(c.window, window[i]);
		if (i == 4)
			assert_true(fabs(c.inner_lr_effective - 0.46) < 1e-12);
		ttt__bytes_free(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config_defaults),
		cmocka_unit_test(test_config_mistakes),
		cmocka_unit_test(test_config_cases),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_init),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_open_mistakes),
		cmocka_unit_test(test_index),
		cmocka_unit_test(test_tokenizer_too_large),
		cmocka_unit_test(test_golden_configs),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
