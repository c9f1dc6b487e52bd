#include "libttt/text/walk.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A directory that is being walked: its entries' paths, those of directories ending in a slash, sorted. */
struct ttt__walk_level {
	char **entry; /* [n]; taken ones are NULL */
	size_t n, capacity, at;
};

static int
by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
level_free(struct ttt__walk_level *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->entry[i]);
	free(l->entry);
}

/* Whether an entry is neither a file nor a directory, or gone. One that cannot be looked at is taken for a file: opening it will tell why. */
static bool
passes_over(const char *path, const char *name, struct stat *st)
{
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, ".git") == 0)
		return true;
	if (lstat(path, st) == 0)
		return !S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode);
	return errno == ENOENT;
}

/* DIR/name, with a slash after it where it is a directory; NULL without memory, and "" for what is passed over. */
static char *
entry_path(const char *dir, const char *name)
{
	size_t n_dir = strlen(dir), n_name = strlen(name);
	char *path = ttt__new(n_dir + n_name + 3, 1);
	struct stat st = { 0 };

	if (path == NULL)
		return NULL;
	(void)snprintf(path, n_dir + n_name + 3, "%s%s%s", dir, n_dir > 0 && dir[n_dir - 1] == '/' ? "" : "/", name);
	if (passes_over(path, name, &st))
		path[0] = '\0';
	else if (S_ISDIR(st.st_mode))
		path[strlen(path)] = '/'; /* the last two bytes are zeros */
	return path;
}

static enum ttt_status
read_entries(struct ttt__walk_level *l, DIR *d, const char *path, struct ttt_error *err)
{
	struct dirent *e;

	for (errno = 0; (e = readdir(d)) != NULL; errno = 0) {
		char *one = entry_path(path, e->d_name);

		if (one != NULL && one[0] == '\0') {
			free(one);
			continue;
		}
		if (one != NULL && l->n == l->capacity) {
			char **grown = ttt__grow(l->entry, l->capacity * 2 + 16, sizeof(*grown));

			if (grown == NULL) {
				free(one);
				one = NULL;
			} else {
				l->entry = grown;
				l->capacity = l->capacity * 2 + 16;
			}
		}
		if (one == NULL)
			return ttt__fail_memory(err, path);
		l->entry[l->n++] = one;
	}
	if (errno != 0)
		return ttt__fail(err, TTT_E_IO, "%s: cannot read the directory: %s", path, strerror(errno));
	if (l->n > 0)
		qsort(l->entry, l->n, sizeof(*l->entry), by_bytes);
	return TTT_OK;
}

enum ttt_status
ttt__walk_enter(struct ttt__walk *w, const char *path, struct ttt_error *err)
{
	struct ttt__walk_level l = { 0 }, *grown;
	enum ttt_status status;
	DIR *d = opendir(path);

	if (d == NULL)
		return ttt__fail(err, TTT_E_IO, "%s: cannot read the directory: %s", path, strerror(errno));
	status = read_entries(&l, d, path, err);
	closedir(d);
	if (status == TTT_OK && w->n == w->capacity) {
		grown = ttt__grow(w->level, w->capacity * 2 + 8, sizeof(*grown));
		if (grown == NULL)
			status = ttt__fail_memory(err, path);
		else {
			w->level = grown;
			w->capacity = w->capacity * 2 + 8;
		}
	}
	if (status == TTT_OK)
		w->level[w->n++] = l;
	else
		level_free(&l);
	return status;
}

enum ttt_status
ttt__walk_next(struct ttt__walk *w, const char **path, struct ttt_error *err)
{
	*path = NULL;
	while (w->n > 0) {
		struct ttt__walk_level *l = &w->level[w->n - 1];
		enum ttt_status status;

		if (l->at == l->n) {
			level_free(l);
			w->n--;
			continue;
		}
		free(w->path);
		w->path = l->entry[l->at];
		l->entry[l->at++] = NULL;
		if (w->path[strlen(w->path) - 1] != '/') {
			*path = w->path;
			return TTT_OK;
		}
		status = ttt__walk_enter(w, w->path, err);
		if (status != TTT_OK)
			return status;
	}
	return TTT_OK;
}

void
ttt__walk_free(struct ttt__walk *w)
{
	for (; w->n > 0; w->n--)
		level_free(&w->level[w->n - 1]);
	free(w->level);
	free(w->path);
	memset(w, 0, sizeof(*w));
}
