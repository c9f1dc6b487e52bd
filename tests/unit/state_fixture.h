/* For tests of states: a tiny random model with the GPT-2 style tokenizer, and a text with long and short lines. */
#ifndef TTT_UNIT_STATE_FIXTURE_H
#define TTT_UNIT_STATE_FIXTURE_H
#include "libttt/learn/session.h"
#include "libttt/model/model.h"
#include "libttt/state/state.h"
#include "tests/unit/scratch.h"

struct fixture {
	char dir[256];
	struct ttt_device *device;
	struct ttt_model *model, *other; /* the same sizes, other weights */
	char *text;                      /* [n_text] some thousand bytes, not all UTF-8 */
	size_t n_text;
};

static const char fixture_config[] =
    "{\"vocab_size\": 1200, \"hidden_size\": 16, \"num_hidden_layers\": 3, \"num_attention_heads\": 2, "
    "\"intermediate_size\": 24, \"num_suffix_layers\": 2, \"attention\": \"sliding_window\", \"sliding_window\": 21, "
    "\"chunk_size\": 8, \"seq_length\": 64, \"bos_token_id\": 1199, \"rms_norm_eps\": 1e-6, \"rope_theta\": 10000, "
    "\"inner_lr\": 1.0, \"inner_clip\": 1.0}";

/* The same with biases by the last tokens. */
static inline char *
fixture_ngram_config(void)
{
	size_t n = strlen(fixture_config) - 1;
	char *out = malloc(n + 100);

	assert_non_null(out);
	memcpy(out, fixture_config, n);
	strcpy(out + n, ", \"ngram_orders\": [0, 2, 5], \"ngram_rates\": [0.5, 1, 2.5], \"ngram_bits\": 10}");
	return out;
}

/* Lines of words, numbers, accents and stray bytes, made by a small generator. */
static inline void
fixture_text(struct fixture *f)
{
	static const char *const words[] = { "static", "int", "the", "journal", "replay", "na\xc3\xafve",
	    "\xe2\x82\xac", "x", "=", "0x1f",
		"return;", "\t", "\xff", "  ", "error:", "commit" };
	uint32_t r = 12345;

	f->text = malloc(8000);
	assert_non_null(f->text);
	while (f->n_text < 6000) {
		const char *w;

		r = r * 1664525 + 1013904223;
		w = words[r >> 28];
		memcpy(f->text + f->n_text, w, strlen(w));
		f->n_text += strlen(w);
		f->text[f->n_text++] = (r >> 20 & 15) == 0 ? '\n' : ' ';
	}
}

static inline struct ttt_model *
fixture_model(struct fixture *f, const char *name, uint64_t seed)
{
	struct ttt_init_options o = { .seed = seed, .prime_fan_in = true };
	struct ttt_error err = { 0 };
	struct ttt_model *m;

	o.config = in(f->dir, "config.json");
	o.tokenizer = data_path("golden/tokenizers/gpt2/tokenizer.json");
	assert_ok(ttt_model_init(in(f->dir, name), &o, &err), &err);
	assert_ok(ttt_model_open(&m, f->device, in(f->dir, name), &err), &err);
	return m;
}

static inline int
fixture_make(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct ttt_error err = { 0 };

	assert_non_null(f);
	scratch_make(f->dir);
	assert_int_equal(setenv("TMPDIR", f->dir, 1), 0);
	assert_ok(ttt_device_create(&f->device, &(struct ttt_device_options){ .n_thread = 1 }, &err), &err);
	spill(in(f->dir, "config.json"), fixture_config, strlen(fixture_config));
	f->model = fixture_model(f, "m", 1);
	f->other = fixture_model(f, "other", 2);
	fixture_text(f);
	*state = f;
	return 0;
}

static inline int
fixture_free(void **state)
{
	struct fixture *f = *state;

	ttt_model_free(f->model);
	ttt_model_free(f->other);
	ttt_device_free(f->device);
	scratch_remove(f->dir);
	free(f->text);
	free(f);
	return 0;
}

/* A model with biases by the last tokens in place of the fixture's; it is given back by fixture_plain. */
static inline struct ttt_model *
fixture_ngrams(struct fixture *f)
{
	struct ttt_model *plain = f->model;
	char *config = fixture_ngram_config();

	spill(in(f->dir, "config.json"), config, strlen(config));
	f->model = fixture_model(f, "n", 1);
	spill(in(f->dir, "config.json"), fixture_config, strlen(fixture_config));
	free(config);
	return plain;
}

static inline void
fixture_plain(struct fixture *f, struct ttt_model *plain)
{
	ttt_model_free(f->model);
	f->model = plain;
	scratch_remove(in(f->dir, "n"));
}

/* A state that absorbed n bytes of text from at, in pieces of step bytes, of source name. */
static inline struct ttt_state *
absorbed(struct fixture *f, const struct ttt_state_options *o, const char *name, size_t at, size_t n, size_t step)
{
	struct ttt_error err = { 0 };
	struct ttt_state *s;

	assert_ok(ttt_state_create(&s, f->model, o, &err), &err);
	if (name != NULL)
		assert_ok(ttt_state_source(s, name, &err), &err);
	for (size_t end = at + n; at < end; at += step)
		assert_ok(ttt_state_absorb(s, f->text + at, end - at < step ? end - at : step, NULL, NULL, &err), &err);
	return s;
}

static inline void
save(struct ttt_state *s, const char *path, enum ttt_compress c, bool tail)
{
	struct ttt_error err = { 0 };
	FILE *f = fopen(path, "wb"); /* not ttt_state_save, whose fsync takes its time */

	assert_non_null(f);
	assert_ok(ttt_state_write(s, f, &(struct ttt_save_options){ .compress = c, .window_tail = tail }, &err), &err);
	assert_int_equal(fclose(f), 0);
}

static inline struct ttt_state *
opened(struct fixture *f, const char *path, const struct ttt_state_options *o)
{
	struct ttt_error err = { 0 };
	struct ttt_state *s;

	assert_ok(ttt_state_open(&s, path, f->model, o, &err), &err);
	return s;
}

static inline void
assert_same_file(const char *a, const char *b)
{
	struct ttt__bytes x = slurp(a), y = slurp(b);

	assert_int_equal(x.n, y.n);
	assert_memory_equal(x.p, y.p, x.n);
	ttt__bytes_free(&x);
	ttt__bytes_free(&y);
}

#endif
