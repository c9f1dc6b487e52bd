/* ttt-digest: new lines, from files, the journal or standard input, in blocks through the digest. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/digest.h"

enum { BLOCK_LINES = 256, BLOCK_BYTES = 1 << 20 };

struct block {
	struct digest *d;
	struct ttt_digest_line line[BLOCK_LINES];
	size_t at[BLOCK_LINES];        /* of the line's text */
	int64_t number[BLOCK_LINES], in_file[BLOCK_LINES];
	size_t n;
	struct ttt__bytes text;
	char *file;                    /* that the lines are of */
	int64_t n_new;                 /* lines of the FILE so far */
};

static int
flush(struct block *b)
{
	struct ttt_error err;
	int status = TOOL_DONE;

	for (size_t i = 0; i < b->n; i++)
		b->line[i].text = (const char *)b->text.p + b->at[i];
	if (b->n > 0 && ttt_digest_read(b->d->d, b->line, b->n, &err) != TTT_OK)
		return tool_fail(b->d->t, &err);
	for (size_t i = 0; i < b->n && status == TOOL_DONE; i++)
		status = digest_report_line(b->d, b->file, b->number[i], b->in_file[i], &b->line[i]);
	tool_progress_bytes(&b->d->progress, (int64_t)b->text.n);
	b->n = 0;
	b->text.n = 0;
	return status;
}

static int
add(struct block *b, const char *file, const char *text, size_t n, int64_t in_file)
{
	struct ttt_error err;
	int status = TOOL_DONE;

	b->n_new++;
	if (digest_rules_match(b->d->rules, text, n))
		return TOOL_DONE;
	if (b->file == NULL || strcmp(b->file, file) != 0 || b->n == BLOCK_LINES || b->text.n > BLOCK_BYTES)
		status = flush(b);
	if (b->file == NULL || strcmp(b->file, file) != 0) {
		free(b->file);
		b->file = strdup(file);
		b->d->head_score = -1;
	}
	if (status != TOOL_DONE)
		return status;
	b->at[b->n] = b->text.n;
	b->number[b->n] = b->n_new;
	b->in_file[b->n] = in_file;
	if (b->file == NULL || ttt__bytes_add(&b->text, text, n, &err) != TTT_OK || ttt__bytes_add(&b->text, "", 1, &err) != TTT_OK) {
		tool_error(b->d->t, "%s: out of memory", file);
		return TOOL_TROUBLE;
	}
	b->line[b->n++].n = n;
	return TOOL_DONE;
}

/* A part of a log that cannot be read, or is damaged, is an error: its lines may never come. */
static void
note(void *ctx, const char *text)
{
	struct digest *d = ctx;
	int64_t n = ttt_follow_n_failed(ttt_digest_follow(d->d));

	if (n > d->n_unread)
		tool_error(d->t, "%s", text);
	else
		tool_note(d->t, "%s", text);
	d->n_failed += n - d->n_unread;
	d->n_unread = n;
}

/* A log that cannot be read is reported and passed over. */
static int
read_file(struct block *b, const char *path)
{
	struct digest *d = b->d;
	struct ttt_follow *f = ttt_digest_follow(d->d);
	struct ttt_follow_line line;
	struct ttt_error err;
	enum ttt_status s = ttt_follow_begin(f, path, note, d, &err);
	int status = TOOL_DONE;

	while (s == TTT_OK && status == TOOL_DONE && (s = ttt_follow_next(f, &line, &err)) == TTT_OK && line.text != NULL)
		status = add(b, line.file, line.text, line.n, line.number);
	if (status == TOOL_DONE)
		status = flush(b);
	if (s == TTT_E_MEMORY)
		return tool_fail(d->t, &err);
	if (s != TTT_OK) {
		tool_fail(d->t, &err);
		d->n_failed++;
	}
	return status;
}

/* Lines of a stream that has no place to go on from. The journal's last line names its cursor. */
static int
read_stream(struct block *b, FILE *f, const char *name, bool journal)
{
	static const char cursor[] = "-- cursor: ";
	struct ttt_error err;
	char *text = NULL;
	size_t capacity = 0;
	ssize_t n;
	int status = TOOL_DONE;

	while (status == TOOL_DONE && (n = getline(&text, &capacity, f)) >= 0) {
		if (n > 0 && text[n - 1] == '\n')
			text[--n] = '\0';
		if (n > 0 && text[n - 1] == '\r') /* as in files */
			text[--n] = '\0';
		if (journal && strncmp(text, cursor, strlen(cursor)) == 0) {
			if (ttt_digest_set_cursor(b->d->d, text + strlen(cursor), &err) != TTT_OK)
				status = tool_fail(b->d->t, &err);
		} else {
			status = add(b, name, text, n < DIGEST_LINE ? (size_t)n : DIGEST_LINE, b->n_new + 1);
		}
	}
	free(text);
	if (ferror(f)) {
		tool_error(b->d->t, "%s: cannot read: %s", name, strerror(errno));
		b->d->n_failed++;
	}
	return status == TOOL_DONE ? flush(b) : status;
}

/* Start journalctl with its output in a pipe: *f. 0, or why not, as errno has it. */
static int
start_journalctl(const char *cursor, pid_t *pid, FILE **f)
{
	char after[] = "--after-cursor", *with = strdup(cursor);
	char *const argv[] = {(char[]){"journalctl"}, (char[]){"--no-pager"}, (char[]){"--quiet"}, (char[]){"--output=short"},
	    (char[]){"--show-cursor"}, cursor[0] != '\0' ? after : NULL, with, NULL};
	posix_spawn_file_actions_t actions;
	int end[2], why;

	if (with == NULL)
		return ENOMEM;
	if (pipe2(end, O_CLOEXEC) != 0) {
		why = errno;
		free(with);
		return why;
	}
	why = posix_spawn_file_actions_init(&actions);
	if (why == 0) {
		why = posix_spawn_file_actions_adddup2(&actions, end[1], STDOUT_FILENO);
		if (why == 0)
			why = posix_spawnp(pid, argv[0], &actions, NULL, argv, environ);
		(void)posix_spawn_file_actions_destroy(&actions);
	}
	close(end[1]);
	*f = why == 0 ? fdopen(end[0], "r") : NULL;
	if (*f == NULL)
		close(end[0]);
	free(with);
	return why;
}

/* What systemd's journal has since the cursor. */
static int
read_journal(struct block *b)
{
	FILE *f = NULL;
	pid_t pid = -1;
	int status, end = -1, why = start_journalctl(ttt_digest_cursor(b->d->d), &pid, &f);

	if (why != 0) {
		tool_error(b->d->t, "journalctl: cannot be started: %s", strerror(why));
		b->d->n_failed++;
		return TOOL_DONE;
	}
	status = f != NULL ? read_stream(b, f, "journal", true) : TOOL_DONE;
	if (f != NULL)
		(void)fclose(f);
	while (waitpid(pid, &end, 0) < 0 && errno == EINTR)
		;
	if (status == TOOL_DONE && (f == NULL || !WIFEXITED(end) || WEXITSTATUS(end) != 0)) {
		tool_error(b->d->t, "journalctl: did not end well");
		b->d->n_failed++;
	}
	return status;
}

int
digest_read(struct digest *d)
{
	struct block *b = ttt__new(1, sizeof(*b));
	int status = TOOL_DONE;

	if (b == NULL) {
		tool_error(d->t, "the digest: out of memory");
		return TOOL_TROUBLE;
	}
	b->d = d;
	d->t->prints_rows = d->all;
	tool_progress_start(&d->progress, d->t, NULL, -1); /* what rotated logs hold is known when they are read */
	for (size_t i = 0; i < d->n_name && status == TOOL_DONE; i++) {
		b->n_new = 0;
		status = strcmp(d->name[i], "-") == 0 ? read_stream(b, stdin, "-", false) : read_file(b, d->name[i]);
	}
	b->n_new = 0;
	if (status == TOOL_DONE && d->journal)
		status = read_journal(b);
	tool_progress_end(&d->progress);
	ttt__bytes_free(&b->text);
	free(b->file);
	free(b);
	return status;
}
