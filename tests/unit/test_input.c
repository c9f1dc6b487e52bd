/* Inputs: files, walks, compressed files, archives; what is skipped, what is an error; token ids as text. */
#include <archive.h>
#include <archive_entry.h>

#include "tests/unit/scratch.h"

struct notes {
	char text[4096];
	int n;
};

static void
take_note(void *ctx, const char *text)
{
	struct notes *n = ctx;

	n->n++;
	strncat(n->text, text, sizeof(n->text) - strlen(n->text) - 1);
	strncat(n->text, "\n", sizeof(n->text) - strlen(n->text) - 1);
}

static int
setup(void **state)
{
	static char dir[256];

	scratch_make(dir);
	*state = dir;
	return 0;
}

static int
teardown(void **state)
{
	scratch_remove(*state);
	return 0;
}

/* All inputs as "name=content;", read in small pieces; names without the folder in front. */
static enum ttt_status
read_all(const char *dir, const char *const *names, size_t n, const struct ttt_input_options *o, char out[8192],
    struct notes *notes, int64_t *n_failed, struct ttt_error *err)
{
	struct ttt_input *in;
	enum ttt_status status;
	const char *name;
	int64_t size;
	size_t at = 0, got, total;

	assert_ok(ttt_input_open(&in, names, n, o, take_note, notes, err), err);
	while ((status = ttt_input_next(in, &name, &size, err)) == TTT_OK && name != NULL) {
		if (strncmp(name, dir, strlen(dir)) == 0)
			name += strlen(dir) + 1;
		at += (size_t)snprintf(out + at, 8192 - at, "%s=", name);
		for (total = 0; (status = ttt_input_read(in, out + at, 7, &got, err)) == TTT_OK && got > 0; at += got)
			total += got;
		if (status != TTT_OK)
			break;
		assert_true(size < 0 || (size_t)size == total);
		out[at++] = ';';
	}
	out[at] = '\0';
	if (n_failed != NULL)
		*n_failed = ttt_input_n_failed(in);
	ttt_input_free(in);
	return status;
}

/* An archive of a.txt ("alpha\n"), sub/b.bin (binary), sub/c.txt ("gamma\n"), a directory, a link. */
static void
make_archive(const char *path, int (*format)(struct archive *), int (*filter)(struct archive *))
{
	static const struct {
		const char *name, *text;
		size_t n;
		unsigned type;
	} members[] = {
		{ "sub", "", 0, AE_IFDIR },
		{ "a.txt", "alpha\n", 6, AE_IFREG },
		{ "sub/b.bin", "\0\1\2", 3, AE_IFREG },
		{ "sub/link", "", 0, AE_IFLNK },
		{ "sub/c.txt", "gamma\n", 6, AE_IFREG },
		{ "empty", "", 0, AE_IFREG },
	};
	struct archive *a = archive_write_new();

	assert_int_equal(format(a), ARCHIVE_OK);
	assert_int_equal(filter(a), ARCHIVE_OK);
	assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		struct archive_entry *e = archive_entry_new();

		archive_entry_set_pathname(e, members[i].name);
		archive_entry_set_filetype(e, members[i].type);
		archive_entry_set_perm(e, 0644);
		archive_entry_set_size(e, (la_int64_t)members[i].n);
		if (members[i].type == AE_IFLNK)
			archive_entry_set_symlink(e, "a.txt");
		assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
		assert_int_equal(archive_write_data(a, members[i].text, members[i].n), members[i].n);
		archive_entry_free(e);
	}
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
}

/* One compressed file. */
static void
make_compressed(const char *path, const char *text, size_t n, int (*filter)(struct archive *))
{
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();

	assert_int_equal(archive_write_set_format_raw(a), ARCHIVE_OK);
	assert_int_equal(filter(a), ARCHIVE_OK);
	assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
	archive_entry_set_filetype(e, AE_IFREG);
	assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
	assert_int_equal(archive_write_data(a, text, n), n);
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
	archive_entry_free(e);
}

static void
test_files(void **state)
{
	const char *dir = *state;
	const char *names[3];
	char out[8192];
	struct notes notes = { .n = 0 };
	struct ttt_error err = { 0 };
	int64_t failed;

	spill(in(dir, "one"), "first\n", 6);
	spill(in(dir, "two"), "", 0);
	spill(in(dir, "bin"), "ab\0cd", 5);
	names[0] = strdup(in(dir, "one"));
	names[1] = strdup(in(dir, "two"));
	names[2] = strdup(in(dir, "bin"));
	assert_ok(read_all(dir, names, 3, NULL, out, &notes, &failed, &err), &err);
	assert_string_equal(out, "one=first\n;two=;");
	assert_int_equal(notes.n, 1);
	assert_int_equal(failed, 1); /* it was asked for by name */
	assert_non_null(strstr(notes.text, "bin: skipped: binary data"));
	assert_ok(read_all(dir, names + 2, 1, &(struct ttt_input_options){ .keep_binary = true }, out, &notes, NULL,
	    &err), &err);
	assert_memory_equal(out, "bin=ab\0cd;", 10);
	free((void *)names[1]);
	names[1] = strdup(in(dir, "none"));
	assert_fails(read_all(dir, names, 2, NULL, out, &notes, NULL, &err), TTT_E_IO, &err,
	    "none: cannot open: No such file");
	assert_ok(read_all(dir, names, 2, &(struct ttt_input_options){ .skip_errors = true }, out, &notes, &failed,
	    &err), &err);
	assert_string_equal(out, "one=first\n;");
	assert_int_equal(failed, 1);
	assert_fails(read_all(dir, &dir, 1, NULL, out, &notes, NULL, &err), TTT_E_IO, &err, "is a directory (use -r)");
	for (int i = 0; i < 3; i++)
		free((void *)names[i]);
}

static void
test_walk(void **state)
{
	const char *dir = *state;
	char out[8192], root[300];
	const char *name = root;
	struct notes notes = { .n = 0 };
	struct ttt_error err = { 0 };
	int64_t failed;

	snprintf(root, sizeof(root), "%s/tree", dir);
	assert_int_equal(mkdir(root, 0700), 0);
	assert_int_equal(mkdir(in(root, "a"), 0700), 0);
	assert_int_equal(mkdir(in(root, ".git"), 0700), 0);
	assert_int_equal(mkdir(in(root, "void"), 0700), 0);
	spill(in(root, "a/z"), "1", 1);
	spill(in(root, "a.c"), "2", 1);
	spill(in(root, "a0"), "3", 1);
	spill(in(root, ".hidden"), "4", 1);
	spill(in(root, ".git/config"), "5", 1);
	spill(in(root, "b.bin"), "\0", 1);
	spill(in(root, "B"), "6", 1);
	assert_int_equal(symlink("a.c", in(root, "link")), 0);
	assert_int_equal(symlink(".", in(root, "loop")), 0);
	assert_int_equal(mkfifo(in(root, "pipe"), 0600), 0);
	assert_ok(read_all(root, &name, 1, &(struct ttt_input_options){ .recursive = true }, out, &notes, &failed,
	    &err), &err);
	/* the order of `find -type f | LC_ALL=C sort`: '.' < '/' < '0' */
	assert_string_equal(out, ".hidden=4;B=6;a.c=2;a/z=1;a0=3;");
	assert_int_equal(notes.n, 1);
	assert_int_equal(failed, 0);
	strcat(root, "/");
	assert_ok(read_all(root, &name, 1, &(struct ttt_input_options){ .recursive = true }, out, &notes, &failed,
	    &err), &err);
	assert_non_null(strstr(out, "hidden=4;"));
	assert_null(strstr(out, "//"));
}

static void
test_compressed(void **state)
{
	static int (*const filters[])(struct archive *) = { archive_write_add_filter_gzip, archive_write_add_filter_xz,
		archive_write_add_filter_zstd, archive_write_add_filter_bzip2 };
	const char *dir = *state;
	char path[300], out[8192], text[3001];
	const char *name = path;
	struct notes notes = { .n = 0 };
	struct ttt_error err = { 0 };
	struct ttt__bytes b;

	snprintf(path, sizeof(path), "%s/z", dir);
	for (int i = 0; i < 3000; i++)
		text[i] = (char)('a' + (i * 7 + i / 26 * 3) % 26);
	text[3000] = '\0';
	for (int i = 0; i < 4; i++) {
		make_compressed(path, text, 3000, filters[i]);
		assert_ok(read_all(dir, &name, 1, NULL, out, &notes, NULL, &err), &err);
		assert_int_equal(strlen(out), 3003);
		assert_memory_equal(out + 2, text, 3000);
		b = slurp(path);
		spill(path, b.p, b.n / 2);
		assert_fails(read_all(dir, &name, 1, NULL, out, &notes, NULL, &err), TTT_E_FORMAT, &err,
		    "z: damaged compressed data");
		ttt__bytes_free(&b);
		make_compressed(path, "\0\0\0", 3, filters[i]);
		assert_ok(read_all(dir, &name, 1, NULL, out, &notes, NULL, &err), &err);
		assert_string_equal(out, "");
	}
	assert_int_equal(notes.n, 4);
	/* text that only begins like one of them */
	spill(path, "BZh9 is no bzip2\n", 17);
	assert_ok(read_all(dir, &name, 1, NULL, out, &notes, NULL, &err), &err);
	assert_string_equal(out, "z=BZh9 is no bzip2\n;");
}

static void
test_archives(void **state)
{
	static int (*const formats[])(struct archive *) = { archive_write_set_format_pax,
	    archive_write_set_format_cpio_newc,
		archive_write_set_format_zip, archive_write_set_format_ustar };
	static int (*const filters[])(struct archive *) = { archive_write_add_filter_none,
	    archive_write_add_filter_gzip,
		archive_write_add_filter_zstd, archive_write_add_filter_bzip2, archive_write_add_filter_xz };
	const struct ttt_input_options o = { .archive = true };
	const char *dir = *state;
	char path[300], out[8192];
	const char *name = path;
	struct notes notes = { .n = 0 };
	struct ttt_error err = { 0 };
	struct ttt__bytes b;
	int64_t failed;

	snprintf(path, sizeof(path), "%s/x", dir);
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < 5; j++) {
			make_archive(path, formats[i], filters[j]);
			assert_ok(read_all(dir, &name, 1, &o, out, &notes, &failed, &err), &err);
			/* a zip that cannot be moved about in tells a link from a file only at its end, too late */
			assert_string_equal(out, i == 2 && j > 0
			    ? "a.txt=alpha\n;sub/link=a.txt;sub/c.txt=gamma\n;empty=;"
			    : "a.txt=alpha\n;sub/c.txt=gamma\n;empty=;");
			assert_int_equal(failed, 0);
		}
	assert_int_equal(notes.n, 20);
	make_archive(path, archive_write_set_format_pax, archive_write_add_filter_gzip);
	b = slurp(path);
	spill(path, b.p, b.n / 2);
	assert_fails(read_all(dir, &name, 1, &o, out, &notes, NULL, &err), TTT_E_FORMAT, &err, "x: damaged archive");
	ttt__bytes_free(&b);
	spill(path, "just text, no archive\n", 22);
	assert_fails(read_all(dir, &name, 1, &o, out, &notes, NULL, &err), TTT_E_FORMAT, &err, "x: not an archive");
	spill(path, "", 0);
	assert_fails(read_all(dir, &name, 1, &o, out, &notes, NULL, &err), TTT_E_FORMAT, &err, "x: not an archive");
}

static void
test_standard_input(void **state)
{
	const char *dir = *state;
	char out[8192];
	struct notes notes = { .n = 0 };
	struct ttt_error err = { 0 };
	int saved = dup(STDIN_FILENO);

	spill(in(dir, "stdin"), "\0x\n", 3);
	assert_non_null(freopen(in(dir, "stdin"), "rb", stdin));
	assert_ok(read_all(dir, NULL, 0, NULL, out, &notes, NULL, &err), &err);
	assert_memory_equal(out, "-=\0x\n;", 6);
	assert_int_equal(notes.n, 0);
	assert_true(saved >= 0);
	assert_true(dup2(saved, STDIN_FILENO) >= 0);
	close(saved);
}

static enum ttt_status
first_line(const char *dir, const char *text, int64_t *line, struct ttt_ids *ids, struct ttt_error *err)
{
	FILE *f;
	enum ttt_status status = TTT_OK;
	bool more = true;

	spill(in(dir, "ids"), text, strlen(text));
	f = fopen(in(dir, "ids"), "rb");
	assert_non_null(f);
	*line = 0;
	while (more && status == TTT_OK)
		status = ttt_ids_read_line(f, "ids", line, 100, ids, &more, err);
	fclose(f);
	return status;
}

static void
test_ids(void **state)
{
	static const struct {
		const char *text;
		enum ttt_status status;
		const char *reason;
	} bad[] = {
		{ "1 2\n3 100\n", TTT_E_RANGE, "line 2: token 100 is outside the vocabulary, 0 .. 99" },
		{ "99999999999999999999\n", TTT_E_RANGE, "line 1: token of at least" },
		{ "1 -2\n", TTT_E_FORMAT, "line 1: '-' is in no token id" },
		{ "1 2x\n", TTT_E_FORMAT, "'x'" },
		{ "\n\n1.5\n", TTT_E_FORMAT, "line 3: '.'" },
		{ "1\x01\n", TTT_E_FORMAT, "byte 0x01" },
	};
	const char *dir = *state;
	struct ttt_ids ids = { 0 };
	struct ttt_error err = { 0 };
	FILE *f;
	int64_t line = 0;
	bool more;

	spill(in(dir, "ids"), "0 1\t99 \r\n\n  \n7\n042", 18);
	f = fopen(in(dir, "ids"), "rb");
	assert_ok(ttt_ids_read_line(f, "ids", &line, 100, &ids, &more, &err), &err);
	assert_true(more && ids.n == 3 && ids.id[0] == 0 && ids.id[1] == 1 && ids.id[2] == 99 && line == 1);
	assert_ok(ttt_ids_read_line(f, "ids", &line, 100, &ids, &more, &err), &err);
	assert_true(more && ids.n == 1 && ids.id[0] == 7 && line == 4);
	assert_ok(ttt_ids_read_line(f, "ids", &line, 100, &ids, &more, &err), &err);
	assert_true(more && ids.n == 1 && ids.id[0] == 42 && line == 5);
	assert_ok(ttt_ids_read_line(f, "ids", &line, 100, &ids, &more, &err), &err);
	assert_false(more);
	fclose(f);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_fails(first_line(dir, bad[i].text, &line, &ids, &err), bad[i].status, &err, bad[i].reason);
	free(ids.id);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_compressed),
		cmocka_unit_test(test_archives),
		cmocka_unit_test(test_standard_input),
		cmocka_unit_test(test_ids),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
