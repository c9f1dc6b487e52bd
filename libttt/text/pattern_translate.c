/* From Oniguruma's syntax (Ruby flavour, what tokenizer.json is written for) to PCRE2's. The two agree on little more
 * than this file takes: \s is Unicode White_Space in one and a slightly larger set in the other, \w differs, \h and \v
 * mean other things, ^ and $ are anchors of lines in one, a{1,3}+ is possessive in the other only. What could be read
 * two ways is rewritten in explicit form; what is left is an error. */
#include "libttt/text/pattern.h"

#include <ctype.h>
#include <string.h>

enum {
	REGEX_MAX = 1 << 16,
	NEST_MAX = 64
};

struct reader {
	const unsigned char *p;
	size_t n, i;
	size_t depth;      /* of parentheses */
	size_t caseless;   /* depth at which a (?i: was opened; 0: not inside one */
	uint32_t literal;  /* the character before this one, where it was a plain one */
	struct ttt__bytes *out;
	const char *label;
	struct ttt_error *err;
};

/* White_Space of Unicode, and its complement, as members of a bracket expression. */
static const char SPACE[] =
    "\\t-\\r\\x20\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}";
static const char NOT_SPACE[] = "\\x00-\\x08\\x0e-\\x1f\\x21-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}"
    "\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{10ffff}";
/* Oniguruma's word characters; outside brackets the superscripts and fractions of Latin-1 are among them, but of no
 * other block. */
static const char WORD[] = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
static const char WORD_LATIN[] = "\\xb2\\xb3\\xb9\\xbc-\\xbe";

static enum ttt_status
put(struct reader *r, const char *text)
{
	return ttt__bytes_add(r->out, text, strlen(text), r->err);
}

static enum ttt_status
put_code_point(struct reader *r, uint32_t c)
{
	char text[16];
	snprintf(text, sizeof text, "\\x{%x}", (unsigned)c);
	return put(r, text);
}

static enum ttt_status
unsupported(struct reader *r, const char *what)
{
	return ttt__fail(r->err, TTT_E_UNSUPPORTED,
	    "%s: a pre-tokenizer pattern uses %s at byte %zu, which is not supported", r->label, what, r->i);
}

static enum ttt_status
malformed(struct reader *r, const char *what)
{
	return ttt__fail(r->err, TTT_E_FORMAT, "%s: a pre-tokenizer pattern has %s at byte %zu", r->label, what, r->i);
}

static int
peek(const struct reader *r, size_t ahead)
{
	return r->n - r->i > ahead ? r->p[r->i + ahead] : -1;
}

/* The code point at r->i, which is UTF-8 because it came out of a JSON string. */
static uint32_t
take_code_point(struct reader *r)
{
	uint32_t c = r->p[r->i++];
	if (c < 0x80)
		return c;
	c &= c < 0xe0 ? 0x1f : c < 0xf0 ? 0x0f : 0x07;
	while (r->i < r->n && (r->p[r->i] & 0xc0) == 0x80)
		c = c << 6 | (r->p[r->i++] & 0x3f);
	return c;
}

/* Hexadecimal digits, least to most of them; false when there are fewer. */
static bool
take_hex(struct reader *r, int least, int most, uint32_t *c)
{
	int n = 0;
	*c = 0;
	while (n < most && r->i < r->n && isxdigit(r->p[r->i])) {
		int digit = r->p[r->i++];
		*c = *c << 4 | (uint32_t)(isdigit(digit) ? digit - '0' : (digit | 0x20) - 'a' + 10);
		n++;
	}
	return n >= least;
}

/* \p{Name} after the p: a general category, or else a script. PCRE2 reads a bare script name as script extensions. */
static enum ttt_status
property(struct reader *r, bool negated)
{
	char name[64], text[80];
	size_t n = 0;
	if (peek(r, 0) != '{')
		return malformed(r, "\\p without braces");
	r->i++;
	if (peek(r, 0) == '^') {
		negated = !negated;
		r->i++;
	}
	while (n < sizeof name - 1 && (isalpha(peek(r, 0)) || peek(r, 0) == '_'))
		name[n++] = (char)r->p[r->i++];
	name[n] = '\0';
	if (n == 0 || peek(r, 0) != '}')
		return malformed(r, "a property name that is not one");
	r->i++;
	snprintf(text, sizeof text, "\\%c{%s%s}", negated ? 'P' : 'p', n > 2 ? "sc:" : "", name);
	return put(r, text);
}

/* What an escape, whose backslash has been taken, stands for. */
struct escape {
	bool set;          /* already written: a set of characters */
	uint32_t c;        /* else one character */
};

/* \s \S \d \D \w \W, within a bracket expression or outside one. */
static enum ttt_status
escape_set(struct reader *r, int letter, bool in_class)
{
	const char *set = letter == 's' || letter == 'S' ? SPACE : letter == 'w' || letter == 'W' ? WORD : "\\p{Nd}";
	bool negated = isupper(letter);
	enum ttt_status status;
	if (in_class) {
		if (letter == 'W')
			return unsupported(r, "\\W in brackets");
		return put(r, letter == 'S' ? NOT_SPACE : letter == 'D' ? "\\P{Nd}" : set);
	}
	status = put(r, negated ? "[^" : "[");
	if (status == TTT_OK)
		status = put(r, set);
	if (status == TTT_OK && set == WORD)
		status = put(r, WORD_LATIN);
	return status == TTT_OK ? put(r, "]") : status;
}

/* \xHH, \x{H..}, \uHHHH after the letter. */
static enum ttt_status
escape_number(struct reader *r, int letter, uint32_t *c)
{
	bool ok;
	if (letter == 'u') {
		ok = take_hex(r, 4, 4, c);
	} else if (peek(r, 0) == '{') {
		r->i++;
		ok = take_hex(r, 1, 6, c) && peek(r, 0) == '}';
		r->i += ok;
	} else {
		/* Oniguruma reads \xHH as a byte of UTF-8, PCRE2 as a code point. */
		ok = take_hex(r, 2, 2, c) && *c < 0x80;
	}
	if (!ok || *c > 0x10ffff || (*c >= 0xd800 && *c <= 0xdfff))
		return malformed(r, "a character number that is not one");
	return TTT_OK;
}

static enum ttt_status
escape(struct reader *r, bool in_class, struct escape *e)
{
	static const char names[] = "rntfvae", values[] = "\r\n\t\f\v\a\033";

	int letter = peek(r, 0);
	if (letter < 0)
		return malformed(r, "a backslash at its end");
	*e = (struct escape){ 0 };
	if (letter >= 0x80 || ispunct(letter) || letter == ' ') {
		e->c = take_code_point(r);
		return TTT_OK;
	}
	r->i++;
	const char *name = letter == 0 ? NULL : strchr(names, letter);
	if (name != NULL) {
		e->c = (uint32_t)values[name - names];
		return TTT_OK;
	}
	if (letter == 'x' || letter == 'u')
		return escape_number(r, letter, &e->c);
	e->set = true;
	if (letter == 'p' || letter == 'P')
		return property(r, letter == 'P');
	if (letter != 0 && strchr("sSdDwW", letter) != NULL)
		return escape_set(r, letter, in_class);
	r->i -= 2;
	return unsupported(r, "an escape");
}

/* One member of a bracket expression; ranges are put together by the caller. */
static enum ttt_status
member(struct reader *r, struct escape *e)
{
	int c = peek(r, 0);
	if (c < 0)
		return malformed(r, "a bracket that is not closed");
	if (c == '[')
		return unsupported(r, "a bracket in brackets");
	if (c == '&' && peek(r, 1) == '&')
		return unsupported(r, "&& in brackets");
	if (c == '\\') {
		r->i++;
		return escape(r, true, e);
	}
	*e = (struct escape){ .c = take_code_point(r) };
	return TTT_OK;
}

static enum ttt_status
brackets(struct reader *r)
{
	r->i++;
	bool negated = peek(r, 0) == '^';
	r->i += negated;
	enum ttt_status status = put(r, negated ? "[^" : "[");
	if (status == TTT_OK && peek(r, 0) == ']')
		return malformed(r, "empty brackets");
	while (status == TTT_OK && peek(r, 0) != ']') {
		struct escape low = { 0 }, high;
		if ((status = member(r, &low)) != TTT_OK)
			break;
		if (low.set)
			continue;
		high = low;
		if (peek(r, 0) == '-' && peek(r, 1) != ']') {
			r->i++;
			if ((status = member(r, &high)) != TTT_OK)
				break;
			if (high.set)
				return unsupported(r, "a range that ends in a set");
		}
		if (r->caseless != 0 && (high.c >= 0x80 || negated))
			return unsupported(r, "caseless brackets that are negated or hold letters outside ASCII");
		if (high.c < low.c)
			return malformed(r, "a range whose end is before its start");
		if ((status = put_code_point(r, low.c)) == TTT_OK && high.c > low.c && (status = put(r, "-")) == TTT_OK)
			status = put_code_point(r, high.c);
	}
	if (status != TTT_OK)
		return status;
	r->i++;
	return put(r, "]");
}

/* "(" and what tells its kind. */
static enum ttt_status
open_group(struct reader *r)
{
	static const char *const kinds[] = { "(?:", "(?i:", "(?!", "(?=", "(?>" };

	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		size_t n = strlen(kinds[k]);
		if (r->n - r->i >= n && memcmp(r->p + r->i, kinds[k], n) == 0) {
			r->i += n;
			if (k == 1 && r->caseless == 0)
				r->caseless = r->depth;
			return put(r, kinds[k]);
		}
	}
	if (peek(r, 1) == '?')
		return unsupported(r, "a special group");
	r->i++;
	return put(r, "(?:");
}

/* "{": a repetition {n}, {n,} or {n,m}; a brace that is none would be a literal in one engine and may be none in the
 * other. */
static enum ttt_status
repetition(struct reader *r)
{
	char text[48];
	size_t i = r->i + 1;
	unsigned long low = 0, high = 0;
	size_t digits = i;
	while (i < r->n && isdigit(r->p[i]) && i - digits < 6)
		low = low * 10 + (unsigned long)(r->p[i++] - '0');
	bool comma = i > digits && i < r->n && r->p[i] == ',', bounded = !comma;
	high = low;
	if (i == digits)
		return unsupported(r, "a brace that is no repetition");
	if (comma) {
		digits = ++i;
		for (high = 0; i < r->n && isdigit(r->p[i]) && i - digits < 6; i++)
			high = high * 10 + (unsigned long)(r->p[i] - '0');
		bounded = i > digits;
	}
	if (i >= r->n || r->p[i] != '}')
		return unsupported(r, "a brace that is no repetition");
	if (bounded && high < low)
		return malformed(r, "a repetition whose end is before its start");
	r->i = i + 1;
	/* {n}? and {n,m}+ differ between the engines. */
	if (peek(r, 0) == '+' || (peek(r, 0) == '?' && !comma))
		return unsupported(r, "a repetition of a repetition");
	if (!comma)
		snprintf(text, sizeof text, "{%lu}", low);
	else if (!bounded)
		snprintf(text, sizeof text, "{%lu,}", low);
	else
		snprintf(text, sizeof text, "{%lu,%lu}", low, high);
	return put(r, text);
}

/* One character. Oniguruma lets a caseless "ss" match the one letter it is the capital of, and has more such pairs. */
static enum ttt_status
literal(struct reader *r, uint32_t c)
{
	static const char *const pairs[] = { "ss", "st", "ff", "fi", "fl" };
	uint32_t before = r->literal;
	r->literal = c;
	if (r->caseless != 0) {
		if (c >= 0x80)
			return unsupported(r, "a caseless letter outside ASCII");
		for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
			if ((before | 0x20) == (uint32_t)pairs[i][0] && (c | 0x20) == (uint32_t)pairs[i][1])
				return unsupported(r, "a caseless pair of letters that are one letter elsewhere");
	}
	return put_code_point(r, c);
}

/* Anything but groups, at r->i. */
static enum ttt_status
atom(struct reader *r)
{
	struct escape e = { 0 };
	enum ttt_status status;
	int c = peek(r, 0);
	switch (c) {
	case '[':
		return brackets(r);
	case '{':
		return repetition(r);
	case '^':
	case '$':
		return unsupported(r, "an anchor");
	case '\\':
		r->i++;
		status = escape(r, false, &e);
		return status != TTT_OK || e.set ? status : literal(r, e.c);
	case '|':
	case '.':
	case '*':
	case '+':
	case '?':
		r->i++;
		return ttt__bytes_add(r->out, r->p + r->i - 1, 1, r->err);
	default:
		return literal(r, take_code_point(r));
	}
}

enum ttt_status
ttt__pattern_translate(struct ttt__bytes *out, const char *regex, size_t n, const char *label, struct ttt_error *err)
{
	struct reader r = { .p = (const unsigned char *)regex, .n = n, .out = out, .label = label, .err = err };
	enum ttt_status status = TTT_OK;
	if (n == 0)
		return malformed(&r, "nothing in it");
	if (n > REGEX_MAX)
		return ttt__fail(err, TTT_E_UNSUPPORTED,
		    "%s: a pre-tokenizer pattern of %zu bytes is longer than the %d supported", label, n, REGEX_MAX);
	while (r.i < r.n && status == TTT_OK) {
		int c = peek(&r, 0);
		if (c == '(') {
			if (++r.depth > NEST_MAX)
				return unsupported(&r, "groups nested more than 64 deep");
			status = open_group(&r);
		} else if (c == ')') {
			if (r.depth == r.caseless)
				r.caseless = 0;
			if (r.depth-- == 0)
				return malformed(&r, "a parenthesis that was not opened");
			r.i++;
			status = put(&r, ")");
		} else {
			if (strchr("[{|.*+?", c) != NULL)
				r.literal = 0;
			status = atom(&r);
		}
	}
	if (status == TTT_OK && r.depth > 0)
		return malformed(&r, "a parenthesis that is not closed");
	return status;
}
