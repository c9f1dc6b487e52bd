/* How many processors there are for this process: in a container or a service with a quota of processor time, threads beyond it only take
 * turns with those that work. */
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/cpu/processors.h"

/* The process's place below the root of control groups (version 2): the line "0::/place". */
static bool
read_place(char *place, size_t size, const char *root)
{
	char path[PATH_MAX], line[PATH_MAX];
	bool found = false;
	FILE *f;

	if (snprintf(path, sizeof path, "%s/proc/self/cgroup", root) >= (int)sizeof path || !(f = fopen(path, "re")))
		return false;
	while (!found && fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = '\0';
		found = strncmp(line, "0::/", 4) == 0 && (size_t)snprintf(place, size, "%s", line + 3) < size;
	}
	fclose(f);
	return found;
}

/* A group's own cpu.max, microseconds of processor time and of the period that they are for ("max": no limit), as processors; limit where
 * that is fewer. */
static int
limit_of(const char *root, const char *place, int limit)
{
	char path[2 * PATH_MAX], line[64], *end;
	long long quota, period, n;
	FILE *f;

	if (snprintf(path, sizeof path, "%s/sys/fs/cgroup%s/cpu.max", root, place) >= (int)sizeof path || !(f = fopen(path, "re")))
		return limit;
	if (!fgets(line, sizeof line, f))
		line[0] = '\0';
	fclose(f);
	quota = strtoll(line, &end, 10);
	period = strtoll(end, NULL, 10);
	if (quota <= 0 || period <= 0)
		return limit;
	n = (quota - 1) / period + 1;
	return n < limit ? (int)n : limit;
}

/* Those that the process may run on. */
static int
allowed(void)
{
	cpu_set_t set;
	long n;

	if (sched_getaffinity(0, sizeof set, &set) == 0)
		return CPU_COUNT(&set);
	n = sysconf(_SC_NPROCESSORS_ONLN); /* more than a set of this size can name */
	return n > 0 ? (int)n : 1;
}

int
ttt__cpu_processors(const char *root)
{
	char place[PATH_MAX], *slash;
	int n = allowed();

	if (!read_place(place, sizeof place, root))
		return n;
	do { /* a quota of a group holds for all below it */
		n = limit_of(root, place, n);
		slash = strrchr(place, '/');
		if (slash)
			*slash = '\0';
	} while (slash);
	return n;
}
