/* Messages: one line each, on stderr, under the program's name. */
#include "tools/tool.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Code point of the UTF-8 sequence at p [n] and its length, or a length of 0 when there is none. */
static size_t
decode(const unsigned char *p, size_t n, unsigned *code)
{
	static const unsigned least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t want = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

	if (want == 0 || want > n)
		return 0;
	*code = want == 1 ? p[0] : p[0] & (0x7fU >> want);
	for (size_t i = 1; i < want; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (p[i] & 0x3fU);
	}
	return want > 1 && (*code < least[want] || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000)) ? 0 : want;
}

size_t
tool_character(const char *p, size_t n)
{
	unsigned code;

	return decode((const unsigned char *)p, n, &code);
}

/* Controls, and marks that turn the direction of writing: text that would look like other text. */
static bool
misleads(unsigned code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x061c || code == 0x200e || code == 0x200f ||
	    (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

static void
write_visible(FILE *f, const char *text, size_t n, const char *kept)
{
	const unsigned char *p = (const unsigned char *)text;

	for (size_t i = 0; i < n;) {
		unsigned code;
		size_t len = decode(p + i, n - i, &code);

		if (len == 0)
			fprintf(f, "\\x%02x", p[i]);
		else if (misleads(code) && (code == 0 || code > 0x7f || strchr(kept, (int)code) == NULL))
			fprintf(f, code < 0x100 ? "\\x%02x" : "\\u%04x", code);
		else
			fwrite(p + i, 1, len, f);
		i += len == 0 ? 1 : len;
	}
}

void
tool_write_visible(FILE *f, const char *text, size_t n)
{
	write_visible(f, text, n, "");
}

void
tool_write_text(FILE *f, const char *text, size_t n)
{
	write_visible(f, text, n, "\t\n");
}

void
tool_write_json(FILE *f, const char *text, size_t n)
{
	const unsigned char *p = (const unsigned char *)text;

	putc('"', f);
	for (size_t i = 0; i < n;) {
		unsigned code;
		size_t len = decode(p + i, n - i, &code);

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
		else if (misleads(code))
			fprintf(f, "\\u%04x", code);
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
