/* Token ids as text. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "libttt/base.h"

static bool
is_blank(int c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static enum ttt_status
bad_character(const char *label, int64_t line, int c, struct ttt_error *err)
{
	if (c > 0x20 && c < 0x7f)
		return ttt__fail(err, TTT_E_FORMAT, "%s: line %" PRId64 ": '%c' is in no token id", label, line, c);
	return ttt__fail(err, TTT_E_FORMAT, "%s: line %" PRId64 ": byte 0x%02x is in no token id", label, line,
	    (unsigned)c);
}

/* One id whose first digit is c; the character after it goes back to *next. */
static enum ttt_status
read_id(FILE *f, int c, int *next, int32_t *id, const char *label, int64_t line, int64_t n_vocab, struct ttt_error *err)
{
	int64_t x = 0;

	for (; c >= '0' && c <= '9'; c = getc(f))
		if (x < INT32_MAX)
			x = x * 10 + (c - '0');
	*next = c;
	if (c != EOF && c != '\n' && !is_blank(c))
		return bad_character(label, line, c, err);
	if (x >= n_vocab || x > INT32_MAX)
		return ttt__fail(err, TTT_E_RANGE,
		    "%s: line %" PRId64 ": token %s%" PRId64 " is outside the vocabulary, 0 .. %" PRId64,
		    label, line, x >= INT32_MAX ? "of at least " : "", x, n_vocab - 1);
	*id = (int32_t)x;
	return TTT_OK;
}

enum ttt_status
ttt_ids_read_line(FILE *f, const char *label, int64_t *line, int64_t n_vocab, struct ttt_ids *out, bool *more,
    struct ttt_error *err)
{
	enum ttt_status status = TTT_OK;
	int32_t id = 0;
	int c = getc(f);

	out->n = 0;
	++*line;
	/* a blank line is no document: the next one is read */
	while (status == TTT_OK && c != EOF && (c != '\n' || out->n == 0)) {
		if (c == '\n')
			++*line;
		if (c == '\n' || is_blank(c)) {
			c = getc(f);
			continue;
		}
		if (c < '0' || c > '9')
			return bad_character(label, *line, c, err);
		status = read_id(f, c, &c, &id, label, *line, n_vocab, err);
		if (status == TTT_OK)
			status = ttt__ids_add(out, id, err);
	}
	if (status == TTT_OK && ferror(f))
		status = ttt__fail(err, TTT_E_IO, "%s: cannot read: %s", label, strerror(errno));
	*more = out->n > 0;
	return status;
}
