#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libttt/file.h"
#include "libttt/text/follow_plan.h"

enum ttt_status
ttt_follow_create(struct ttt_follow **out, const void *json, size_t n, struct ttt_error *err)
{
	struct ttt_follow *f = ttt__new(1, sizeof(*f));
	enum ttt_status status = TTT_OK;

	*out = NULL;
	if (f == NULL)
		return ttt__fail_memory(err, "followed logs");
	if (json != NULL)
		status = ttt__positions_parse(&f->positions, json, n, err);
	if (status == TTT_OK)
		*out = f;
	else
		ttt_follow_free(f);
	return status;
}

void
ttt_follow_free(struct ttt_follow *f)
{
	if (f == NULL)
		return;
	ttt__follow_unplan(f);
	ttt__positions_free(&f->positions);
	free(f->file);
	free(f->path);
	free(f);
}

/* path with its folder's real path in front, so that it is the same from everywhere. Allocated; NULL with errno. */
static char *
absolute(const char *path)
{
	const char *name = ttt__path_name(path);
	char *folder = ttt__path_folder(path);
	char *real = folder != NULL ? realpath(folder, NULL) : NULL, *out = NULL;
	int n = real == NULL || strcmp(real, "/") == 0 ? 0 : (int)strlen(real); /* PATH_MAX at most */
	size_t size;

	if (real != NULL) {
		size = (size_t)n + strlen(name) + 2;
		out = ttt__new(size, 1);
		if (out != NULL)
			(void)snprintf(out, size, "%.*s/%s", n, real, name);
		else
			errno = ENOMEM;
	}
	free(real);
	free(folder);
	return out;
}

/* Open what is to be followed; *out NULL where it is not there. */
static enum ttt_status
open_current(struct ttt_follow *f, struct ttt__followed **out, struct stat *st, struct ttt_error *err)
{
	/* a named pipe must be refused, not waited for */
	int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	enum ttt_status status = TTT_OK;
	char *label = NULL;

	*out = NULL;
	if (fd < 0 && errno == ENOENT && f->position->read) {
		char text[sizeof(((struct ttt_error *)0)->text)];

		(void)snprintf(text, sizeof(text), "%.400s: is not there now", f->path);
		ttt__follow_note(f, text, false);
		return TTT_OK;
	}
	if (fd < 0 || fstat(fd, st) != 0)
		status = ttt__fail(err, TTT_E_IO, "%s: cannot open: %s", f->path, strerror(errno));
	else if (!S_ISREG(st->st_mode))
		status = ttt__fail(err, TTT_E_IO, "%s: cannot follow: %s", f->path,
		    S_ISDIR(st->st_mode) ? strerror(EISDIR) : "not a regular file");
	if (status == TTT_OK) {
		label = strdup(f->path);
		*out = ttt__new(1, sizeof(**out));
		if (label != NULL && *out != NULL) {
			ttt__followed_init(*out, TTT__FOLLOWED_CURRENT, fd, st, label);
			return TTT_OK;
		}
		status = ttt__fail_memory(err, f->path);
	}
	free(label);
	free(*out);
	*out = NULL;
	if (fd >= 0)
		close(fd);
	return status;
}

/* The position moved on to m: the rotated file that was read before it is the previous one now. */
static void
pass_on(struct ttt_follow *f, const struct ttt__mark *m, bool to_current)
{
	struct ttt__position *p = f->position;

	p->at = *m;
	p->read = true;
	/* an empty one does not take the place of one that is still written to */
	if (f->has_newest && (!p->has_previous || f->newest.n_head > 0 || f->newest.mtime >= p->previous.mtime)) {
		p->previous = f->newest;
		p->has_previous = true;
		f->over = f->newest_compressed;
	}
	/* One that can grow is kept in mind: if it did, its time alone would make it a file that was never read. */
	if (to_current && f->over && p->has_previous && p->previous.mtime <= m->mtime)
		p->has_previous = false;
}

/* Take over where the file being read stands. */
static void
settle(struct ttt_follow *f)
{
	const struct ttt__followed *s = f->at < f->n ? f->file[f->at] : NULL;
	struct ttt__mark m;

	if (s == NULL || (s->offset == 0 && s->pending == 0 && !(s->open && s->ended)))
		return; /* nothing was read */
	ttt__followed_mark(s, &m);
	/* it was opened before its folder was looked at, and may have been copied and truncated in between */
	if (s->kind == TTT__FOLLOWED_CURRENT && f->has_newest && f->newest.mtime > m.mtime)
		m.mtime = f->newest.mtime;
	/* until something of a file is read, the one before it is what the position is known by */
	if (s->kind == TTT__FOLLOWED_PREVIOUS)
		f->position->previous = m;
	else if (s->kind == TTT__FOLLOWED_ROTATED && m.n_head > 0)
		pass_on(f, &m, false);
	else if (s->kind == TTT__FOLLOWED_CURRENT && (m.offset > 0 || (s->ended && !f->failed)))
		pass_on(f, &m, s->ended);
}

/* Is what was opened still there? If not, it may be among the rotated ones too, under another name, or as what a compressor made of it. */
static bool
leads_to(const char *path, const struct stat *st)
{
	struct stat now;

	return stat(path, &now) == 0 && now.st_dev == st->st_dev && now.st_ino == st->st_ino;
}

enum ttt_status
ttt_follow_begin(struct ttt_follow *f, const char *path, void (*note)(void *ctx, const char *text), void *ctx,
    struct ttt_error *err)
{
	enum { TRIES = 5 };
	struct ttt__followed *current;
	struct ttt__position before;
	struct stat st = { 0 };
	enum ttt_status status;
	bool opened;
	char *key;

	settle(f);
	ttt__follow_unplan(f);
	f->position = NULL;
	f->note = note;
	f->ctx = ctx;
	free(f->path);
	f->path = strdup(path);
	if (f->path == NULL)
		return ttt__fail_memory(err, path);
	key = absolute(path);
	if (key == NULL)
		return ttt__fail(err, TTT_E_IO, "%s: cannot open: %s", path, strerror(errno));
	status = ttt__positions_at(&f->positions, &f->position, key, err);
	free(key);
	if (status != TTT_OK)
		return status;
	before = *f->position;
	for (int i = 0; i < TRIES; i++) {
		*f->position = before;
		status = open_current(f, &current, &st, err);
		opened = status == TTT_OK && current != NULL;
		if (status == TTT_OK)
			status = ttt__follow_plan(f, current, &st, err);
		if (status != TTT_OK || !opened || leads_to(path, &st))
			break;
		if (i + 1 < TRIES)
			ttt__follow_unplan(f);
	}
	if (status != TTT_OK)
		ttt__follow_unplan(f);
	f->buffer.n_block = f->buffer.at_block = 0;
	return status;
}

/* The file being read gave all it has: on to the next. */
static void
finish(struct ttt_follow *f, struct ttt__followed *s)
{
	settle(f);
	if (s->kind == TTT__FOLLOWED_PREVIOUS)
		f->over = s->compressed;
	if (s->kind == TTT__FOLLOWED_ROTATED && s->open && (!f->has_newest || s->mtime >= f->newest.mtime)) {
		ttt__followed_mark(s, &f->newest);
		f->has_newest = true;
		f->newest_compressed = s->compressed;
	}
	ttt__followed_stop(s);
	f->buffer.n_block = f->buffer.at_block = 0;
	f->at++;
}

enum ttt_status
ttt_follow_next(struct ttt_follow *f, struct ttt_follow_line *line, struct ttt_error *err)
{
	*line = (struct ttt_follow_line){ 0 };
	while (f->at < f->n) {
		struct ttt_error e = { .status = TTT_OK };
		struct ttt__followed *s = f->file[f->at];
		enum ttt_status status = ttt__followed_line(s, &f->buffer, line, &e);

		if (status == TTT_OK && line->text != NULL)
			return TTT_OK;
		if (status == TTT_E_MEMORY || (status != TTT_OK && s->kind == TTT__FOLLOWED_CURRENT)) {
			f->failed = true;
			settle(f);
			f->at = f->n;
			if (err != NULL)
				*err = e;
			return status;
		}
		if (status != TTT_OK)
			ttt__follow_note(f, e.text, true);
		if (status != TTT_OK && s->open)
			continue; /* it ends where it is damaged; what came before may be a line */
		finish(f, s);
	}
	return TTT_OK;
}

int64_t
ttt_follow_n_failed(const struct ttt_follow *f)
{
	return f->n_failed;
}

enum ttt_status
ttt_follow_json(struct ttt_follow *f, char **json, size_t *n, struct ttt_error *err)
{
	struct ttt__bytes b = { 0 };
	enum ttt_status status;

	settle(f);
	status = ttt__positions_write(&f->positions, &b, err);
	if (status != TTT_OK)
		ttt__bytes_free(&b);
	*json = (char *)b.p;
	*n = b.n;
	return status;
}
