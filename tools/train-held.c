/* ttt-train run: the documents held out. The list of their names is kept in the run's directory, so that it resumes without the file. */
#include "tools/train.h"
#include "libttt/file.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LIST_MAX = 1 << 26 }; /* bytes of a list of names */

enum ttt_status
train_copy(const char *from, const char *to, size_t max, struct ttt_error *err)
{
	struct ttt__bytes b = { 0 };
	struct ttt__replace r;
	enum ttt_status s = ttt__file_read(&b, from, max, err);

	if (s == TTT_OK)
		s = ttt__replace_open(&r, to, err);
	if (s == TTT_OK) {
		s = ttt__write(r.f, to, b.p, b.n, err);
		if (s == TTT_OK)
			s = ttt__replace_commit(&r, err);
		else
			ttt__replace_abort(&r);
	}
	ttt__bytes_free(&b);
	return s;
}

char *
train_held_path(const struct train_options *o, const char *dir)
{
	char *kept = train_path(dir, "held-out");

	if (kept == NULL || (!o->held_list_given && access(kept, F_OK) == 0))
		return kept;
	free(kept);
	return strdup(o->held_list);
}

enum ttt_status
train_held_keep(const char *list, const char *dir, struct ttt_error *err)
{
	char *kept = train_path(dir, "held-out");
	enum ttt_status s = kept == NULL ? ttt__fail_memory(err, "a path") : TTT_OK;

	if (s == TTT_OK && strcmp(list, kept) != 0)
		s = train_copy(list, kept, LIST_MAX, err);
	free(kept);
	return s;
}

static bool
has_document(const struct ttt__data *d, const char *name)
{
	for (int64_t i = 0; i < d->n_document; i++)
		if (strcmp(d->document[i].name, name) == 0)
			return true;
	return false;
}

enum ttt_status
train_held_note(struct tool *t, const struct ttt__data *d, const char *list, struct ttt_error *err)
{
	FILE *f = list != NULL ? fopen(list, "re") : NULL;
	char *line = NULL;
	size_t capacity = 0;
	int64_t n_held = 0;

	if (list != NULL && f == NULL)
		return ttt__fail(err, TTT_E_IO, "%s: cannot open: %s", list, strerror(errno));
	for (int64_t i = 0; i < d->n_document; i++)
		n_held += d->document[i].held;
	if (n_held == 0)
		tool_note(t, "none of %lld documents is held out", (long long)d->n_document);
	for (ssize_t n; f != NULL && (n = getline(&line, &capacity, f)) > 0;) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] != '\0' && !has_document(d, line))
			tool_note(t, "%s: no document is named '%s'", list, line);
	}
	free(line);
	if (f != NULL)
		fclose(f);
	return TTT_OK;
}
