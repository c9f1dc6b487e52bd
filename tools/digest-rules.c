/* ttt-digest --ignore: a PCRE2 pattern a line; empty lines and those that begin with # are none. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "libttt/file.h"
#include "tools/digest.h"

enum { STACK_LEAST = 1 << 15, STACK_MOST = 16 << 20 };
enum { RULES_BYTES = 16 << 20, MATCH_LIMIT = 100000 }; /* a pattern that runs wild on a line does not match it */

struct digest_rules {
	pcre2_code **code; /* [n] */
	size_t n;
	pcre2_match_data *match;
	pcre2_match_context *limits;
	pcre2_jit_stack *stack;
};

static int
add_rule(struct digest *d, const char *text, size_t n, int64_t number)
{
	struct digest_rules *r = d->rules;
	pcre2_code **grown;
	PCRE2_UCHAR why[256];
	PCRE2_SIZE at;
	int code;

	grown = ttt__grow(r->code, r->n + 1, sizeof(pcre2_code *));
	if (grown == NULL) {
		tool_error(d->t, "%s: out of memory", d->ignore);
		return TOOL_TROUBLE;
	}
	r->code = grown;
	r->code[r->n] = pcre2_compile((PCRE2_SPTR)text, n, PCRE2_UTF | PCRE2_MATCH_INVALID_UTF, &code, &at, NULL);
	if (r->code[r->n] == NULL) {
		pcre2_get_error_message(code, why, sizeof(why));
		tool_error(d->t, "%s:%lld: not a pattern: %s at byte %zu", d->ignore, (long long)number, (const char *)why, (size_t)at + 1);
		return TOOL_TROUBLE;
	}
	(void)pcre2_jit_compile(r->code[r->n++], PCRE2_JIT_COMPLETE);
	return TOOL_DONE;
}

int
digest_rules_open(struct digest *d)
{
	struct ttt__bytes b = {0};
	struct ttt_error err;
	int status = TOOL_DONE;
	int64_t number = 1;

	if (d->ignore == NULL)
		return TOOL_DONE;
	d->rules = ttt__new(1, sizeof(*d->rules));
	if (d->rules == NULL || (d->rules->match = pcre2_match_data_create(1, NULL)) == NULL ||
	    (d->rules->limits = pcre2_match_context_create(NULL)) == NULL) {
		tool_error(d->t, "%s: out of memory", d->ignore);
		return TOOL_TROUBLE;
	}
	pcre2_set_match_limit(d->rules->limits, MATCH_LIMIT);
	d->rules->stack = pcre2_jit_stack_create(STACK_LEAST, STACK_MOST, NULL); /* without one, long lines match nothing */
	if (d->rules->stack != NULL)
		pcre2_jit_stack_assign(d->rules->limits, NULL, d->rules->stack);
	if (ttt__file_read(&b, d->ignore, RULES_BYTES, &err) != TTT_OK)
		return tool_fail(d->t, &err);
	for (size_t at = 0; at < b.n && status == TOOL_DONE; number++) {
		const char *line = (const char *)b.p + at, *end = memchr(line, '\n', b.n - at);
		size_t n = end != NULL ? (size_t)(end - line) : b.n - at;

		at += n + 1;
		while (n > 0 && strchr(" \t\r", line[n - 1]) != NULL && line[n - 1] != '\0')
			n--;
		if (n > 0 && line[0] != '#')
			status = add_rule(d, line, n, number);
	}
	ttt__bytes_free(&b);
	return status;
}

bool
digest_rules_match(const struct digest_rules *r, const char *text, size_t n)
{
	for (size_t i = 0; r != NULL && i < r->n; i++)
		if (pcre2_match(r->code[i], (PCRE2_SPTR)text, n, 0, 0, r->match, r->limits) >= 0)
			return true;
	return false;
}

void
digest_rules_close(struct digest_rules *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->n; i++)
		pcre2_code_free(r->code[i]);
	pcre2_match_data_free(r->match);
	pcre2_match_context_free(r->limits);
	pcre2_jit_stack_free(r->stack);
	free(r->code);
	free(r);
}
