/* ttt-bench: what this machine does, and how near to it the library comes. Rows of figures; it asserts nothing. */
#include "bench/bench.h"

#include <stdlib.h>
#include <string.h>

enum { OPT_CONFIG = TOOL_LONG, OPT_JSON, OPT_TEXT, OPT_ROUNDS, OPT_SECONDS, OPT_SEQUENCES, OPT_SEQ_LENGTH, OPT_CONTEXT, OPT_FILLED };

static const struct tool_option options[] = {
	{ OPT_CONFIG, "config", "FILE", "a shape to measure with random weights (default: the embedded model)" },
	{ OPT_TEXT, "text", "FILE", "what is absorbed by a model with a tokenizer (default: a source file)" },
	{ OPT_ROUNDS, "rounds", "N", "repetitions of every timing (default: 7)" },
	{ OPT_SECONDS, "seconds", "X", "least duration of one timing (default: 0.3)" },
	{ OPT_SEQUENCES, "sequences", "N", "sequences of a training step (default: 2)" },
	{ OPT_SEQ_LENGTH, "seq-length", "N", "tokens of a training sequence (default: the configuration's)" },
	{ OPT_CONTEXT, "context", "N,N,...", "lengths to measure at, K and M allowed (default: 8K,32K,128K)" },
	{ OPT_FILLED, "filled", NULL, "length: time TTT with a full window, not after reading so far" },
	{ OPT_JSON, "json", NULL, "JSON Lines" },
	{ 0 }
};

/* The last part of a path, without ".json". */
static const char *
shape_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *name = strdup(slash ? slash + 1 : path), *dot = name ? strrchr(name, '.') : NULL;

	if (dot)
		*dot = '\0';
	return name ? name : path;
}

static void
take_contexts(struct bench *b, struct tool *t, char *list)
{
	for (char *word = strtok(list, ","); word; word = strtok(NULL, ",")) {
		if (b->n_context == BENCH_CONTEXTS_MAX)
			tool_usage_error(t, "--context: more than %d lengths", BENCH_CONTEXTS_MAX);
		b->context[b->n_context++] = (int64_t)tool_size(t, "--context", word);
	}
}

void
bench_options(struct bench *b, struct tool *t, const char *synopsis, const char *purpose, int argc, char **argv)
{
	const struct tool_usage usage = { .synopsis = synopsis, .purpose = purpose, .option = options, .common = TOOL_MODEL | TOOL_PRECISION };
	static char contexts[] = "8K,32K,128K";
	int key;

	*b = (struct bench){ .t = t, .shape = "embedded", .rounds = 7, .seconds = 0.3, .text = BENCH_TEXT, .n_sequence = 2 };
	while ((key = tool_option(t, &usage, argc, argv)) != TOOL_END)
		switch (key) {
		case OPT_CONFIG:
			b->config = optarg;
			b->shape = shape_of(optarg);
			break;
		case OPT_TEXT:
			b->text = optarg;
			break;
		case OPT_ROUNDS:
			b->rounds = (int)tool_integer(t, "--rounds", optarg, 1, BENCH_ROUNDS_MAX);
			break;
		case OPT_SECONDS:
			b->seconds = tool_number(t, "--seconds", optarg, 0, 3600);
			break;
		case OPT_SEQUENCES:
			b->n_sequence = tool_integer(t, "--sequences", optarg, 1, 1024);
			break;
		case OPT_SEQ_LENGTH:
			b->seq_length = tool_integer(t, "--seq-length", optarg, 1, 1 << 24);
			break;
		case OPT_FILLED:
			b->filled = true;
			break;
		case OPT_CONTEXT:
			take_contexts(b, t, optarg);
			break;
		default:
			b->json = true;
		}
	if (optind < argc)
		tool_usage_error(t, "'%s': no operand is taken", argv[optind]);
	if (b->n_context == 0)
		take_contexts(b, t, contexts);
}

int
cmd_main(struct tool *t, int argc, char **argv)
{
	static const struct tool_command commands[] = {
		{ "peak", "matrix products at the shape's sizes", bench_peak },
		{ "absorb", "learning while reading: tokens a second, share of the peak, memory", bench_absorb },
		{ "meta", "a meta-training step beside a plain one", bench_meta },
		{ "length", "cost of a token by context length", bench_length },
		{ "decode", "tokens generated a second", bench_decode },
		{ "precision", "reading in bfloat16 beside reading in float32: speed and loss", bench_precision },
		{ "start", "time of each program on an input of 100 bytes", bench_start },
		{ 0 }
	};

	return tool_command(t, commands, "Measure this machine and the library on it.", argc, argv);
}
