/* ttt-digest --accept: the lines of a report, as text or as JSON Lines, were as they should be. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "libttt/file.h"
#include "libttt/text/names.h"
#include "tools/digest.h"

enum { REPORT_BYTES = 256 << 20 };

static int
accept_text(struct digest *d, const char *text, size_t n)
{
	const char *newline = n > 0 ? memchr(text, '\n', n) : NULL;
	struct ttt_error err;

	/* what is no line of a log by itself was not reported as one: JSON made by others, or text that grew in being made UTF-8 */
	n = newline != NULL ? (size_t)(newline - text) : n;
	n = n > DIGEST_LINE ? DIGEST_LINE : n;
	return ttt_digest_accept(d->d, text, n, &err) == TTT_OK ? TOOL_DONE : tool_fail(d->t, &err);
}

/* The n hexadecimal digits at p as a number, or -1. */
static int
hex_number(const char *p, int n)
{
	int value = 0;

	for (int i = 0; i < n; i++) {
		int digit = ttt__hex_digit(p[i]);

		if (digit < 0)
			return -1;
		value = 16 * value + digit;
	}
	return value;
}

/* What tool_write_visible made of control characters and marks, back; in place. text ends with a NUL. */
static size_t
unescape(char *text, size_t n)
{
	size_t out = 0;

	for (size_t i = 0; i < n;) {
		int byte = text[i] == '\\' && text[i + 1] == 'x' ? hex_number(text + i + 2, 2) : -1;
		int mark = text[i] == '\\' && text[i + 1] == 'u' ? hex_number(text + i + 2, 4) : -1;

		if (byte >= 0) {
			text[out++] = (char)byte;
			i += 4;
		} else if (mark >= 0x800) {
			text[out++] = (char)(0xe0 | mark >> 12);
			text[out++] = (char)(0x80 | (mark >> 6 & 0x3f));
			text[out++] = (char)(0x80 | (mark & 0x3f));
			i += 6;
		} else {
			text[out++] = text[i++];
		}
	}
	return out;
}

/* Take out what marks words in a coloured row: an escape of the line itself never stands in a row as it is. */
static void
drop_color(char *row)
{
	char *out = row;

	for (const char *at = row; *at != '\0';)
		if (strncmp(at, "\033[1m", 4) == 0 || strncmp(at, "\033[0m", 4) == 0)
			at += 4;
		else
			*out++ = *at++;
	*out = '\0';
}

/* Where the line begins in FILE:LINE:SCORE: TEXT; NULL: it is no row. */
static char *
row_text(char *row)
{
	for (char *at = strchr(row, ':'); at != NULL; at = strchr(at + 1, ':')) {
		char *end = at + 1 + strspn(at + 1, "0123456789"), *score = end + 1, *after;

		if (end == at + 1 || *end != ':')
			continue;
		after = score + strspn(score, "0123456789.");
		if (after > score && after[0] == ':' && after[1] == ' ')
			return after + 2;
	}
	return NULL;
}

/* Does the row, of which n bytes are text, end where digest-report.c cut it? A mail's is cut in whole characters. */
static bool
is_cut(const char *row, const char *text, size_t n)
{
	size_t all = (size_t)(text - row) + n;

	return n > 3 && memcmp(text + n - 3, "...", 3) == 0 && (n >= DIGEST_TEXT + 3 || (all > DIGEST_MAIL - 4 && all <= DIGEST_MAIL));
}

/* The line as it is, and where something in it was made visible also as it was. */
static int
accept_row(struct digest *d, const char *row, char *text, int64_t *n_accepted)
{
	static const char alike[] = " alike)";
	size_t n = strlen(text);
	int status;

	if (n > strlen(alike) && strcmp(text + n - strlen(alike), alike) == 0) {
		char *open = memrchr(text, '(', n);

		if (open != NULL && open - text >= 2 && open[-1] == ' ' && open[-2] == ' ')
			n = (size_t)(open - text) - 2;
	}
	if (is_cut(row, text, n)) {
		tool_error(d->t, "%s: a row was shown cut, and is not learned: accept it from --json", d->accept);
		d->n_failed++;
		return TOOL_DONE;
	}
	++*n_accepted;
	status = accept_text(d, text, n);
	if (status == TOOL_DONE && memchr(text, '\\', n) != NULL) {
		n = unescape(text, n);
		if (memchr(text, '\n', n) == NULL) /* else that stood there as it is shown */
			status = accept_text(d, text, n);
	}
	return status;
}

static int
accept_line(struct digest *d, char *line, int64_t *n_accepted)
{
	json_t *row = line[0] == '{' ? json_loads(line, JSON_ALLOW_NUL, NULL) : NULL;
	const json_t *text = json_object_get(row, "text");
	char *plain = NULL;
	int status = TOOL_DONE;

	if (row == NULL) {
		drop_color(line);
		plain = row_text(line);
	}
	if (json_is_string(text))
		status = accept_text(d, json_string_value(text), json_string_length(text));
	else if (plain != NULL)
		status = accept_row(d, line, plain, n_accepted);
	*n_accepted += json_is_string(text);
	json_decref(row);
	return status;
}

int
digest_accept(struct digest *d)
{
	struct ttt_error err;
	struct ttt__bytes b = {0};
	int64_t n_accepted = 0;
	int status = TOOL_DONE;
	bool empty;

	if (strcmp(d->accept, "-") == 0) {
		char part[65536];
		size_t n;

		while ((n = fread(part, 1, sizeof(part), stdin)) > 0 && b.n < REPORT_BYTES && status == TOOL_DONE)
			if (ttt__bytes_add(&b, part, n, &err) != TTT_OK)
				status = tool_fail(d->t, &err);
		if (ferror(stdin)) {
			tool_error(d->t, "-: cannot read: %s", strerror(errno));
			status = TOOL_TROUBLE;
		}
	} else if (ttt__file_read(&b, d->accept, REPORT_BYTES, &err) != TTT_OK) {
		status = tool_fail(d->t, &err);
	}
	if (status == TOOL_DONE && ttt__bytes_add(&b, "\n", 2, &err) != TTT_OK) /* with a NUL behind it */
		status = tool_fail(d->t, &err);
	for (char *line = (char *)b.p, *end; status == TOOL_DONE && line < (char *)b.p + b.n - 1; line = end + 1) {
		end = memchr(line, '\n', (size_t)((char *)b.p + b.n - line));
		*end = '\0';
		status = accept_line(d, line, &n_accepted);
	}
	empty = b.n == 2; /* a run that had nothing to report */
	ttt__bytes_free(&b);
	if (status == TOOL_DONE && n_accepted == 0 && d->n_failed == 0 && !empty) {
		tool_error(d->t, "%s: has no rows of a report, which are lines, also as JSON (jq -c)", d->accept);
		return TOOL_TROUBLE;
	}
	if (status == TOOL_DONE)
		tool_note(d->t, "%lld rows accepted", (long long)n_accepted);
	return status;
}
