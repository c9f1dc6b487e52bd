#include "libttt/text/mask.h"
#include "libttt/text/vocab.h"

#include <string.h>

enum { DIGITS = 4, IDENTIFIER = 10, HEX_WORD = 4, KEY = 12, KEY_MOST = 128, CARD = 5, CARD_HEX = 7, SESSION = 16 };

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool
is_word(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* A word that some generator of names made, and nobody will see again. */
static bool
is_identifier(const char *w, size_t n)
{
	size_t n_turn = 0, n_hex = 0, tail = 0, tail_turn = 0;

	for (size_t i = 0; i < n; i++) {
		n_hex += is_hex(w[i]);
		n_turn += i > 0 && is_digit(w[i]) != is_digit(w[i - 1]);
	}
	for (; tail < n && is_hex(w[n - 1 - tail]); tail++)
		tail_turn += tail > 0 && is_digit(w[n - 1 - tail]) != is_digit(w[n - tail]);
	if (tail >= CARD_HEX && tail_turn >= 1 && n <= tail + CARD) /* a container's network card: veth0090fcd */
		return true;
	return (n_hex == n && n >= HEX_WORD && n_turn >= 1) || (n >= IDENTIFIER && n_turn >= 3);
}

/* The length of a name with dashes that begins here and some generator made, all of it: a UUID, or what Kubernetes puts behind the name
 * of a pod; 0 where there is none. */
static size_t
generated_length(const char *p, size_t n)
{
	/* without vowels and the digits like letters, as that generator has them */
	static const char safe[] = "bcdfghjklmnpqrstvwxz2456789";
	static const size_t uuid[] = {8, 4, 4, 4, 12};
	size_t at = 0, hash = 0, letters = 0;

	for (size_t i = 0; i < 5; i++) {
		size_t len = 0;

		while (at + len < n && is_hex(p[at + len]))
			len++;
		if (len != uuid[i] || (i < 4 && (at + len == n || p[at + len] != '-')))
			break;
		at += len + 1;
		if (i == 4 && (at - 1 == n || !is_word(p[at - 1])))
			return at - 1;
	}
	while (hash < n && strchr(safe, p[hash]) != NULL && p[hash] != '\0')
		letters += !is_digit(p[hash++]);
	if (hash < 8 || hash > 10 || n < hash + 6 || p[hash] != '-' || letters == 0) /* without letters it is a number */
		return 0;
	for (size_t i = hash + 1; i < hash + 6; i++)
		if (p[i] == '\0' || strchr(safe, p[i]) == NULL)
			return 0;
	return n == hash + 6 || !is_word(p[hash + 6]) ? hash + 6 : 0;
}

static char
kind_of(char c)
{
	return is_digit(c) ? '0' : c >= 'a' ? 'a' : c >= 'A' ? 'A' : '+';
}

/* The length of a key in letters of base64 as they stand in URLs: capitals and small letters turn into one another, and into digits, more
 * often than in any name that people gave; 0 where there is none. */
static size_t
key_length(const char *p, size_t n)
{
	size_t len = 0, turns = 0, counted = 0;
	bool upper = false, lower = false, digit = false;
	char last = 0;

	for (; len < n && len <= KEY_MOST && (is_word(p[len]) || p[len] == '-' || p[len] == '_'); len++) {
		char kind = kind_of(p[len]);

		if (!is_word(p[len]))
			continue;
		turns += counted > 0 && kind != last;
		counted++;
		last = kind;
		upper = upper || kind == 'A';
		lower = lower || kind == 'a';
		digit = digit || kind == '0'; /* without one it may be a name: CrashLoopBackOff, OutOfMemoryError */
	}
	return upper && lower && digit && len >= KEY && len <= KEY_MOST && 5 * turns >= 2 * (counted - 1) ? len : 0;
}

size_t
ttt__escape_length(const char *p, size_t n)
{
	size_t len = 2;

	if (n < 3 || p[0] != '\033' || p[1] != '[')
		return 0;
	while (len < n && p[len] >= 0x20 && p[len] < 0x40)
		len++;
	return len < n && p[len] >= 0x40 && p[len] < 0x7f ? len + 1 : 0;
}

/* The length of a key in base64 between angle brackets, brackets included, as a mail server's sessions have; 0 where there is none. */
static size_t
session_length(const char *p, size_t n)
{
	size_t len = 1, turns = 0;
	char last = 0;

	for (; len < n && len <= KEY_MOST && (is_word(p[len]) || p[len] == '+' || p[len] == '/'); len++) {
		char kind = kind_of(p[len]);

		turns += last != 0 && kind != last;
		last = kind;
	}
	return p[0] == '<' && len > SESSION && len < n && p[len] == '>' && 10 * turns >= 3 * (len - 2) ? len + 1 : 0;
}

/* A month's name beside a day, "Dec  1" or "27/Nov/2026", which would be news for a day once a month. at: where it stands in the line. */
static bool
is_month(const char *line, size_t n, size_t at)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	size_t behind = at + 3;

	if (n - at < 4 || is_word(line[behind]) || (at > 0 && is_word(line[at - 1])))
		return false;
	while (behind < n && line[behind] == ' ')
		behind++;
	if (behind == at + 3 || behind > at + 5 || behind == n || !is_digit(line[behind])) /* none behind it, so before it? */
		if (at < 2 || !is_digit(line[at - 2]) || strchr("/- ", line[at - 1]) == NULL)
			return false;
	for (size_t i = 0; i < 12; i++)
		if (memcmp(line + at, months + 3 * i, 3) == 0)
			return true;
	return false;
}

static bool
is_hex_number(const char *w, size_t n)
{
	if (n < 3 || w[0] != '0' || w[1] != 'x')
		return false;
	for (size_t i = 2; i < n; i++)
		if (!is_hex(w[i]))
			return false;
	return true;
}

static enum ttt_status
put(struct ttt__bytes *out, struct ttt__bytes *place, const char *p, size_t n, uint32_t at, struct ttt_error *err)
{
	enum ttt_status s = ttt__bytes_add(out, p, n, err);

	for (size_t i = 0; i < n && s == TTT_OK; i++)
		s = ttt__bytes_add(place, &at, sizeof(at), err);
	return s;
}

static enum ttt_status
put_word(struct ttt__bytes *out, struct ttt__bytes *place, const char *w, size_t n, uint32_t at, struct ttt_error *err)
{
	enum ttt_status s = TTT_OK;
	size_t run = 0;

	if (is_hex_number(w, n))
		return put(out, place, "0x", 2, at, err);
	if (is_identifier(w, n))
		return put(out, place, "@", 1, at, err);
	for (size_t i = 0; i < n && s == TTT_OK; i++) {
		run = is_digit(w[i]) ? run + 1 : 0;
		if (run <= DIGITS)
			s = put(out, place, run > 0 ? "0" : &w[i], 1, at + (uint32_t)i, err);
	}
	return s;
}

enum ttt_status
ttt__mask_line(struct ttt__bytes *out, struct ttt__bytes *place, const char *line, size_t n, struct ttt_error *err)
{
	enum ttt_status s = TTT_OK;
	uint32_t end = (uint32_t)n;
	size_t at = 0;

	out->n = place->n = 0;
	while (at < n && s == TTT_OK) {
		size_t word = ttt__escape_length(line + at, n - at);

		if (word > 0) { /* colours say nothing */
			at += word;
			continue;
		}
		word = session_length(line + at, n - at);
		if (word > 0 || is_month(line, n, at)) {
			s = put(out, place, word > 0 ? "<@>" : "Jan", 3, (uint32_t)at, err);
			at += word > 0 ? word : 3;
			continue;
		}
		word = is_word(line[at]) ? generated_length(line + at, n - at) : 0;

		if (word == 0 && is_word(line[at]))
			word = key_length(line + at, n - at);
		if (word > 0) {
			s = put(out, place, "@", 1, (uint32_t)at, err);
			at += word;
			continue;
		}
		while (at + word < n && is_word(line[at + word]))
			word++;
		if (word > 0) {
			s = put_word(out, place, line + at, word, (uint32_t)at, err);
		} else {
			size_t left = n - at;
			int length = ttt__utf8_length((const unsigned char *)line + at, left < 4 ? left : 4);

			word = length > 0 ? (size_t)length : 1;
			s = length > 0 ? put(out, place, line + at, word, (uint32_t)at, err) : put(out, place, "\xef\xbf\xbd", 3, (uint32_t)at, err);
		}
		at += word;
	}
	return s != TTT_OK ? s : ttt__bytes_add(place, &end, sizeof(end), err);
}
