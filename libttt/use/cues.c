/* Word lists of ttt-ask and the tests that go with them. The lists are general English and Unix usage; each is
 * sorted, since it is searched by halves. */
#include "libttt/use/cues.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

/* Function words and the light verbs of questions. Contractions appear without what follows the apostrophe. */
static const char *const stop_words[] = {
	"a", "about", "after", "again", "all", "already", "also", "although", "always", "am", "an", "and", "any",
	"anyone", "anything", "are", "aren", "as", "at", "be", "because", "been", "before", "being", "between", "both",
	"but", "by", "can", "cannot", "could", "couldn", "did", "didn", "do", "does", "doesn", "doing", "done", "don",
	"during", "each", "either", "else", "ever", "every", "everything", "for", "from", "get", "gets", "getting",
	"give", "given", "gives", "go", "goes", "got", "had", "hadn", "happen", "happened", "happens", "has", "hasn",
	"have", "haven", "having", "he", "her", "here", "him", "his", "how", "i", "if", "in", "instead", "into", "is",
	"isn", "it", "its", "itself", "just", "let", "lets", "like", "made", "make", "makes", "making", "many", "may",
	"me", "meaning", "meant", "might", "mine", "more", "most", "much", "must", "my", "myself", "neither", "no", "nor", "not",
	"nothing", "of", "off", "often", "on", "once", "one", "only", "or", "other", "others", "ought", "our", "ours",
	"out", "over", "own", "please", "put", "puts", "rather", "really", "s", "same", "say", "says", "shall", "she",
	"should", "shouldn", "since", "so", "some", "somebody", "someone", "something", "still", "such", "t", "take",
	"taken", "takes", "tell", "than", "that", "the", "their", "theirs", "them", "themselves", "then", "there",
	"these", "they", "thing", "things", "this", "those", "though", "through", "to", "too", "under", "until", "up",
	"upon", "us", "very", "via", "want", "wants", "was", "wasn", "way", "we", "were", "weren", "what", "whatever",
	"when", "where", "whether", "which", "while", "who", "whom", "whose", "why", "will", "with", "within",
	"without", "won", "would", "wouldn", "yet", "you", "your", "yours", "yourself",
};

/* "how" followed by one of these asks for an amount. */
static const char *const amounts[] = {
	"big", "deep", "far", "fast", "few", "frequently", "high", "large", "little", "long", "many", "much", "often",
	"old", "small", "soon", "wide",
};

/* One of these alone asks for a number. */
static const char *const number_words[] = {
	"default", "defaults", "limit", "limits", "longest", "max", "maximal", "maximum", "min", "minimal", "minimum",
};

static const char *const error_words[] = {
	"errno", "error", "errors", "fail", "failed", "failing", "fails", "failure", "return", "returned", "returns",
};

static int
compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool
listed(const char *const *list, size_t n, const char *word)
{
	return bsearch(&word, list, n, sizeof(*list), compare) != NULL;
}

bool
ttt__stop_word(const char *word, size_t n)
{
	char copy[16];

	if (n >= sizeof(copy))
		return false;
	memcpy(copy, word, n);
	copy[n] = '\0';
	return listed(stop_words, COUNT(stop_words), copy);
}

bool
ttt__asks_number(const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (listed(number_words, COUNT(number_words), words[i]))
			return true;
		if (strcmp(words[i], "how") == 0 && i + 1 < n && listed(amounts, COUNT(amounts), words[i + 1]))
			return true;
	}
	return false;
}

bool
ttt__asks_error(const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (listed(error_words, COUNT(error_words), words[i]))
			return true;
	return false;
}

/* ASCII only: digits and the letters of names and errors are. */
static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

bool
ttt__is_symbol_byte(char c)
{
	return is_digit(c) || is_upper(c) || (c >= 'a' && c <= 'z') || c == '_' || (unsigned char)c >= 0x80;
}

bool
ttt__has_number(const char *text, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t start = i;
		bool digits = true;

		for (; i < n && ttt__is_symbol_byte(text[i]); i++)
			digits = digits && is_digit(text[i]);
		if (i > start && digits)
			return true;
		i += i == start;
	}
	return false;
}

bool
ttt__has_errno(const char *text, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t start = i;
		bool name = true;

		for (; i < n && ttt__is_symbol_byte(text[i]); i++)
			name = name && (is_upper(text[i]) || is_digit(text[i]));
		if (i - start >= 4 && name && text[start] == 'E' && is_upper(text[i - 1]))
			return true;
		i += i == start;
	}
	return false;
}
