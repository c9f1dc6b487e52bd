/* ttt-absorb: read a stream, learn it, write what was learned as a state. */
#include "tools/tool.h"
#include "tools/absorb.h"
#include <string.h>

enum {
	OPT_FILES0 = TOOL_LONG, OPT_IDS, OPT_RULE, OPT_RATE, OPT_PASSES, OPT_NO_LEARN, OPT_NO_PASSAGES, OPT_PASSAGES_MAX,
	OPT_WINDOW, OPT_COMPRESS, OPT_WAIT
};

static const struct tool_option options[] = {
	{ 'f', "from", "STATE", "go on from STATE ('-': standard input)" },
	{ 'u', "update", "STATE", "go on from STATE and replace it; created when absent" },
	{ OPT_WAIT, "wait", "SECONDS", "with -u, wait at most so long for other updates (then exit 75)" },
	{ 'o', "output", "OUT", "write to OUT, by a temporary file, instead of standard output" },
	{ 'r', "recursive", NULL, "walk directories" },
	{ 'a', "archive", NULL, "every input is an archive; absorb its members" },
	{ OPT_FILES0, "files0-from", "F", "take the names of inputs, each ended by NUL, from F" },
	{ OPT_IDS, "ids", "FILE", "absorb token ids, a line a document, instead of text" },
	{ OPT_RULE, "rule", "RULE", "how weights move: sgd (momentum and adam are not built yet)" },
	{ OPT_RATE, "rate", "X", "factor on the model's inner rate" },
	{ OPT_PASSES, "passes", "N", "read the FILEs N times (default: 1)" },
	{ OPT_NO_LEARN, "no-learn", NULL, "fill window and passages only" },
	{ OPT_NO_PASSAGES, "no-passages", NULL, "keep no text" },
	{ OPT_PASSAGES_MAX, "passages-max", "SIZE", "keep at most SIZE bytes of text, the newest (default: 256M)" },
	{ OPT_WINDOW, "window", "HOW", "keep, or tail: leave it out, made again from the last tokens" },
	{ OPT_COMPRESS, "compress", "HOW", "gzip (default), zstd or none" },
	{ 0 }
};

static const struct tool_usage usage = {
	.synopsis = "[-f STATE | -u STATE] [-o OUT] [FILE...]",
	.purpose = "Read FILEs, or standard input, learn them, and write the adapted weights as a state.",
	.option = options,
	.common = TOOL_MODEL | TOOL_PRECISION | TOOL_PROGRESS,
	.example = "git archive HEAD | ttt-absorb -a > state.ttt",
};

static void
set_rule(struct absorb *a, const char *text)
{
	static const char *const rules[] = { "sgd", "momentum", "adam", NULL };

	if (tool_word(a->t, "--rule", text, rules) != 0)
		tool_usage_error(a->t, "--rule: '%s' is not built yet; only sgd is", text);
	a->state.rule = TTT_RULE_SGD;
}

static void
set_text_option(struct absorb *a, int key)
{
	static const char *const windows[] = { "keep", "tail", "none", NULL };
	static const char *const packers[] = { "gzip", "zstd", "none", NULL };

	switch (key) {
	case OPT_RULE:
		set_rule(a, optarg);
		break;
	case OPT_RATE:
		a->state.rate = tool_number(a->t, "--rate", optarg, 1e-9, 1e6);
		break;
	case OPT_PASSES:
		a->n_pass = tool_integer(a->t, "--passes", optarg, 1, 1000);
		break;
	case OPT_PASSAGES_MAX:
		a->state.passages_max = tool_size(a->t, "--passages-max", optarg);
		a->state.no_passages = a->state.passages_max == 0;
		break;
	case OPT_WINDOW: /* "none" says what is in the file, "tail" what it is made from: they are the same */
		a->save.window_tail = tool_word(a->t, "--window", optarg, windows) != 0;
		break;
	case OPT_COMPRESS:
		a->save.compress = (enum ttt_compress)tool_word(a->t, "--compress", optarg, packers);
		break;
	case OPT_WAIT:
		a->wait = tool_number(a->t, "--wait", optarg, 0, 1e9);
		break;
	default:
		break;
	}
}

static void
read_options(struct absorb *a, int argc, char **argv)
{
	int key;

	while ((key = tool_option(a->t, &usage, argc, argv)) != TOOL_END) {
		switch (key) {
		case 'f':
			a->from = optarg;
			break;
		case 'u':
			a->update = optarg;
			break;
		case 'o':
			a->out = optarg;
			break;
		case 'r':
			a->input.recursive = true;
			break;
		case 'a':
			a->input.archive = true;
			break;
		case OPT_FILES0:
			a->files0 = optarg;
			break;
		case OPT_IDS:
			a->ids = optarg;
			break;
		case OPT_NO_LEARN:
			a->state.no_learn = true;
			break;
		case OPT_NO_PASSAGES:
			a->state.no_passages = true;
			break;
		default:
			set_text_option(a, key);
		}
	}
	a->name = (const char *const *)argv + optind;
	a->n_name = (size_t)(argc - optind);
}

/* Combinations that make no sense. */
static void
check_options(struct absorb *a)
{
	struct tool *t = a->t;

	if (a->update != NULL && (a->from != NULL || a->out != NULL))
		tool_usage_error(t, "-u reads and writes its STATE: it goes with neither -f nor -o");
	if (a->update != NULL && strcmp(a->update, "-") == 0)
		tool_usage_error(t, "-u wants a file, not '-'");
	if (a->wait >= 0 && a->update == NULL)
		tool_usage_error(t, "--wait goes with -u");
	if (a->n_name > 0 && (a->ids != NULL || a->files0 != NULL))
		tool_usage_error(t, "'%s': %s takes the place of FILEs", a->name[0],
		    a->ids != NULL ? "--ids" : "--files0-from");
	if (a->ids != NULL && (a->files0 != NULL || a->input.archive || a->input.recursive))
		tool_usage_error(t, "--ids goes with none of -a, -r and --files0-from");
	if (a->n_pass > 1 && (a->ids != NULL || a->state.no_learn))
		tool_usage_error(t, "--passes goes with neither --ids nor --no-learn");
	if (a->n_pass > 1 && a->files0 == NULL && a->n_name == 0)
		tool_usage_error(t, "--passes: standard input can be read only once: name FILEs");
	if (a->from != NULL && strcmp(a->from, "-") == 0 && a->n_name == 0 && a->ids == NULL && a->files0 == NULL)
		tool_usage_error(t, "standard input cannot be both the state and the text: name a FILE");
	if (a->out != NULL && strcmp(a->out, "-") == 0)
		a->out = NULL;
}

int
cmd_main(struct tool *t, int argc, char **argv)
{
	struct absorb a = { .t = t, .wait = -1, .n_pass = 1 };
	int status;

	read_options(&a, argc, argv);
	check_options(&a);
	status = absorb_names(&a);
	if (status == TOOL_DONE)
		status = absorb_check_output(&a);
	if (status == TOOL_DONE)
		status = absorb_open(&a);
	if (status == TOOL_DONE)
		status = a.ids != NULL ? absorb_ids(&a) : absorb_text(&a);
	if (status == TOOL_DONE)
		status = absorb_write(&a);
	absorb_close(&a);
	return status;
}
