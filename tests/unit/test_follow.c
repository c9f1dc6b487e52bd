/* Followed logs: what is new in them, over growth, every kind of rotation, and damage. */
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <time.h>

#include "tests/unit/scratch.h"

static char dir[256];
static char notes[4096];
static struct ttt__bytes positions; /* between runs */
static int64_t last_time;

static void
take_note(void *ctx, const char *text)
{
	(void)ctx;
	strncat(notes, text, sizeof(notes) - strlen(notes) - 1);
	strncat(notes, "\n", sizeof(notes) - strlen(notes) - 1);
}

static int
setup(void **state)
{
	(void)state;
	scratch_make(dir);
	positions.n = 0;
	notes[0] = '\0';
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	scratch_remove(dir);
	ttt__bytes_free(&positions);
	return 0;
}

/* Now, or a little later: no two are the same. */
static int64_t
tick(void)
{
	struct timespec t;
	int64_t now;

	assert_int_equal(clock_gettime(CLOCK_REALTIME, &t), 0);
	now = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
	last_time = now > last_time + 1000 ? now : last_time + 1000;
	return last_time;
}

static void
set_time(const char *path, int64_t t)
{
	struct timespec times[2] = { { .tv_sec = t / 1000000000, .tv_nsec = t % 1000000000 } };

	times[1] = times[0];
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* Its writer stopped long ago. */
static void
make_old(const char *name, int seconds)
{
	set_time(in(dir, name), tick() - (int64_t)seconds * 1000000000);
}

static void
append_bytes(const char *name, const void *p, size_t n)
{
	FILE *f = fopen(in(dir, name), "ab");

	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
	set_time(in(dir, name), tick());
}

static void
append(const char *name, const char *text)
{
	append_bytes(name, text, strlen(text));
}

static void
move(const char *from, const char *to)
{
	assert_int_equal(rename(in(dir, from), in(dir, to)), 0);
}

static int64_t
time_of(const char *name)
{
	struct stat st;

	assert_int_equal(stat(in(dir, name), &st), 0);
	return (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}

/* from, compressed, with its time; from goes. */
static void
compress_to(const char *from, const char *to, int (*filter)(struct archive *))
{
	struct ttt__bytes b = slurp(in(dir, from));
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();
	int64_t t = time_of(from);

	assert_int_equal(archive_write_set_format_raw(a), ARCHIVE_OK);
	assert_int_equal(filter(a), ARCHIVE_OK);
	assert_int_equal(archive_write_open_filename(a, in(dir, to)), ARCHIVE_OK);
	archive_entry_set_pathname(e, "data");
	archive_entry_set_filetype(e, AE_IFREG);
	assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
	if (b.n > 0)
		assert_int_equal(archive_write_data(a, b.p, b.n), b.n);
	archive_entry_free(e);
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
	set_time(in(dir, to), t);
	assert_int_equal(unlink(in(dir, from)), 0);
	ttt__bytes_free(&b);
}

static void
copy_truncate(const char *from, const char *to)
{
	struct ttt__bytes b = slurp(in(dir, from));

	spill(in(dir, to), b.n > 0 ? (const void *)b.p : "", b.n);
	set_time(in(dir, to), tick());
	assert_int_equal(truncate(in(dir, from), 0), 0);
	set_time(in(dir, from), tick());
	ttt__bytes_free(&b);
}

static struct ttt_follow *
start(void)
{
	struct ttt_follow *f;
	struct ttt_error err = { 0 };

	notes[0] = '\0';
	assert_ok(ttt_follow_create(&f, positions.n > 0 ? positions.p : NULL, positions.n, &err), &err);
	return f;
}

static void
write_positions(struct ttt_follow *f, struct ttt__bytes *out)
{
	struct ttt_error err = { 0 };
	char *json;
	size_t n;

	assert_ok(ttt_follow_json(f, &json, &n, &err), &err);
	out->n = 0;
	assert_ok(ttt__bytes_add(out, json, n, &err), &err);
	free(json);
}

/* Keep the positions, which have to come out of themselves unchanged. */
static void
stop(struct ttt_follow *f)
{
	struct ttt__bytes again = { 0 };
	struct ttt_error err = { 0 };

	write_positions(f, &positions);
	ttt_follow_free(f);
	assert_ok(ttt_follow_create(&f, positions.p, positions.n, &err), &err);
	write_positions(f, &again);
	assert_int_equal(again.n, positions.n);
	assert_memory_equal(again.p, positions.p, again.n);
	ttt__bytes_free(&again);
	ttt_follow_free(f);
	assert_ok(ttt__bytes_add(&positions, "", 1, &err), &err); /* for strstr */
	positions.n--;
}

/* One run over FILE: at most limit lines as "file:number=text;". */
static const char *
run_for(const char *name, int limit)
{
	static char out[65536];
	struct ttt_follow *f = start();
	struct ttt_follow_line line;
	struct ttt_error err = { 0 };
	size_t at = 0;

	out[0] = '\0';
	assert_ok(ttt_follow_begin(f, in(dir, name), take_note, NULL, &err), &err);
	while (limit-- > 0) {
		assert_ok(ttt_follow_next(f, &line, &err), &err);
		if (line.text == NULL)
			break;
		assert_int_equal(strncmp(line.file, dir, strlen(dir)), 0);
		assert_int_equal(strlen(line.text), line.n);
		at += (size_t)snprintf(out + at, sizeof(out) - at, "%s:%d=%s;", line.file + strlen(dir) + 1,
		    (int)line.number, line.text);
		assert_true(at < sizeof(out));
	}
	stop(f);
	return out;
}

static const char *
run(const char *name)
{
	return run_for(name, 1000);
}

static void
test_growth(void **state)
{
	(void)state;
	append("log", "one\ntwo\r\n");
	append("log.1", "of before\n");
	assert_string_equal(run("log"), "log:1=one;log:2=two;");
	assert_string_equal(run("log"), "");
	append("log", "three\n\nfi");
	assert_string_equal(run("log"), "log:3=three;log:4=;");
	assert_string_equal(run("log"), "");
	make_old("log", 100);
	assert_string_equal(run("log"), "");
	append("log", "ve\nsix\n");
	assert_string_equal(run("log"), "log:5=five;log:6=six;");
	assert_string_equal(notes, "");
}

/* A run that stops early goes on behind what it gave. */
static void
test_stopped(void **state)
{
	(void)state;
	append("log", "one\ntwo\nthree\n");
	assert_string_equal(run_for("log", 0), "");
	assert_string_equal(run_for("log", 1), "log:1=one;");
	move("log", "log.2");
	append("log.1", "four\nfive\n");
	append("log", "six\nseven\n");
	assert_string_equal(run_for("log", 1), "log.2:2=two;");
	assert_string_equal(run_for("log", 2), "log.2:3=three;log.1:1=four;");
	assert_string_equal(run_for("log", 1), "log.1:2=five;");
	assert_string_equal(run_for("log", 1), "log:1=six;");
	assert_string_equal(run("log"), "log:2=seven;");
	assert_string_equal(run("log"), "");
}

static void
test_renamed(void **state)
{
	(void)state;
	append("log", "one\n");
	assert_string_equal(run("log"), "log:1=one;");
	move("log", "log.1");
	append("log", "two\n");
	assert_string_equal(run("log"), "log:1=two;");
	append("log", "three\n");
	move("log.1", "log.2");
	move("log", "log.1");
	append("log", "four\n");
	assert_string_equal(run("log"), "log.1:2=three;log:1=four;");
	/* its writer has not opened the new one yet */
	append("log.1", "late\n");
	append("log", "five\n");
	assert_string_equal(run("log"), "log.1:3=late;log:2=five;");
	append("log.1", "later, unfini");
	assert_string_equal(run("log"), "");
	move("log.1", "old-log");
	move("old-log", "log-20240102");
	append("log-20240102", "shed\n");
	assert_string_equal(run("log"), "log-20240102:4=later, unfinished;");
	append("log-20240102", "no more");
	assert_string_equal(run("log"), "");
	make_old("log-20240102", 60);
	assert_string_equal(run("log"), ""); /* it changed since */
	assert_string_equal(run("log"), "log-20240102:5=no more;");
	assert_non_null(strstr((char *)positions.p, "previous"));
	append("log", "six\n");
	compress_to("log-20240102", "log-20240102.gz", archive_write_add_filter_gzip);
	assert_string_equal(run("log"), "log:3=six;");
	assert_null(strstr((char *)positions.p, "previous"));
	assert_string_equal(notes, "");
}

/* Two rotations between two runs; the older one is compressed. */
static void
test_missed(void **state)
{
	int (*const filters[])(struct archive *) = { archive_write_add_filter_gzip, archive_write_add_filter_xz,
		archive_write_add_filter_zstd, archive_write_add_filter_bzip2 };
	static const char *const names[] = { "log.2.gz", "log.2.xz", "log.2.zst", "log.2.bz2" };
	char want[256];

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		positions.n = 0;
		append("log", "one\n");
		assert_string_equal(run("log"), "log:1=one;");
		append("log", "two\nthree, without end");
		move("log", "log.1");
		append("log", "four\n");
		compress_to("log.1", names[i], filters[i]);
		move("log", "log.1");
		append("log", "five\n");
		snprintf(want, sizeof(want), "%s:2=two;%s:3=three, without end;log.1:1=four;log:1=five;", names[i], names[i]);
		assert_string_equal(run("log"), want);
		assert_string_equal(run("log"), "");
		assert_int_equal(unlink(in(dir, names[i])), 0);
		assert_int_equal(unlink(in(dir, "log.1")), 0);
		assert_int_equal(unlink(in(dir, "log")), 0);
	}
	assert_string_equal(notes, "");
}

/* All of one time: then numbers and dates tell, and what is compressed twice is read once. */
static void
test_order(void **state)
{
	static const char *const files[] = { "a.log-20240102", "a-20240103.log", "a.log.10", "a.9.log", "a.log.2" };
	int64_t t;

	(void)state;
	append("a.log", "one\n");
	assert_string_equal(run("a.log"), "a.log:1=one;");
	move("a.log", "a.log-20240101");
	for (size_t i = 0; i < 5; i++)
		append(files[i], i % 2 == 0 ? "even\n" : "odd\n");
	append("a-other.log", "another\n");
	append("a.log.err", "another\n");
	append("a.logs", "another\n");
	append("a.log.2.gz", "half written\n");
	assert_int_equal(mkdir(in(dir, "a.log.7"), 0700), 0);
	assert_int_equal(mkfifo(in(dir, "a.log.8"), 0600), 0);
	assert_int_equal(symlink("a.log.2", in(dir, "a.log.1")), 0);
	t = tick();
	set_time(in(dir, "a.log-20240101"), t);
	for (size_t i = 0; i < 5; i++)
		set_time(in(dir, files[i]), t);
	append("a.log", "last\n");
	assert_string_equal(run("a.log"), "a.log-20240102:1=even;a-20240103.log:1=odd;a.log.10:1=even;a.9.log:1=odd;"
	    "a.log.2:1=even;a.log:1=last;");
	assert_string_equal(notes, "");
}

static void
test_copied(void **state)
{
	(void)state;
	append("log", "one\n");
	assert_string_equal(run("log"), "log:1=one;");
	append("log", "two\n");
	copy_truncate("log", "log.1");
	append("log", "three, past where it was read to before\n");
	assert_string_equal(run("log"), "log.1:2=two;log:1=three, past where it was read to before;");
	copy_truncate("log", "log.1");
	assert_string_equal(run("log"), "");
	append("log", "four, and fi");
	assert_string_equal(run("log"), "log:1=four, and fi;" + strlen("log:1=four, and fi;"));
	/* a line torn by it */
	copy_truncate("log", "log.1");
	append("log", "ve\n");
	assert_string_equal(run("log"), "log:1=ve;");
	make_old("log.1", 60);
	assert_string_equal(run("log"), "");
	assert_string_equal(run("log"), "log.1:1=four, and fi;");
	assert_string_equal(notes, "");
}

/* Truncated when it is opened, and once more before it is read. */
static void
test_twice_copied(void **state)
{
	struct ttt_follow *f;
	struct ttt_follow_line line;
	struct ttt_error err = { 0 };

	(void)state;
	append("log", "one\n");
	assert_string_equal(run("log"), "log:1=one;");
	copy_truncate("log", "log.1");
	f = start();
	assert_ok(ttt_follow_begin(f, in(dir, "log"), take_note, NULL, &err), &err);
	append("log", "two\nthree\n");
	move("log.1", "log.2");
	copy_truncate("log", "log.1");
	append("log", "four\n");
	assert_ok(ttt_follow_next(f, &line, &err), &err);
	assert_null(line.text); /* in another run, with what came before it */
	stop(f);
	assert_string_equal(run("log"), "log.1:1=two;log.1:2=three;log:1=four;");
	assert_string_equal(run("log"), "");
}

/* Deleted and made again, which gives the same inode on some file systems. */
static void
test_inode(void **state)
{
	struct stat a, b;
	int i;

	(void)state;
	append("log", "one\ntwo\n");
	assert_string_equal(run("log"), "log:1=one;log:2=two;");
	append("log", "three\n");
	for (i = 0; i < 50; i++) {
		assert_int_equal(stat(in(dir, "log"), &a), 0);
		compress_to("log", "log.1.gz", archive_write_add_filter_gzip);
		append("log", "four\nfive\n");
		assert_int_equal(stat(in(dir, "log"), &b), 0);
		if (a.st_ino == b.st_ino || i == 49)
			break;
		spill(in(dir, "log"), "one\ntwo\nthree\n", 14);
	}
	assert_string_equal(run("log"), "log.1.gz:3=three;log:1=four;log:2=five;");
	/* a log that says the same every day is told apart by it */
	positions.n = 0;
	append("day", "done\n");
	assert_string_equal(run("day"), "day:1=done;");
	move("day", "day.1");
	append("day", "done\n");
	assert_string_equal(run("day"), "day:1=done;");
	move("day.1", "day.2");
	move("day", "day.1");
	append("day", "done\ndone\n");
	assert_string_equal(run("day"), "day:1=done;day:2=done;");
	/* and one put back from a copy is not read again */
	copy_truncate("day", "copy");
	move("copy", "day");
	append("day", "more\n");
	assert_string_equal(run("day"), "day:3=more;");
	assert_string_equal(notes, "");
}

static void
test_empty(void **state)
{
	(void)state;
	append("log.1", "of before\n");
	append("log", "");
	assert_string_equal(run("log"), "");
	append("log", "one\n");
	assert_string_equal(run("log"), "log:1=one;");
	positions.n = 0;
	assert_int_equal(truncate(in(dir, "log"), 0), 0);
	set_time(in(dir, "log"), tick());
	assert_string_equal(run("log"), "");
	append("log", "one\n");
	move("log", "log.1");
	append("log", "two\n");
	assert_string_equal(run("log"), "log.1:1=one;log:1=two;");
	/* nothing but an unfinished line */
	positions.n = 0;
	assert_int_equal(truncate(in(dir, "log"), 0), 0);
	append("log", "unfini");
	assert_string_equal(run("log"), "");
	move("log", "log.1");
	assert_string_equal(run("log"), "");
	append("log", "next\n");
	assert_string_equal(run("log"), "log:1=next;");
	append("log.1", "shed\n");
	assert_string_equal(run("log"), "log.1:1=unfinished;");
	assert_string_equal(notes, "");
}

static void
test_missing(void **state)
{
	struct ttt_follow *f = start();
	struct ttt_follow_line line;
	struct ttt_error err = { 0 };

	(void)state;
	assert_fails(ttt_follow_begin(f, in(dir, "log"), NULL, NULL, &err), TTT_E_IO, &err, "log: cannot open: No such file");
	assert_fails(ttt_follow_begin(f, in(dir, "no/log"), NULL, NULL, &err), TTT_E_IO, &err, "cannot open: No such file");
	assert_fails(ttt_follow_begin(f, dir, NULL, NULL, &err), TTT_E_IO, &err, "directory");
	assert_int_equal(mkfifo(in(dir, "pipe"), 0600), 0);
	assert_fails(ttt_follow_begin(f, in(dir, "pipe"), NULL, NULL, &err), TTT_E_IO, &err, "not a regular file");
	assert_ok(ttt_follow_next(f, &line, &err), &err);
	assert_null(line.text);
	stop(f);
	append("log", "one\n");
	assert_string_equal(run("log"), "log:1=one;");
	append("log", "two\n");
	move("log", "log.1");
	assert_string_equal(run("log"), "log.1:2=two;");
	append("log.1", "three\n");
	assert_string_equal(run("log"), "log.1:3=three;");
	append("log", "four\n");
	assert_string_equal(run("log"), "log:1=four;");
	/* gone for good */
	assert_int_equal(unlink(in(dir, "log")), 0);
	assert_string_equal(run("log"), "");
	append("log", "5\n");
	assert_string_equal(run("log"), "log:1=5;");
	assert_non_null(strstr(notes, "log: what was read before is gone; it is read from its start\n"));
	/* and cut short without a copy */
	append("log.1", "six\n");
	spill(in(dir, "log"), "7\n", 2);
	assert_string_equal(run("log"), "log.1:4=six;log:1=7;");
	assert_non_null(strstr(notes, "is gone"));
	/* what cannot be read is passed over */
	append("log", "8\n");
	move("log", "log.1");
	append("part", "a line that is damaged\n");
	compress_to("part", "log.0.gz", archive_write_add_filter_gzip);
	assert_int_equal(truncate(in(dir, "log.0.gz"), 14), 0);
	set_time(in(dir, "log.0.gz"), tick());
	append("log", "9\n");
	assert_string_equal(run("log"), "log.1:2=8;log:1=9;");
	assert_non_null(strstr(notes, "log.0.gz: "));
}

/* Shortened while it is read. */
static void
test_shrinking(void **state)
{
	enum { N = 200000 };
	struct ttt_follow *f = start();
	struct ttt_follow_line line;
	struct ttt_error err = { 0 };
	int n = 0;

	(void)state;
	for (int i = 0; i < N; i += 1000) {
		char text[1001];

		memset(text, 'x', 1000);
		text[999] = '\n';
		text[1000] = '\0';
		append("log", text);
	}
	assert_ok(ttt_follow_begin(f, in(dir, "log"), NULL, NULL, &err), &err);
	do {
		assert_ok(ttt_follow_next(f, &line, &err), &err);
		if (n++ == 0)
			assert_int_equal(truncate(in(dir, "log"), 10), 0);
		assert_int_equal(unlink(in(dir, "log")) == 0, n == 1);
	} while (line.text != NULL);
	assert_true(n > 10 && n < 190);
	stop(f);
}

static void
test_long(void **state)
{
	enum { N = 200000 };
	char *text = malloc(N);
	struct ttt_follow *f = start();
	struct ttt_follow_line line;
	struct ttt_error err = { 0 };
	static const size_t lengths[] = { N, 65537, 65536, 65535, 0, 3 };

	(void)state;
	memset(text, 'x', N);
	for (size_t i = 0; i < 6; i++) {
		append_bytes("log", text, lengths[i]);
		append_bytes("log", "\r\n", 2);
	}
	append_bytes("log", "a\0b\0\r\n\0\n", 8);
	append_bytes("log", text, N); /* and no newline */
	assert_ok(ttt_follow_begin(f, in(dir, "log"), NULL, NULL, &err), &err);
	for (size_t i = 0; i < 6; i++) {
		assert_ok(ttt_follow_next(f, &line, &err), &err);
		assert_non_null(line.text);
		assert_int_equal(line.n, lengths[i] < 65536 ? lengths[i] : 65536);
		assert_int_equal(line.cut, lengths[i] > 65536);
		assert_int_equal(line.number, i + 1);
		assert_memory_equal(line.text, text, line.n);
		assert_int_equal(line.text[line.n], '\0');
	}
	assert_ok(ttt_follow_next(f, &line, &err), &err);
	assert_true(line.n == 2 && memcmp(line.text, "ab", 3) == 0); /* without NUL bytes */
	assert_ok(ttt_follow_next(f, &line, &err), &err);
	assert_true(line.n == 0 && line.text[0] == '\0' && !line.cut);
	assert_ok(ttt_follow_next(f, &line, &err), &err);
	assert_null(line.text);
	assert_ok(ttt_follow_next(f, &line, &err), &err);
	assert_null(line.text);
	stop(f);
	free(text);
	append("log", "\nend\n");
	f = start();
	assert_ok(ttt_follow_begin(f, in(dir, "log"), NULL, NULL, &err), &err);
	assert_ok(ttt_follow_next(f, &line, &err), &err);
	assert_true(line.cut && line.n == 65536 && line.number == 9);
	assert_ok(ttt_follow_next(f, &line, &err), &err);
	assert_string_equal(line.text, "end");
	stop(f);
}

/* The file itself is compressed: it is read as what is in it, and known again. */
static void
test_compressed(void **state)
{
	(void)state;
	append("part", "one\ntwo\nend");
	compress_to("part", "log.gz", archive_write_add_filter_gzip);
	assert_string_equal(run_for("log.gz", 1), "log.gz:1=one;");
	assert_string_equal(run("log.gz"), "log.gz:2=two;log.gz:3=end;");
	assert_string_equal(run("log.gz"), "");
	append("part", "one\ntwo\nend\nfour\n");
	compress_to("part", "log.gz", archive_write_add_filter_xz);
	assert_string_equal(run("log.gz"), "log.gz:4=;log.gz:5=four;");
	assert_int_equal(truncate(in(dir, "log.gz"), 40), 0);
	{
		struct ttt_follow *f = start();
		struct ttt_error err = { 0 };

		assert_fails(ttt_follow_begin(f, in(dir, "log.gz"), NULL, NULL, &err), TTT_E_FORMAT, &err, "damaged");
		ttt_follow_free(f);
	}
}

/* By whatever way it is reached, and whatever it is called. */
static void
test_paths(void **state)
{
	char here[1024], first[8192];
	struct ttt_follow *f;
	struct ttt_follow_line line;
	struct ttt_error err = { 0 };

	(void)state;
	assert_non_null(getcwd(here, sizeof(here)));
	assert_int_equal(mkdir(in(dir, "b\\x\xff"), 0700), 0);
	append("b\\x\xff/l\xc3\xa4\ng", "one\n");
	append("a", "one\n");
	assert_string_equal(run("b\\x\xff/l\xc3\xa4\ng"), "b\\x\xff/l\xc3\xa4\ng:1=one;");
	assert_string_equal(run("a"), "a:1=one;");
	assert_non_null(strstr((char *)positions.p, "/b\\\\x5cx\\\\xff/l\xc3\xa4\\\\x0ag\""));
	assert_true(strstr((char *)positions.p, "/a\"") < strstr((char *)positions.p, "/b\\"));
	memcpy(first, positions.p, positions.n);
	append("b\\x\xff/l\xc3\xa4\ng", "two\n");
	assert_int_equal(chdir(in(dir, "b\\x\xff")), 0);
	assert_int_equal(rename("l\xc3\xa4\ng", "l\xc3\xa4\ng.1"), 0);
	f = start();
	assert_ok(ttt_follow_begin(f, "../b\\x\xff/./l\xc3\xa4\ng", NULL, NULL, &err), &err);
	assert_ok(ttt_follow_next(f, &line, &err), &err);
	assert_string_equal(line.text, "two");
	assert_string_equal(line.file, "../b\\x\xff/./l\xc3\xa4\ng.1");
	stop(f);
	assert_int_equal(chdir(here), 0);
	/* over a link: what it leads to is what is rotated, where that is */
	assert_int_equal(mkdir(in(dir, "sub"), 0700), 0);
	append("sub/real", "one\n");
	assert_int_equal(symlink("sub/real", in(dir, "link")), 0);
	assert_string_equal(run("link"), "link:1=one;");
	append("sub/real", "two\n");
	move("sub/real", "sub/real.1");
	append("sub/real", "three\n");
	assert_string_equal(run("link"), "sub/real.1:2=two;link:1=three;");
}

static void
test_damaged(void **state)
{
	struct ttt_follow *f;
	struct ttt_error err = { 0 };
	static const char *const bad[] = { "", "[]", "{}", "{\"version\":1}", "{\"version\":2,\"files\":{}}",
		"{\"version\":1,\"files\":[]}", "{\"version\":1,\"files\":{},\"more\":1}",
		"{\"version\":1,\"files\":{\"/x\":1}}", "{\"version\":1,\"files\":{\"/x\":{\"at\":{}}}}" };
	static const struct {
		const char *from, *to;
	} edits[] = {
		{ "\"offset\": 4", "\"offset\": -1" }, { "\"offset\": 4", "\"offset\": 5" },
		{ "\"offset\": 4", "\"offset\": \"4\"" }, { "\"offset\": 4", "\"offset\": 4.0" },
		{ "\"offset\": 4", "\"offset\": 99999999999999999999" }, { "\"lines\": 1", "\"lines\": 5" },
		{ "\"lines\": 1", "\"lines\": -1" }, { "\"head_bytes\": 4", "\"head_bytes\": 3" },
		{ "\"head_bytes\": 4", "\"head_bytes\": 1025" }, { "\"tail_bytes\": 4", "\"tail_bytes\": 257" },
		{ "\"tail_bytes\": 4", "\"tail_bytes\": 0" }, { "\"head\": \"", "\"head\": \"0" },
		{ "\"tail\": \"", "\"tail\": \"X" }, { "\"mtime\"", "\"ntime\"" }, { "\"at\"", "\"to\"" },
		{ "\"at\"", "\"previous\"" }, { "\"/", "\"" }, { "/log\"", "/lo\\\\x67\"" }, { "/log\"", "/lo\\\\x00\"" },
		{ "/log\"", "/lo\\\\xzz\"" }, { "/log\"", "/lo\\ng\"" }, { "/log\"", "/lo\\\\\"" },
		{ "\"version\": 1", "\"version\": 1, \"version\": 1" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_fails(ttt_follow_create(&f, bad[i], strlen(bad[i]), &err), TTT_E_FORMAT, &err, "positions in logs: ");
		assert_null(f);
	}
	append("log", "one\n");
	assert_string_equal(run("log"), "log:1=one;");
	for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		char text[4096], whole[4096];
		char *at;
		size_t n;

		memcpy(whole, positions.p, positions.n);
		whole[positions.n] = '\0';
		at = strstr(whole, edits[i].from);
		assert_non_null(at);
		n = (size_t)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - whole), whole, edits[i].to,
		    at + strlen(edits[i].from));
		if (ttt_follow_create(&f, text, n, &err) != TTT_E_FORMAT)
			fail_msg("taken: %s", text);
		assert_non_null(strstr(err.text, "positions in logs: "));
	}
	/* every beginning of it, and one that is well-formed and lies */
	for (size_t n = 0; n + 2 < positions.n; n++)
		assert_int_equal(ttt_follow_create(&f, positions.p, n, &err), TTT_E_FORMAT);
	{
		char *at = strstr((char *)positions.p, "\"offset\": 4"), text[4096];

		/* an offset past every file */
		positions.n = (size_t)snprintf(text, sizeof(text),
		    "%.*s\"offset\": 9223372036854775807, \"tail\": \"%064d\", \"tail_bytes\": 256}}}, \"version\": 1}",
		    (int)(at - (char *)positions.p), (char *)positions.p, 0);
		at = strstr(text, "\"head_bytes\": 4");
		assert_non_null(at);
		memmove(at + 18, at + 15, strlen(at + 15) + 1);
		memcpy(at, "\"head_bytes\": 1024", 18);
		positions.n += 3;
		memcpy(positions.p, text, positions.n < positions.capacity ? positions.n : 0);
		assert_true(positions.n < positions.capacity);
	}
	assert_string_equal(run("log"), "log:1=one;");
	assert_non_null(strstr(notes, "is gone"));
}

/* ---- any order of what happens to logs */

enum { MAX_LINES = 4000 };

struct model {
	uint64_t random;
	int written;        /* lines begun: line i holds the number i */
	bool partial;       /* the last line of log has no newline yet: */
	int partial_line;   /* this one */
	bool late, late_partial; /* the writer goes on with log.1; its last line has no newline yet */
	unsigned char seen[MAX_LINES];
	unsigned char out_of_order[MAX_LINES]; /* ended in log.1 after others began in log */
	int last;           /* of those in order: read last */
};

static unsigned
pick(struct model *m, unsigned n)
{
	m->random = m->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(m->random >> 33) % n;
}

static int
is_there(const char *name)
{
	return access(in(dir, name), F_OK) == 0;
}

static off_t
size_of(const char *name)
{
	struct stat st;

	assert_int_equal(stat(in(dir, name), &st), 0);
	return st.st_size;
}

static void
write_line(struct model *m, const char *name, bool *partial, bool finish)
{
	char text[400];
	int n = 0;

	assert_true(m->written < MAX_LINES);
	if (!*partial && partial == &m->late_partial)
		m->out_of_order[m->written] = 1;
	if (!*partial)
		n = snprintf(text, sizeof(text), "%d %.*s", m->written++, (int)pick(m, 300),
		    "a line of a log, which may be long or short, and which says what it says in the words it has for it; "
		    "it goes on for as long as it takes, and then it stops, so that the next may begin where this one "
		    "ended, as lines do, one after the other, until there is nothing left to be said by any of them at all");
	if (!*partial && partial == &m->partial)
		m->partial_line = m->written - 1;
	*partial = !finish;
	snprintf(text + n, sizeof(text) - (size_t)n, "%s", finish ? " end\n" : "");
	append(name, text);
}

/* Names one higher, from log.1 to log.40; those from 2 may be compressed. */
static void
shift(struct model *m)
{
	char from[32], to[32];

	for (int i = 39; i > 0; i--)
		for (int z = 0; z < 2; z++) {
			snprintf(from, sizeof(from), "log.%d%s", i, z == 1 ? ".gz" : "");
			snprintf(to, sizeof(to), "log.%d%s", i + 1, z == 1 ? ".gz" : "");
			if (is_there(from))
				move(from, to);
		}
	if (is_there("log.2") && pick(m, 2) == 0)
		compress_to("log.2", "log.2.gz", archive_write_add_filter_gzip);
}

static void
read_new(struct model *m, int limit)
{
	struct ttt_follow *f = start();
	struct ttt_follow_line line;
	struct ttt_error err = { 0 };

	assert_ok(ttt_follow_begin(f, in(dir, "log"), take_note, NULL, &err), &err);
	while (limit-- > 0) {
		char *end;
		long i;

		assert_ok(ttt_follow_next(f, &line, &err), &err);
		if (line.text == NULL)
			break;
		i = strtol(line.text, &end, 10);
		if (end == line.text || i < 0 || i >= m->written || m->seen[i] != 0)
			fail_msg("%s, line %d: '%.60s' %s", line.file, (int)line.number, line.text,
			    end != line.text && i >= 0 && i < m->written ? "came before" : "is none that was written");
		if (line.n < 4 || strcmp(line.text + line.n - 4, " end") != 0)
			fail_msg("%s, line %d: '%s' was not finished", line.file, (int)line.number, line.text);
		m->seen[i] = 1;
		if (m->out_of_order[i])
			continue;
		if (i < m->last)
			fail_msg("%s, line %d: %ld comes after %d", line.file, (int)line.number, i, m->last);
		m->last = (int)i;
	}
	stop(f);
	if (notes[0] != '\0' && strstr(notes, "log: is not there now") == NULL)
		fail_msg("%s", notes);
}

static void
step(struct model *m)
{
	switch (pick(m, 12)) {
	case 0: case 1: case 2: case 3:
		write_line(m, "log", &m->partial, true);
		break;
	case 4: case 5:
		write_line(m, "log", &m->partial, false);
		break;
	case 6: /* renamed; its writer goes on with it for a while */
		if (m->late_partial)
			write_line(m, "log.1", &m->late_partial, true);
		if (m->late)
			append("log", ""); /* the order is that of times: it is not late to the end of the next file */
		m->late = size_of("log") > 0;
		shift(m);
		move("log", "log.1");
		m->late_partial = m->partial;
		if (m->partial)
			m->out_of_order[m->partial_line] = 1;
		m->partial = false;
		if (pick(m, 3) == 0)
			read_new(m, 1000);
		append("log", "");
		break;
	case 7:
		if (m->partial) /* it would be torn */
			write_line(m, "log", &m->partial, true);
		if (m->late_partial)
			write_line(m, "log.1", &m->late_partial, true);
		m->late = false;
		shift(m);
		copy_truncate("log", "log.1");
		break;
	case 8:
		if (m->late)
			write_line(m, "log.1", &m->late_partial, pick(m, 2) == 0);
		break;
	case 9:
		read_new(m, (int)pick(m, 4));
		break;
	default:
		read_new(m, 1000);
	}
}

static void
test_random(void **state)
{
	const char *more = getenv("TTT_FOLLOW_SEEDS");
	int n_seed = more != NULL ? atoi(more) : 8;

	(void)state;
	for (int seed = 1; seed <= n_seed; seed++) {
		struct model m = { .random = (uint64_t)seed, .last = -1 };

		positions.n = 0;
		append("log", "");
		read_new(&m, 1000);
		for (int i = 0; i < 400; i++)
			step(&m);
		if (m.partial)
			write_line(&m, "log", &m.partial, true);
		if (m.late_partial)
			write_line(&m, "log.1", &m.late_partial, true);
		read_new(&m, 1 << 20);
		for (int i = 0; i < m.written; i++)
			if (m.seen[i] != 1)
				fail_msg("seed %d: line %d of %d never came", seed, i, m.written);
		scratch_remove(dir);
		scratch_make(dir);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_growth, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stopped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_renamed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_copied, setup, teardown),
		cmocka_unit_test_setup_teardown(test_twice_copied, setup, teardown),
		cmocka_unit_test_setup_teardown(test_inode, setup, teardown),
		cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shrinking, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_compressed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
