/* ttt-train init: a new model. */
#include "tools/train.h"

enum { OPT_SEED = TOOL_LONG, OPT_FAN_IN, OPT_STD };

static const struct tool_option options[] = {
	{ 'c', "config", "FILE", "the configuration (config.json)" },
	{ 't', "tokenizer", "FILE", "the tokenizer.json to copy into the model" },
	{ OPT_SEED, "seed", "N", "of the random weights (default: 0)" },
	{ OPT_STD, "init-std", "X", "standard deviation of weights (default: 0.02)" },
	{ OPT_FAN_IN, "prime-fan-in", NULL, "prime MLPs by their fan-in instead" },
	{ 0 }
};

static const struct tool_usage usage = {
	.synopsis = "-c CONFIG [-t TOKENIZER] DIR",
	.purpose = "Make the model directory DIR with random weights.",
	.option = options,
	.example = "ttt-train init -c config.json -t tokenizer.json --prime-fan-in new",
};

int
train_init(struct tool *t, int argc, char **argv)
{
	struct ttt_init_options o = { 0 };
	struct ttt_error err;
	enum ttt_status s;
	int key;

	while ((key = tool_option(t, &usage, argc, argv)) != TOOL_END) {
		if (key == 'c')
			o.config = optarg;
		else if (key == 't')
			o.tokenizer = optarg;
		else if (key == OPT_SEED)
			o.seed = (uint64_t)tool_integer(t, "--seed", optarg, 0, INT64_MAX);
		else if (key == OPT_STD)
			o.init_std = tool_number(t, "--init-std", optarg, 1e-9, 1e3);
		else
			o.prime_fan_in = true;
	}
	if (o.config == NULL)
		tool_usage_error(t, "a configuration is missing (-c)");
	if (argc - optind != 1)
		tool_usage_error(t, "one directory is wanted, not %d", argc - optind);
	if (train_model_new(argv[optind], false, &err) != TTT_OK)
		return tool_fail(t, &err);
	tool_critical_begin();
	s = ttt_model_init(argv[optind], &o, &err);
	tool_critical_end();
	return s == TTT_OK ? TOOL_DONE : tool_fail(t, &err);
}
