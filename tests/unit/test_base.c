/* Error sentences, sizes, growing arrays, files read whole and files replaced. */
#include "scratch.h"

#include <fcntl.h>

static void
test_version(void **state)
{
	(void)state;
	int major, minor;
	assert_int_equal(sscanf(ttt_version(), "%d.%d", &major, &minor), 2);
}

static void
test_fail(void **state)
{
	(void)state;
	struct ttt_error err = { 0 };
	assert_int_equal(ttt__fail(&err, TTT_E_RANGE, "id %d is too large", 7), TTT_E_RANGE);
	assert_int_equal(err.status, TTT_E_RANGE);
	assert_string_equal(err.text, "id 7 is too large");
	assert_string_equal(err.hint, "");
	assert_int_equal(ttt__hint(&err, TTT_E_RANGE, "use less than %d", 7), TTT_E_RANGE);
	assert_string_equal(err.hint, "use less than 7");
	assert_int_equal(ttt__fail(&err, TTT_E_IO, "again: %s", err.text), TTT_E_IO);
	assert_string_equal(err.text, "again: id 7 is too large");
	assert_string_equal(err.hint, "");
	assert_int_equal(ttt__fail(NULL, TTT_E_IO, "nobody listens"), TTT_E_IO);
	assert_int_equal(ttt__hint(NULL, TTT_E_IO, "nobody listens"), TTT_E_IO);
	assert_int_equal(ttt__fail_memory(&err, "x"), TTT_E_MEMORY);
	assert_string_equal(err.text, "x: out of memory");
}

/* Of a sentence too long the middle is dots, and no character is cut; its end says why. */
static void
test_fail_long(void **state)
{
	(void)state;
	struct ttt_error err = { 0 };
	char text[2048];
	for (size_t shift = 0; shift < 3; shift++) {
		memset(text, 'x', shift);
		for (size_t i = shift; i + 3 < sizeof text; i += 3)
			memcpy(text + i, "\xe2\x82\xac", 4);
		ttt__fail(&err, TTT_E_IO, "%s: no such file", text);
		size_t n = strlen(err.text), dots = strcspn(err.text, ".");
		const char *end = strstr(err.text, ": no such file");
		assert_in_range(n, sizeof err.text - 5, sizeof err.text - 1);
		assert_memory_equal(err.text + dots, "...", 3);
		assert_int_equal((dots - shift) % 3, 0);
		assert_non_null(end);
		assert_string_equal(end, ": no such file");
		assert_int_equal((size_t)(end - err.text - (ptrdiff_t)dots - 3) % 3, 0);
	}
}

static void
test_sizes(void **state)
{
	(void)state;
	size_t a = 5;
	int64_t b = 5;
	assert_true(ttt__size_mul(&a, 6, 7) && a == 42);
	assert_false(ttt__size_mul(&a, SIZE_MAX / 2, 3));
	assert_true(ttt__size_add(&a, SIZE_MAX - 1, 1) && a == SIZE_MAX);
	assert_false(ttt__size_add(&a, SIZE_MAX, 1));
	assert_true(a == SIZE_MAX);
	assert_true(ttt__i64_mul(&b, -6, 7) && b == -42);
	assert_false(ttt__i64_mul(&b, INT64_MIN, -1));
	assert_true(ttt__i64_add(&b, INT64_MAX, INT64_MIN) && b == -1);
	assert_false(ttt__i64_add(&b, INT64_MAX, 1));
	assert_true(b == -1);
	assert_null(ttt__new(SIZE_MAX / 2, 4));
	assert_null(ttt__grow(NULL, SIZE_MAX / 2, 4));
	void *p = ttt__new(0, 8);
	assert_non_null(p);
	p = ttt__grow(p, 0, 8);
	assert_non_null(p);
	free(p);
}

static void
test_arrays(void **state)
{
	(void)state;
	struct ttt__bytes b = { 0 };
	struct ttt_ids ids = { 0 };
	struct ttt_error err = { 0 };
	for (int i = 0; i < 5000; i++) {
		unsigned char c = (unsigned char)(i * 7);
		assert_ok(ttt__bytes_add(&b, &c, 1, &err), &err);
		assert_ok(ttt__ids_add(&ids, i * 3, &err), &err);
	}
	assert_ok(ttt__bytes_add(&b, NULL, 0, &err), &err);
	assert_int_equal(b.n, 5000);
	assert_int_equal(ids.n, 5000);
	for (int i = 0; i < 5000; i++) {
		assert_int_equal(b.p[i], (unsigned char)(i * 7));
		assert_int_equal(ids.id[i], i * 3);
	}
	assert_fails(ttt__bytes_add(&b, "x", SIZE_MAX, &err), TTT_E_MEMORY, &err, "out of memory");
	assert_int_equal(b.n, 5000);
	ttt__bytes_free(&b);
	assert_null(b.p);
	free(ids.id);
}

static void
test_file_read(void **state)
{
	const char *dir = *state;
	struct ttt__bytes b = { 0 };
	struct ttt_error err = { 0 };
	char big[40000];
	memset(big, 'q', sizeof big);
	spill(in(dir, "big"), big, sizeof big);
	assert_ok(ttt__file_read(&b, in(dir, "big"), sizeof big, &err), &err);
	assert_int_equal(b.n, sizeof big);
	assert_memory_equal(b.p, big, sizeof big);
	assert_fails(ttt__file_read(&b, in(dir, "big"), sizeof big - 1, &err), TTT_E_FORMAT, &err, "larger");
	assert_fails(ttt__file_read(&b, in(dir, "none"), 9, &err), TTT_E_IO, &err, "No such file");
	assert_fails(ttt__file_read(&b, dir, 9, &err), TTT_E_IO, &err, "directory");
	assert_int_equal(mkfifo(in(dir, "fifo"), 0600), 0);
	assert_fails(ttt__file_read(&b, in(dir, "fifo"), 9, &err), TTT_E_IO, &err, "not a regular file");
	spill(in(dir, "empty"), "", 0);
	assert_ok(ttt__file_read(&b, in(dir, "empty"), 0, &err), &err);
	assert_int_equal(b.n, 0);
	/* A file whose size says 0 and which grows as it is read. */
	assert_fails(ttt__file_read(&b, "/proc/self/status", 10, &err), TTT_E_FORMAT, &err, "larger");
	ttt__bytes_free(&b);
}

static void
test_file_map(void **state)
{
	const char *dir = *state;
	struct ttt__blob b;
	struct ttt_error err = { 0 };
	char big[40000];

	memset(big, 'q', sizeof big);
	spill(in(dir, "big"), big, sizeof big);
	assert_ok(ttt__file_map(&b, in(dir, "big"), &err), &err);
	assert_int_equal(b.n, sizeof big);
	assert_memory_equal(b.p, big, sizeof big);
	/* What is mapped is the file that was there, though another takes its name. */
	assert_int_equal(unlink(in(dir, "big")), 0);
	spill(in(dir, "big"), "new", 3);
	assert_memory_equal(b.p, big, sizeof big);
	ttt__file_unmap(&b);
	assert_null(b.p);
	ttt__file_unmap(&b);
	assert_fails(ttt__file_map(&b, in(dir, "none"), &err), TTT_E_IO, &err, "No such file");
	assert_fails(ttt__file_map(&b, dir, &err), TTT_E_IO, &err, "not a regular file");
	assert_int_equal(mkfifo(in(dir, "fifo"), 0600), 0);
	assert_fails(ttt__file_map(&b, in(dir, "fifo"), &err), TTT_E_IO, &err, "not a regular file");
	spill(in(dir, "empty"), "", 0);
	assert_ok(ttt__file_map(&b, in(dir, "empty"), &err), &err);
	assert_int_equal(b.n, 0);
	ttt__file_unmap(&b);
}

static void
replace(const char *path, const char *text)
{
	struct ttt__replace r;
	struct ttt_error err = { 0 };
	assert_ok(ttt__replace_open(&r, path, false, &err), &err);
	assert_ok(ttt__write(r.f, path, text, strlen(text), &err), &err);
	assert_ok(ttt__replace_commit(&r, &err), &err);
	struct ttt__bytes b = slurp(path);
	assert_int_equal(b.n, strlen(text));
	assert_memory_equal(b.p, text, b.n);
	ttt__bytes_free(&b);
}

static mode_t
mode_of(const char *path)
{
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static int
count_files(const char *dir)
{
	char command[512];
	snprintf(command, sizeof command, "exit $(ls -A '%s' | wc -l)", dir);
	return WEXITSTATUS(system(command));
}

static void
test_replace(void **state)
{
	const char *dir = *state;
	mode_t masks[] = { 0, 077, 0777 };
	for (size_t i = 0; i < 3; i++) {
		mode_t old = umask(masks[i]);
		replace(in(dir, "new"), i == 0 ? "one" : "two");
		umask(old);
		assert_int_equal(mode_of(in(dir, "new")), 0600);
	}
	mode_t mask = umask(027);
	struct ttt_error err;
	assert_ok(ttt__file_write(in(dir, "shared"), "one", 3, true, &err), &err);
	assert_int_equal(mode_of(in(dir, "shared")), 0640);
	assert_int_equal(chmod(in(dir, "shared"), 0604), 0);
	assert_ok(ttt__file_write(in(dir, "shared"), "two", 3, true, &err), &err);
	assert_int_equal(mode_of(in(dir, "shared")), 0604);
	umask(mask);
	int before = count_files(dir);
	int here = open(".", O_RDONLY);
	assert_int_equal(chdir(dir), 0);
	replace("new", "relative");
	replace("./new", "relative again");
	assert_int_equal(symlink("new", "link"), 0);
	replace("link", "through a link");
	struct stat st;
	assert_int_equal(lstat("link", &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	struct ttt__bytes b = slurp("new");
	assert_memory_equal(b.p, "through a link", 14);
	ttt__bytes_free(&b);
	assert_int_equal(fchdir(here), 0);
	close(here);
	assert_int_equal(count_files(dir), before + 1);
}

static void
test_replace_fails(void **state)
{
	const char *dir = *state;
	struct ttt__replace r;
	struct ttt_error err = { 0 };
	spill(in(dir, "kept"), "old", 3);
	int before = count_files(dir);
	assert_ok(ttt__replace_open(&r, in(dir, "kept"), false, &err), &err);
	assert_ok(ttt__write(r.f, "kept", "new", 3, &err), &err);
	assert_int_equal(count_files(dir), before + r.named); /* a kill would leave nothing, where that can be */
	ttt__replace_abort(&r);
	assert_int_equal(count_files(dir), before);
	struct ttt__bytes b = slurp(in(dir, "kept"));
	assert_int_equal(b.n, 3);
	assert_memory_equal(b.p, "old", 3);
	ttt__bytes_free(&b);
	assert_fails(ttt__replace_open(&r, in(dir, "no/such"), false, &err), TTT_E_IO, &err, "No such file");
	assert_fails(ttt__replace_open(&r, dir, false, &err), TTT_E_IO, &err, "not a regular file");
	ttt__replace_abort(&r);
	/* The target becomes a directory before the rename. */
	assert_ok(ttt__replace_open(&r, in(dir, "later"), false, &err), &err);
	assert_int_equal(mkdir(in(dir, "later"), 0700), 0);
	assert_fails(ttt__replace_commit(&r, &err), TTT_E_IO, &err, "later");
	assert_int_equal(count_files(dir), before + 1);
}

static void
test_write(void **state)
{
	(void)state;
	struct ttt_error err = { 0 };
	FILE *f = fopen("/dev/full", "wb");
	if (f == NULL)
		skip();
	setvbuf(f, NULL, _IONBF, 0);
	assert_fails(ttt__write(f, "the output", "x", 1, &err), TTT_E_IO, &err, "the output: cannot write: No space left");
	assert_ok(ttt__write(f, "the output", "x", 0, &err), &err);
	fclose(f);
}

static int
setup(void **state)
{
	char *dir = malloc(256);
	assert_non_null(dir);
	scratch_make(dir);
	*state = dir;
	return 0;
}

static int
teardown(void **state)
{
	scratch_remove(*state);
	free(*state);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_fail),
		cmocka_unit_test(test_fail_long),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_arrays),
		cmocka_unit_test_setup_teardown(test_file_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_file_map, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replace, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replace_fails, setup, teardown),
		cmocka_unit_test(test_write),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
