/* ttt-ppl: how well the model, or what it became by reading, predicts a text. */
#include "tools/ppl.h"
#include <stdlib.h>
#include <string.h>

enum { OPT_MODE = TOOL_LONG, OPT_TOKENS, OPT_LINES, OPT_POSITIONS, OPT_IDS, OPT_JSON, OPT_SORT, OPT_TOP, OPT_RATE,
	OPT_WEIGHTS };

static const struct tool_option options[] = {
	{ 's', "state", "STATE", "go on from what STATE has absorbed" },
	{ OPT_MODE, "mode", "MODE", "ttt: learn while reading (default); frozen: adapted weights, held; window: initial ones" },
	{ OPT_TOKENS, "tokens", NULL, "a line a token: document, position, id, nll in nats" },
	{ OPT_LINES, "lines", NULL, "a line of input each, with its bits per byte and its bits" },
	{ OPT_POSITIONS, "positions", NULL, "loss by position, in powers of two" },
	{ OPT_IDS, "ids", "FILE", "score token ids, a sequence a line, instead of text" },
	{ OPT_RATE, "rate", "X", "factor on the model's inner rate (default: the state's)" },
	{ OPT_WEIGHTS, "weights", "WHICH", "with -s, start from the last weights (default) or from their mean" },
	{ 'r', "recursive", NULL, "walk directories" },
	{ OPT_SORT, "sort", NULL, "worst predicted first" },
	{ OPT_TOP, "top", "N", "the N worst predicted only" },
	{ OPT_JSON, "json", NULL, "JSON Lines" },
	{ 0 }
};

static const struct tool_usage usage = {
	.synopsis = "[-s STATE] [--mode MODE] [FILE...]",
	.purpose = "Print loss, bits per byte and perplexity of FILEs, or of standard input.\n"
	           "MODE is ttt, frozen, window (the fast weights as they were at first, held) or\n"
	           "full (the same with full attention).",
	.option = options,
	.common = TOOL_MODEL | TOOL_PRECISION | TOOL_PROGRESS,
	.example = "ttt-ppl -s state.ttt --lines --top 10 new.c",
};

static void
set_form(struct ppl *p, enum ppl_form form)
{
	if (p->form != PPL_FILES && p->form != form)
		tool_usage_error(p->t, "only one of --tokens, --lines and --positions can be printed");
	p->form = form;
}

static void
set_option(struct ppl *p, int key)
{
	static const char *const modes[] = { "ttt", "frozen", "window", "full", NULL };
	static const char *const weights[] = { "last", "mean", NULL };

	switch (key) {
	case 's':
		p->state = optarg;
		break;
	case OPT_MODE:
		p->mode = (enum ppl_mode)tool_word(p->t, "--mode", optarg, modes);
		break;
	case OPT_TOKENS:
		set_form(p, PPL_TOKENS);
		break;
	case OPT_LINES:
		set_form(p, PPL_LINES);
		break;
	case OPT_POSITIONS:
		set_form(p, PPL_POSITIONS);
		break;
	case OPT_IDS:
		p->ids = optarg;
		break;
	case OPT_RATE:
		p->rate = tool_number(p->t, "--rate", optarg, 1e-9, 1e6);
		break;
	case OPT_WEIGHTS:
		p->weights = (enum ttt_weights)tool_word(p->t, "--weights", optarg, weights);
		break;
	case 'r':
		p->input.recursive = true;
		break;
	case OPT_TOP:
		p->top = tool_integer(p->t, "--top", optarg, 1, 1000000000);
		p->sort = true;
		break;
	case OPT_SORT:
		p->sort = true;
		break;
	case OPT_JSON:
		p->json = true;
		break;
	default:
		break;
	}
}

static void
check_options(struct ppl *p)
{
	if (p->ids != NULL && p->n_name > 0)
		tool_usage_error(p->t, "'%s': --ids takes the place of FILEs", p->name[0]);
	if (p->weights != TTT_WEIGHTS_LAST && p->state == NULL)
		tool_usage_error(p->t, "--weights chooses among those of a state: it goes with -s");
	if (p->state != NULL && p->mode == PPL_FULL)
		tool_usage_error(p->t, "--mode full keeps all that was read, and a state has only a window of it");
	if (p->state != NULL && strcmp(p->state, "-") == 0 && p->ids == NULL && p->n_name == 0)
		tool_usage_error(p->t, "standard input cannot be both the state and the text: name a FILE");
	if (p->sort && p->form == PPL_POSITIONS)
		tool_usage_error(p->t, "--positions is in the order of positions: --sort and --top do not go with it");
}

/* Rows into a file that is being read would have no end. */
static bool
writes_to_input(struct ppl *p)
{
	bool bad = (p->ids != NULL && tool_stdout_is(p->t, p->ids)) || (p->state != NULL && tool_stdout_is(p->t, p->state));

	for (size_t i = 0; i < p->n_name && !bad; i++)
		bad = tool_stdout_is(p->t, p->name[i]);
	return bad || (p->n_name == 0 && p->ids == NULL && tool_stdout_is(p->t, "-"));
}

static void
close_ppl(struct ppl *p)
{
	for (int64_t i = 0; i < p->n_row; i++)
		free(p->row[i].text);
	free(p->row);
	free(p->line);
	ttt_session_free(p->base);
	ttt_state_free(p->s);
}

int
cmd_main(struct tool *t, int argc, char **argv)
{
	struct ppl p = { .t = t };
	int key, status;

	t->prints_rows = true;
	while ((key = tool_option(t, &usage, argc, argv)) != TOOL_END)
		set_option(&p, key);
	p.name = (const char *const *)argv + optind;
	p.n_name = (size_t)(argc - optind);
	check_options(&p);
	if (writes_to_input(&p))
		return TOOL_TROUBLE;
	status = ppl_open(&p);
	if (status == TOOL_DONE)
		status = p.ids != NULL ? ppl_ids(&p) : ppl_text(&p);
	if (status == TOOL_DONE)
		ppl_end(&p);
	if (status == TOOL_DONE && p.n_empty + p.n_failed > 0)
		status = TOOL_TROUBLE;
	close_ppl(&p);
	return status;
}
