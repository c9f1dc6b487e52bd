/* ttt-train convert: a model in the form in which it opens fastest, or takes the least space. */
#include "tools/train.h"

enum { OPT_DTYPE = TOOL_LONG };

static const struct tool_option options[] = {
	{ OPT_DTYPE, "dtype", "TYPE", "how weights are stored: f32 (default) or bf16" },
	{ 0 }
};

static const struct tool_usage usage = {
	.synopsis = "[-m MODEL] [--dtype TYPE] DIR",
	.purpose = "Write the model to the model directory DIR.",
	.option = options,
	.common = TOOL_MODEL,
	.example = "ttt-train convert -m run/model --dtype bf16 small",
};

int
train_convert(struct tool *t, int argc, char **argv)
{
	static const char *const dtypes[] = { "f32", "bf16", NULL };
	enum ttt_dtype dtype = TTT_F32;
	struct ttt_error err;
	enum ttt_status s;

	while (tool_option(t, &usage, argc, argv) != TOOL_END)
		dtype = (enum ttt_dtype)tool_word(t, "--dtype", optarg, dtypes);
	if (argc - optind != 1)
		tool_usage_error(t, "one directory is wanted, not %d", argc - optind);
	s = train_model_new(argv[optind], false, &err);
	if (s == TTT_OK)
		s = tool_model_open(t, &err);
	if (s == TTT_OK) {
		tool_critical_begin();
		s = ttt_model_write(t->model, argv[optind], dtype, &err);
		tool_critical_end();
	}
	return s == TTT_OK ? TOOL_DONE : tool_fail(t, &err);
}
