/* For unit tests: test data, files in a private folder, and checks that name what failed. */
#ifndef TTT_UNIT_SCRATCH_H
#define TTT_UNIT_SCRATCH_H
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "libttt/base.h"
#include "libttt/file.h"

/* A path below the tests' data; one of four static buffers. */
static inline const char *
data_path(const char *name)
{
	static char path[4][1024];
	static int i;
	const char *root = getenv("TTT_TESTS");

	i = (i + 1) % 4;
	snprintf(path[i], sizeof(path[i]), "%s/%s", root != NULL ? root : "tests", name);
	return path[i];
}

/* A new private folder; the caller removes it with scratch_remove. */
static inline void
scratch_make(char path[256])
{
	const char *tmp = getenv("TMPDIR");

	snprintf(path, 256, "%s/ttt-unit-XXXXXX", tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(path));
}

static inline void
scratch_remove(const char *path)
{
	char command[512];

	snprintf(command, sizeof(command), "rm -rf -- '%s'", path);
	assert_int_equal(system(command), 0);
}

static inline struct ttt__bytes
slurp(const char *path)
{
	struct ttt__bytes b = { 0 };
	struct ttt_error err = { 0 };

	if (ttt__file_read(&b, path, (size_t)1 << 30, &err) != TTT_OK)
		fail_msg("%s", err.text);
	return b;
}

static inline void
spill(const char *path, const void *p, size_t n)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

/* dir/name; one of four static buffers. */
static inline const char *
in(const char *dir, const char *name)
{
	static char path[4][1024];
	static int i;

	i = (i + 1) % 4;
	snprintf(path[i], sizeof(path[i]), "%s/%s", dir, name);
	return path[i];
}

static inline void
assert_ok(enum ttt_status status, const struct ttt_error *err)
{
	if (status != TTT_OK)
		fail_msg("status %d: %s", (int)status, err->text);
}

/* The call failed with this status, said so in one line, and the sentence holds part. */
static inline void
assert_fails(enum ttt_status got, enum ttt_status want, const struct ttt_error *err, const char *part)
{
	if (got != want)
		fail_msg("status %d, not %d (%s)", (int)got, (int)want, got != TTT_OK ? err->text : "no error");
	if (strstr(err->text, part) == NULL || strchr(err->text, '\n') != NULL)
		fail_msg("'%s' does not say '%s' in one line", err->text, part);
}

#endif
