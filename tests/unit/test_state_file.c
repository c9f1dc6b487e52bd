/* State files that are not what they should be: cut, bent, lied about; each refused in one line, or, where the damage
 * touches nothing that counts, read as the very same state. */
#include <archive.h>
#include <archive_entry.h>
#include <math.h>

#include "libttt/checksum.h"
#include "libttt/state/container.h"
#include "tests/unit/state_fixture.h"

enum { MAX_PART = 16 };

/* A state file taken apart. */
struct parts {
	struct ttt__manifest manifest;
	char name[MAX_PART][TTT__MEMBER_NAME];
	struct ttt__bytes data[MAX_PART];
	size_t n;
};

static void
take_apart(struct parts *p, const char *path)
{
	struct ttt__tar_in t;
	struct ttt_error err = { 0 };
	struct ttt__bytes b;
	char name[128];
	uint64_t size;
	bool more;

	memset(p, 0, sizeof(*p));
	assert_ok(ttt__tar_in_open(&t, path, &err), &err);
	for (;;) {
		assert_ok(ttt__tar_in_next(&t, name, &size, &more, &err), &err);
		if (!more)
			break;
		b = (struct ttt__bytes){ .p = calloc(1, size + 1), .n = size, .capacity = size + 1 };
		assert_ok(ttt__tar_in_read(&t, b.p, b.n, &err), &err);
		if (strcmp(name, "manifest.json") == 0) {
			assert_ok(ttt__manifest_parse(&p->manifest, &b, path, &err), &err);
			ttt__bytes_free(&b);
			continue;
		}
		strcpy(p->name[p->n], name);
		p->data[p->n++] = b;
	}
	ttt__tar_in_close(&t);
}

/* Let the manifest say what the members really are. */
static void
measure(struct parts *p)
{
	struct ttt_error err = { 0 };
	char hex[65];

	p->manifest.n_member = 0;
	for (size_t i = 0; i < p->n; i++) {
		ttt__checksum_of(hex, p->data[i].p, p->data[i].n);
		assert_ok(ttt__manifest_add(&p->manifest, p->name[i], p->data[i].n, hex, "x", &err), &err);
	}
}

static void
put_together(const struct parts *p, const char *path)
{
	FILE *f = fopen(path, "wb");
	struct ttt__tar_out o;
	struct ttt__bytes json = { 0 };
	struct ttt_error err = { 0 };

	assert_non_null(f);
	assert_ok(ttt__manifest_format(&p->manifest, &json, &err), &err);
	assert_ok(ttt__tar_out_open(&o, f, path, TTT_COMPRESS_NONE, &err), &err);
	assert_ok(ttt__tar_out_member(&o, "manifest.json", json.n, &err), &err);
	assert_ok(ttt__tar_out_data(&o, json.p, json.n, &err), &err);
	for (size_t i = 0; i < p->n; i++) {
		assert_ok(ttt__tar_out_member(&o, p->name[i], p->data[i].n, &err), &err);
		assert_ok(ttt__tar_out_data(&o, p->data[i].p, p->data[i].n, &err), &err);
	}
	assert_ok(ttt__tar_out_close(&o, &err), &err);
	assert_int_equal(fclose(f), 0);
	ttt__bytes_free(&json);
}

static void
parts_free(struct parts *p)
{
	for (size_t i = 0; i < p->n; i++)
		ttt__bytes_free(&p->data[i]);
	free(p);
}

static struct ttt__bytes *
part(struct parts *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->name[i], name) == 0)
			return &p->data[i];
	fail_msg("no member %s", name);
	return NULL;
}

static enum ttt_status
try_open(struct fixture *f, const char *path, struct ttt_error *err)
{
	struct ttt_state *s;
	enum ttt_status status = ttt_state_open(&s, path, f->model, NULL, err);

	ttt_state_free(s);
	return status;
}

/* Cut or bent bytes: refused as damaged, or the same state comes out of them. */
static void
assert_refused_or_same(struct fixture *f, const struct ttt__bytes *b, enum ttt_compress c, const char *what, size_t at,
    bool strict)
{
	struct ttt_error err = { 0 };
	struct ttt_state *s;
	const char *path = in(f->dir, "damaged.ttt");
	enum ttt_status status;

	spill(path, b->p, b->n);
	status = ttt_state_open(&s, path, f->model, NULL, &err);
	if (status == TTT_OK) {
		if (strict)
			fail_msg("%s at %zu: taken", what, at);
		save(s, in(f->dir, "again.ttt"), c, false);
		assert_same_file(in(f->dir, "again.ttt"), in(f->dir, "sound.ttt"));
		ttt_state_free(s);
		return;
	}
	if (status != TTT_E_FORMAT || strchr(err.text, '\n') != NULL || strlen(err.text) < 20)
		fail_msg("%s at %zu: status %d: %s", what, at, (int)status, err.text);
}

static void
test_damage(void **state)
{
	static const enum ttt_compress kinds[] = { TTT_COMPRESS_GZIP, TTT_COMPRESS_ZSTD, TTT_COMPRESS_NONE };
	struct fixture *f = *state;
	struct ttt_state *s = absorbed(f, NULL, "a.c", 0, 900, 900);
	const char *preload = getenv("LD_PRELOAD");
	bool slow = preload != NULL && strstr(preload, "vgpreload") != NULL; /* valgrind: fewer places */

	for (int k = 0; k < 3; k++) {
		struct ttt__bytes b, cut;
		size_t edge = slow ? 12 : 300, factor = slow ? 20 : 1;

		save(s, in(f->dir, "sound.ttt"), kinds[k], false);
		b = slurp(in(f->dir, "sound.ttt"));
		for (size_t n = 0; n < b.n; n += n < edge || n + edge > b.n ? 1 : 211 * factor) {
			cut = (struct ttt__bytes){ .p = b.p, .n = n };
			assert_refused_or_same(f, &cut, kinds[k], "cut", n, true);
		}
		for (size_t i = 0; i < b.n; i += i < edge || i + edge > b.n ? 1 : 89 * factor) {
			b.p[i] ^= (unsigned char)(1 << i % 8);
			assert_refused_or_same(f, &b, kinds[k], "bit flipped", i, false);
			b.p[i] ^= (unsigned char)(1 << i % 8);
		}
		ttt__bytes_free(&b);
	}
	ttt_state_free(s);
}

/* Bytes after the end, and one file after another. */
static void
test_trailing(void **state)
{
	struct fixture *f = *state;
	struct ttt_state *s = absorbed(f, NULL, "a.c", 0, 200, 200);
	struct ttt__bytes b, twice = { 0 };
	struct ttt_error err = { 0 };

	for (enum ttt_compress c = TTT_COMPRESS_GZIP; c <= TTT_COMPRESS_NONE; c++) {
		save(s, in(f->dir, "sound.ttt"), c, false);
		b = slurp(in(f->dir, "sound.ttt"));
		twice.n = 0;
		assert_ok(ttt__bytes_add(&twice, b.p, b.n, &err), &err);
		assert_ok(ttt__bytes_add(&twice, b.p, b.n, &err), &err);
		spill(in(f->dir, "twice.ttt"), twice.p, twice.n);
		assert_fails(try_open(f, in(f->dir, "twice.ttt"), &err), TTT_E_FORMAT, &err, "damaged");
		ttt__bytes_free(&b);
	}
	ttt__bytes_free(&twice);
	ttt_state_free(s);
}

static void
test_no_state(void **state)
{
	struct fixture *f = *state;
	struct ttt_error err = { 0 };
	struct ttt_state_info info;
	const char *path = in(f->dir, "x.ttt");
	struct ttt__bytes b;

	assert_fails(try_open(f, in(f->dir, "none.ttt"), &err), TTT_E_IO, &err, "none.ttt: cannot open: No such file");
	assert_fails(try_open(f, f->dir, &err), TTT_E_IO, &err, "Is a directory");
	spill(path, "", 0);
	assert_fails(try_open(f, path, &err), TTT_E_FORMAT, &err, "x.ttt: not a state: it is empty");
	spill(path, "hello, world\n", 13);
	assert_fails(try_open(f, path, &err), TTT_E_FORMAT, &err, "not a state");
	assert_fails(ttt_state_info_read(&info, path, &err), TTT_E_FORMAT, &err, "not a state");
	b = slurp(in(f->dir, "m/model.safetensors"));
	spill(path, b.p, b.n);
	ttt__bytes_free(&b);
	assert_fails(try_open(f, path, &err), TTT_E_FORMAT, &err, "not a state");
}

static void
test_other_model(void **state)
{
	struct fixture *f = *state;
	struct ttt_state *s = absorbed(f, NULL, "a", 0, 100, 100), *t;
	struct ttt_error err = { 0 };
	bool ok;

	save(s, in(f->dir, "a.ttt"), TTT_COMPRESS_GZIP, false);
	ttt_state_free(s);
	assert_fails(ttt_state_open(&t, in(f->dir, "a.ttt"), f->other, NULL, &err), TTT_E_SHAPE, &err,
	    "with model 'm' (");
	assert_non_null(strstr(err.text, "'other' ("));
	assert_non_null(strstr(err.hint, "use -m"));
	assert_null(t);
	assert_int_equal(ttt_state_verify(in(f->dir, "a.ttt"), f->other, &ok, &err), TTT_E_SHAPE);
}

/* One lie each; the checksums agree with it. */
static void
lie(struct fixture *f, void (*change)(struct parts *p), bool honest_sizes, const char *reason)
{
	struct parts *p = malloc(sizeof(*p));
	struct ttt_error err = { 0 };
	bool ok = true;

	assert_non_null(p);
	take_apart(p, in(f->dir, "sound.ttt"));
	change(p);
	if (honest_sizes)
		measure(p);
	put_together(p, in(f->dir, "lie.ttt"));
	parts_free(p);
	assert_fails(try_open(f, in(f->dir, "lie.ttt"), &err), TTT_E_FORMAT, &err, reason);
	assert_ok(ttt_state_verify(in(f->dir, "lie.ttt"), f->model, &ok, &err), &err);
	assert_false(ok);
	assert_non_null(strstr(err.text, reason));
}

static void
nan_weight(struct parts *p)
{
	struct ttt__bytes *b = part(p, "fast.safetensors");

	memcpy(b->p + b->n - 4, "\0\0\xc0\x7f", 4);
}

/* One tensor where all the fast weights should be. */
static void
fast_tensors(struct parts *p)
{
	static const char one[] = "\x37\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}} \0\0\0";
	struct ttt__bytes *b = part(p, "fast.safetensors");

	b->n = 0;
	assert_int_equal(ttt__bytes_add(b, one, sizeof one, NULL), TTT_OK);
}

static void
window_dtype(struct parts *p)
{
	struct ttt__bytes *b = part(p, "window.safetensors");
	char *at = memmem(b->p, b->n, "\"F32\"", 5);

	assert_non_null(at);
	memcpy(at, "\"I32\"", 5);
}

static void
window_shape(struct parts *p)
{
	struct ttt__bytes *b = part(p, "window.safetensors");
	char *at = memmem(b->p, b->n, "[20,16]", 7);

	assert_non_null(at);
	memcpy(at, "[16,20]", 7);
}

static void
pending_id(struct parts *p)
{
	struct ttt__bytes *b = part(p, "pending");

	memcpy(b->p + b->n - 4, "\xb0\4\0\0", 4); /* 1200 */
}

static void
recent_id(struct parts *p)
{
	memcpy(part(p, "recent")->p, "\xff\xff\xff\xff", 4);
}

static void
recent_short(struct parts *p)
{
	part(p, "recent")->n -= 4;
}

static void
pending_long(struct parts *p)
{
	assert_int_equal(ttt__bytes_add(part(p, "pending"), "x", 1, NULL), TTT_OK);
}

static void
record_line(struct parts *p)
{
	part(p, "passages")->p[0] = 'z'; /* no source of this name */
}

static void
record_zeros(struct parts *p)
{
	struct ttt__bytes *b = part(p, "passages");

	ttt__bytes_free(b);
	b->p = calloc(10, 1 << 20);
	b->n = b->capacity = 10 << 20;
}

static void
curve_line(struct parts *p)
{
	struct ttt__bytes *b = part(p, "curve.tsv");

	b->p[b->n - 2] = 'x';
}

static void
source_bytes(struct parts *p)
{
	part(p, "sources.tsv")->p[11] ^= 1;
}

static void
more_chunks(struct parts *p)
{
	p->manifest.info.n_chunk++;
}

static void
more_tokens(struct parts *p)
{
	p->manifest.info.n_token += 8;
	p->manifest.info.n_chunk++;
}

static void
later_line(struct parts *p)
{
	p->manifest.line++;
}

static void
no_window(struct parts *p)
{
	p->manifest.info.has_window = false;
}

static void
checksum(struct parts *p)
{
	char *c = ((struct ttt__member *)ttt__manifest_find(&p->manifest, "pending"))->checksum;

	c[0] = c[0] == '0' ? '1' : '0';
}

static void
size(struct parts *p)
{
	p->manifest.member[0].size = UINT64_C(1) << 40;
}

static void
missing(struct parts *p)
{
	ttt__bytes_free(&p->data[--p->n]);
}

static void
undeclared(struct parts *p)
{
	strcpy(p->name[p->n], "extra");
	p->data[p->n++] = (struct ttt__bytes){ .p = calloc(1, 1), .n = 1, .capacity = 1 };
}

static void
swapped(struct parts *p)
{
	struct ttt__bytes b = p->data[0];
	char name[TTT__MEMBER_NAME];

	memcpy(name, p->name[0], sizeof(name));
	memcpy(p->name[0], p->name[1], sizeof(name));
	memcpy(p->name[1], name, sizeof(name));
	p->data[0] = p->data[1];
	p->data[1] = b;
}

/* Lines without number: bytes as few as a line can have. */
static void
repeat(struct ttt__bytes *b, const char *head, const char *line, int64_t n)
{
	struct ttt_error err = { 0 };

	b->n = 0;
	assert_ok(ttt__bytes_add(b, head, strlen(head), &err), &err);
	for (int64_t i = 0; i < n; i++)
		assert_ok(ttt__bytes_add(b, line, strlen(line), &err), &err);
}

static void
many_sources(struct parts *p)
{
	p->manifest.info.n_source = TTT__N_SOURCE_MAX + 1;
	repeat(part(p, "sources.tsv"), "bytes\tname\n", "0\t\n", p->manifest.info.n_source);
}

static void
many_names(struct parts *p)
{
	char line[4 + TTT__NAME_MAX + 1] = "0\t";

	memset(line + 2, 'x', TTT__NAME_MAX);
	strcpy(line + 2 + TTT__NAME_MAX, "\n");
	p->manifest.info.n_source = TTT__NAMES_MAX / TTT__NAME_MAX + 1;
	repeat(part(p, "sources.tsv"), "bytes\tname\n", line, p->manifest.info.n_source);
}

static void
many_records(struct parts *p)
{
	p->manifest.info.n_passage_record = TTT__N_RECORD_MAX + 1;
	repeat(part(p, "passages"), "", "a.c\t1\t1\n\n", p->manifest.info.n_passage_record);
}

/* Where the member's parts begin: a line, scales of two orders, 31 tokens, biases and counts of 1200 tokens, the planes of 1024 entries. */
enum { NGRAM_SCALES = 21, NGRAM_IDS = NGRAM_SCALES + 2 * 16 * 4, NGRAM_UNIGRAMS = NGRAM_IDS + 31 * 4, NGRAM_PLANES = NGRAM_UNIGRAMS + 1200 * 5 };

static void
set_first_entry(struct parts *p, const unsigned char bytes[7])
{
	for (size_t i = 0; i < 7; i++)
		part(p, "ngrams")->p[NGRAM_PLANES + 1024 * i] = bytes[i];
}

static void
ngram_size(struct parts *p)
{
	memcpy(part(p, "ngrams")->p, "ttt-ngrams 11 2 1200\n", 21);
}

static void
ngram_other_vocabulary(struct parts *p)
{
	memcpy(part(p, "ngrams")->p, "ttt-ngrams 10 2 1201\n", 21);
}

static void
ngram_unigram(struct parts *p)
{
	memcpy(part(p, "ngrams")->p + NGRAM_UNIGRAMS + 4 * 1199, "\0\0\0\x42", 4); /* 32 nats */
}

static void
ngram_unigram_count(struct parts *p)
{
	part(p, "ngrams")->p[NGRAM_UNIGRAMS + 4 * 1200 + 7] = 25;
}

static void
ngram_unigram_nan(struct parts *p)
{
	memcpy(part(p, "ngrams")->p + NGRAM_UNIGRAMS, "\0\0\xc0\x7f", 4);
}

static void
ngram_short(struct parts *p)
{
	part(p, "ngrams")->n--;
}

static void
ngram_long(struct parts *p)
{
	assert_int_equal(ttt__bytes_add(part(p, "ngrams"), "x", 1, NULL), TTT_OK);
}

static void
ngram_scale(struct parts *p)
{
	memcpy(part(p, "ngrams")->p + NGRAM_SCALES + 8, "\0\0\xc0\x7f", 4);
}

static void
ngram_negative(struct parts *p)
{
	memcpy(part(p, "ngrams")->p + NGRAM_SCALES, "\0\0\x80\xbf", 4);
}

static void
ngram_id(struct parts *p)
{
	memcpy(part(p, "ngrams")->p + NGRAM_IDS + 120, "\xb0\4\0\0", 4); /* 1200 */
}

static void
ngram_missing_id(struct parts *p)
{
	memcpy(part(p, "ngrams")->p + NGRAM_IDS + 120, "\xff\xff\xff\xff", 4);
}

static void
ngram_token(struct parts *p)
{
	set_first_entry(p, (const unsigned char[]){0, 0, 0xb0, 4, 0, 0, 1});
}

static void
ngram_bias(struct parts *p)
{
	set_first_entry(p, (const unsigned char[]){0, 0, 0, 0, 1, 0x7c, 1}); /* 31 nats and a bit */
}

static void
ngram_empty(struct parts *p)
{
	set_first_entry(p, (const unsigned char[]){0, 0, 0, 0, 1, 0, 0});
}

static void
ngram_count(struct parts *p)
{
	p->manifest.info.n_bias++;
}

static void
ngram_plain(struct parts *p)
{
	p->manifest.info.version = 1;
	p->manifest.info.n_bias = -1;
}

static void
test_ngram_lies(void **state)
{
	struct fixture *f = *state;
	struct ttt_model *plain = fixture_ngrams(f);
	struct ttt_state *s = absorbed(f, NULL, "a.c", 0, 1203, 1203);

	save(s, in(f->dir, "sound.ttt"), TTT_COMPRESS_NONE, false);
	ttt_state_free(s);
	lie(f, ngram_size, true, "ngrams is of another size than the model has it");
	lie(f, ngram_other_vocabulary, true, "ngrams is of another size than the model has it");
	lie(f, ngram_unigram, true, "ngrams holds a bias outside its limits");
	lie(f, ngram_unigram_nan, true, "ngrams holds a bias outside its limits");
	lie(f, ngram_unigram_count, true, "ngrams holds a count outside its limits");
	lie(f, ngram_short, true, "ngrams ends early");
	lie(f, ngram_long, true, "ngrams is longer than what it holds");
	lie(f, ngram_scale, true, "ngrams holds a scale that is none");
	lie(f, ngram_negative, true, "ngrams holds a scale that is none");
	lie(f, ngram_id, true, "ngrams holds a token outside the vocabulary");
	lie(f, ngram_missing_id, true, "ngrams holds a token outside the vocabulary");
	lie(f, ngram_token, true, "ngrams holds a token outside the vocabulary");
	lie(f, ngram_bias, true, "ngrams holds a bias outside its limits");
	lie(f, ngram_empty, true, "ngrams holds an entry that is none");
	lie(f, ngram_count, true, "ngrams has not as many entries as manifest.json says");
	lie(f, ngram_plain, true, "window.safetensors is missing or out of order");
	fixture_plain(f, plain);
}

/* However the text is cut, and through a file or not, one state; without the window it has no biases. */
static void
test_ngram_resume(void **state)
{
	struct fixture *f = *state;
	struct ttt_model *plain = fixture_ngrams(f);
	struct ttt_state *whole = absorbed(f, NULL, "a.c", 0, 3000, 3000), *s = absorbed(f, NULL, "a.c", 0, 1203, 100);
	struct ttt_state_info info;
	struct ttt_error err = { 0 };
	bool ok;

	save(s, in(f->dir, "part.ttt"), TTT_COMPRESS_GZIP, false);
	ttt_state_free(s);
	s = opened(f, in(f->dir, "part.ttt"), NULL);
	assert_ok(ttt_state_absorb(s, f->text + 1203, 3000 - 1203, NULL, NULL, &err), &err);
	save(s, in(f->dir, "ab.ttt"), TTT_COMPRESS_GZIP, false);
	save(whole, in(f->dir, "whole.ttt"), TTT_COMPRESS_GZIP, false);
	assert_same_file(in(f->dir, "ab.ttt"), in(f->dir, "whole.ttt"));
	assert_ok(ttt_state_verify(in(f->dir, "ab.ttt"), f->model, &ok, &err), &err);
	assert_true(ok);
	assert_ok(ttt_state_info_read(&info, in(f->dir, "ab.ttt"), &err), &err);
	assert_int_equal(info.version, 2);
	assert_in_range(info.n_bias, 1, 1024);
	save(s, in(f->dir, "tail.ttt"), TTT_COMPRESS_GZIP, true);
	assert_ok(ttt_state_verify(in(f->dir, "tail.ttt"), f->model, &ok, &err), &err);
	assert_true(ok);
	assert_ok(ttt_state_info_read(&info, in(f->dir, "tail.ttt"), &err), &err);
	assert_int_equal(info.version, 1);
	assert_int_equal(info.n_bias, -1);
	ttt_state_free(s);
	ttt_state_free(whole);
	fixture_plain(f, plain);
}

static void
test_lies(void **state)
{
	struct fixture *f = *state;
	struct ttt_state *s = absorbed(f, NULL, "a.c", 0, 1203, 1203);

	save(s, in(f->dir, "sound.ttt"), TTT_COMPRESS_NONE, false);
	ttt_state_free(s);
	lie(f, nan_weight, true, "not a finite number");
	lie(f, fast_tensors, true, "fast.safetensors: 1 tensors, but the model has");
	lie(f, window_dtype, true, "is not F32");
	lie(f, window_shape, true, "is not [20, 16]");
	lie(f, pending_id, true, "pending holds a token outside the vocabulary");
	lie(f, recent_id, true, "recent holds a token outside the vocabulary");
	lie(f, recent_short, true, "recent ends early");
	lie(f, pending_long, true, "pending is longer than what it holds");
	lie(f, record_line, true, "passages has a record of no source");
	lie(f, record_zeros, true, "passages has a line that is none");
	lie(f, curve_line, true, "curve.tsv");
	lie(f, source_bytes, true, "sources.tsv");
	lie(f, many_sources, true, "sources.tsv names more sources than a state keeps");
	lie(f, many_names, true, "sources.tsv names more sources than a state keeps");
	lie(f, many_records, true, "passages has more records than a state keeps");
	lie(f, more_chunks, true, "contradict");
	lie(f, more_tokens, true, "curve");
	lie(f, later_line, true, "does not end where manifest.json says");
	lie(f, no_window, true, "out of order");
	lie(f, swapped, true, "out of order");
	lie(f, checksum, false, "pending has the wrong checksum");
	lie(f, size, false, "not of the size that manifest.json gives");
	lie(f, missing, false, "is missing");
	lie(f, undeclared, false, "member 'extra' is not in manifest.json");
	lie(f, swapped, false, "stands where manifest.json says");
}

/* A member that this version does not know: kept, and written again. */
static void
test_unknown_member(void **state)
{
	struct fixture *f = *state;
	struct ttt_state *s = absorbed(f, NULL, "a.c", 0, 700, 700);
	struct parts *p = malloc(sizeof(*p));
	struct ttt__bytes big = { .p = malloc(200000), .n = 200000, .capacity = 200000 };

	assert_non_null(p);
	assert_non_null(big.p);
	for (size_t i = 0; i < big.n; i++)
		big.p[i] = (unsigned char)(i * 7 + i / 255);
	save(s, in(f->dir, "sound.ttt"), TTT_COMPRESS_NONE, false);
	ttt_state_free(s);
	take_apart(p, in(f->dir, "sound.ttt"));
	strcpy(p->name[p->n], "future/mean.safetensors");
	p->data[p->n++] = big;
	undeclared(p);
	measure(p);
	put_together(p, in(f->dir, "future.ttt"));
	parts_free(p);
	s = opened(f, in(f->dir, "future.ttt"), NULL);
	save(s, in(f->dir, "back.ttt"), TTT_COMPRESS_NONE, false);
	assert_same_file(in(f->dir, "future.ttt"), in(f->dir, "back.ttt"));
	ttt_state_free(s);
}

/* What the manifest is, read without its state: newer, sealed wrongly, too large, not first. */
static void
test_manifest(void **state)
{
	struct fixture *f = *state;
	struct ttt_state *s = absorbed(f, NULL, "a.c", 0, 100, 100);
	struct ttt__manifest *m = malloc(sizeof(*m));
	struct ttt__bytes b = { 0 }, tar;
	struct ttt_error err = { 0 };
	unsigned char *at;

	assert_non_null(m);
	assert_ok(ttt__state_manifest(s, m, &err), &err);
	assert_ok(ttt__manifest_format(m, &b, &err), &err);
	assert_ok(ttt__manifest_parse(m, &b, "s", &err), &err);
	at = memmem(b.p, b.n, "\"version\": 1", 12);
	assert_non_null(at);
	at[11] = '3';
	assert_fails(ttt__manifest_parse(m, &b, "s", &err), TTT_E_FORMAT, &err, "made by a newer version");
	at[11] = '1';
	for (size_t i = 0; i < b.n; i++) {
		b.p[i] ^= 4;
		if (ttt__manifest_parse(m, &b, "s", &err) == TTT_OK)
			fail_msg("byte %zu changed, and the manifest is taken", i);
		b.p[i] ^= 4;
	}
	save(s, in(f->dir, "sound.ttt"), TTT_COMPRESS_NONE, false);
	tar = slurp(in(f->dir, "sound.ttt"));
	at = memmem(tar.p, tar.n, "fast.safetensors", 16); /* in the manifest */
	assert_non_null(at);
	at[0] = 'F';
	spill(in(f->dir, "x.ttt"), tar.p, tar.n);
	assert_fails(try_open(f, in(f->dir, "x.ttt"), &err), TTT_E_FORMAT, &err, "checksum of manifest.json");
	ttt__bytes_free(&tar);
	ttt__bytes_free(&b);
	ttt_state_free(s);
	free(m);
}

static void
add_member(struct archive *a, const char *name, unsigned type, int64_t n)
{
	struct archive_entry *e = archive_entry_new();

	archive_entry_set_pathname(e, name);
	archive_entry_set_filetype(e, type);
	archive_entry_set_size(e, n);
	if (type == AE_IFLNK)
		archive_entry_set_symlink(e, "/etc/passwd");
	assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
	archive_entry_free(e);
}

/* Other archives: a link, a manifest of 3 MiB of nothing, something else first. */
static void
test_other_archives(void **state)
{
	static const struct {
		const char *name, *reason;
		unsigned type;
		int64_t n;
	} cases[] = {
		{ "manifest.json", "is no plain file", AE_IFLNK, 0 },
		{ "manifest.json", "is no plain file", AE_IFDIR, 0 },
		{ "manifest.json", "larger than 1048576 bytes", AE_IFREG, 3 << 20 },
		{ "manifest.json", "is empty", AE_IFREG, 0 },
		{ "other.json", "does not begin with manifest.json", AE_IFREG, 0 },
	};
	struct fixture *f = *state;
	struct ttt_error err = { 0 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct archive *a = archive_write_new();

		assert_int_equal(archive_write_set_format_pax(a), ARCHIVE_OK);
		assert_int_equal(archive_write_add_filter_gzip(a), ARCHIVE_OK);
		assert_int_equal(archive_write_open_filename(a, in(f->dir, "x.ttt")), ARCHIVE_OK);
		add_member(a, cases[i].name, cases[i].type, cases[i].n);
		archive_write_close(a);
		archive_write_free(a);
		assert_fails(try_open(f, in(f->dir, "x.ttt"), &err), TTT_E_FORMAT, &err, cases[i].reason);
	}
}

/* A full disk, and a target that is no file: an error, and what was there before is still there. */
static void
test_write_errors(void **state)
{
	struct fixture *f = *state;
	struct ttt_state *s = absorbed(f, NULL, "a.c", 0, 300, 300);
	struct ttt_error err = { 0 };
	FILE *full = fopen("/dev/full", "wb");

	if (full != NULL) {
		assert_fails(ttt_state_write(s, full, NULL, &err), TTT_E_IO, &err, "No space left on device");
		fclose(full);
	}
	assert_fails(ttt_state_save(s, in(f->dir, "no/such.ttt"), NULL, &err), TTT_E_IO, &err, "such.ttt");
	assert_fails(ttt_state_save(s, f->dir, NULL, &err), TTT_E_IO, &err, "not a regular file");
	ttt_state_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_trailing),
		cmocka_unit_test(test_no_state),
		cmocka_unit_test(test_other_model),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_ngram_lies),
		cmocka_unit_test(test_ngram_resume),
		cmocka_unit_test(test_unknown_member),
		cmocka_unit_test(test_manifest),
		cmocka_unit_test(test_other_archives),
		cmocka_unit_test(test_write_errors),
	};

	return cmocka_run_group_tests(tests, fixture_make, fixture_free);
}
