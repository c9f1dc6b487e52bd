/* Lines that are too long to be read, as in minified or generated files: the part of one that a question is about. */
#include "tools/ask.h"
#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { BEFORE = 100, WORD = 4 }; /* bytes shown before a word of the question; bytes of a word that tells something */

static size_t
word_length(const char *p)
{
	size_t n = 0;

	while (isalnum((unsigned char)p[n]) || p[n] == '_' || (unsigned char)p[n] >= 0x80)
		n++;
	return n;
}

/* The first place in the line where a word of the question stands, in capitals or not; n where none does. */
static size_t
find_word(const char *line, size_t n, const char *question)
{
	size_t found = n;

	for (size_t len; *question != '\0'; question += len > 0 ? len : 1) {
		len = word_length(question);
		if (len < WORD)
			continue;
		for (size_t i = 0; i < found && i + len <= n; i++)
			if (strncasecmp(line + i, question, len) == 0)
				found = i;
	}
	return found;
}

const char *
ask_excerpt(const char *line, size_t n, const char *question, size_t *n_shown)
{
	size_t from = 0, to = n;

	if (n > ASK_LINE) {
		size_t at = find_word(line, n, question);

		if (at < n && at > BEFORE)
			from = at - BEFORE;
		if (n - from < ASK_LINE)
			from = n - ASK_LINE;
		to = from + ASK_LINE;
		/* not in the middle of a character */
		while (from < to && ((unsigned char)line[from] & 0xc0) == 0x80)
			from++;
		while (to > from && to < n && ((unsigned char)line[to] & 0xc0) == 0x80)
			to--;
	}
	*n_shown = to - from;
	return line + from;
}
