#include "libttt/use/severity.h"
#include "libttt/text/mask.h"

#include <string.h>

/* Beginnings of words in lower case; those that end with '.' are whole words. */
static const char *const beginnings[] = {"abort", "alert", "attack", "bad.", "broken", "cannot", "corrupt", "crit.", "critical", "denied", "deny.",
    "died", "emerg", "err.", "error", "exceed", "exception", "exhausted", "fail", "fatal", "forbidden", "illegal", "invalid", "killed", "lost.",
    "mismatch", "oops", "overflow", "panic", "refuse", "reject", "segfault", "severe", "timed", "timeout", "unable", "unauthori", "unreachable",
    "violat", "warn"};

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
begins(const char *word, size_t n, const char *with)
{
	size_t size = strlen(with);
	bool whole = with[size - 1] == '.';

	size -= whole;
	if (n < size || (whole && n != size))
		return false;
	for (size_t i = 0; i < size; i++)
		if ((word[i] | 0x20) != with[i])
			return false;
	return true;
}

bool
ttt__line_severe(const char *line, size_t n)
{
	size_t at = 0;

	while (at < n) {
		size_t word = 0, color = ttt__escape_length(line + at, n - at);

		if (color > 0) { /* its letter begins no word */
			at += color;
			continue;
		}
		while (at + word < n && is_letter(line[at + word]))
			word++;
		for (size_t i = 0; word > 2 && i < sizeof(beginnings) / sizeof(*beginnings); i++)
			if (begins(line + at, word, beginnings[i]))
				return true;
		at += word + 1;
	}
	return false;
}
