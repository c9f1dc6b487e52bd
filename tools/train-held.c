/* ttt-train run: the documents held out. The list of their names is kept in the run's directory, so that it resumes without the file. */
#include "tools/train.h"
#include "libttt/file.h"
#include "libttt/text/vocab.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LIST_MAX = 1 << 26 }; /* bytes of a list of names */

char *
train_held_path(const struct train_options *o, const char *dir)
{
	char *kept = ttt__path_in(dir, "held-out");

	if (kept == NULL || (!o->held_list_given && access(kept, F_OK) == 0))
		return kept;
	free(kept);
	return strdup(o->held_list);
}

enum ttt_status
train_held_keep(const char *list, const char *dir, struct ttt_error *err)
{
	char *kept = ttt__path_in(dir, "held-out");
	struct ttt__bytes b = { 0 };
	enum ttt_status s = kept == NULL ? ttt__fail_memory(err, dir) : TTT_OK;

	if (s == TTT_OK && strcmp(list, kept) != 0) {
		s = ttt__file_read(&b, list, LIST_MAX, err);
		if (s == TTT_OK)
			s = ttt__file_write(kept, b.p, b.n, false, err);
	}
	ttt__bytes_free(&b);
	free(kept);
	return s;
}

/* Names of the list that no document has. */
static enum ttt_status
note_missing(struct tool *t, const struct ttt__data *d, const char *list, struct ttt_error *err)
{
	struct ttt__names names = { 0 };
	enum ttt_status s = ttt__names_reserve(&names, (size_t)d->n_document, err);
	FILE *f = fopen(list, "re");
	char *line = NULL;
	size_t capacity = 0;

	if (s == TTT_OK && f == NULL)
		s = ttt__fail(err, TTT_E_IO, "%s: cannot open: %s", list, strerror(errno));
	for (int64_t i = 0; i < d->n_document && s == TTT_OK; i++)
		(void)ttt__names_add(&names, d->document[i].name, strlen(d->document[i].name), 0);
	while (s == TTT_OK && getline(&line, &capacity, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] != '\0' && ttt__names_find(&names, line, strlen(line)) < 0)
			tool_note(t, "%s: no document is named '%s'", list, line);
	}
	free(line);
	if (f != NULL)
		fclose(f);
	ttt__names_free(&names);
	return s;
}

enum ttt_status
train_held_note(struct tool *t, const struct train_options *o, const struct ttt__data *d, const char *list, struct ttt_error *err)
{
	int64_t n_held = 0;

	for (int64_t i = 0; i < d->n_document; i++)
		n_held += d->document[i].held;
	if (n_held == 0 && (o->held_out > 0 || list != NULL))
		tool_note(t, "none of %lld documents is held out", (long long)d->n_document);
	return list != NULL ? note_missing(t, d, list, err) : TTT_OK;
}
