#include "libttt/text/follow_plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libttt/file.h"
#include "libttt/text/rotation.h"

enum { NONE = -1, TRIES = 5 };

/* One look at the folder. */
struct look {
	struct ttt_follow *f;
	struct ttt__rotation r;
	const struct ttt__followed *current; /* what the path leads to, or NULL */
	const char *target; /* path without links */
	const char *beside; /* a path in the folder: candidates are named as it is */
	bool stale;         /* a file was no longer what it had been found to be */
	int matched;        /* index in r of what position->at is of, or NONE */
};

void
ttt__follow_note(struct ttt_follow *f, const char *text, bool lost)
{
	f->n_failed += lost; /* before the note, which may ask */
	if (f->note != NULL)
		f->note(f->ctx, text);
}

static void
discard(struct ttt__followed *s)
{
	if (s != NULL)
		ttt__followed_close(s);
	free(s);
}

void
ttt__follow_unplan(struct ttt_follow *f)
{
	for (size_t i = 0; i < f->n; i++)
		discard(f->file[i]);
	f->n = f->at = 0;
	f->rotated = f->has_newest = f->newest_compressed = f->over = f->failed = false;
	f->buffer.n_block = f->buffer.at_block = f->buffer.n_line = 0;
}

/* Takes s, also on failure. */
static enum ttt_status
append(struct ttt_follow *f, struct ttt__followed *s, struct ttt_error *err)
{
	if (f->n == f->capacity) {
		size_t capacity = f->capacity > 0 ? 2 * f->capacity : 8;
		struct ttt__followed **grown = ttt__grow(f->file, capacity, sizeof(struct ttt__followed *));

		if (grown == NULL) {
			discard(s);
			return ttt__fail_memory(err, f->path);
		}
		f->file = grown;
		f->capacity = capacity;
	}
	f->file[f->n++] = s;
	return TTT_OK;
}

/* Candidate i is passed over: the text says why. */
static void
pass_over(struct look *l, size_t i, const char *text)
{
	l->r.p[i].unreadable = true;
	ttt__follow_note(l->f, text, true);
}

/* Candidate i; *out NULL where it cannot be had. */
static enum ttt_status
open_candidate(struct look *l, size_t i, enum ttt__followed_kind kind, struct ttt__followed **out, struct ttt_error *err)
{
	const char *slash = strrchr(l->beside, '/');
	size_t n_folder = slash != NULL ? (size_t)(slash - l->beside) + 1 : 0, n_name = strlen(l->r.p[i].name);
	struct ttt_error e;
	struct stat st;
	char *label;
	int fd;

	*out = NULL;
	if (l->r.p[i].unreadable)
		return TTT_OK;
	label = ttt__new(n_folder + n_name + 1, 1);
	if (label == NULL)
		return ttt__fail_memory(err, l->f->path);
	memcpy(label, l->beside, n_folder);
	memcpy(label + n_folder, l->r.p[i].name, n_name);
	fd = ttt__rotation_open(&l->r, i);
	if (fd >= 0 && fstat(fd, &st) == 0) {
		*out = ttt__new(1, sizeof(**out));
		if (*out != NULL) {
			ttt__followed_init(*out, kind, fd, &st, label);
			return TTT_OK;
		}
		errno = ENOMEM;
	}
	ttt__fail(&e, TTT_E_IO, "%s: skipped: cannot open: %s", label, strerror(errno));
	free(label);
	if (fd >= 0)
		close(fd);
	else if (errno == ENOENT || errno == ESTALE || errno == ELOOP) {
		l->stale = true;
		return TTT_OK;
	} else if (errno == EACCES || errno == EPERM) {
		pass_over(l, i, e.text);
		return TTT_OK;
	}
	if (err != NULL)
		*err = e;
	return TTT_E_IO;
}

/* Is candidate i the file of m? Then *out is it, else NULL. */
static enum ttt_status
try_candidate(struct look *l, size_t i, const struct ttt__mark *m, enum ttt__followed_kind kind,
    struct ttt__followed **out, struct ttt_error *err)
{
	struct ttt_error e = { .status = TTT_OK };
	bool same = false;
	enum ttt_status status = open_candidate(l, i, kind, out, err);

	if (status != TTT_OK || *out == NULL)
		return status;
	status = ttt__followed_is(*out, m, &l->f->buffer, &same, &e);
	if (same)
		return TTT_OK;
	discard(*out);
	*out = NULL;
	if (status == TTT_E_MEMORY) {
		if (err != NULL)
			*err = e;
		return status;
	}
	if (status != TTT_OK)
		pass_over(l, i, e.text);
	return TTT_OK;
}

/* How likely candidate c is the file of m, before its bytes are looked at: 0 is the likeliest. */
static int
guess(const struct ttt__rotated *c, const struct ttt__mark *m)
{
	if (c->device == m->device && c->inode == m->inode)
		return 0;
	return c->mtime == m->mtime ? 1 : 2;
}

/* The file of m: the likeliest with its bytes, of equals the newest. only_inode: that of its inode, if it is named as
 * rotated ones are. skip: an index, or NONE. */
static enum ttt_status
search(struct look *l, const struct ttt__mark *m, bool only_inode, int skip, enum ttt__followed_kind kind,
    struct ttt__followed **out, int *index, struct ttt_error *err)
{
	enum ttt_status status = TTT_OK;
	int n_pass;

	*out = NULL;
	*index = NONE;
	only_inode = only_inode || m->n_head == 0;
	n_pass = only_inode ? 1 : 3;
	for (int pass = 0; pass < n_pass && *out == NULL; pass++)
		for (size_t i = l->r.n; i-- > 0 && status == TTT_OK && *out == NULL;) {
			if (guess(&l->r.p[i], m) != pass || (int)i == skip || (only_inode && !l->r.p[i].counted))
				continue;
			status = try_candidate(l, i, m, kind, out, err);
			*index = *out != NULL ? (int)i : NONE;
		}
	return status;
}

/* Was candidate i written after the position was taken, and not read then? A file that is written to after it was rotated
 * away is newer than those that came after it: so it is not its time now that counts, but that of the position. */
static bool
unread(const struct look *l, size_t i)
{
	const struct ttt__mark *at = &l->f->position->at;
	const struct ttt__rotated *c = &l->r.p[i];

	size_t n_log = strlen(ttt__path_name(l->target));
	bool own = !(c->tag == n_log + 1 && c->name[n_log] == '.'); /* LOG.1 may have been named once, and is no log of its own */

	if (!c->counted || (int)i == l->matched || (own && ttt__positions_beside(&l->f->positions, l->target, c->name)))
		return false;
	return c->mtime > at->mtime || (l->matched != NONE && i > (size_t)l->matched) ||
	    (at->n_head == 0 && c->mtime == at->mtime && guess(c, at) == 0);
}

/* Plan what the folder has. same: the position is of the current file, as far as bytes tell; certain: by inode too. */
static enum ttt_status
plan_candidates(struct look *l, bool same, bool certain, struct ttt_error *err)
{
	struct ttt_follow *f = l->f;
	const struct ttt__position *p = f->position;
	struct ttt__followed *s = NULL, *matched = NULL;
	enum ttt_status status = TTT_OK;
	int previous = NONE;

	l->matched = NONE;
	if (p->at.n_head > 0 && !certain) {
		status = search(l, &p->at, same, NONE, TTT__FOLLOWED_ROTATED, &matched, &l->matched, err);
		f->rotated = matched != NULL;
	}
	/* one that was empty is known by its inode alone, which others may have got since: where there are others, its time
	 * tells that it was written to */
	if (status == TTT_OK && p->has_previous && (p->previous.n_head > 0 || (same && !f->rotated)))
		status = search(l, &p->previous, false, l->matched, TTT__FOLLOWED_PREVIOUS, &s, &previous, err);
	if (s != NULL)
		status = append(f, s, err);
	if (matched != NULL) {
		enum ttt_status added = append(f, matched, err);

		status = status == TTT_OK ? added : status;
	}
	for (size_t i = 0; i < l->r.n && status == TTT_OK && (!same || f->rotated); i++) {
		if ((int)i == previous || !unread(l, i))
			continue;
		status = open_candidate(l, i, TTT__FOLLOWED_ROTATED, &s, err);
		if (status == TTT_OK && s != NULL && l->current != NULL && ttt__followed_copied(s, l->current)) {
			discard(s); /* the copy before a truncation, on its way */
			continue;
		}
		if (status == TTT_OK && s != NULL) {
			f->rotated = true;
			status = append(f, s, err);
		}
	}
	return status;
}

/* There is one previous file at most: of those before the newest, all is read now. */
static void
finish_older(struct ttt_follow *f)
{
	struct ttt__followed *newest = NULL;

	for (size_t i = 0; i < f->n && f->rotated; i++) {
		struct ttt__followed *s = f->file[i];
		bool newer = s->kind == TTT__FOLLOWED_ROTATED && (newest == NULL || s->mtime >= newest->mtime);

		if (newer && newest != NULL)
			newest->complete = true;
		s->complete = !newer;
		newest = newer ? s : newest;
	}
}

/* Look until a look was not disturbed by files being renamed. */
static enum ttt_status
plan_rotated(struct look *l, const char *target, const struct stat *st, bool same, bool certain, struct ttt_error *err)
{
	struct ttt_error e = { .status = TTT_OK };
	enum ttt_status status = TTT_OK;
	bool disturbed = true;

	for (int i = 0; i < TRIES && disturbed && status == TTT_OK; i++) {
		ttt__follow_unplan(l->f);
		l->stale = false;
		status = ttt__rotation_find(&l->r, target, st, &l->f->position->at, &e);
		if (status == TTT_E_IO) { /* a log can be read in a folder that cannot */
			ttt__follow_note(l->f, e.text, true);
			return TTT_OK;
		}
		if (status != TTT_OK) {
			if (err != NULL)
				*err = e;
			return status;
		}
		status = plan_candidates(l, same, certain, err);
		disturbed = l->stale || ttt__rotation_changed(&l->r);
		ttt__rotation_free(&l->r);
	}
	finish_older(l->f);
	if (l->f->n == 0 || l->f->file[0]->kind != TTT__FOLLOWED_PREVIOUS)
		l->f->position->has_previous = l->f->position->previous.n_head == 0 && !same && l->f->position->has_previous;
	return status;
}

/* Is it another file than that of m? An inode may have been given to a new one, which was born after the position was taken. */
static bool
is_another(const struct ttt__followed *s, const struct ttt__mark *m)
{
	struct statx x;

	if (s->device != m->device || s->inode != m->inode)
		return true;
	return statx(s->fd, "", AT_EMPTY_PATH, STATX_BTIME, &x) == 0 && (x.stx_mask & STATX_BTIME) != 0 &&
	    (int64_t)x.stx_btime.tv_sec * 1000000000 + x.stx_btime.tv_nsec > m->mtime;
}

static enum ttt_status
plan_known(struct ttt_follow *f, struct ttt__followed *current, const struct stat *st, struct ttt_error *err)
{
	struct look l = { .f = f, .current = current, .matched = NONE, .r = { .folder = -1 } };
	const struct ttt__position *p = f->position;
	char text[sizeof(((struct ttt_error *)0)->text)];
	bool same = false, certain;
	enum ttt_status status = TTT_OK;
	char *target;

	if (current != NULL && p->at.n_head > 0)
		status = ttt__followed_is(current, &p->at, &f->buffer, &same, err);
	certain = same && current->device == p->at.device && current->inode == p->at.inode;
	if (status != TTT_OK || (certain && !p->has_previous))
		return status;
	target = ttt__file_target(p->path);
	if (target == NULL)
		return ttt__fail(err, TTT_E_IO, "%s: cannot open: %s", f->path, strerror(errno));
	l.target = target;
	l.beside = strcmp(target, p->path) == 0 ? f->path : target;
	status = plan_rotated(&l, target, current != NULL ? st : NULL, same, certain, err);
	free(target);
	if (status == TTT_OK && same && f->rotated)
		status = ttt__followed_start(current, err);
	if (status == TTT_OK && current != NULL && p->at.n_head > 0 && !same && l.matched == NONE) {
		/* a log that was cut is the same file still; where another has its place, the end of the former may have been lost */
		(void)snprintf(text, sizeof(text), "%.400s: what was read before is gone; it is read from its start", f->path);
		ttt__follow_note(f, text, is_another(current, &p->at));
	}
	return status;
}

enum ttt_status
ttt__follow_plan(struct ttt_follow *f, struct ttt__followed *current, const struct stat *st, struct ttt_error *err)
{
	enum ttt_status status = TTT_OK;

	if (f->position->read)
		status = plan_known(f, current, st, err);
	if (status == TTT_OK && current != NULL)
		return append(f, current, err);
	discard(current);
	return status;
}
