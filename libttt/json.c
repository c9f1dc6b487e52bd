#include "libttt/json.h"

#include <string.h>

const char *
ttt__excerpt(char buffer[TTT__EXCERPT], const char *s)
{
	enum { MAX = 60 };
	size_t n = 0;
	int i;

	for (i = 0; i < MAX && s[i] != '\0'; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c >= 0x20 && c < 0x7f)
			buffer[n++] = (char)c;
		else
			n += (size_t)snprintf(buffer + n, TTT__EXCERPT - n, "\\x%02x", c);
	}
	(void)snprintf(buffer + n, TTT__EXCERPT - n, "%s", s[i] != '\0' ? "..." : "");
	return buffer;
}

/* jansson recurses once a level and takes some hundred bytes a value: both are counted before it sees the text. */
static enum ttt_status
scan(const unsigned char *p, size_t n, const struct ttt__json_limits *limits, const char *label, const char *what,
    struct ttt_error *err)
{
	size_t i, n_value = 0;
	int depth = 0;
	bool string = false;

	for (i = 0; i < n; i++) {
		if (string) {
			if (p[i] == '\\')
				i++;
			else if (p[i] == '"')
				string = false;
			continue;
		}
		if (p[i] == '"')
			string = true;
		else if (p[i] == '{' || p[i] == '[')
			depth++;
		else if (p[i] == '}' || p[i] == ']')
			depth--;
		if (p[i] == ',' || p[i] == ':' || p[i] == '{' || p[i] == '[')
			n_value++;
		if (depth > limits->depth)
			return ttt__fail(err, TTT_E_FORMAT, "%s: %s is nested deeper than %d levels", label, what,
			    limits->depth);
		if (n_value > limits->n_value)
			return ttt__fail(err, TTT_E_FORMAT, "%s: %s has more than %zu values", label, what,
			    limits->n_value);
	}
	return TTT_OK;
}

enum ttt_status
ttt__json_parse(json_t **out, const void *p, size_t n, const struct ttt__json_limits *limits, const char *label,
    const char *what, struct ttt_error *err)
{
	char text[TTT__EXCERPT];
	json_error_t e;
	json_t *root;
	enum ttt_status status;

	if (n == 0)
		return ttt__fail(err, TTT_E_FORMAT, "%s: %s is empty", label, what);
	if (n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		return ttt__fail(err, TTT_E_FORMAT, "%s: %s begins with a byte-order mark", label, what);
	status = scan(p, n, limits, label, what, err);
	if (status != TTT_OK)
		return status;
	root = json_loadb(p, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
	if (root == NULL) {
		if (json_error_code(&e) == json_error_out_of_memory)
			return ttt__fail_memory(err, label);
		return ttt__fail(err, TTT_E_FORMAT, "%s: %s is not JSON: line %d, column %d: %s", label, what, e.line,
		    e.column, ttt__excerpt(text, e.text));
	}
	if (!json_is_object(root)) {
		json_decref(root);
		return ttt__fail(err, TTT_E_FORMAT, "%s: %s is not a JSON object", label, what);
	}
	*out = root;
	return TTT_OK;
}
