/* Threads by default: no more than a control group's quota pays for, its own or that of a group above it. */
#include <sched.h>

#include "kernels/cpu/processors.h"
#include "scratch.h"

static char root[256];

static void
put(const char *name, const char *text)
{
	char path[512];

	snprintf(path, sizeof path, "%s/%s", root, name);
	for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		(void)mkdir(path, 0700);
		*p = '/';
	}
	spill(path, text, strlen(text));
}

static int
allowed(void)
{
	cpu_set_t set;

	assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
	return CPU_COUNT(&set);
}

static int
least(int a)
{
	return a < allowed() ? a : allowed();
}

static void
test_quota(void **state)
{
	(void)state;
	scratch_make(root);
	assert_int_equal(ttt__cpu_processors(root), allowed()); /* nothing to read */
	put("proc/self/cgroup", "9:memory:/other\n0::/a.slice/b.service\n");
	assert_int_equal(ttt__cpu_processors(root), allowed());
	put("sys/fs/cgroup/a.slice/b.service/cpu.max", "max 100000\n");
	assert_int_equal(ttt__cpu_processors(root), allowed());
	put("sys/fs/cgroup/a.slice/b.service/cpu.max", "110000 100000\n");
	assert_int_equal(ttt__cpu_processors(root), least(2));
	put("sys/fs/cgroup/a.slice/cpu.max", "50000 100000\n");
	assert_int_equal(ttt__cpu_processors(root), 1);
	put("sys/fs/cgroup/a.slice/cpu.max", "9999999999 1\n");
	assert_int_equal(ttt__cpu_processors(root), least(2));
	put("sys/fs/cgroup/a.slice/b.service/cpu.max", "-5 0\n");
	assert_int_equal(ttt__cpu_processors(root), allowed());
	put("proc/self/cgroup", "0::/\n"); /* in a container */
	put("sys/fs/cgroup/cpu.max", "100000 100000\n");
	assert_int_equal(ttt__cpu_processors(root), 1);
	scratch_remove(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_quota)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
