#include "libttt/use/named.h"
#include "libttt/file.h"
#include "libttt/use/cues.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool
is_name_byte(char c)
{
	return ttt__is_symbol_byte(c) || c == '-' || c == '/';
}

/* p without the word of the list that ends there and the blanks before it; NULL: none does. */
static const char *
behind_word(const char *text, const char *p, const char *const *words)
{
	for (; *words != NULL; words++) {
		size_t n = strlen(*words);

		if ((size_t)(p - text) < n || strncasecmp(p - n, *words, n) != 0 || ((size_t)(p - text) > n && p[-(ptrdiff_t)n - 1] != ' '))
			continue;
		for (p -= n; p > text && p[-1] == ' ';)
			p--;
		return p;
	}
	return NULL;
}

/* Is it the contents of what p names that are asked for? Else it may be about the file: "where is lock.h included?" */
static bool
asked_in(const char *text, const char *p)
{
	static const char *const words[] = {"in", "inside", "within", "from", "of", "does", "explain", "describe", NULL};
	static const char *const articles[] = {"the", "my", "our", "this", "that", "file", NULL};
	const char *before;

	while (p > text && p[-1] != ' ') /* quotes, "./" */
		p--;
	while (p > text && p[-1] == ' ')
		p--;
	while ((before = behind_word(text, p, articles)) != NULL)
		p = before;
	return behind_word(text, p, words) != NULL;
}

bool
ttt__asks_for_file(const char *question, const char *name)
{
	const char *base = ttt__path_name(name);
	size_t n = strlen(base);

	if (n < 3 || (strchr(base, '.') == NULL && !isupper((unsigned char)*base)))
		return false;
	if (strcmp(question, base) == 0 || strcmp(question, name) == 0)
		return true;
	for (const char *at = strstr(question, base); at != NULL; at = strstr(at + 1, base)) {
		const char *p = at, *q = base;

		if (is_name_byte(at[n]) || (at[n] == '.' && is_name_byte(at[n + 1]))) /* a dot behind it may be a full stop */
			continue;
		while (p > question && q > name && p[-1] == q[-1])
			p--, q--;
		if ((p == question || (!is_name_byte(p[-1]) && p[-1] != '.') || (q == name && p[-1] == '/')) && asked_in(question, p))
			return true;
	}
	return false;
}
