#include "libttt/text/followed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "libttt/checksum.h"
#include "libttt/text/rotation.h"

void
ttt__followed_stop(struct ttt__followed *s)
{
	if (s->open)
		ttt__stream_close(&s->stream);
	s->open = false;
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

void
ttt__followed_close(struct ttt__followed *s)
{
	ttt__followed_stop(s);
	free(s->label);
	s->label = NULL;
}

enum ttt_status
ttt__followed_start(struct ttt__followed *s, struct ttt_error *err)
{
	enum ttt_status status;

	if (s->open)
		ttt__stream_close(&s->stream);
	s->open = s->ended = false;
	s->offset = s->lines = s->pending = 0;
	s->n_head = s->n_last = s->n_tail = 0;
	if (lseek(s->fd, 0, SEEK_SET) != 0)
		return ttt__fail(err, TTT_E_IO, "%s: cannot read: %s", s->label, strerror(errno));
	status = ttt__stream_open_fd(&s->stream, s->fd, s->label, err);
	s->open = status == TTT_OK;
	s->compressed = s->open && s->stream.a != NULL;
	return status;
}

/* Keep of n bytes read what a mark needs. */
static void
note_bytes(struct ttt__followed *s, const unsigned char *p, size_t n)
{
	size_t some = sizeof(s->head) - s->n_head < n ? sizeof(s->head) - s->n_head : n;
	size_t left;

	memcpy(s->head + s->n_head, p, some);
	s->n_head += some;
	if (n >= sizeof(s->last)) {
		memcpy(s->last, p + n - sizeof(s->last), sizeof(s->last));
		s->n_last = sizeof(s->last);
		return;
	}
	left = s->n_last < sizeof(s->last) - n ? s->n_last : sizeof(s->last) - n;
	memmove(s->last, s->last + s->n_last - left, left);
	memcpy(s->last + left, p, n);
	s->n_last = left + n;
}

static bool
agrees(const unsigned char *p, size_t n, int64_t n_want, const char *want)
{
	char hex[65];

	if (n_want < 0 || (uint64_t)n_want > n)
		return false;
	ttt__checksum_of(hex, p, (size_t)n_want);
	return strcmp(hex, want) == 0;
}

/* n bytes at offset of an open file; less where it ends there. */
static size_t
read_at(int fd, unsigned char *p, size_t n, int64_t offset)
{
	size_t done = 0;
	ssize_t got = 1;

	while (done < n && got != 0) {
		got = pread(fd, p + done, n - done, (off_t)offset + (off_t)done);
		if (got < 0 && errno != EINTR)
			break;
		done += got > 0 ? (size_t)got : 0;
	}
	return done;
}

void
ttt__followed_init(struct ttt__followed *s, enum ttt__followed_kind kind, int fd, const struct stat *st, char *label)
{
	*s = (struct ttt__followed){
		.kind = kind,
		.fd = fd,
		.label = label,
		.device = (int64_t)st->st_dev,
		.inode = (int64_t)st->st_ino,
		.mtime = ttt__mtime(st),
		.stream.fd = -1,
	};
	s->n_first = read_at(fd, s->first, sizeof(s->first), 0);
}

/* In a file that is as it is, look where the mark says, and go there. */
static bool
seek_mark(struct ttt__followed *s, const struct ttt__mark *m)
{
	struct stat st;

	if (fstat(s->fd, &st) != 0 || (int64_t)st.st_size < m->offset)
		return false;
	s->n_head = read_at(s->fd, s->head, (size_t)m->n_head, 0);
	s->n_last = read_at(s->fd, s->last, (size_t)m->n_tail, m->offset - m->n_tail);
	if (!agrees(s->head, s->n_head, m->n_head, m->head) || !agrees(s->last, s->n_last, m->n_tail, m->tail) ||
	    lseek(s->fd, (off_t)m->offset, SEEK_SET) < 0)
		return false;
	s->stream.n_head = s->stream.at_head = 0; /* what it had read ahead */
	return true;
}

/* In a compressed one, read as far, and no further than the first bytes where these are others. */
static enum ttt_status
skip_to_mark(struct ttt__followed *s, const struct ttt__mark *m, struct ttt__followed_buffer *b, bool *same,
    struct ttt_error *err)
{
	int64_t at = 0, end = m->n_head;
	enum ttt_status status = TTT_OK;
	size_t got = 1;

	*same = true;
	for (;;) {
		while (at < end && got > 0 && status == TTT_OK) {
			size_t n = end - at < TTT__STREAM_BLOCK ? (size_t)(end - at) : TTT__STREAM_BLOCK;

			status = ttt__stream_read(&s->stream, b->block, n, &got, err);
			note_bytes(s, b->block, got);
			at += (int64_t)got;
		}
		*same = *same && status == TTT_OK && at == end && agrees(s->head, s->n_head, m->n_head, m->head);
		if (!*same || end >= m->offset)
			break;
		end = m->offset;
	}
	*same = *same && agrees(s->last, s->n_last, m->n_tail, m->tail);
	return status;
}

enum ttt_status
ttt__followed_is(struct ttt__followed *s, const struct ttt__mark *m, struct ttt__followed_buffer *b, bool *same,
    struct ttt_error *err)
{
	enum ttt_status status = ttt__followed_start(s, err);

	*same = false;
	if (status != TTT_OK)
		return status;
	if (m->n_head == 0) /* it was empty: there is nothing else to know it by */
		*same = s->device == m->device && s->inode == m->inode;
	else if (s->compressed)
		status = skip_to_mark(s, m, b, same, err);
	else
		*same = seek_mark(s, m);
	if (status != TTT_OK || !*same || m->offset == 0) {
		enum ttt_status again = ttt__followed_start(s, status == TTT_OK ? err : NULL);

		status = status == TTT_OK ? again : status;
	} else {
		s->offset = m->offset;
		s->lines = m->lines;
		memcpy(s->tail, s->last, s->n_last);
		s->n_tail = s->n_last;
	}
	s->known = *same;
	s->known_mtime = m->mtime;
	return status;
}

/* Was the file written to in the last ten seconds? A time in the future is of a clock that was set back, unless it is near. */
static bool
is_recent(const struct stat *st)
{
	static const int64_t wait = INT64_C(10000000000); /* nanoseconds */
	struct stat now;
	int64_t age;

	if (clock_gettime(CLOCK_REALTIME, &now.st_mtim) != 0)
		return false;
	return !__builtin_sub_overflow(ttt__mtime(&now), ttt__mtime(st), &age) && age < wait && age > -wait;
}

bool
ttt__followed_copied(const struct ttt__followed *s, const struct ttt__followed *other)
{
	unsigned char mine[TTT__MARK_HEAD], its[TTT__MARK_HEAD];
	size_t n = read_at(s->fd, mine, sizeof(mine), 0);
	struct stat a, b;

	return n > 0 && read_at(other->fd, its, n, 0) == n && memcmp(mine, its, n) == 0 && fstat(s->fd, &a) == 0 &&
	    fstat(other->fd, &b) == 0 && a.st_size <= b.st_size && is_recent(&a);
}

/* Does the file still begin as it did? One that was truncated while it was read, and grew again, would go on in the middle of a line. What
 * a log has that was empty when it was opened is for another run, since it may have been copied and truncated again meanwhile. */
static bool
begins_as_before(const struct ttt__followed *s, const struct ttt__followed_buffer *b)
{
	unsigned char head[TTT__MARK_HEAD];
	size_t n = read_at(s->fd, head, sizeof(head), 0), n_block = s->n_head > 0 ? 0 : b->n_block;

	if (s->kind == TTT__FOLLOWED_CURRENT && s->n_first == 0 && n_block > 0)
		return false;
	n_block = n_block < sizeof(head) ? n_block : sizeof(head);
	return s->compressed || (n >= s->n_first && n >= s->n_head && n >= n_block && memcmp(head, s->first, s->n_first) == 0 &&
	    memcmp(head, s->head, s->n_head) == 0 && memcmp(head, b->block, n_block) == 0);
}

/* Is what stands behind the last newline a line, or one that is being written? */
static bool
ends_in_line(const struct ttt__followed *s)
{
	struct stat st;

	if (s->complete || s->compressed)
		return true;
	if (s->kind == TTT__FOLLOWED_CURRENT || !s->known || fstat(s->fd, &st) != 0)
		return false;
	return ttt__mtime(&st) == s->known_mtime && !is_recent(&st);
}

/* More of a line, but for NUL bytes: of a log that was truncated below its writer a hole is left, and UTF-16 has one a character. */
static void
keep(struct ttt__followed_buffer *b, const unsigned char *p, size_t n)
{
	const unsigned char *end = p + n;

	while (p < end) {
		const unsigned char *nul = memchr(p, '\0', (size_t)(end - p));
		size_t run = (size_t)((nul != NULL ? nul : end) - p), room = TTT__FOLLOW_LINE + 1 - b->n_line;

		memcpy(b->line + b->n_line, p, run < room ? run : room);
		b->n_line += run < room ? run : room;
		b->n_kept += (int64_t)run;
		p += run + 1;
	}
}

static void
take(struct ttt__followed *s, struct ttt__followed_buffer *b, size_t n, bool newline)
{
	const unsigned char *p = b->block + b->at_block;
	size_t text = newline ? n - 1 : n;

	note_bytes(s, p, n);
	s->pending += (int64_t)n;
	keep(b, p, text);
	b->at_block += n;
}

static void
give(struct ttt__followed *s, struct ttt__followed_buffer *b, struct ttt_follow_line *line)
{
	int64_t n = b->n_kept;

	if (n == (int64_t)b->n_line && n > 0 && b->line[n - 1] == '\r')
		n--;
	line->cut = n > TTT__FOLLOW_LINE;
	line->n = line->cut ? TTT__FOLLOW_LINE : (size_t)n;
	b->line[line->n] = '\0';
	line->text = b->line;
	line->file = s->label;
	s->offset += s->pending;
	s->pending = 0;
	memcpy(s->tail, s->last, s->n_last);
	s->n_tail = s->n_last;
	line->number = ++s->lines;
}

enum ttt_status
ttt__followed_line(struct ttt__followed *s, struct ttt__followed_buffer *b, struct ttt_follow_line *line,
    struct ttt_error *err)
{
	enum ttt_status status = s->open ? TTT_OK : ttt__followed_start(s, err);

	line->text = NULL;
	if (s->pending == 0) {
		b->n_line = 0;
		b->n_kept = 0;
	}
	while (status == TTT_OK) {
		if (b->at_block < b->n_block) {
			const unsigned char *p = b->block + b->at_block, *end = memchr(p, '\n', b->n_block - b->at_block);

			take(s, b, end != NULL ? (size_t)(end - p) + 1 : b->n_block - b->at_block, end != NULL);
			if (end == NULL)
				continue;
			give(s, b, line);
			return TTT_OK;
		}
		if (!s->ended) {
			b->at_block = b->n_block = 0;
			status = ttt__stream_read(&s->stream, b->block, sizeof(b->block), &b->n_block, err);
			if (status == TTT_OK && !begins_as_before(s, b))
				b->n_block = 0; /* what is read on is another run's */
			s->ended = status != TTT_OK || b->n_block == 0;
			continue;
		}
		if (s->pending > 0 && ends_in_line(s))
			give(s, b, line);
		return TTT_OK;
	}
	s->ended = true;
	return status;
}

void
ttt__followed_mark(const struct ttt__followed *s, struct ttt__mark *m)
{
	/* an unfinished line may be all there is to know an otherwise empty file by */
	int64_t n = s->offset > 0 && s->offset < (int64_t)s->n_head ? s->offset : (int64_t)s->n_head;

	*m = (struct ttt__mark){
		.device = s->device,
		.inode = s->inode,
		.mtime = s->mtime,
		.offset = s->offset,
		.lines = s->lines,
		.n_head = n,
		.n_tail = (int64_t)s->n_tail,
	};
	ttt__checksum_of(m->head, s->head, (size_t)m->n_head);
	ttt__checksum_of(m->tail, s->tail, s->n_tail);
}
