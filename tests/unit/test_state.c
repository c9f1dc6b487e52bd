/* States: cut anywhere, saved and gone on with, they are the state that was never cut; what is kept is what came. */
#include <math.h>
#include <sys/wait.h>

#include "libttt/model/safetensors.h"
#include "tests/unit/state_fixture.h"

/* Fast weights, window, waiting tokens and bytes of both are the same, bit for bit. */
static void
assert_same_stream(struct fixture *f, struct ttt_state *a, struct ttt_state *b)
{
	int64_t n_fast = ttt_model_n_fast(f->model), rows = ttt__session_window_rows(ttt_state_session(a)), n_a, n_b;
	size_t n = (size_t)(n_fast > 4 * rows * 16 ? n_fast : 4 * rows * 16), n_x, n_y;
	float *x = calloc(n, sizeof(*x)), *y = calloc(n, sizeof(*y));
	const int32_t *p, *q;
	const unsigned char *s, *t;

	assert_non_null(x);
	assert_non_null(y);
	ttt__session_fast_read(ttt_state_session(a), TTT__FAST_LAST, x);
	ttt__session_fast_read(ttt_state_session(b), TTT__FAST_LAST, y);
	assert_memory_equal(x, y, (size_t)n_fast * sizeof(*x));
	assert_int_equal(rows, ttt__session_window_rows(ttt_state_session(b)));
	for (int64_t l = 0; l < 3; l++) {
		ttt__session_window_read(ttt_state_session(a), l, x, x + rows * 16);
		ttt__session_window_read(ttt_state_session(b), l, y, y + rows * 16);
		assert_memory_equal(x, y, (size_t)rows * 32 * sizeof(*x));
	}
	p = ttt_session_pending(ttt_state_session(a), &n_a);
	q = ttt_session_pending(ttt_state_session(b), &n_b);
	assert_int_equal(n_a, n_b);
	if (n_a > 0)
		assert_memory_equal(p, q, (size_t)n_a * sizeof(*p));
	s = ttt_state_pending(a, &n_x);
	t = ttt_state_pending(b, &n_y);
	assert_int_equal(n_x, n_y);
	if (n_x > 0)
		assert_memory_equal(s, t, n_x);
	free(x);
	free(y);
}

/* One source, cut between two runs: the very same file comes out. Two sources: the same stream. */
static void
test_cuts(void **state)
{
	struct fixture *f = *state;
	size_t n = 500;
	struct ttt_state *whole = absorbed(f, NULL, "a.c", 0, n, n);
	struct ttt_error err = { 0 };
	double moved, initial;

	ttt_session_drift(ttt_state_session(whole), &moved, &initial);
	assert_true(moved > 0.01 * initial);
	save(whole, in(f->dir, "whole.ttt"), TTT_COMPRESS_GZIP, false);
	for (size_t cut = 0; cut <= n; cut += cut < 16 || cut > n - 4 ? 1 : 53) {
		struct ttt_state *a = absorbed(f, NULL, "a.c", 0, cut, 7), *b;

		save(a, in(f->dir, "part.ttt"), TTT_COMPRESS_NONE, false);
		ttt_state_free(a);
		b = opened(f, in(f->dir, "part.ttt"), NULL);
		assert_ok(ttt_state_absorb(b, f->text + cut, n - cut, NULL, NULL, &err), &err);
		save(b, in(f->dir, "joined.ttt"), TTT_COMPRESS_GZIP, false);
		assert_same_file(in(f->dir, "whole.ttt"), in(f->dir, "joined.ttt"));
		ttt_state_free(b);
		b = opened(f, in(f->dir, "part.ttt"), NULL);
		assert_ok(ttt_state_source(b, "b.c", &err), &err);
		assert_ok(ttt_state_absorb(b, f->text + cut, n - cut, NULL, NULL, &err), &err);
		assert_same_stream(f, whole, b);
		ttt_state_free(b);
	}
	ttt_state_free(whole);
}

static void
test_what_is_kept(void **state)
{
	struct fixture *f = *state;
	struct ttt_state *a = absorbed(f, NULL, "dir/a\n\\.c", 0, 4000, 100), *b;
	struct ttt_state_info x, y, z;
	struct ttt_error err = { 0 };
	struct ttt_record r;
	const char *name;
	int64_t n, cursor = 0, n_token, line = 1;
	double loss;
	size_t at = 0;

	assert_ok(ttt_state_source(a, "-", &err), &err);
	assert_ok(ttt_state_absorb(a, f->text + 4000, 2000, NULL, NULL, &err), &err);
	save(a, in(f->dir, "kept.ttt"), TTT_COMPRESS_ZSTD, false);
	b = opened(f, in(f->dir, "kept.ttt"), NULL);
	assert_ok(ttt_state_info(a, &x, &err), &err);
	assert_ok(ttt_state_info(b, &y, &err), &err);
	assert_ok(ttt_state_info_read(&z, in(f->dir, "kept.ttt"), &err), &err);
	assert_memory_equal(&x, &y, sizeof(x));
	assert_memory_equal(&x, &z, sizeof(x));
	assert_int_equal(x.n_byte, 6000);
	assert_int_equal(x.n_source, 2);
	assert_int_equal(x.n_passage_byte, 6000);
	assert_int_equal(x.n_passage_record, 2);
	assert_int_equal(x.n_token - x.n_pending_token, x.n_chunk * 8);
	assert_true(x.loss_first > 6 && x.loss_first < 9 && x.drift > 0 && x.rate == 1);
	assert_true(ttt_state_source_at(b, 0, &name, &n));
	assert_string_equal(name, "dir/a\n\\.c");
	assert_int_equal(n, 4000);
	assert_true(ttt_state_source_at(b, 1, &name, &n));
	assert_string_equal(name, "-");
	assert_false(ttt_state_source_at(b, 2, &name, &n));
	assert_true(ttt_state_curve_at(b, 0, &n_token, &loss));
	assert_int_equal(n_token, 8);
	while (ttt_state_record_next(b, &cursor, &r, &err)) {
		assert_int_equal(r.first_line, line);
		assert_memory_equal(r.text, f->text + at, r.n);
		at += r.n;
	}
	assert_int_equal(err.status, TTT_OK);
	assert_int_equal(at, 6000);
	ttt_state_free(a);
	ttt_state_free(b);
}

/* Passages alone: records of whole lines, oldest dropped first, the same however the bytes were cut. */
static void
test_passages(void **state)
{
	static char text[400000];
	static unsigned char out[TTT__RECORD_MAX];
	struct ttt_error err = { 0 };
	size_t n_lines = 0, at = 0;

	(void)state;
	while (at < sizeof(text)) { /* lines of growing length, one of 100000 bytes */
		size_t n = n_lines == 300 ? 100000 : n_lines % 700;

		for (size_t i = 0; i < n && at < sizeof(text) - 1; i++)
			text[at++] = (char)('a' + n_lines % 26);
		text[at++] = '\n';
		n_lines++;
	}
	for (size_t step = 1; step <= sizeof(text); step = step * 37 + 1) {
		struct ttt__passages p;
		struct ttt__record_at r;
		size_t max = 200000, end, kept, lines = 1;

		assert_ok(ttt__passages_start(&p, max, &err), &err);
		for (at = 0; at < sizeof(text); at += step)
			assert_ok(ttt__passages_add(&p, text + at, sizeof(text) - at < step ? sizeof(text) - at : step,
			    &err), &err);
		kept = ttt__passages_size(&p);
		assert_true(kept <= max && kept > max - TTT__RECORD_MAX);
		end = sizeof(text) - kept;
		for (size_t i = 0; i < end; i++)
			lines += text[i] == '\n';
		for (size_t i = 0; i < ttt__passages_count(&p); i++) {
			assert_ok(ttt__passages_read(&p, i, &r, out, &err), &err);
			assert_int_equal(r.first_line, lines);
			assert_memory_equal(out, text + end, r.n);
			for (size_t j = 0; j < r.n; j++)
				lines += out[j] == '\n';
			assert_true(out[r.n - 1] == '\n' || r.n == TTT__RECORD_MAX);
			end += r.n;
		}
		assert_int_equal(end, sizeof(text));
		ttt__passages_free(&p);
	}
}

/* Long use of a small limit: the file on disk stays small as well. */
static void
test_passages_compact(void **state)
{
	static char text[1 << 20];
	struct ttt__passages p;
	struct ttt_error err = { 0 };

	(void)state;
	memset(text, 'x', sizeof(text));
	for (size_t i = 99; i < sizeof(text); i += 100)
		text[i] = '\n';
	assert_ok(ttt__passages_start(&p, 3 << 20, &err), &err);
	for (int i = 0; i < 100; i++)
		assert_ok(ttt__passages_add(&p, text, sizeof(text), &err), &err);
	assert_true(p.end < 24 << 20);
	assert_true(ttt__passages_size(&p) <= 3 << 20);
	ttt__passages_free(&p);
}

static void
test_curve(void **state)
{
	struct ttt__curve a, b;
	struct ttt__bytes text = { 0 };
	struct ttt_error err = { 0 };

	(void)state;
	ttt__curve_start(&a);
	for (int i = 1; i <= 5000; i++) {
		ttt__curve_add(&a, i * 8, 7 + 1.0 / i);
		if (i != 3001)
			continue;
		/* written and read back in the middle */
		b = a;
		assert_ok(ttt__curve_format(&a, &text, &err), &err);
		assert_ok(ttt__curve_parse(&b, &text, "x", &err), &err);
	}
	for (int i = 3002; i <= 5000; i++)
		ttt__curve_add(&b, i * 8, 7 + 1.0 / i);
	assert_int_equal(a.stride, 16);
	assert_int_equal(a.n, 5000 / 16);
	assert_int_equal(a.n_token[a.n - 1], a.n * 16 * 8);
	assert_int_equal(a.n, b.n);
	assert_memory_equal(a.loss, b.loss, (size_t)a.n * sizeof(*a.loss));
	assert_true(a.sum == b.sum && a.n_partial == b.n_partial && a.stride == b.stride);
	ttt__bytes_free(&text);
}

static void
sum_losses(void *ctx, const struct ttt_chunk_report *r)
{
	*(double *)ctx += r->loss;
}

/* What the next 200 bytes cost. */
static double
cost_of_more(struct fixture *f, struct ttt_state *s)
{
	struct ttt_error err = { 0 };
	double sum = 0;

	assert_ok(ttt_state_absorb(s, f->text + 1000, 200, sum_losses, &sum, &err), &err);
	return sum;
}

/* The window left out: smaller, still verified, and the first block's window comes back as it was. Its keys stand where the stream is:
 * the same window, written and read again, predicts the same. */
static void
test_window_tail(void **state)
{
	struct fixture *f = *state;
	struct ttt_error err = { 0 };
	float x[2 * 20 * 16], y[2 * 20 * 16];
	bool ok;

	for (size_t n = 0; n < 400; n += n < 40 ? 9 : 97) {
		struct ttt_state *a = absorbed(f, NULL, "a", 0, n, n > 0 ? n : 1), *b;

		save(a, in(f->dir, "tail.ttt"), TTT_COMPRESS_NONE, true);
		b = opened(f, in(f->dir, "tail.ttt"), NULL);
		assert_int_equal(ttt__session_window_rows(ttt_state_session(a)),
		    ttt__session_window_rows(ttt_state_session(b)));
		assert_int_equal(ttt_session_n_token(ttt_state_session(a)), ttt_session_n_token(ttt_state_session(b)));
		if (ttt__session_window_rows(ttt_state_session(a)) == 20) {
			ttt__session_window_read(ttt_state_session(a), 0, x, x + 20 * 16);
			ttt__session_window_read(ttt_state_session(b), 0, y, y + 20 * 16);
			for (int i = 0; i < 2 * 20 * 16; i++)
				assert_true(fabsf(x[i] - y[i]) < 1e-5F);
		}
		assert_ok(ttt_state_verify(in(f->dir, "tail.ttt"), f->model, &ok, &err), &err);
		assert_true(ok);
		save(b, in(f->dir, "kept.ttt"), TTT_COMPRESS_NONE, false);
		ttt_state_free(a);
		a = opened(f, in(f->dir, "kept.ttt"), NULL);
		assert_true(fabs(cost_of_more(f, a) - cost_of_more(f, b)) < 1e-5);
		ttt_state_free(a);
		ttt_state_free(b);
	}
}

static void
count_chunks(void *ctx, const struct ttt_chunk_report *r)
{
	*(int64_t *)ctx += r->n;
}

static void
test_options(void **state)
{
	struct fixture *f = *state;
	const struct ttt_state_options still = { .no_learn = true, .no_passages = true }, fast = { .rate = 2 };
	struct ttt_state *s = absorbed(f, &still, NULL, 0, 1000, 1000), *t;
	struct ttt_state_info i;
	struct ttt_error err = { 0 };
	double moved, initial;
	int64_t n = 0, scored = 0, n_token;
	const char *name;

	ttt_session_drift(ttt_state_session(s), &moved, &initial);
	assert_true(moved == 0 && initial > 0);
	assert_true(ttt_state_source_at(s, 0, &name, &n));
	assert_string_equal(name, "-");
	assert_ok(ttt_state_info(s, &i, &err), &err);
	assert_int_equal(i.n_passage_record, 0);
	save(s, in(f->dir, "still.ttt"), TTT_COMPRESS_GZIP, false);
	ttt_state_free(s);
	/* what was chosen stays chosen */
	s = opened(f, in(f->dir, "still.ttt"), &fast);
	n_token = ttt_session_n_token(ttt_state_session(s));
	assert_ok(ttt_state_absorb(s, f->text, 1000, count_chunks, &scored, &err), &err);
	assert_true(scored > 0 && scored % 8 == 0 && ttt_session_n_token(ttt_state_session(s)) > n_token);
	save(s, in(f->dir, "fast.ttt"), TTT_COMPRESS_GZIP, false);
	t = opened(f, in(f->dir, "fast.ttt"), NULL);
	assert_ok(ttt_state_info(t, &i, &err), &err);
	assert_true(i.rate == 2 && i.n_passage_byte == 0);
	ttt_state_free(s);
	ttt_state_free(t);
	assert_fails(ttt_state_create(&s, f->model, &(struct ttt_state_options){ .rate = -1 }, &err), TTT_E_RANGE, &err,
	    "-1");
	/* the largest size there is stands for no limit */
	s = absorbed(f, &(struct ttt_state_options){ .passages_max = SIZE_MAX }, NULL, 0, 100, 100);
	save(s, in(f->dir, "max.ttt"), TTT_COMPRESS_GZIP, false);
	t = opened(f, in(f->dir, "max.ttt"), NULL);
	ttt_state_free(s);
	ttt_state_free(t);
}

/* The first chunk's loss stays what it was, when the curve's first line has long become a mean and in a file as well. */
static void
test_first_loss(void **state)
{
	struct fixture *f = *state;
	struct ttt_state *s = absorbed(f, NULL, NULL, 0, 100, 100), *t;
	struct ttt_state_info before, after;
	struct ttt_error err = { 0 };

	assert_ok(ttt_state_info(s, &before, &err), &err);
	for (int i = 0; i < 4; i++)
		assert_ok(ttt_state_absorb(s, f->text, f->n_text, NULL, NULL, &err), &err);
	save(s, in(f->dir, "long.ttt"), TTT_COMPRESS_GZIP, false);
	t = opened(f, in(f->dir, "long.ttt"), NULL);
	assert_true(s->curve.stride > 1 && s->curve.loss[0] != before.loss_first);
	assert_ok(ttt_state_info(t, &after, &err), &err);
	assert_true(after.loss_first == before.loss_first);
	ttt_state_free(s);
	ttt_state_free(t);
}

/* A state that is updated for years: sources of which no text is kept become one, and those with text stay whose it is. */
static void
test_sources(void **state)
{
	enum { NAME = 4000, MANY = TTT__NAMES_MAX / NAME + 100 };
	struct fixture *f = *state;
	const struct ttt_state_options few = { .passages_max = 450 };
	struct ttt_state *s = absorbed(f, &few, "first", 0, 100, 100), *t;
	char name[NAME + 1];
	const char *earlier, *last;
	struct ttt_error err = { 0 };
	struct ttt_record r;
	int64_t cursor = 0, n = 0, n_last = 0;

	memset(name, 'n', NAME);
	name[NAME] = '\0';
	for (int i = 0; i < MANY; i++) {
		size_t before = s->sources.n;

		name[NAME - 1] = (char)('0' + i % 10);
		assert_ok(ttt_state_source(s, name, &err), &err);
		if (s->sources.n <= before) { /* folded: the one before this one stays, and its text may go on */
			assert_int_equal(s->sources.n, 4);
			assert_true(s->sources.p[2].name[NAME - 1] == '0' + (i - 1) % 10);
			assert_int_equal(s->passages.source, 3);
		}
		if (i >= MANY - 3)
			assert_ok(ttt_state_absorb(s, f->text, 100, NULL, NULL, &err), &err);
	}
	assert_true(s->sources.n < MANY);
	save(s, in(f->dir, "sources.ttt"), TTT_COMPRESS_GZIP, false);
	t = opened(f, in(f->dir, "sources.ttt"), NULL);
	assert_true(ttt_state_source_at(t, 0, &earlier, &n) && ttt_state_source_at(t, (int64_t)t->sources.n - 1, &last, &n_last));
	assert_string_equal(earlier, "(earlier)");
	assert_string_equal(last, name);
	assert_true(n == 0 && n_last == 100);
	assert_true(ttt_state_source_at(t, 1, &earlier, &n));
	assert_string_equal(earlier, "first");
	assert_true(ttt_state_record_next(t, &cursor, &r, &err));
	assert_string_equal(r.name, "first");
	for (int i = MANY - 3; i < MANY; i++) {
		assert_true(ttt_state_record_next(t, &cursor, &r, &err));
		assert_true(r.n == 100 && r.name[NAME - 1] == '0' + i % 10);
	}
	ttt_state_free(s);
	ttt_state_free(t);
}

/* A tokenizer that puts a blank before a text does so once, however often the stream is put down and taken up. */
static void
test_prefix_blank(void **state)
{
	static const char off[] = "\"add_prefix_space\": false", on[] = "\"add_prefix_space\": true ";
	struct fixture *f = *state, blank = *f;
	struct ttt_init_options o = { .seed = 1, .config = in(f->dir, "config.json"), .tokenizer = in(f->dir, "blank.json") };
	struct ttt__bytes b = slurp(data_path("golden/tokenizers/gpt2/tokenizer.json"));
	struct ttt_error err = { 0 };
	int n = 0;

	for (char *at; (at = memmem(b.p, b.n, off, strlen(off))) != NULL; n++)
		memcpy(at, on, strlen(on));
	assert_true(n > 0);
	spill(in(f->dir, "blank.json"), b.p, b.n);
	ttt__bytes_free(&b);
	assert_ok(ttt_model_init(in(f->dir, "blank"), &o, &err), &err);
	assert_ok(ttt_model_open(&blank.model, f->device, in(f->dir, "blank"), &err), &err);
	for (size_t cut = 0; cut < 40; cut += 3) {
		struct ttt_state *a = absorbed(&blank, NULL, "a", 0, cut, cut > 0 ? cut : 1), *c = absorbed(&blank, NULL, "a", 0, 200, 200);

		save(a, in(f->dir, "part.ttt"), TTT_COMPRESS_NONE, false);
		ttt_state_free(a);
		a = opened(&blank, in(f->dir, "part.ttt"), NULL);
		assert_ok(ttt_state_absorb(a, f->text + cut, 200 - cut, NULL, NULL, &err), &err);
		save(a, in(f->dir, "joined.ttt"), TTT_COMPRESS_NONE, false);
		save(c, in(f->dir, "whole.ttt"), TTT_COMPRESS_NONE, false);
		assert_same_file(in(f->dir, "joined.ttt"), in(f->dir, "whole.ttt"));
		ttt_state_free(a);
		ttt_state_free(c);
	}
	/* ids between two texts: the second one starts anew, in a state taken up there as in one that was not */
	for (int turn = 0; turn < 2; turn++) {
		struct ttt_state *a = absorbed(&blank, NULL, "a", 0, 20, 20);

		assert_ok(ttt_state_absorb_ids(a, (const int32_t[]){ 7, 8, 9 }, 3, NULL, NULL, &err), &err);
		if (turn == 1) {
			save(a, in(f->dir, "part.ttt"), TTT_COMPRESS_NONE, false);
			ttt_state_free(a);
			a = opened(&blank, in(f->dir, "part.ttt"), NULL);
		}
		assert_ok(ttt_state_absorb(a, "x (y", 4, NULL, NULL, &err), &err);
		save(a, in(f->dir, turn == 0 ? "whole.ttt" : "joined.ttt"), TTT_COMPRESS_NONE, false);
		ttt_state_free(a);
	}
	assert_same_file(in(f->dir, "joined.ttt"), in(f->dir, "whole.ttt"));
	ttt_model_free(blank.model);
}

static void
test_ids(void **state)
{
	struct fixture *f = *state;
	int32_t ids[20];
	const int32_t *p, bad = 1200;
	struct ttt_error err = { 0 };
	struct ttt_state *s;
	int64_t n;

	for (int i = 0; i < 20; i++)
		ids[i] = i * 7;
	assert_ok(ttt_state_create(&s, f->model, NULL, &err), &err);
	assert_ok(ttt_state_absorb_ids(s, ids, 20, NULL, NULL, &err), &err);
	assert_int_equal(ttt_session_n_token(ttt_state_session(s)), 20);
	p = ttt_session_pending(ttt_state_session(s), &n);
	assert_int_equal(n, 4);
	assert_memory_equal(p, ids + 16, 4 * sizeof(*p));
	assert_fails(ttt_state_absorb_ids(s, &bad, 1, NULL, NULL, &err), TTT_E_RANGE, &err, "1200");
	assert_fails(ttt_state_absorb_ids(s, &bad, -1, NULL, NULL, &err), TTT_E_USAGE, &err, "less than none");
	save(s, in(f->dir, "ids.ttt"), TTT_COMPRESS_GZIP, false);
	ttt_state_free(s);
	s = opened(f, in(f->dir, "ids.ttt"), NULL);
	assert_int_equal(ttt_session_n_token(ttt_state_session(s)), 20);
	ttt_state_free(s);
	/* text begins with BOS; ids after text end the text first */
	assert_ok(ttt_state_create(&s, f->model, NULL, &err), &err);
	assert_ok(ttt_state_absorb(s, "a", 1, NULL, NULL, &err), &err);
	assert_ok(ttt_state_absorb_ids(s, ids, 1, NULL, NULL, &err), &err);
	p = ttt_session_pending(ttt_state_session(s), &n);
	assert_int_equal(n, 3);
	assert_int_equal(p[0], 1199);
	assert_int_equal(p[2], 0);
	ttt_state_free(s);
}

static void
test_verify_and_export(void **state)
{
	struct fixture *f = *state;
	struct ttt_state *s = absorbed(f, NULL, "a", 0, 2000, 2000);
	struct ttt__bytes b;
	struct ttt__safetensors t;
	struct ttt_error err = { 0 };
	double before, after, again;
	float *w = calloc((size_t)ttt_model_n_fast(f->model), sizeof(*w)), down[24 * 16];
	bool ok = false;

	assert_non_null(w);
	assert_ok(ttt_state_save(s, in(f->dir, "v.ttt"), NULL, &err), &err);
	save(s, in(f->dir, "w.ttt"), TTT_COMPRESS_GZIP, false);
	assert_same_file(in(f->dir, "v.ttt"), in(f->dir, "w.ttt"));
	assert_ok(ttt_state_verify(in(f->dir, "v.ttt"), f->model, &ok, &err), &err);
	assert_true(ok);
	assert_ok(ttt_state_export(s, in(f->dir, "v.safetensors"), &err), &err);
	b = slurp(in(f->dir, "v.safetensors"));
	assert_ok(ttt__safetensors_parse(&t, b.p, b.n, "v", &err), &err);
	assert_int_equal(t.n, 6);
	ttt__session_fast_read(ttt_state_session(s), TTT__FAST_LAST, w);
	assert_ok(ttt__safetensors_f32(&t, ttt__safetensors_find(&t, "model.layers.2.prime_mlp.down_proj.weight"), down,
	    &err), &err);
	assert_memory_equal(down, w + ttt_model_n_fast(f->model) - 24 * 16, sizeof(down));
	ttt__safetensors_free(&t);
	ttt__bytes_free(&b);
	/* the check sees a change of one weight, and leaves the session as it was */
	assert_ok(ttt__state_check_loss(s, ttt_state_session(s), &before, &err), &err);
	w[5] += 0.5F;
	(void)ttt__session_fast_write(ttt_state_session(s), TTT__FAST_LAST, w, NULL);
	assert_ok(ttt__state_check_loss(s, ttt_state_session(s), &after, &err), &err);
	assert_true(before != after);
	w[5] -= 0.5F;
	(void)ttt__session_fast_write(ttt_state_session(s), TTT__FAST_LAST, w, NULL);
	assert_ok(ttt__state_check_loss(s, ttt_state_session(s), &again, &err), &err);
	assert_true(before == again);
	ttt_state_free(s);
	free(w);
}

/* A model that attends to everything and learns nothing: its whole cache is in the state, and cannot be left out. */
static void
test_full_attention(void **state)
{
	static const char config[] = "{\"vocab_size\": 1200, \"hidden_size\": 16, \"num_hidden_layers\": 2, "
	    "\"num_attention_heads\": 2, \"intermediate_size\": 24, \"chunk_size\": 8, \"rms_norm_eps\": 1e-6, "
	    "\"rope_theta\": 10000}";
	struct fixture *f = *state, full = *f;
	struct ttt_init_options o = { .seed = 3, .tokenizer = data_path("golden/tokenizers/gpt2/tokenizer.json") };
	struct ttt_state *a, *b;
	struct ttt_error err = { 0 };
	FILE *out = tmpfile();
	bool ok;

	assert_non_null(out);
	spill(in(f->dir, "full.json"), config, strlen(config));
	o.config = in(f->dir, "full.json");
	assert_ok(ttt_model_init(in(f->dir, "full"), &o, &err), &err);
	assert_ok(ttt_model_open(&full.model, f->device, in(f->dir, "full"), &err), &err);
	a = absorbed(&full, NULL, "a", 0, 600, 600);
	save(a, in(f->dir, "whole.ttt"), TTT_COMPRESS_GZIP, false);
	assert_ok(ttt_state_verify(in(f->dir, "whole.ttt"), full.model, &ok, &err), &err);
	assert_true(ok);
	assert_fails(ttt_state_write(a, out, &(struct ttt_save_options){ .window_tail = true }, &err), TTT_E_UNSUPPORTED, &err,
	    "attends to everything");
	ttt_state_free(a);
	a = absorbed(&full, NULL, "a", 0, 333, 10);
	save(a, in(f->dir, "part.ttt"), TTT_COMPRESS_GZIP, false);
	b = opened(&full, in(f->dir, "part.ttt"), NULL);
	assert_ok(ttt_state_absorb(b, f->text + 333, 600 - 333, NULL, NULL, &err), &err);
	save(b, in(f->dir, "joined.ttt"), TTT_COMPRESS_GZIP, false);
	assert_same_file(in(f->dir, "whole.ttt"), in(f->dir, "joined.ttt"));
	ttt_state_free(a);
	ttt_state_free(b);
	ttt_model_free(full.model);
	fclose(out);
}

/* Two processes, one lock: the second waits, gives up, or gets it once the first is done. */
static void
test_lock(void **state)
{
	struct fixture *f = *state;
	struct ttt_error err = { 0 };
	struct ttt_lock *l;
	const char *path = in(f->dir, "locked.ttt");
	int status;
	pid_t child;

	assert_ok(ttt_lock_take(&l, path, 0, &err), &err);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct ttt_lock *m;
		bool held = ttt_lock_take(&m, path, 0.1, &err) == TTT_E_LOCKED;

		_exit(held && ttt_lock_take(&m, path, 20, &err) == TTT_OK ? 0 : 1);
	}
	usleep(400000);
	ttt_lock_release(l);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	/* One that waited on the file of a lock that is released, which is removed, has the lock of the next one. */
	int held[2], done[2];
	char byte = 0;
	assert_true(pipe(held) == 0 && pipe(done) == 0);
	assert_ok(ttt_lock_take(&l, path, -1, &err), &err);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct ttt_lock *m;
		bool mine = ttt_lock_take(&m, path, -1, &err) == TTT_OK;

		_exit(mine && write(held[1], "x", 1) == 1 && read(done[0], &byte, 1) == 1 ? 0 : 1);
	}
	usleep(300000);
	ttt_lock_release(l);
	assert_int_equal(read(held[0], &byte, 1), 1);
	assert_fails(ttt_lock_take(&l, path, 0, &err), TTT_E_LOCKED, &err, "holds the lock");
	assert_int_equal(write(done[1], "x", 1), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	for (int i = 0; i < 2; i++) {
		close(held[i]);
		close(done[i]);
	}
	assert_fails(ttt_lock_take(&l, path, (double)NAN, &err), TTT_E_RANGE, &err, "no number");
	assert_ok(ttt_lock_take(&l, path, -1, &err), &err);
	ttt_lock_release(l);
	assert_int_not_equal(access(in(f->dir, "locked.ttt.lock"), F_OK), 0);
	assert_fails(ttt_lock_take(&l, in(f->dir, "no/such"), 0, &err), TTT_E_IO, &err, "such.lock");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_what_is_kept),
		cmocka_unit_test(test_passages),
		cmocka_unit_test(test_passages_compact),
		cmocka_unit_test(test_curve),
		cmocka_unit_test(test_window_tail),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_first_loss),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_prefix_blank),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_verify_and_export),
		cmocka_unit_test(test_full_attention),
		cmocka_unit_test(test_lock),
	};

	return cmocka_run_group_tests(tests, fixture_make, fixture_free);
}
