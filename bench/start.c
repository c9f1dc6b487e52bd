/* Start-up: from the call of a program to its end on an input of 100 bytes, most of which is getting ready. */
#include "bench/bench.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char text[] = "static int\nnext_line(struct reader *r)\n{\n\treturn r->at < r->end ? r->line[r->at++] : -1; /* done */\n}\n";

/* Run a program of BENCH_TOOLS with its output thrown away; seconds until it ended, or -1. */
static double
run(const char *const *argv)
{
	char path[4096];
	posix_spawn_file_actions_t to_null;
	double started = bench_now();
	pid_t child;
	int status = -1;

	snprintf(path, sizeof path, "%s/%s", BENCH_TOOLS, argv[0]);
	posix_spawn_file_actions_init(&to_null);
	posix_spawn_file_actions_addopen(&to_null, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	if (posix_spawn(&child, path, &to_null, NULL, (char *const *)(uintptr_t)argv, environ) != 0 || waitpid(child, &status, 0) < 0)
		status = -1;
	posix_spawn_file_actions_destroy(&to_null);
	return status == 0 ? bench_now() - started : -1;
}

int
bench_start(struct tool *t, int argc, char **argv)
{
	char dir[] = "/tmp/ttt-bench-XXXXXX", input[sizeof dir + 8], state[sizeof dir + 8];
	const char *const command[][7] = {
		{ "ttt-ppl", input }, { "ttt-absorb", "-q", "-o", state, input }, { "ttt-ask", state, "where is the next line read?" },
		{ "ttt-snapshot", "info", state }, { "ttt-train", "--version" } };
	struct bench b;
	FILE *f;
	bool failed = false;

	bench_options(&b, t, "", "Milliseconds from the call of each program to its end, on 100 bytes.", argc, argv);
	if (!mkdtemp(dir))
		tool_usage_error(t, "%s: cannot be made", dir);
	snprintf(input, sizeof input, "%s/input", dir);
	snprintf(state, sizeof state, "%s/state", dir);
	f = fopen(input, "w");
	if (f) {
		fwrite(text, 1, 100, f);
		fclose(f);
	}
	run(command[1]);
	for (size_t i = 0; i < sizeof command / sizeof command[0]; i++) {
		struct series ms = {0};

		for (int r = 0; r < 3 * b.rounds; r++) {
			double taken = run(command[i]);

			failed = failed || taken < 0;
			bench_add(&ms, 1e3 * taken);
		}
		bench_row(&b, "start_milliseconds", command[i][0], &ms, "ms");
	}
	unlink(input);
	unlink(state);
	rmdir(dir);
	if (failed)
		tool_error(t, "a program of %s failed", BENCH_TOOLS);
	return failed ? TOOL_TROUBLE : TOOL_DONE;
}
