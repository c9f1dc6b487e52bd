/* Cutting text into passage units. A blank line is where a reader would cut, so a unit ends at the first blank line
 * once it has CLOSE_LINES; in text without blank lines it ends after UNIT_LINES. Bounds in bytes keep lines that
 * are paragraphs, or worse, from making passages that nobody reads. */
#include "libttt/use/units.h"
#include "libttt/state/passages.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	CLOSE_LINES = 14,
	UNIT_LINES = 20,
	UNIT_BYTES = 2400,
	UNION_LINES = 40,
	UNION_BYTES = 4800,
};

const char *
ttt__corpus_name(const struct ttt__corpus *c, int32_t file)
{
	return (const char *)c->names.p + c->file[file].name;
}

void
ttt__corpus_free(struct ttt__corpus *c)
{
	ttt__bytes_free(&c->text);
	ttt__bytes_free(&c->names);
	free(c->file);
	free(c->unit);
	memset(c, 0, sizeof(*c));
}

static int64_t
count_newlines(const char *text, size_t n)
{
	int64_t count = 0;

	for (const char *p = text, *end = text + n; (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
		count++;
	return count;
}

static enum ttt_status
open_file(struct ttt__corpus_file **out, struct ttt__corpus *c, const char *name, int64_t first_line,
    struct ttt_error *err)
{
	struct ttt__corpus_file *f;
	enum ttt_status s;

	if (c->n_file == INT32_MAX)
		return ttt__fail(err, TTT_E_MEMORY, "more than %d sources", INT32_MAX);
	if (c->file == NULL || c->n_file == c->capacity_file) {
		int64_t capacity = c->capacity_file == 0 ? 64 : 2 * c->capacity_file;

		f = ttt__grow(c->file, (size_t)capacity, sizeof(*f));
		if (f == NULL)
			return ttt__fail_memory(err, "the list of sources");
		c->file = f;
		c->capacity_file = capacity;
	}
	f = &c->file[c->n_file];
	*f = (struct ttt__corpus_file){ .name = c->names.n, .text = c->text.n, .line = first_line,
	    .line_end = first_line };
	s = ttt__bytes_add(&c->names, name, strlen(name) + 1, err);
	if (s == TTT_OK) {
		c->n_file++;
		*out = f;
	}
	return s;
}

enum ttt_status
ttt__corpus_add(struct ttt__corpus *c, const char *name, int64_t first_line, const char *text, size_t n,
    struct ttt_error *err)
{
	struct ttt__corpus_file *f = c->file == NULL || c->n_file == 0 ? NULL : &c->file[c->n_file - 1];
	enum ttt_status s;

	if (n == 0)
		return TTT_OK;
	/* a line goes on in the next record only where the one before was full; else another text of this name begins */
	if (f == NULL || f->line_end != first_line || (first_line == 1 && f->n_byte % TTT__RECORD_MAX != 0) ||
	    strcmp(ttt__corpus_name(c, (int32_t)c->n_file - 1), name) != 0) {
		f = NULL;
		s = open_file(&f, c, name, first_line, err);
		if (f == NULL)
			return s;
	}
	s = ttt__bytes_add(&c->text, text, n, err);
	if (s != TTT_OK)
		return s;
	f->n_byte += n;
	f->line_end += count_newlines(text, n);
	return TTT_OK;
}

bool
ttt__is_blank(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != ' ' && p[i] != '\t' && p[i] != '\n' && p[i] != '\r' && p[i] != '\f')
			return false;
	return true;
}

static enum ttt_status
add_unit(struct ttt__corpus *c, const struct ttt__unit *u, struct ttt_error *err)
{
	if (u->n_line == 0)
		return TTT_OK;
	if (c->n == c->capacity) {
		int64_t capacity = c->capacity == 0 ? 1024 : c->capacity + c->capacity / 2;
		struct ttt__unit *p = ttt__grow(c->unit, (size_t)capacity, sizeof(*p));

		if (p == NULL)
			return ttt__fail_memory(err, "the list of passages");
		c->unit = p;
		c->capacity = capacity;
	}
	c->unit[c->n++] = *u;
	return TTT_OK;
}

static enum ttt_status
cut_file(struct ttt__corpus *c, int32_t file, struct ttt_error *err)
{
	const struct ttt__corpus_file *f = &c->file[file];
	const char *text = (const char *)c->text.p;
	size_t at = f->text, end = f->text + f->n_byte;
	struct ttt__unit u = { .offset = at, .line = f->line, .file = file };

	while (at < end) {
		const char *q = memchr(text + at, '\n', end - at);
		size_t next = q == NULL ? end : (size_t)(q - text) + 1;
		bool blank = ttt__is_blank(text + at, next - at);

		if (next - at > UINT32_MAX / 2)
			return ttt__fail(err, TTT_E_FORMAT, "%s: line %" PRId64 " is longer than 2 GB",
			    ttt__corpus_name(c, file), u.line + u.n_line);
		u.n_byte += (uint32_t)(next - at);
		u.n_line++;
		at = next;
		if ((blank && u.n_line >= CLOSE_LINES) || u.n_line >= UNIT_LINES || u.n_byte >= UNIT_BYTES) {
			enum ttt_status s = add_unit(c, &u, err);

			if (s != TTT_OK)
				return s;
			u = (struct ttt__unit){ .offset = at, .line = u.line + u.n_line, .file = file };
		}
	}
	return add_unit(c, &u, err);
}

enum ttt_status
ttt__corpus_cut(struct ttt__corpus *c, struct ttt_error *err)
{
	c->n = 0;
	for (int32_t i = 0; i < (int32_t)c->n_file; i++) {
		enum ttt_status s = cut_file(c, i, err);

		if (s != TTT_OK)
			return s;
	}
	return TTT_OK;
}

bool
ttt__corpus_joins(const struct ttt__corpus *c, int64_t i)
{
	const struct ttt__unit *a = &c->unit[i], *b = a + 1;

	return i + 1 < c->n && a->file == b->file && a->n_line + b->n_line <= UNION_LINES &&
	    a->n_byte + b->n_byte <= UNION_BYTES;
}
