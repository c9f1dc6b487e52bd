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

enum ttt_status
train_model_new(const char *dir, bool bare, struct ttt_error *err)
{
	static const char *const names[] = { "model.safetensors", "model.safetensors.index.json", "config.json", "tokenizer.json" };
	enum ttt_status s = TTT_OK;

	for (int i = 0; i < (bare ? 4 : 2) && s == TTT_OK; i++) {
		char *path = ttt__path_in(dir, names[i]);

		if (path == NULL)
			s = ttt__fail_memory(err, dir);
		else if (access(path, F_OK) == 0)
			s = ttt__fail(err, TTT_E_USAGE, "%s: is there already: a model is not written over another", path);
		free(path);
	}
	return s;
}

int
cmd_main(struct tool *t, int argc, char **argv)
{
	return tool_command(t, commands, "Make and train models that learn what they read.", argc, argv);
}
