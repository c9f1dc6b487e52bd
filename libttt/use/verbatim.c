/* Matching a question's own bytes. */
#include "libttt/use/verbatim.h"
#include "libttt/use/cues.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { LEAST = 4 }; /* bytes of what is looked for */

/* Without the bytes at both ends that belong to no word. */
static struct ttt__span
trimmed(const char *p, size_t n)
{
	while (n > 0 && !ttt__is_symbol_byte(p[n - 1]))
		n--;
	while (n > 0 && !ttt__is_symbol_byte(*p))
		p++, n--;
	return (struct ttt__span){p, n};
}

static bool
is_compound(const struct ttt__span *word)
{
	for (size_t i = 0; i < word->n; i++)
		if (!ttt__is_symbol_byte(word->p[i]) && word->p[i] != '\'')
			return word->n >= LEAST;
	return false;
}

void
ttt__verbatim_read(struct ttt__verbatim *v, const char *question)
{
	static const char blank[] = " \t\r\n";
	size_t n;

	*v = (struct ttt__verbatim){.whole = trimmed(question, strlen(question))};
	if (v->whole.n < LEAST || strcspn(v->whole.p, " .:-/") >= v->whole.n)
		v->whole.n = 0;
	for (const char *p = question + strspn(question, blank); *p != '\0'; p += n + strspn(p + n, blank)) {
		struct ttt__span word;

		n = strcspn(p, blank);
		word = trimmed(p, n);
		if (v->n_compound < TTT__COMPOUND_MAX && is_compound(&word))
			v->compound[v->n_compound++] = word;
	}
}

bool
ttt__verbatim_any(const struct ttt__verbatim *v)
{
	return v->whole.n > 0 || v->n_compound > 0;
}

/* Does what stand in text, not as a part of a longer word? */
static bool
stands_in(const struct ttt__span *what, const char *text, size_t n)
{
	int first = tolower((unsigned char)*what->p);

	for (size_t i = 0; i + what->n <= n; i++) {
		size_t end = i + what->n;

		if (tolower((unsigned char)text[i]) != first || strncasecmp(text + i, what->p, what->n) != 0)
			continue;
		if ((i == 0 || !ttt__is_symbol_byte(text[i - 1])) && (end == n || !ttt__is_symbol_byte(text[end])))
			return true;
	}
	return false;
}

double
ttt__verbatim_in(const struct ttt__verbatim *v, const char *name, const char *text, size_t n)
{
	int n_asked = 0, n_has = 0;

	if (v->whole.n > 0 && stands_in(&v->whole, text, n))
		return 1;
	for (int i = 0; i < v->n_compound; i++) {
		if (stands_in(&v->compound[i], name, strlen(name)))
			continue;
		n_asked++;
		n_has += stands_in(&v->compound[i], text, n);
	}
	return n_asked == 0 ? 0 : 0.5 * n_has / n_asked;
}
