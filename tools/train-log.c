/* log.jsonl of a run: a line a step. */
#include "tools/train.h"
#include "libttt/file.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Copy the lines of steps before n_step. Each starts with {"step":N, and one may be cut short by a crash. */
static enum ttt_status
keep(FILE *in, struct ttt__replace *out, const char *path, int64_t n_step, double *seconds, bool *evaluated, struct ttt_error *err)
{
	static const char head[] = "{\"step\":";
	char *line = NULL;
	size_t capacity = 0;
	ssize_t n;
	struct stat st;
	enum ttt_status s = TTT_OK;

	if (fstat(fileno(in), &st) == 0) /* who could follow the log can go on */
		(void)fchmod(fileno(out->f), st.st_mode & 0777);
	while (s == TTT_OK && (n = getline(&line, &capacity, in)) > 0) {
		const char *at = strstr(line, "\"seconds\":");

		if (line[n - 1] != '\n' || strncmp(line, head, strlen(head)) != 0 ||
		    strtoll(line + strlen(head), NULL, 10) >= n_step)
			continue;
		if (at != NULL)
			*seconds = strtod(at + strlen("\"seconds\":"), NULL);
		*evaluated = strstr(line, "\"eval_loss\":") != NULL;
		s = ttt__write(out->f, path, line, (size_t)n, err);
	}
	free(line);
	return s;
}

enum ttt_status
train_log_open(FILE **f, const char *dir, int64_t n_step, double *seconds, bool *evaluated, struct ttt_error *err)
{
	char *path = ttt__path_in(dir, "log.jsonl");
	struct ttt__replace r;
	enum ttt_status s = TTT_OK;
	FILE *old;

	*f = NULL;
	*seconds = 0;
	*evaluated = false;
	if (path == NULL)
		return ttt__fail_memory(err, dir);
	old = fopen(path, "re");
	if (old != NULL) {
		s = ttt__replace_open(&r, path, true, err);
		if (s == TTT_OK)
			s = ttt__replace_end(&r, keep(old, &r, path, n_step, seconds, evaluated, err), err);
		fclose(old);
	}
	if (s == TTT_OK && (*f = fopen(path, "ae")) == NULL)
		s = ttt__fail(err, TTT_E_IO, "%s: cannot open: %s", path, strerror(errno));
	else if (s == TTT_OK)
		(void)setvbuf(*f, NULL, _IOLBF, 0); /* so that it can be followed */
	free(path);
	return s;
}
