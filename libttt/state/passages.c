#include "libttt/state/passages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COPY = 1 << 16 };
enum { RECORD_LEAST = 1024 }; /* bytes of a record that is full, where as much may be kept */
static const int64_t COMPACT = INT64_C(16) << 20; /* dead bytes at the file's start worth removing */

enum ttt_status
ttt__sources_add(struct ttt__sources *s, const char *name, int64_t n_byte, struct ttt_error *err)
{
	struct ttt__source *grown;
	size_t n = strlen(name);

	if (s->n == TTT__N_SOURCE_MAX || n > TTT__NAMES_MAX - s->n_name)
		return ttt__fail(err, TTT_E_RANGE, "%zu sources with %zu bytes of names are all that a state keeps",
		    s->n, s->n_name);
	if (s->n == s->capacity) {
		grown = ttt__grow(s->p, s->capacity * 2 + 16, sizeof(*s->p));
		if (grown == NULL)
			return ttt__fail_memory(err, "the list of sources");
		s->p = grown;
		s->capacity = s->capacity * 2 + 16;
	}
	s->p[s->n] = (struct ttt__source){ .name = strdup(name), .n_byte = n_byte };
	if (s->p[s->n].name == NULL)
		return ttt__fail_memory(err, "the list of sources");
	s->n++;
	s->n_name += n;
	return TTT_OK;
}

void
ttt__sources_free(struct ttt__sources *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->p[i].name);
	free(s->p);
	memset(s, 0, sizeof(*s));
}

enum ttt_status
ttt__passages_start(struct ttt__passages *p, size_t max, struct ttt_error *err)
{
	memset(p, 0, sizeof(*p));
	p->fd = -1;
	p->max = max;
	p->line = p->open_line = 1;
	p->open = ttt__new(TTT__RECORD_MAX, 1);
	return p->open == NULL ? ttt__fail_memory(err, "passages") : TTT_OK;
}

void
ttt__passages_free(struct ttt__passages *p)
{
	if (p->open != NULL && p->fd >= 0)
		close(p->fd);
	free(p->record);
	free(p->open);
	memset(p, 0, sizeof(*p));
	p->fd = -1;
}

/* Records are dropped whole, so that one may not be large beside all that may be kept. */
static size_t
record_max(const struct ttt__passages *p)
{
	size_t part = p->max / 8 > RECORD_LEAST ? p->max / 8 : RECORD_LEAST;

	if (p->max == 0 || part > TTT__RECORD_MAX)
		return TTT__RECORD_MAX;
	return part < p->max ? part : p->max;
}

/* Move the live bytes to the start of the file once at least as many before them are dead. */
static enum ttt_status
compact(struct ttt__passages *p, struct ttt_error *err)
{
	int64_t dead = p->first < p->n ? p->record[p->first].offset : p->end;
	enum ttt_status status = TTT_OK;
	unsigned char *buffer;

	if (dead < COMPACT || dead < p->end - dead)
		return TTT_OK;
	buffer = malloc(COPY);
	if (buffer == NULL)
		return ttt__fail_memory(err, "passages");
	for (int64_t at = dead; at < p->end && status == TTT_OK; at += COPY) {
		size_t n = p->end - at < COPY ? (size_t)(p->end - at) : COPY;

		status = ttt__spool_read(p->fd, buffer, n, at, err);
		if (status == TTT_OK)
			status = ttt__spool_write(p->fd, buffer, n, at - dead, err);
	}
	free(buffer);
	if (status != TTT_OK)
		return status;
	for (size_t i = p->first; i < p->n; i++)
		p->record[i - p->first] = p->record[i];
	p->n -= p->first;
	p->first = 0;
	for (size_t i = 0; i < p->n; i++)
		p->record[i].offset -= dead;
	p->end -= dead;
	if (ftruncate(p->fd, p->end) != 0)
		return ttt__fail(err, TTT_E_IO, "the temporary file for passages: cannot be cut: %s", strerror(errno));
	return TTT_OK;
}

/* Drop the oldest records beyond the limit. Only what would be dropped later anyhow is dropped now. */
static enum ttt_status
trim(struct ttt__passages *p, struct ttt_error *err)
{
	while (p->first < p->n && (p->n_byte + p->n_open > p->max || p->n - p->first >= TTT__N_RECORD_MAX))
		p->n_byte -= p->record[p->first++].n;
	return p->first > 0 ? compact(p, err) : TTT_OK;
}

static enum ttt_status
spool_record(struct ttt__passages *p, const void *bytes, size_t n, size_t source, int64_t first_line,
    struct ttt_error *err)
{
	struct ttt__record_at *grown;
	enum ttt_status status;

	status = p->fd < 0 ? ttt__spool_open(&p->fd, err) : TTT_OK;
	if (status != TTT_OK)
		return status;
	if (p->n == p->capacity) {
		grown = ttt__grow(p->record, p->capacity * 2 + 64, sizeof(*p->record));
		if (grown == NULL)
			return ttt__fail_memory(err, "passages");
		p->record = grown;
		p->capacity = p->capacity * 2 + 64;
	}
	status = ttt__spool_write(p->fd, bytes, n, p->end, err);
	if (status != TTT_OK)
		return status;
	p->record[p->n++] = (struct ttt__record_at){ .offset = p->end, .first_line = first_line, .source = source,
	    .n = (uint32_t)n };
	p->end += (int64_t)n;
	p->n_byte += n;
	return TTT_OK;
}

/* Spool the first n open bytes; what follows them begins the next record. */
static enum ttt_status
close_record(struct ttt__passages *p, size_t n, struct ttt_error *err)
{
	enum ttt_status status;

	if (n == 0)
		return TTT_OK;
	status = spool_record(p, p->open, n, p->source, p->open_line, err);
	if (status != TTT_OK)
		return status;
	for (size_t i = 0; i < n; i++)
		p->open_line += p->open[i] == '\n';
	memmove(p->open, p->open + n, p->n_open - n);
	p->n_open -= n;
	return trim(p, err);
}

enum ttt_status
ttt__passages_source(struct ttt__passages *p, size_t source, struct ttt_error *err)
{
	enum ttt_status status = close_record(p, p->n_open, err);

	p->source = source;
	p->line = p->open_line = 1;
	return status;
}

/* Mark the sources with kept text, and the last one. A name may have come more than once: a record is held to be of the latest source
 * that it can be of. */
static void
mark_needed(struct ttt__passages *p, const struct ttt__sources *s, size_t *mark)
{
	size_t at = s->n - 1;

	mark[at] = 1;
	for (size_t i = p->n; i > p->first; i--) {
		const char *name = s->p[p->record[i - 1].source].name;

		while (at > 0 && strcmp(s->p[at].name, name) != 0)
			at--;
		p->record[i - 1].source = at;
		mark[at] = 1;
	}
}

enum ttt_status
ttt__passages_fold(struct ttt__passages *p, struct ttt__sources *s, struct ttt_error *err)
{
	size_t *place = ttt__new(s->n, sizeof(*place)); /* in the new list; 0: in the sum that begins it */
	struct ttt__sources kept = { 0 };
	enum ttt_status status = place == NULL ? ttt__fail_memory(err, "the list of sources") : ttt__sources_add(&kept, "(earlier)", 0, err);

	if (status == TTT_OK)
		mark_needed(p, s, place);
	for (size_t i = 0; i < s->n && status == TTT_OK; i++) {
		if (place[i] == 0) {
			kept.p[0].n_byte += s->p[i].n_byte;
			continue;
		}
		status = ttt__sources_add(&kept, s->p[i].name, s->p[i].n_byte, err);
		place[i] = kept.n - 1;
	}
	if (status != TTT_OK) {
		ttt__sources_free(&kept);
		free(place);
		return status;
	}
	for (size_t i = p->first; i < p->n; i++)
		p->record[i].source = place[p->record[i].source];
	p->source = kept.n - 1;
	ttt__sources_free(s);
	*s = kept;
	free(place);
	return TTT_OK;
}

/* The open bytes are a full record: it ends after its last newline, or nowhere better than here. */
static enum ttt_status
close_full(struct ttt__passages *p, size_t full, struct ttt_error *err)
{
	const unsigned char *newline = memrchr(p->open, '\n', full);

	return close_record(p, newline != NULL ? (size_t)(newline - p->open) + 1 : full, err);
}

enum ttt_status
ttt__passages_add(struct ttt__passages *p, const void *bytes, size_t n, struct ttt_error *err)
{
	const unsigned char *at = bytes;
	size_t full = record_max(p);
	enum ttt_status status = TTT_OK;

	while (n > 0 && status == TTT_OK) {
		size_t part;

		/* a full record is closed when the next byte comes: only then is it known that there is one */
		if (p->n_open >= full) {
			status = close_full(p, full, err);
			continue;
		}
		part = full - p->n_open < n ? full - p->n_open : n;
		memcpy(p->open + p->n_open, at, part);
		p->n_open += part;
		for (size_t i = 0; i < part; i++)
			p->line += at[i] == '\n';
		at += part;
		n -= part;
	}
	return status == TTT_OK ? trim(p, err) : status;
}

enum ttt_status
ttt__passages_append(struct ttt__passages *p, size_t source, int64_t first_line, const void *bytes, size_t n, bool open,
    struct ttt_error *err)
{
	enum ttt_status status = TTT_OK;

	if (!open)
		status = spool_record(p, bytes, n, source, first_line, err);
	else {
		memcpy(p->open, bytes, n);
		p->n_open = n;
		p->open_line = first_line;
	}
	p->source = source;
	return status == TTT_OK ? trim(p, err) : status;
}

size_t
ttt__passages_count(const struct ttt__passages *p)
{
	return p->n - p->first + (p->n_open > 0);
}

size_t
ttt__passages_size(const struct ttt__passages *p)
{
	return p->n_byte + p->n_open;
}

enum ttt_status
ttt__passages_read(const struct ttt__passages *p, size_t i, struct ttt__record_at *r, unsigned char *out,
    struct ttt_error *err)
{
	if (i < p->n - p->first) {
		*r = p->record[p->first + i];
		return ttt__spool_read(p->fd, out, r->n, r->offset, err);
	}
	*r = (struct ttt__record_at){ .first_line = p->open_line, .source = p->source, .n = (uint32_t)p->n_open };
	memcpy(out, p->open, p->n_open);
	return TTT_OK;
}
