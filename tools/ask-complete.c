/* ttt-ask --complete: go on with a text. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ask.h"

/* How many bytes at the end of a text begin a character that has not come whole. */
static size_t
cut_character(const char *text, size_t n)
{
	for (size_t back = 1; back <= 3 && back <= n; back++) {
		unsigned char c = (unsigned char)text[n - back];

		if (c < 0x80 || c >= 0xc0)
			return (c >= 0xc0 && back < 2) || (c >= 0xe0 && back < 3) || (c >= 0xf0 && back < 4) ? back : 0;
	}
	return 0;
}

/* A token may end inside a character: its start waits for the rest, so that a terminal is shown it whole. */
static bool
write_bytes(void *ctx, const unsigned char *bytes, size_t n)
{
	struct ask *a = ctx;

	while (n > 0) {
		size_t part = sizeof(a->waiting) - a->n_waiting < n ? sizeof(a->waiting) - a->n_waiting : n, rest;

		memcpy(a->waiting + a->n_waiting, bytes, part);
		a->n_waiting += part;
		rest = cut_character(a->waiting, a->n_waiting);
		ask_quote(a, a->waiting, a->n_waiting - rest);
		memmove(a->waiting, a->waiting + a->n_waiting - rest, rest);
		a->n_waiting = rest;
		bytes += part;
		n -= part;
	}
	return fflush(stdout) == 0;
}

int
ask_complete(struct ask *a)
{
	struct ttt_error err;
	size_t n = a->n_operand > 0 ? strlen(a->operand[0]) : 0;
	char *read = a->n_operand > 0 ? NULL : tool_read_all(stdin, &n);
	const char *text = a->n_operand > 0 ? a->operand[0] : read;
	enum ttt_status s;

	if (text == NULL) {
		tool_error(a->t, "-: cannot read: %s", strerror(errno));
		return TOOL_TROUBLE;
	}
	s = ttt_complete(a->state, text, n, a->n_token, a->temperature, (uint64_t)a->seed, write_bytes, a, &err);
	free(read);
	if (s != TTT_OK)
		return tool_fail(a->t, &err);
	ask_quote(a, a->waiting, a->n_waiting);
	putchar('\n');
	return TOOL_DONE;
}
