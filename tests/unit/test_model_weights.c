/* What becomes of a model's files once they are opened: the checksum over them. */
#include <pthread.h>

#include "libttt/model/checksum.h"
#include "libttt/model/model.h"
#include "tests/unit/scratch.h"

static const char config_json[] = "{\"vocab_size\": 96, \"hidden_size\": 32, \"num_hidden_layers\": 2, \"num_attention_heads\": 4, "
    "\"intermediate_size\": 48, \"rms_norm_eps\": 1e-6, \"rope_theta\": 10000, \"num_suffix_layers\": 1, "
    "\"sliding_window\": 20, \"chunk_size\": 8, \"seq_length\": 64}";

struct fixture {
	char dir[256], model[300];
	struct ttt_device *device;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct ttt_init_options o = { .seed = 7 };
	struct ttt_error err = { 0 };

	assert_non_null(f);
	scratch_make(f->dir);
	snprintf(f->model, sizeof(f->model), "%s/m", f->dir);
	spill(in(f->dir, "c.json"), config_json, strlen(config_json));
	o.config = in(f->dir, "c.json");
	assert_ok(ttt_model_init(f->model, &o, &err), &err);
	assert_ok(ttt_device_create(&f->device, NULL, &err), &err);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	ttt_device_free(f->device);
	scratch_remove(f->dir);
	free(f);
	return 0;
}

static struct ttt_model *
open_ok(struct fixture *f, const char *dir)
{
	struct ttt_error err = { 0 };
	struct ttt_model *m;

	assert_ok(ttt_model_open(&m, f->device, dir, &err), &err);
	return m;
}

/* The checksum's definition, over files as they are. */
static void
checksum_of_files(char hex[65], const struct ttt__blob *config, const struct ttt__blob *weights, const struct ttt__blob *tokenizer)
{
	char part[3][65], text[400];

	ttt__checksum_of(part[0], config->p, config->n);
	ttt__checksum_of(part[1], weights->p, weights->n);
	snprintf(text, sizeof(text), "config %s\nweights %s\n", part[0], part[1]);
	if (tokenizer != NULL) {
		ttt__checksum_of(part[2], tokenizer->p, tokenizer->n);
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "tokenizer %s\n", part[2]);
	}
	ttt__checksum_of(hex, text, strlen(text));
}

static void *
ask(void *model)
{
	return (void *)(uintptr_t)ttt_model_checksum(model);
}

static void
test_checksum(void **state)
{
	struct fixture *f = *state;
	struct ttt__bytes w = slurp(in(f->model, "model.safetensors"));
	struct ttt__blob config = { (const unsigned char *)config_json, strlen(config_json) }, weights = { w.p, w.n };
	struct ttt_model *m = open_ok(f, f->model);
	pthread_t thread[4];
	void *answer;
	char want[65];

	checksum_of_files(want, &config, &weights, NULL);
	/* The configuration may be edited while the model is open; what counts is what was read. */
	spill(in(f->model, "config.json"), "{}", 2);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, ask, m), 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(thread[i], &answer), 0);
		assert_ptr_equal(answer, ttt_model_checksum(m));
	}
	assert_string_equal(ttt_model_checksum(m), want);
	spill(in(f->model, "config.json"), config_json, strlen(config_json));
	ttt_model_free(m);
	ttt__bytes_free(&w);
}

/* What was computed when the library was built is what the files give. */
static void
test_checksum_embedded(void **state)
{
	struct fixture *f = *state;
	struct ttt_model *m;
	char want[65];

	if (ttt__embedded_weights.n == 0)
		skip();
	checksum_of_files(want, &ttt__embedded_config, &ttt__embedded_weights, &ttt__embedded_tokenizer);
	m = open_ok(f, NULL);
	assert_string_equal(ttt_model_checksum(m), want);
	ttt_model_free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checksum),
		cmocka_unit_test(test_checksum_embedded),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
