/* Messages: one line each, on stderr, under the program's name. */
#include "tools/tool.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void
tool_write_visible(FILE *f, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x20 || c == 0x7f)
			fprintf(f, "\\x%02x", c);
		else
			putc(c, f);
	}
}

/* Length of the well-formed UTF-8 sequence at p [n], 0 when there is none (RFC 3629). */
static size_t
utf8_length(const unsigned char *p, size_t n)
{
	size_t want = 0;

	if (p[0] < 0x80)
		want = 1;
	else if (p[0] >= 0xc2 && p[0] <= 0xf4)
		want = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

	if (want == 0 || want > n)
		return 0;
	for (size_t i = 1; i < want; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
	    (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return want;
}

void
tool_write_json(FILE *f, const char *text, size_t n)
{
	const unsigned char *p = (const unsigned char *)text;

	putc('"', f);
	for (size_t i = 0; i < n;) {
		size_t len = utf8_length(p + i, n - i);

		if (len == 0) {
			fputs("\xef\xbf\xbd", f);
			i++;
			continue;
		}
		if (p[i] == '"' || p[i] == '\\')
			fprintf(f, "\\%c", p[i]);
		else if (p[i] == '\n')
			fputs("\\n", f);
		else if (p[i] == '\t')
			fputs("\\t", f);
		else if (p[i] < 0x20 || p[i] == 0x7f)
			fprintf(f, "\\u%04x", p[i]);
		else
			fwrite(p + i, 1, len, f);
		i += len;
	}
	putc('"', f);
}

static void say(struct tool *t, const char *kind, const char *fmt, va_list ap) TOOL_PRINTF(3, 0);

static void
say(struct tool *t, const char *kind, const char *fmt, va_list ap)
{
	char text[1024];
	int n = vsnprintf(text, sizeof(text), fmt, ap);

	if (n < 0)
		return;
	if (t->line_shown)
		fputs("\r\033[K", stderr);
	t->line_shown = false;
	fprintf(stderr, "%s: %s%s", t->name, kind, text[0] == ':' ? "''" : ""); /* a name may be empty */
	tool_write_visible(stderr, text, strlen(text));
	putc('\n', stderr);
	fflush(stderr);
}

void
tool_error(struct tool *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(t, "", fmt, ap);
	va_end(ap);
}

void
tool_hint(struct tool *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(t, "hint: ", fmt, ap);
	va_end(ap);
}

void
tool_note(struct tool *t, const char *fmt, ...)
{
	va_list ap;

	if (t->quiet)
		return;
	va_start(ap, fmt);
	say(t, "", fmt, ap);
	va_end(ap);
}

void
tool_verbose(struct tool *t, const char *fmt, ...)
{
	va_list ap;

	if (t->verbose == 0)
		return;
	va_start(ap, fmt);
	say(t, "", fmt, ap);
	va_end(ap);
}

void
tool_input_note(void *ctx, const char *text)
{
	tool_note(ctx, "%s", text);
}

int
tool_fail(struct tool *t, const struct ttt_error *err)
{
	tool_error(t, "%s", err->text);
	if (err->hint[0] != '\0')
		tool_hint(t, "%s", err->hint);
	return err->status == TTT_E_LOCKED ? TOOL_LOCKED : TOOL_TROUBLE;
}

_Noreturn void
tool_usage_error(struct tool *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(t, "", fmt, ap);
	va_end(ap);
	tool_hint(t, "'%s --help' lists the options", t->name);
	exit(tool_finish(t, TOOL_TROUBLE));
}
