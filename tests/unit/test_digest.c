/* Log digests: masks, distances against their definition, scores and what is learned, and what a state keeps of it. */
#include <math.h>

#include "libttt/state/extra.h"
#include "libttt/text/mask.h"
#include "libttt/use/lexicon.h"
#include "libttt/use/severity.h"
#include "tests/unit/state_fixture.h"

static void
test_mask(void **state)
{
	static const char *const cases[][2] = {
	    {"", ""},
	    {"port 22 of 10.250.14.38:50010", "port 00 of 00.000.00.00:0000"},
	    {"block blk_-7571492020523929240 size 67108864", "block blk_-0000 size 0000"},
	    {"size 0", "size 0"},
	    {"at 0x7ffee4 and 0X7ffee4, 0xyz", "at 0x and 0X0ffee0, 0xyz"},
	    {"commit 4f2a9c1 by deadbeef feed", "commit @ by deadbeef feed"},
	    {"id jA9K1tPf0123 jA9K1tPf", "id @ jA0K0tPf"},
	    {"a1b2", "@"},
	    {"user2 v1", "user0 v0"},
	    {"request 1b4e28ba-2fa1-11d2-adca-abcdefabcdef: ok", "request @: ok"},
	    {"face-beef-cafe deadbeef-dead-beef-dead-beefdeadbeefs", "face-beef-cafe deadbeef-dead-beef-dead-beefdeadbeefs"},
	    {"pod web-7d9f8b6c5d-x2v9k, db-tree-shrub", "pod web-@, db-tree-shrub"},
	    {"order 45872946-52749 failed", "order 0000-0000 failed"},
	    {"key=sess:mR4t-Zq8_VhXw2Lk9 ok", "key=sess:@ ok"},
	    {"OrderService-PaymentClient getHTTPResponse2Code X-Forwarded-For", "OrderService-PaymentClient getHTTPResponse0Code X-Forwarded-For"},
	    {"\xff\x01 na\xc3\xafve \xc3", "\xef\xbf\xbd\x01 na\xc3\xafve \xef\xbf\xbd"},
	    {"login session=<3Cs/bjzUQvlh/dgB> <div class=main>", "login session=<@> <div class=main>"},
	    {"eth0: renamed from veth0090fcd, usbnet12", "eth0: renamed from @, usbnet00"},
	    {"Dec  1 10:02 at 27/Nov/2026, Nov 3, May be, Mayor 3 Sept", "Jan  0 00:00 at 00/Jan/0000, Jan 0, May be, Mayor 0 Sept"},
	    {"\033[31mERROR\033[0m of \033[x", "ERROR of "},
	    {"reason=CrashLoopBackOff OutOfMemoryError NodeNotReady", "reason=CrashLoopBackOff OutOfMemoryError NodeNotReady"},
	};
	struct ttt__bytes out = {0}, place = {0};
	struct ttt_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *line = cases[i][0], *want = cases[i][1];
		uint32_t at, last = 0;

		assert_ok(ttt__mask_line(&out, &place, line, strlen(line), &err), &err);
		assert_int_equal(out.n, strlen(want));
		assert_memory_equal(out.p, want, out.n);
		assert_int_equal(place.n, (out.n + 1) * sizeof(at));
		for (size_t j = 0; j <= out.n; j++, last = at) {
			memcpy(&at, place.p + j * sizeof(at), sizeof(at));
			assert_true(at >= last && at <= strlen(line));
		}
		assert_int_equal(last, strlen(line));
	}
	ttt__bytes_free(&out);
	ttt__bytes_free(&place);
}

static void
test_severity(void **state)
{
	static const char *const yes[] = {"WARN: x", "kernel: I/O error", "Permission denied", "FATAL", "KeeperException: invalid", "err=5"};
	static const char *const no[] = {"INFO all well", "errand", "badge", "the loste", "", "e", "prefail"};

	(void)state;
	for (size_t i = 0; i < sizeof(yes) / sizeof(*yes); i++)
		assert_true(ttt__line_severe(yes[i], strlen(yes[i])));
	for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++)
		assert_false(ttt__line_severe(no[i], strlen(no[i])));
}

static int32_t
add(struct ttt__lexicon *l, const char *line, int64_t count)
{
	struct ttt_error err;
	int32_t place;

	assert_ok(ttt__lexicon_add(l, line, strlen(line), count, l->n_seen, &place, &err), &err);
	return place;
}

static double
distance(struct ttt__lexicon *l, const char *line, double *any)
{
	struct ttt_error err;
	double known;

	assert_ok(ttt__lexicon_distance(l, line, strlen(line), &known, any, &err), &err);
	return known;
}

/* 20 lines "alpha beta 00", 5 "beta gamma gamma"; idf and cosines by hand. */
static void
test_distance(void **state)
{
	struct ttt__lexicon l = {0};
	struct ttt_error err;
	double ia = log(26. / 21) + 1, ib = log(26. / 26) + 1, ig = log(26. / 6) + 1, top = log(26.) + 1, g2 = (1 + log(2)) * ig, any, want;

	(void)state;
	assert_true(distance(&l, "alpha", &any) == 1 && any == 1);
	ttt__lexicon_learned(&l, add(&l, "Alpha beta", 20));
	(void)add(&l, "beta gamma Gamma", 5);
	assert_int_equal(ttt__lexicon_find(&l, "Alpha beta", 10), 0);
	assert_int_equal(ttt__lexicon_find(&l, "alpha beta", 10), -1);
	ttt__lexicon_settle(&l);
	assert_true(distance(&l, "beta alpha", &any) < 1e-12 && any < 1e-12); /* words in another order, or letters of another case */
	want = 1 - ib * ib / (hypot(ia, ib) * hypot(ib, g2));
	assert_true(fabs(distance(&l, "beta gamma gamma", &any) - want) < 1e-12 && any < 1e-12);
	want = 1 - ia * ia / (hypot(ia, ib) * hypot(ia, top));
	assert_true(fabs(distance(&l, "alpha omega", &any) - want) < 1e-12 && fabs(any - want) < 1e-12);
	assert_true(ttt__lexicon_knows(&l, (const unsigned char *)"beta", 4));
	assert_false(ttt__lexicon_knows(&l, (const unsigned char *)"gamma", 5));
	ttt__lexicon_learned(&l, 1);
	ttt__lexicon_again(&l, 1, 99);
	assert_int_equal(l.n_seen, 26);
	assert_ok(ttt__lexicon_trim(&l, 1, 1000, &err), &err);
	assert_int_equal(l.n_line, 1);
	assert_int_equal(l.n_seen, 6);
	assert_int_equal(ttt__lexicon_find(&l, "beta gamma Gamma", 16), 0);
	assert_int_equal(l.n_byte, 16);
	assert_ok(ttt__lexicon_trim(&l, 1, 15, &err), &err);
	assert_int_equal(l.n_line, 0);
	ttt__lexicon_free(&l);
}

enum { LINES = 120 };

static void
make_lines(struct ttt_digest_line *line, char (*text)[80], int first, int n)
{
	for (int i = 0; i < n; i++) {
		snprintf(text[i], sizeof(*text), i % 2 != 0 ? "sshd[%d]: session opened for user backup" : "cron[%d]: session closed for root",
		    1000 + first + i);
		line[i] = (struct ttt_digest_line){.text = text[i], .n = strlen(text[i])};
	}
}

static struct ttt_digest *
digest(struct ttt_state *s)
{
	struct ttt_digest *d = NULL;
	struct ttt_error err;

	assert_ok(ttt_digest_create(&d, s, NULL, &err), &err);
	return d;
}

static void
test_learned(void **state)
{
	struct fixture *f = *state;
	struct ttt_digest_line line[LINES];
	char text[LINES][80];
	struct ttt_state *s;
	struct ttt_error err;
	struct ttt_digest *d;
	const char *path = in(f->dir, "digest.ttt");
	static const char novel[] = "kernel: reactor coolant 7 lost, shutting down";
	char cursor[5000] = "";

	assert_ok(ttt_state_create(&s, f->model, NULL, &err), &err);
	d = digest(s);
	assert_true(ttt_digest_threshold(d) == 0);
	make_lines(line, text, 0, LINES);
	assert_ok(ttt_digest_read(d, line, LINES, &err), &err);
	assert_false(line[0].novel);
	assert_true(line[0].score > line[2].score || line[0].score == line[2].score); /* of one kind, in one block: the same */
	assert_ok(ttt_digest_read(d, line, LINES, &err), &err);
	assert_true(line[0].score < 0.05);
	assert_ok(ttt_digest_set_cursor(d, "s=abc", &err), &err);
	assert_ok(ttt_digest_finish(d, &err), &err);
	ttt_digest_free(d);
	assert_ok(ttt_state_save(s, path, NULL, &err), &err);
	ttt_state_free(s);

	assert_ok(ttt_state_open(&s, path, f->model, NULL, &err), &err);
	d = digest(s);
	assert_int_equal(ttt_digest_n_line(d), 2 * LINES);
	assert_string_equal(ttt_digest_cursor(d), "s=abc");
	assert_true(ttt_digest_threshold(d) >= 0.3 && ttt_digest_threshold(d) <= 0.4);
	for (int turn = 0; turn < 3; turn++) { /* however often it comes, it is not learned */
		line[0] = line[1] = (struct ttt_digest_line){.text = novel, .n = strlen(novel)};
		assert_ok(ttt_digest_read(d, line, 3, &err), &err);
		assert_true(line[0].novel && line[1].novel && !line[2].novel);
		assert_true(line[0].score == line[1].score && line[0].kind == line[1].kind && line[0].kind != line[2].kind);
		assert_int_equal(line[0].n_mark, 2); /* the number is no word */
		assert_true(line[0].mark[0].start == 0 && line[0].mark[0].end == strlen("kernel: reactor coolant"));
	}
	assert_ok(ttt_digest_accept(d, novel, strlen(novel), &err), &err);
	line[0] = (struct ttt_digest_line){.text = "kernel: reactor coolant 9 lost, shutting down", .n = strlen(novel)};
	assert_ok(ttt_digest_read(d, line, 1, &err), &err);
	assert_true(!line[0].novel && line[0].score < 0.05);
	/* what is no line is refused, as is a cursor that could not be read again */
	assert_int_equal(ttt_digest_accept(d, "a\nb", 3, &err), TTT_E_RANGE);
	line[0] = (struct ttt_digest_line){.text = "a\nb", .n = 3};
	assert_int_equal(ttt_digest_read(d, line, 1, &err), TTT_E_RANGE);
	memset(cursor, 'c', sizeof(cursor) - 1);
	assert_int_equal(ttt_digest_set_cursor(d, cursor, &err), TTT_E_RANGE);
	assert_string_equal(ttt_digest_cursor(d), "s=abc");
	ttt_digest_free(d);
	ttt_state_free(s);
}

static void
expect_damaged(struct fixture *f, const char *member, const char *text, size_t n)
{
	struct ttt_state *s;
	struct ttt_digest *d = NULL;
	struct ttt_error err;

	assert_ok(ttt_state_create(&s, f->model, NULL, &err), &err);
	assert_ok(ttt__state_extra_write(s, member, text, n, &err), &err);
	assert_int_equal(ttt_digest_create(&d, s, NULL, &err), TTT_E_FORMAT);
	assert_non_null(strstr(err.text, member));
	assert_null(d);
	ttt_state_free(s);
}

static void
test_damaged(void **state)
{
	static const char *const json[] = {"", "[]", "{}", "{\"version\":2,\"lines\":0,\"cursor\":\"\",\"scores\":[]}",
	    "{\"version\":1,\"lines\":-1,\"cursor\":\"\",\"scores\":[]}", "{\"version\":1,\"lines\":0,\"cursor\":5,\"scores\":[]}",
	    "{\"version\":1,\"lines\":0,\"cursor\":\"\",\"scores\":[10001]}", "{\"version\":1,\"lines\":0,\"cursor\":\"\",\"scores\":7}"};
	static const char *const lines[] = {"x", "1\t2\tno end", "0\t1\tx\n", "99999999999999999999\t1\tx\n", "1\tx\n",
	    "9223372036854775807\t1\tx\n", "1\t1\tx\n1\t1\tx\n"};

	for (size_t i = 0; i < sizeof(json) / sizeof(*json); i++)
		expect_damaged(*state, "digest.json", json[i], strlen(json[i]));
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		expect_damaged(*state, "digest.lines", lines[i], strlen(lines[i]));
}

/* A member is what was written last, whatever its size was before, and other members stay. */
static void
test_extra(void **state)
{
	struct fixture *f = *state;
	struct ttt_state *s;
	struct ttt__bytes b = {0};
	struct ttt_error err;
	bool found;

	assert_ok(ttt_state_create(&s, f->model, NULL, &err), &err);
	assert_ok(ttt__state_extra_read(s, "a", &b, &found, &err), &err);
	assert_false(found);
	assert_ok(ttt__state_extra_write(s, "a", "12345", 5, &err), &err);
	assert_ok(ttt__state_extra_write(s, "b", "xyz", 3, &err), &err);
	assert_ok(ttt__state_extra_write(s, "a", "longer than before", 18, &err), &err);
	assert_ok(ttt__state_extra_write(s, "b", "", 0, &err), &err);
	assert_ok(ttt_state_save(s, in(f->dir, "extra.ttt"), NULL, &err), &err);
	ttt_state_free(s);
	assert_ok(ttt_state_open(&s, in(f->dir, "extra.ttt"), f->model, NULL, &err), &err);
	assert_ok(ttt__state_extra_read(s, "a", &b, &found, &err), &err);
	assert_true(found && b.n == 18 && memcmp(b.p, "longer than before", 18) == 0);
	assert_ok(ttt__state_extra_read(s, "b", &b, &found, &err), &err);
	assert_true(found && b.n == 0);
	ttt__bytes_free(&b);
	ttt_state_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_mask),
	    cmocka_unit_test(test_severity),
	    cmocka_unit_test(test_distance),
	    cmocka_unit_test(test_learned),
	    cmocka_unit_test(test_damaged),
	    cmocka_unit_test(test_extra),
	};

	return cmocka_run_group_tests(tests, fixture_make, fixture_free);
}
