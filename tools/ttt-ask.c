/* ttt-ask: answer questions from what a state has absorbed, by quoting it. */
#include "tools/ask.h"
#include "libttt/base.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPT_COMPLETE = TOOL_LONG, OPT_TEMPERATURE, OPT_SEED, OPT_RANK, OPT_NO_PASSAGES, OPT_JSON };

static const struct tool_option options[] = {
	{ 'k', "passages", "N", "at most N passages a question (default: 5)" },
	{ 'C', "context", "N", "show N lines around a passage's best one (default: the first whole, 4 of others)" },
	{ OPT_JSON, "json", NULL, "JSON Lines, an object a question, with whole passages" },
	{ OPT_RANK, "rank", "HOW", "order passages by words (default), bm25, initial or absorbed" },
	{ OPT_NO_PASSAGES, "no-passages", NULL, "quote nothing: what the adapted weights go on with after the question" },
	{ OPT_COMPLETE, "complete", NULL, "continue a text with the adapted model instead" },
	{ 'n', "tokens", "N", "with these two: at most N tokens (default: 64)" },
	{ OPT_TEMPERATURE, "temperature", "X", "with these two: 0 takes the likeliest token (default: 0)" },
	{ OPT_SEED, "seed", "N", "with these two: seed of the draws (default: 1)" },
	{ 0 }
};

static const struct tool_usage usage = {
	.synopsis = "[OPTION...] STATE [QUESTION...]\n--complete [OPTION...] STATE [TEXT]",
	.purpose = "Answer QUESTIONs, or those on the lines of standard input, with passages of what STATE\n"
	           "has absorbed: the line that bears most on it, then the passages around such lines,\n"
	           "best first. Exit status 1 says that nothing absorbed bears on a question.",
	.option = options,
	.common = TOOL_MODEL | TOOL_PRECISION,
	.example = "ttt-ask state.ttt \"where is the journal replayed?\"",
};

static bool
collect(void *ctx, const unsigned char *bytes, size_t n)
{
	return fwrite(bytes, 1, n, ctx) == n;
}

/* What the weights go on with after the question. It is printed apart from all that passages say. */
static enum ttt_status
ask_weights(struct ask *a, const char *question, char **text, size_t *n, struct ttt_error *err)
{
	char *prompt = NULL;
	FILE *f = open_memstream(text, n);
	enum ttt_status s = TTT_OK;

	if (f == NULL || asprintf(&prompt, "%s\n", question) < 0)
		s = ttt__fail_memory(err, "the answer");
	else
		s = ttt_complete(a->state, prompt, strlen(prompt), a->n_token, a->temperature, (uint64_t)a->seed,
		    collect, f, err);
	if (f != NULL && fclose(f) != 0 && s == TTT_OK)
		s = ttt__fail_memory(err, "the answer");
	free(prompt);
	return s;
}

static int
answer_by_weights(struct ask *a, const char *question, bool several)
{
	struct ttt_error err;
	char *text = NULL;
	size_t n = 0;
	enum ttt_status s = ask_weights(a, question, &text, &n, &err);

	if (s == TTT_OK && a->json) {
		printf("{\"question\": ");
		tool_write_json(stdout, question, strlen(question));
		printf(", \"answer\": null, \"abstain\": null, \"score\": null, \"passages\": [], \"weights\": ");
		tool_write_json(stdout, text, n);
		puts("}");
	} else if (s == TTT_OK) {
		if (several)
			ask_print_question(a, question);
		ask_quote(a, text, n);
		putchar('\n');
	}
	free(text);
	return s == TTT_OK ? TOOL_DONE : tool_fail(a->t, &err);
}

/* Exit status of one question. */
static int
answer(struct ask *a, const char *question, bool several)
{
	struct ttt_answer r;
	struct ttt_error err;

	a->n_asked++;
	if (a->no_passages)
		return answer_by_weights(a, question, several);
	if (ttt_ask_question(a->ask, question, &r, &err) != TTT_OK)
		return tool_fail(a->t, &err);
	if (a->json)
		ask_print_json(question, &r);
	else if (r.bears)
		ask_print(a, question, several, &r);
	if (r.bears)
		return TOOL_DONE;
	tool_error(a->t, "nothing absorbed bears on '%s'", question);
	return TOOL_NO;
}

static int
answer_lines(struct ask *a)
{
	char *line = NULL;
	size_t capacity = 0;
	ssize_t n;
	int status = TOOL_DONE;

	while (status != TOOL_TROUBLE && (n = getline(&line, &capacity, stdin)) >= 0) {
		int one;

		while (n > 0 && strchr("\r\n \t", line[n - 1]) != NULL)
			line[--n] = '\0';
		if (line[strspn(line, " \t")] == '\0')
			continue;
		one = answer(a, line, true);
		status = one > status ? one : status;
		if (fflush(stdout) != 0) /* whoever sends questions one by one waits for the answer */
			break;
	}
	if (ferror(stdin)) {
		tool_error(a->t, "-: cannot read: %s", strerror(errno));
		status = TOOL_TROUBLE;
	}
	free(line);
	if (status == TOOL_DONE && a->n_asked == 0) {
		tool_error(a->t, "-: no question: the input is empty");
		status = TOOL_TROUBLE;
	}
	return status;
}

static int
answer_all(struct ask *a)
{
	struct ttt_error err;
	int status = TOOL_DONE;

	if (!a->no_passages && ttt_ask_create(&a->ask, a->state, &a->o, &err) != TTT_OK) {
		tool_error(a->t, "%s: %s", a->path, err.text);
		return TOOL_TROUBLE;
	}
	if (a->n_operand == 0)
		return answer_lines(a);
	for (int i = 0; i < a->n_operand && status != TOOL_TROUBLE; i++) {
		int one = answer(a, a->operand[i], a->n_operand > 1);

		status = one > status ? one : status;
	}
	return status;
}

static void
set_option(struct ask *a, int key)
{
	static const char *const ranks[] = { "words", "bm25", "initial", "absorbed", NULL };

	switch (key) {
	case 'k':
		a->o.k = tool_integer(a->t, "-k", optarg, 1, 100000);
		break;
	case 'C':
		a->context = tool_integer(a->t, "-C", optarg, 0, 100000);
		break;
	case 'n':
		a->n_token = tool_integer(a->t, "-n", optarg, 1, 100000000);
		break;
	case OPT_TEMPERATURE:
		a->temperature = tool_number(a->t, "--temperature", optarg, 0, 1e6);
		break;
	case OPT_SEED:
		a->seed = tool_integer(a->t, "--seed", optarg, 0, INT64_MAX);
		break;
	case OPT_COMPLETE:
		a->complete = true;
		break;
	case OPT_NO_PASSAGES:
		a->no_passages = true;
		break;
	case OPT_RANK:
		a->o.rank = (enum ttt_rank)tool_word(a->t, "--rank", optarg, ranks);
		break;
	case OPT_JSON:
		a->json = true;
		break;
	default:
		break;
	}
}

int
cmd_main(struct tool *t, int argc, char **argv)
{
	struct ask a = { .t = t, .context = -1, .n_token = 64, .seed = 1, .visible = isatty(STDOUT_FILENO) == 1 };
	struct ttt_error err;
	int key, status;

	while ((key = tool_option(t, &usage, argc, argv)) != TOOL_END)
		set_option(&a, key);
	if (optind == argc)
		tool_usage_error(t, "the state to ask is missing");
	a.path = argv[optind];
	a.operand = argv + optind + 1;
	a.n_operand = argc - optind - 1;
	if (a.n_operand == 0 && strcmp(a.path, "-") == 0)
		tool_usage_error(t, "standard input cannot be both the state and the questions");
	if (a.complete && (a.json || a.n_operand > 1))
		tool_usage_error(t, a.json ? "--complete writes text, not JSON" : "--complete takes one text");
	if (tool_model_open_to_read(t, &err) != TTT_OK || ttt_state_open(&a.state, a.path, t->model, NULL, &err) != TTT_OK)
		return tool_fail(t, &err);
	status = a.complete ? ask_complete(&a) : answer_all(&a);
	ttt_ask_free(a.ask);
	ttt_state_free(a.state);
	return status;
}
