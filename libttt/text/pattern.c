/* Running pre-tokenizer patterns. Bounded in steps and memory: a pattern from a file must not be able to hang its
 * reader. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "libttt/text/pattern.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

enum {
	NEST_MAX = 64,             /* parentheses */
	STEP_MAX = 10 * 1000 * 1000,
	HEAP_MAX_KIB = 64 * 1024,
	JIT_STACK_MAX = 4 << 20
};

struct ttt__pattern {
	pcre2_code *code;
};

struct ttt__matcher {
	pcre2_match_context *context;
	pcre2_match_data *data;
	pcre2_jit_stack *stack;
};

/* Facts of the compiled pattern that streaming stands on. */
static enum ttt_status
check_code(const pcre2_code *code, const char *label, struct ttt_error *err)
{
	uint32_t lookbehind = 0, empty = 0;
	pcre2_pattern_info(code, PCRE2_INFO_MAXLOOKBEHIND, &lookbehind);
	pcre2_pattern_info(code, PCRE2_INFO_MATCHEMPTY, &empty);
	if (lookbehind > 0)
		return ttt__fail(err, TTT_E_UNSUPPORTED,
		    "%s: a pre-tokenizer pattern looks behind itself, which is not supported", label);
	if (empty != 0)
		return ttt__fail(err, TTT_E_UNSUPPORTED, "%s: a pre-tokenizer pattern can match the empty string, which is not "
		    "supported", label);
	return TTT_OK;
}

static enum ttt_status
compile(struct ttt__pattern **out, const struct ttt__bytes *pcre, const char *label, struct ttt_error *err)
{
	enum ttt_status status = TTT_OK;
	struct ttt__pattern *p = ttt__new(1, sizeof *p);
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	if (p == NULL || context == NULL) {
		status = ttt__fail_memory(err, label);
		goto done;
	}
	pcre2_set_newline(context, PCRE2_NEWLINE_LF); /* "." stops at \n only, as in Oniguruma */
	pcre2_set_parens_nest_limit(context, NEST_MAX);
	int code = 0;
	PCRE2_SIZE at = 0;
	p->code = pcre2_compile(pcre->p, pcre->n, PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &code, &at, context);
	if (p->code == NULL) {
		PCRE2_UCHAR why[128] = "";
		pcre2_get_error_message(code, why, sizeof why);
		status = ttt__fail(err, TTT_E_FORMAT, "%s: a pre-tokenizer pattern does not compile: %s", label, (char *)why);
		goto done;
	}
	status = check_code(p->code, label, err);
	/* Without the just-in-time compiler (or where memory may not be made executable) the interpreter gives the same. */
	if (status == TTT_OK)
		pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD);
done:
	pcre2_compile_context_free(context);
	if (status == TTT_OK)
		*out = p;
	else
		ttt__pattern_free(p);
	return status;
}

enum ttt_status
ttt__pattern_create(struct ttt__pattern **out, const char *regex, size_t n, const char *label, struct ttt_error *err)
{
	struct ttt__bytes pcre = { 0 };
	enum ttt_status status = ttt__pattern_translate(&pcre, regex, n, label, err);
	if (status == TTT_OK)
		status = compile(out, &pcre, label, err);
	ttt__bytes_free(&pcre);
	return status;
}

enum ttt_status
ttt__pattern_literal(struct ttt__pattern **out, const char *text, size_t n, const char *label, struct ttt_error *err)
{
	struct ttt__bytes pcre = { 0 };
	enum ttt_status status = TTT_OK;
	if (n == 0)
		return ttt__fail(err, TTT_E_FORMAT, "%s: a pre-tokenizer splits at an empty string", label);
	for (size_t i = 0; i < n && status == TTT_OK; i++) {
		char hex[8];
		bool ascii = (unsigned char)text[i] < 0x80;
		snprintf(hex, sizeof hex, "\\x{%02x}", (unsigned)(unsigned char)text[i]);
		status = ttt__bytes_add(&pcre, ascii ? hex : text + i, ascii ? strlen(hex) : 1, err);
	}
	if (status == TTT_OK)
		status = compile(out, &pcre, label, err);
	ttt__bytes_free(&pcre);
	return status;
}

void
ttt__pattern_free(struct ttt__pattern *p)
{
	if (p == NULL)
		return;
	pcre2_code_free(p->code);
	free(p);
}

enum ttt_status
ttt__matcher_create(struct ttt__matcher **out, struct ttt_error *err)
{
	struct ttt__matcher *m = ttt__new(1, sizeof *m);
	if (m == NULL)
		return ttt__fail_memory(err, "pattern matcher");
	m->context = pcre2_match_context_create(NULL);
	m->data = pcre2_match_data_create(1, NULL);
	if (m->context == NULL || m->data == NULL) {
		ttt__matcher_free(m);
		return ttt__fail_memory(err, "pattern matcher");
	}
	pcre2_set_match_limit(m->context, STEP_MAX);
	pcre2_set_heap_limit(m->context, HEAP_MAX_KIB);
	m->stack = pcre2_jit_stack_create(32 << 10, JIT_STACK_MAX, NULL);
	if (m->stack != NULL) /* NULL where PCRE2 has no just-in-time compiler */
		pcre2_jit_stack_assign(m->context, NULL, m->stack);
	*out = m;
	return TTT_OK;
}

void
ttt__matcher_free(struct ttt__matcher *m)
{
	if (m == NULL)
		return;
	pcre2_match_data_free(m->data);
	pcre2_match_context_free(m->context);
	pcre2_jit_stack_free(m->stack);
	free(m);
}

enum ttt_status
ttt__pattern_find(const struct ttt__pattern *p, struct ttt__matcher *m, const unsigned char *text, size_t from,
    size_t to, bool more, enum ttt__found *found, size_t *start, size_t *end, struct ttt_error *err)
{
	uint32_t options = PCRE2_NO_UTF_CHECK | (more ? PCRE2_PARTIAL_HARD : 0);
	int rc = pcre2_match(p->code, text + from, to - from, 0, options, m->data, m->context);
	if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
		rc = pcre2_match(p->code, text + from, to - from, 0, options | PCRE2_NO_JIT, m->data, m->context);
	if (rc == PCRE2_ERROR_NOMATCH) {
		*found = TTT__FOUND_NOT;
		return TTT_OK;
	}
	if (rc == PCRE2_ERROR_NOMEMORY)
		return ttt__fail_memory(err, "pattern matcher");
	if (rc < 0 && rc != PCRE2_ERROR_PARTIAL) {
		PCRE2_UCHAR why[128] = "";
		pcre2_get_error_message(rc, why, sizeof why);
		return ttt__fail(err, TTT_E_UNSUPPORTED, "the tokenizer's pre-tokenizer pattern is too costly on this text: %s",
		    (char *)why);
	}
	const PCRE2_SIZE *offset = pcre2_get_ovector_pointer(m->data);
	*start = from + offset[0];
	*end = from + offset[1];
	*found = rc == PCRE2_ERROR_PARTIAL ? TTT__FOUND_PARTIAL : TTT__FOUND;
	return TTT_OK;
}
