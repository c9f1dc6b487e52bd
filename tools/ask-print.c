/* ttt-ask: what it prints. */
#include <string.h>

#include "tools/ask.h"

enum { CONTEXT = 4, LINE = 1000 }; /* lines shown around the best one of a passage; bytes shown of a line */

void
ask_quote(const struct ask *a, const char *text, size_t n)
{
	if (a->visible)
		tool_write_text(stdout, text, n);
	else
		fwrite(text, 1, n, stdout);
}

/* Line number line of a passage, without its newline. */
static const char *
line_of(const struct ttt_passage *p, int64_t line, size_t *n)
{
	const char *at = p->text, *end = p->text + p->n, *q;

	for (int64_t i = p->start; i < line && (q = memchr(at, '\n', (size_t)(end - at))) != NULL; i++)
		at = q + 1;
	q = memchr(at, '\n', (size_t)(end - at));
	*n = (size_t)((q == NULL ? end : q) - at);
	return at;
}

static void
print_line(const struct ask *a, const struct ttt_passage *p, int64_t line)
{
	size_t n, from = 0, n_part;
	const char *text = line_of(p, line, &n);

	if (ttt_ask_excerpt(a->ask, text, n, LINE, &from, &n_part, NULL) != TTT_OK)
		n_part = n; /* then all of it */
	if (a->visible && n_part > 0 && text[from + n_part - 1] == '\r') /* the line's end on other systems */
		n_part--, n--;
	tool_write_visible(stdout, p->file, strlen(p->file)); /* a name stays on its line */
	printf(":%lld: %s", (long long)line, from > 0 ? "..." : "");
	ask_quote(a, text + from, n_part);
	puts(from + n_part < n ? "..." : "");
}

static void
print_json_passage(const struct ttt_passage *p)
{
	size_t n;
	const char *line = line_of(p, p->best, &n);

	printf("{\"file\": ");
	tool_write_json(stdout, p->file, strlen(p->file));
	printf(", \"start\": %lld, \"end\": %lld, \"score\": %.6g, \"best\": %lld, \"line\": ", (long long)p->start,
	    (long long)p->end, p->score, (long long)p->best);
	tool_write_json(stdout, line, n);
	printf(", \"older\": %s, \"text\": ", p->older ? "true" : "false");
	tool_write_json(stdout, p->text, p->n);
	putchar('}');
}

void
ask_print_json(const char *question, const struct ttt_answer *r)
{
	printf("{\"question\": ");
	tool_write_json(stdout, question, strlen(question));
	printf(", \"answer\": ");
	if (r->bears) {
		size_t n;
		const char *line = line_of(&r->passage[0], r->passage[0].best, &n);

		tool_write_json(stdout, line, n);
	} else {
		printf("null");
	}
	printf(", \"abstain\": %s, \"score\": %.6g, \"passages\": [", r->bears ? "false" : "true", r->n > 0 ? r->passage[0].score : 0);
	for (int64_t i = 0; i < r->n; i++) {
		if (i > 0)
			printf(", ");
		print_json_passage(&r->passage[i]);
	}
	puts("]}");
}

void
ask_print_question(const struct ask *a, const char *question)
{
	printf("%s# ", a->n_asked > 1 ? "\n" : "");
	ask_quote(a, question, strlen(question));
	putchar('\n');
}

void
ask_print(const struct ask *a, const char *question, bool several, const struct ttt_answer *r)
{
	if (several)
		ask_print_question(a, question);
	print_line(a, &r->passage[0], r->passage[0].best);
	for (int64_t i = 0; i < r->n; i++) {
		const struct ttt_passage *p = &r->passage[i];
		int64_t context = a->context >= 0 ? a->context : i > 0 ? CONTEXT : p->end - p->start;
		int64_t first = p->best - context > p->start ? p->best - context : p->start;
		int64_t last = p->best + context < p->end ? p->best + context : p->end;

		printf("\n[%lld] ", (long long)i + 1);
		tool_write_visible(stdout, p->file, strlen(p->file));
		printf(":%lld-%lld, score %.2f%s\n", (long long)p->start, (long long)p->end, p->score, p->older ? ", older version" : "");
		for (int64_t line = first; line <= last; line++)
			print_line(a, p, line);
	}
}
