/* ttt-train: make models and tokenizers, train them, check their gradients. */
#include "tools/train.h"
#include "libttt/file.h"
#include <stdlib.h>
#include <unistd.h>

const char *const train_modes[] = { "ttt", "window", "full", NULL };
const char *const train_optimizers[] = { "adamw", "muon", NULL };

static const struct tool_command commands[] = {
	{ "init", "make a new model from a configuration", train_init },
	{ "tokenizer", "train a tokenizer on files", train_tokenizer },
	{ "tokenize", "turn text into token ids, or back", train_tokenize },
	{ "run", "train a model; resumes by itself", train_run },
	{ "eval", "score a run's held-out documents", train_eval },
	{ "convert", "write a model anew, in order or in half the space", train_convert },
	{ "grad", "the outer loss and its gradient for given ids", train_grad },
	{ NULL, NULL, NULL }
};

bool
train_model_exists(struct tool *t, const char *dir)
{
	static const char *const names[] = { "model.safetensors", "model.safetensors.index.json" };

	for (int i = 0; i < 2; i++) {
		char *weights = ttt__path_in(dir, names[i]);
		bool there = weights == NULL || access(weights, F_OK) == 0;

		if (weights == NULL)
			tool_error(t, "%s: out of memory", dir);
		else if (there)
			tool_error(t, "%s: is there already: a model is not written over another", weights);
		free(weights);
		if (there)
			return true;
	}
	return false;
}

int
cmd_main(struct tool *t, int argc, char **argv)
{
	return tool_command(t, commands, "Make and train models that learn what they read.", argc, argv);
}
