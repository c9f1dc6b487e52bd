/* What becomes of a model's files once they are opened: weights in place or copied, the checksum over the files, new files. */
#include <math.h>
#include <pthread.h>

#include "libttt/checksum.h"
#include "libttt/model/model.h"
#include "libttt/model/safetensors.h"
#include "tests/unit/scratch.h"

static const char config_json[] = "{\"vocab_size\": 96, \"hidden_size\": 32, \"num_hidden_layers\": 2, \"num_attention_heads\": 4, "
    "\"intermediate_size\": 48, \"rms_norm_eps\": 1e-6, \"rope_theta\": 10000, \"num_suffix_layers\": 1, "
    "\"sliding_window\": 20, \"chunk_size\": 8, \"seq_length\": 64}";

#include "tests/unit/model_fixture.h"

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

/* The model's directory again, as name, with other bytes for its weights. */
static struct ttt_model *
open_with(struct fixture *f, const char *name, const struct ttt__bytes *weights)
{
	char dir[300];

	snprintf(dir, sizeof(dir), "%s/%s", f->dir, name);
	assert_int_equal(mkdir(dir, 0700), 0);
	spill(in(dir, "config.json"), config_json, strlen(config_json));
	spill(in(dir, "model.safetensors"), weights->p, weights->n);
	return open_ok(f, dir);
}

/* The tensors of model m as a file, in the order of the table from number first on, round, with one more of no parameter. */
static struct ttt__bytes
tensors_of(const struct ttt_model *m, int64_t first, bool more)
{
	const struct ttt__parameters *p = &m->parameters;
	const float one = 1;
	struct ttt__tensor_out t[64];
	struct ttt__bytes b = { 0 };
	struct ttt_error err = { 0 };

	assert_true(p->n < 64);
	for (int64_t i = 0; i < p->n; i++) {
		const struct ttt__parameter *x = &p->p[(first + i) % p->n];

		t[i] = (struct ttt__tensor_out){ .name = x->name, .n_dim = x->cols > 0 ? 2 : 1, .dim = { x->rows, x->cols },
			.data = m->weights + x->offset };
	}
	t[p->n] = (struct ttt__tensor_out){ .name = "more", .n_dim = 1, .dim = { 1 }, .data = &one };
	assert_ok(ttt__safetensors_write(&b, t, (size_t)p->n + more, NULL, &err), &err);
	return b;
}

/* The same weights, in place or not. */
static void
check_same(struct ttt_model *m, const struct ttt_model *want, bool in_place)
{
	assert_int_equal(m->copy == NULL, in_place);
	assert_int_equal((uintptr_t)m->weights % 64, 0);
	assert_memory_equal(m->weights, want->weights, (size_t)want->parameters.n_float * sizeof(float));
	ttt_model_free(m);
}

static void
test_in_place(void **state)
{
	struct fixture *f = *state;
	struct ttt_model *m = open_ok(f, f->model);
	struct ttt__bytes b = slurp(in(f->model, "model.safetensors")), moved;
	struct ttt_error err = { 0 };

	/* What this library writes is used where it lies. */
	assert_null(m->copy);
	check_same(open_with(f, "same", &b), m, true);
	/* Not where the data is not aligned: eight more blanks after the header. */
	moved = (struct ttt__bytes){ 0 };
	assert_ok(ttt__bytes_add(&moved, b.p, b.n, &err), &err);
	assert_ok(ttt__bytes_add(&moved, "        ", 8, &err), &err);
	size_t n_header = (size_t)b.p[0] + 256 * (size_t)b.p[1] + 65536 * (size_t)b.p[2];
	memmove(moved.p + 16 + n_header, moved.p + 8 + n_header, b.n - 8 - n_header);
	memset(moved.p + 8 + n_header, ' ', 8);
	moved.p[0] = (unsigned char)((n_header + 8) & 255);
	moved.p[1] = (unsigned char)((n_header + 8) >> 8 & 255);
	check_same(open_with(f, "moved", &moved), m, false);
	ttt__bytes_free(&moved);
	ttt__bytes_free(&b);
	/* A tensor that is no parameter does not matter behind them; another order does. */
	b = tensors_of(m, 0, true);
	check_same(open_with(f, "more", &b), m, true);
	ttt__bytes_free(&b);
	b = tensors_of(m, 1, false);
	check_same(open_with(f, "turned", &b), m, false);
	ttt__bytes_free(&b);
	ttt_model_free(m);
}

static void
test_write(void **state)
{
	struct fixture *f = *state;
	struct ttt_model *m = open_ok(f, f->model), *g, *h;
	struct ttt__bytes a = slurp(in(f->model, "model.safetensors")), b;
	struct ttt_error err = { 0 };
	char dir[300];

	snprintf(dir, sizeof(dir), "%s/written", f->dir);
	assert_ok(ttt_model_write(m, dir, TTT_F32, &err), &err);
	g = open_ok(f, dir);
	assert_string_equal(ttt_model_checksum(g), ttt_model_checksum(m));
	/* Onto itself, while it is in use: half as large, and every weight within half of bfloat16's last bit. */
	assert_ok(ttt_model_write(g, dir, TTT_BF16, &err), &err);
	assert_memory_equal(g->weights, m->weights, (size_t)m->parameters.n_float * sizeof(float));
	ttt_model_free(g);
	b = slurp(in(dir, "model.safetensors"));
	assert_true(b.n < a.n * 6 / 10);
	ttt__bytes_free(&a);
	ttt__bytes_free(&b);
	h = open_ok(f, dir);
	assert_non_null(h->copy);
	for (int64_t i = 0; i < m->parameters.n_float; i++) {
		double x = (double)m->weights[i], y = (double)h->weights[i];

		assert_true(fabs(x - y) <= fabs(x) / 256);
	}
	/* Rounding again changes nothing. */
	assert_ok(ttt_model_write(h, in(f->dir, "again"), TTT_BF16, &err), &err);
	a = slurp(in(dir, "model.safetensors"));
	b = slurp(in(f->dir, "again/model.safetensors"));
	assert_int_equal(a.n, b.n);
	assert_memory_equal(a.p, b.p, a.n);
	ttt__bytes_free(&a);
	ttt__bytes_free(&b);
	/* The largest float is no bfloat16: an error, and the old file stays. */
	h->copy[h->parameters.final_norm + 5] = 3.4028234e38F;
	assert_fails(ttt_model_write(h, in(f->dir, "again"), TTT_BF16, &err), TTT_E_RANGE, &err,
	    "again/model.safetensors: tensor 'model.norm.weight': 3.40282e+38 is beyond");
	g = open_ok(f, in(f->dir, "again"));
	ttt_model_free(g);
	assert_fails(ttt_model_write(h, in(f->dir, "no/such"), TTT_F32, &err), TTT_E_IO, &err, "cannot make the directory");
	ttt_model_free(h);
	ttt_model_free(m);
}

/* Where the half of a weight is kept, and the rest of the matrices is not: rounded from float32, in place from bfloat16. */
static void
test_precision(void **state)
{
	struct fixture *f = *state;
	struct ttt_device_options o = { .n_thread = 1, .precision = TTT_BF16 };
	struct ttt_train_options training = { .mode = TTT_MODE_TTT };
	struct ttt_model *m = open_ok(f, f->model), *rounded, *narrow[2];
	struct ttt_trainer *trainer;
	struct ttt_device *d;
	struct ttt_error err = { 0 };
	struct ttt__bytes a, b;

	assert_ok(ttt_device_create(&d, &o, &err), &err);
	assert_ok(ttt_model_write(m, in(f->dir, "half"), TTT_BF16, &err), &err);
	rounded = open_ok(f, in(f->dir, "half"));
	assert_null(rounded->half);
	assert_ok(ttt_model_open(&narrow[0], d, f->model, &err), &err);
	assert_ok(ttt_model_open(&narrow[1], d, in(f->dir, "half"), &err), &err);
	assert_non_null(narrow[0]->half_copy);
	assert_null(narrow[1]->half_copy);
	for (int i = 0; i < 2; i++) {
		const struct ttt_model *all = i == 0 ? m : rounded; /* what learns is as the file has it */

		for (int64_t j = 0; j < m->parameters.n; j++) {
			const struct ttt__parameter *p = &m->parameters.p[j];
			const float *want = (ttt__parameter_halves(&m->parameters, p) ? rounded : all)->weights + p->offset;
			float *got = ttt__new((size_t)p->n, sizeof(*got));

			assert_non_null(got);
			ttt__model_read(narrow[i], p, 0, (size_t)p->n, got);
			assert_memory_equal(got, want, (size_t)p->n * sizeof(*got));
			free(got);
		}
		assert_fails(ttt_trainer_create(&trainer, narrow[i], &training, &err), TTT_E_UNSUPPORTED, &err, "in float32");
	}
	/* Written again it is the same file. */
	assert_ok(ttt_model_write(narrow[1], in(f->dir, "half2"), TTT_BF16, &err), &err);
	a = slurp(in(f->dir, "half/model.safetensors"));
	b = slurp(in(f->dir, "half2/model.safetensors"));
	assert_int_equal(a.n, b.n);
	assert_memory_equal(a.p, b.p, a.n);
	ttt__bytes_free(&a);
	ttt__bytes_free(&b);
	ttt_model_free(narrow[0]);
	ttt_model_free(narrow[1]);
	ttt_model_free(rounded);
	ttt_model_free(m);
	ttt_device_free(d);
}

/* In place or copied, first or last: a number that is not finite is found, and told by its tensor and place. */
static void
test_not_finite(void **state)
{
	static const uint32_t bits[] = { 0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001 };
	struct fixture *f = *state;
	struct ttt_model *m = open_ok(f, f->model), *bad;
	int64_t last = m->parameters.n - 1, n = m->parameters.p[last].n;

	for (int turned = 0; turned < 2; turned++) {
		for (int64_t at = 0; at < n; at += n - 1) {
			struct ttt__bytes b = tensors_of(m, turned, false);
			struct ttt_error err = { 0 };
			struct ttt__safetensors s;
			const struct ttt__tensor *t;
			char want[200];

			assert_ok(ttt__safetensors_parse(&s, b.p, b.n, "b", &err), &err);
			t = ttt__safetensors_find(&s, m->parameters.p[last].name);
			memcpy(b.p + (s.data - b.p) + t->offset + 4 * at, &bits[(turned * 2 + (at > 0)) % 4], 4);
			ttt__safetensors_free(&s);
			spill(in(f->dir, "bad.safetensors"), b.p, b.n);
			ttt__bytes_free(&b);
			assert_int_equal(rename(in(f->dir, "bad.safetensors"), in(f->model, "model.safetensors")), 0);
			snprintf(want, sizeof(want), "tensor '%s': element %lld is not a finite number",
			    m->parameters.p[last].name, (long long)at);
			assert_fails(ttt_model_open(&bad, f->device, f->model, &err), TTT_E_FORMAT, &err, want);
		}
	}
	struct ttt__bytes b = tensors_of(m, 0, false);
	spill(in(f->dir, "good.safetensors"), b.p, b.n);
	assert_int_equal(rename(in(f->dir, "good.safetensors"), in(f->model, "model.safetensors")), 0);
	ttt__bytes_free(&b);
	ttt_model_free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checksum),
		cmocka_unit_test(test_checksum_embedded),
		cmocka_unit_test(test_in_place),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_precision),
		cmocka_unit_test(test_not_finite),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
