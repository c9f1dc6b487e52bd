/* Token shards: what is in them, what is held out, and that batches depend on seed and step alone. */
#include "scratch.h"
#include "libttt/learn/sampler.h"

enum { BOS = 256, SEQ = 33 };

struct fixture {
	char dir[256];
	struct ttt_tokenizer *tokenizer;
};

static void
spill_letters(const char *dir, const char *name, char letter, size_t n)
{
	char *text = malloc(n);

	assert_non_null(text);
	memset(text, letter, n);
	spill(in(dir, name), text, n);
	free(text);
}

/* Group one: projects a and b of two files each, and a file beside them. Group two: short documents. A token a byte. */
static int
make(void **state)
{
	static const char *const special[] = { "<bos>", NULL };
	const struct ttt_tokenizer_train_options o = { .n_vocab = 257, .special = special };
	struct fixture *f = calloc(1, sizeof(*f));
	struct ttt_error err;
	const char *file;

	assert_non_null(f);
	scratch_make(f->dir);
	mkdir(in(f->dir, "one"), 0777);
	mkdir(in(f->dir, "one/a"), 0777);
	mkdir(in(f->dir, "one/b"), 0777);
	mkdir(in(f->dir, "two"), 0777);
	spill_letters(f->dir, "one/a/1", 'a', 300);
	spill_letters(f->dir, "one/a/2", 'A', 100);
	spill_letters(f->dir, "one/b/1", 'b', 200);
	spill_letters(f->dir, "one/b/2", 'B', 1);
	spill_letters(f->dir, "one/c", 'c', 500);
	spill_letters(f->dir, "two/d", 'd', 5);
	spill_letters(f->dir, "two/e", 'e', 9);
	spill_letters(f->dir, "two/f", 'f', 20);
	file = in(f->dir, "one/b/2");
	assert_ok(ttt_tokenizer_train(in(f->dir, "tokenizer.json"), &file, 1, &o, &err), &err);
	assert_ok(ttt_tokenizer_open(&f->tokenizer, in(f->dir, "tokenizer.json"), &err), &err);
	*state = f;
	return 0;
}

static int
unmake(void **state)
{
	struct fixture *f = *state;

	ttt_tokenizer_free(f->tokenizer);
	scratch_remove(f->dir);
	free(f);
	return 0;
}

/* Shards of both groups; list: names held out, or NULL. */
static void
build(struct fixture *f, struct ttt__data *d, int64_t depth, const char *list)
{
	char one[512], two[512], held[512], shards[512];
	const char *const path[] = { one, two };
	struct ttt__data_source source = { path, 2, depth, 0, list != NULL ? held : NULL };
	struct ttt_error err;

	snprintf(one, sizeof(one), "%s/one/", f->dir);
	snprintf(two, sizeof(two), "%s/two", f->dir);
	snprintf(held, sizeof(held), "%s/held", f->dir);
	snprintf(shards, sizeof(shards), "%s/shards", f->dir);
	if (list != NULL)
		spill(held, list, strlen(list));
	assert_ok(ttt__data_build(shards, &source, f->tokenizer, BOS, NULL, NULL, &err), &err);
	assert_ok(ttt__data_open(d, shards, &err), &err);
}

static char
letter(const struct fixture *f, int32_t id)
{
	size_t n;
	const unsigned char *p = ttt_tokenizer_bytes(f->tokenizer, id, &n);

	assert_non_null(p);
	return id == BOS ? '|' : (char)p[0];
}

static void
test_documents(void **state)
{
	static const struct {
		const char *name;
		int64_t group, n_token, n_byte;
		char first, last;
	} want[] = {
		{ "one/a", 0, 401, 400, 'a', 'A' },
		{ "one/b", 0, 202, 201, 'b', 'B' },
		{ "one/c", 0, 501, 500, 'c', 'c' },
		{ "two/d", 1, 6, 5, 'd', 'd' },
		{ "two/e", 1, 10, 9, 'e', 'e' },
		{ "two/f", 1, 21, 20, 'f', 'f' },
	};
	struct fixture *f = *state;
	struct ttt__data d;
	struct ttt_error err;
	int32_t ids[501];

	build(f, &d, 1, "one/b\nnosuch\n");
	assert_int_equal(d.n_document, 6);
	assert_int_equal(d.n_group, 2);
	assert_int_equal(d.n_token, 401 + 501 + 6 + 10 + 21);
	assert_int_equal(d.n_byte, 400 + 500 + 5 + 9 + 20);
	for (int i = 0; i < 6; i++) {
		const struct ttt__document *x = &d.document[i];

		assert_string_equal(x->name, want[i].name);
		assert_int_equal(x->group, want[i].group);
		assert_int_equal(x->n_token, want[i].n_token);
		assert_int_equal(x->n_byte, want[i].n_byte);
		assert_int_equal(x->held, i == 1);
		assert_ok(ttt__data_read(&d, x->offset, x->n_token, ids, &err), &err);
		assert_int_equal(ids[0], BOS);
		assert_int_equal(letter(f, ids[1]), want[i].first);
		assert_int_equal(letter(f, ids[x->n_token - 1]), want[i].last);
	}
	assert_int_equal(ttt__data_read(&d, d.document[5].offset, 22, ids, &err), TTT_E_IO);
	ttt__data_close(&d);
}

/* Without a depth every file is a document; the same source again is taken as it is, another one is refused. */
static void
test_again(void **state)
{
	struct fixture *f = *state;
	struct ttt__data d;
	struct ttt_error err;
	char path[512], shards[512];
	const char *const paths[] = { path };
	struct ttt__data_source source = { paths, 1, 0, 0, NULL };
	struct ttt__bytes b;

	build(f, &d, 0, NULL);
	assert_int_equal(d.n_document, 8);
	ttt__data_close(&d);
	assert_int_equal(unlink(in(f->dir, "one/c")), 0); /* so that making them again would show */
	build(f, &d, 0, NULL);
	assert_int_equal(d.n_document, 8);
	ttt__data_close(&d);
	snprintf(path, sizeof(path), "%s/two", f->dir);
	snprintf(shards, sizeof(shards), "%s/shards", f->dir);
	assert_fails(ttt__data_build(shards, &source, f->tokenizer, BOS, NULL, NULL, &err), TTT_E_USAGE, &err,
	    "other data");
	/* An index that says more than the tokens hold, or nothing. */
	b = slurp(in(shards, "tokens"));
	spill(in(shards, "tokens"), b.p, b.n - 4);
	ttt__bytes_free(&b);
	assert_fails(ttt__data_open(&d, shards, &err), TTT_E_FORMAT, &err, "index: document 8");
	spill(in(shards, "index"), "", 0);
	assert_fails(ttt__data_open(&d, shards, &err), TTT_E_FORMAT, &err, "index");
	spill(in(shards, "index"), "ttt-shards\t1\t0\t1\t00\n0\t0\t0\t4", 27);
	assert_fails(ttt__data_open(&d, shards, &err), TTT_E_FORMAT, &err, "cut short");
}

/* About one in five of many names, the same ones every time. */
static void
test_share(void **state)
{
	struct fixture *f = *state;
	char path[512], shards[512], name[64];
	const char *const paths[] = { path };
	struct ttt__data_source source = { paths, 1, 0, 0.2, NULL };
	struct ttt__data d;
	struct ttt_error err;
	int n = 0;

	snprintf(path, sizeof(path), "%s/many", f->dir);
	snprintf(shards, sizeof(shards), "%s/shards", f->dir);
	mkdir(path, 0777);
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "many/%d", i);
		spill_letters(f->dir, name, 'x', 3);
	}
	assert_ok(ttt__data_build(shards, &source, f->tokenizer, BOS, NULL, NULL, &err), &err);
	assert_ok(ttt__data_open(&d, shards, &err), &err);
	for (int64_t i = 0; i < d.n_document; i++)
		n += d.document[i].held;
	assert_true(n > 70 && n < 130);
	ttt__data_close(&d);
}

static void
test_batches(void **state)
{
	struct fixture *f = *state;
	struct ttt__sampler s;
	struct ttt__data d;
	struct ttt_error err;
	int32_t a[4 * SEQ], b[4 * SEQ];
	int seen[256] = { 0 }, same = 0;

	build(f, &d, 1, "one/b\n");
	assert_ok(ttt__sampler_create(&s, &d, NULL, SEQ, &err), &err);
	for (int64_t step = 0; step < 500; step++) {
		assert_ok(ttt__sampler_batch(&s, 7, step, 4, a, &err), &err);
		assert_ok(ttt__sampler_batch(&s, 7, step, 4, b, &err), &err);
		assert_memory_equal(a, b, sizeof(a));
		assert_ok(ttt__sampler_batch(&s, 8, step, 4, b, &err), &err);
		same += memcmp(a, b, sizeof(a)) == 0;
		for (int i = 0; i < 4; i++) {
			char first = letter(f, a[i * SEQ + 1]), last = letter(f, a[i * SEQ + SEQ - 1]);

			seen[(unsigned char)first]++;
			/* Either a window of one document, or whole short ones. */
			if (strchr("aAc", first) != NULL)
				assert_true(first == last || (first == 'a' && last == 'A'));
			else
				assert_int_equal(a[i * SEQ], BOS);
		}
	}
	assert_true(same < 50); /* a batch inside "c" looks like any other */
	assert_int_equal(seen['b'] + seen['B'], 0);
	assert_true(seen['A'] > 20); /* windows that begin in a document's midst */
	/* By length: c is 501 of 939 tokens, the short ones are 37. */
	assert_true(seen['c'] > 900 && seen['c'] < 1250);
	assert_true(seen['d'] + seen['e'] + seen['f'] > 40 && seen['d'] + seen['e'] + seen['f'] < 130);
	ttt__sampler_free(&s);
	ttt__data_close(&d);
}

static void
test_weights(void **state)
{
	const double even[] = { 1, 1 }, second[] = { 0, 2 }, none[] = { 0, 0 };
	struct fixture *f = *state;
	struct ttt__sampler s;
	struct ttt__data d;
	struct ttt_error err;
	int32_t ids[SEQ];
	int n = 0;

	build(f, &d, 1, NULL);
	assert_ok(ttt__sampler_create(&s, &d, even, SEQ, &err), &err);
	for (int64_t step = 0; step < 1000; step++) {
		assert_ok(ttt__sampler_batch(&s, 1, step, 1, ids, &err), &err);
		n += strchr("def", letter(f, ids[1])) != NULL;
	}
	assert_true(n > 420 && n < 580);
	ttt__sampler_free(&s);
	assert_ok(ttt__sampler_create(&s, &d, second, SEQ, &err), &err);
	for (int64_t step = 0; step < 100; step++) {
		assert_ok(ttt__sampler_batch(&s, 1, step, 1, ids, &err), &err);
		assert_non_null(strchr("def", letter(f, ids[1])));
	}
	ttt__sampler_free(&s);
	assert_fails(ttt__sampler_create(&s, &d, none, SEQ, &err), TTT_E_USAGE, &err, "weight 0");
	ttt__data_close(&d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_documents, make, unmake),
		cmocka_unit_test_setup_teardown(test_again, make, unmake),
		cmocka_unit_test_setup_teardown(test_share, make, unmake),
		cmocka_unit_test_setup_teardown(test_batches, make, unmake),
		cmocka_unit_test_setup_teardown(test_weights, make, unmake),
	};

	return cmocka_run_group_tests_name("data", tests, NULL, NULL);
}
