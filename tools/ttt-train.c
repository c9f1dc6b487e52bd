/* ttt-train: make models and tokenizers, train them, check their gradients. */
#include "tools/train.h"
#include <stdlib.h>

const char *const train_modes[] = { "ttt", "window", "full", NULL };

static const struct tool_command commands[] = {
	{ "init", "make a new model from a configuration", train_init },
	{ "tokenizer", "train a tokenizer on files", train_tokenizer },
	{ "tokenize", "turn text into token ids, or back", train_tokenize },
	{ "run", "train a model; resumes by itself", train_run },
	{ "eval", "score a run's held-out documents", train_eval },
	{ "grad", "the outer loss and its gradient for given ids", train_grad },
	{ NULL, NULL, NULL }
};

char *
train_path(const char *dir, const char *name)
{
	char *path = NULL;

	return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

int
cmd_main(struct tool *t, int argc, char **argv)
{
	return tool_command(t, commands, "Make and train models that learn what they read.", argc, argv);
}
