#include "libttt/use/definition.h"
#include "libttt/use/cues.h"

#include <ctype.h>
#include <string.h>

enum {
	WORD = 16,     /* more than the longest word of the lists */
	TYPE_WORDS = 6 /* before a name; more is a sentence */
};

/* What asks for a definition. */
static const char *const asking[] = {"declaration", "declarations", "declare", "declared", "declares", "def", "define", "defined", "defines",
    "definition", "definitions", "implementation", "implemented", "implements", NULL};
/* What a symbol is said to be. */
static const char *const kinds[] = {"class", "code", "constant", "enum", "file", "fn", "func", "function", "header", "interface", "macro", "method",
    "module", "package", "script", "source", "struct", "sub", "subroutine", "trait", "type", "typedef", "union", "variable", NULL};
/* What stands before the name that it defines. */
static const char *const before_name[] = {"class", "def", "define", "enum", "fn", "func", "function", "interface", "macro_rules!", "module",
    "namespace", "package", "struct", "sub", "trait", "type", "typedef", "union", NULL};
/* What may stand before a call as a type stands before a function's name. */
static const char *const no_type[] = {"await", "case", "else", "elif", "goto", "if", "in", "is", "and", "or", "not", "new", "raise", "return",
    "sizeof", "throw", "while", "yield", NULL};

static bool
listed(const char *const *list, const char *p, size_t n)
{
	for (; *list != NULL; list++)
		if (strlen(*list) == n && memcmp(*list, p, n) == 0)
			return true;
	return false;
}

/* The next word at or behind p, in lower case where it is short enough to be in a list; false: there is none. */
static bool
next_word(const char *p, struct ttt__span *word, char low[WORD])
{
	while (*p != '\0' && !ttt__is_symbol_byte(*p))
		p++;
	*word = (struct ttt__span){.p = p};
	while (ttt__is_symbol_byte(p[word->n]))
		word->n++;
	for (size_t i = 0; i < WORD; i++)
		low[i] = i < word->n && word->n < WORD ? (char)tolower((unsigned char)p[i]) : '\0';
	return word->n > 0;
}

void
ttt__wanted_read(struct ttt__wanted *w, const char *question)
{
	bool asked = false;
	int n_symbol = 0;
	struct ttt__span word;
	char low[WORD];

	*w = (struct ttt__wanted){0};
	for (const char *p = question; next_word(p, &word, low); p = word.p + word.n) {
		size_t n = strlen(low);

		asked = asked || listed(asking, low, n);
		if (word.n < 2 || listed(asking, low, n) || listed(kinds, low, n) || (n > 0 && ttt__stop_word(low, n)))
			continue;
		if (n_symbol < TTT__SYMBOL_MAX)
			w->symbol[n_symbol] = word;
		n_symbol++;
	}
	if (asked || n_symbol == 1)
		w->n = n_symbol < TTT__SYMBOL_MAX ? n_symbol : TTT__SYMBOL_MAX;
}

static const char *
skip_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return p;
}

/* The word that ends where p stands, but for blanks and what marks pointers; n 0: none. */
static struct ttt__span
word_before(const char *line, const char *p)
{
	const char *end;

	while (p > line && strchr(" \t*&", p[-1]) != NULL)
		p--;
	for (end = p; p > line && (ttt__is_symbol_byte(p[-1]) || p[-1] == '!');)
		p--;
	return (struct ttt__span){p, (size_t)(end - p)};
}

/* Nothing but words and marks of types stand before the name: no call, no access to a member, no assignment, no sentence. */
static bool
only_types(const char *line, const char *name, bool templates)
{
	int n_word = 0;

	for (const char *p = line; p < name; p++)
		if (*p == ':' && p[1] == ':')
			p++;
		else if (*p == ' ' && p > line && p[-1] != ' ')
			n_word++;
		else if (!ttt__is_symbol_byte(*p) && strchr(templates ? " \t*&$@<>,[]" : " \t*&$@", *p) == NULL)
			return false;
	return n_word <= TYPE_WORDS;
}

/* Does the list of parameters that begins at p go over into a body? */
static bool
has_body(const char *p, const char *stop)
{
	int depth = 0;

	for (; p < stop; p++) {
		depth += (*p == '(') - (*p == ')');
		if (depth == 0 && *p != ')')
			break;
	}
	while (p < stop && (isspace((unsigned char)*p) || ttt__is_symbol_byte(*p))) /* "const", "noexcept" */
		p++;
	return p < stop && *p == '{';
}

/* Does a keyword before a name that ends at q define it? "struct x *y;" and "struct x;" use it. next: the first byte behind the name that is
 * not blank, or 0. */
static bool
keyword_defines(const struct ttt__span *keyword, bool first, const char *q, const char *end, char next)
{
	static const char *const units[] = {"module", "namespace", "package", NULL}; /* "package X;" */

	if (next == '=' || (keyword->n == 6 && memcmp(keyword->p, "define", 6) == 0))
		return true;
	if (next == ';')
		return first && listed(units, keyword->p, keyword->n);
	return (next == '\0' || strchr("{(:<[", next) != NULL) && (end[-1] != ';' || memchr(q, '{', (size_t)(end - q)) != NULL);
}

/* Does the line, of which the name stands from p to q, define it? stop: where the text ends. */
static bool
defines_at(const char *line, const char *end, const char *p, const char *q, const char *stop)
{
	const char *after = skip_blanks(q, end);
	char next = '\0', last = end[-1];
	struct ttt__span before = word_before(line, p);
	bool touches = before.n > 0 && before.p + before.n == p, typed;

	if (after < end)
		next = *after;
	if (before.n > 0 && !touches && listed(before_name, before.p, before.n))
		return keyword_defines(&before, before.p == line, q, end, next);
	if (next == ';' && (*line == '}' || (end - line > 8 && memcmp(line, "typedef ", 8) == 0)))
		return true;
	typed = only_types(line, p, last == '{' || next == '=' || next == '[') && !listed(no_type, before.p, before.n);
	if (next == '(')
		return typed && (last == '{' || (ttt__is_symbol_byte(*line) && has_body(after, stop)));
	if (next == '=' || (next == ':' && after + 1 < end && after[1] == '='))
		return typed && ttt__is_symbol_byte(*line) && !(after + 1 < end && next == '=' && after[1] == '=');
	return next == '[' && typed && before.n > 0 && ttt__is_symbol_byte(*line) && memchr(after, '=', (size_t)(end - after)) != NULL;
}

static bool
line_defines(const char *line, size_t n, const char *stop, const struct ttt__span *symbol)
{
	const char *end = line + n;

	while (end > line && isspace((unsigned char)end[-1]))
		end--;
	for (const char *p = line; (size_t)(end - p) >= symbol->n; p++) {
		const char *q;

		p = memchr(p, *symbol->p, (size_t)(end - p) - symbol->n + 1);
		if (p == NULL)
			return false;
		q = p + symbol->n;
		if (memcmp(p, symbol->p, symbol->n) == 0 && (p == line || !ttt__is_symbol_byte(p[-1])) && (q == end || !ttt__is_symbol_byte(*q)))
			return defines_at(line, end, p, q, stop);
	}
	return false;
}

bool
ttt__defines(const struct ttt__wanted *w, const char *text, size_t n, size_t n_all)
{
	const char *end = text + n;

	for (const char *at = text; at < end && w->n > 0;) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((stop != NULL ? stop : end) - at);

		for (int i = 0; i < w->n; i++)
			if (line_defines(at, len, text + n_all, &w->symbol[i]))
				return true;
		at += len + 1;
	}
	return false;
}
