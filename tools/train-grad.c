/* ttt-train grad: the outer loss of given ids, and every parameter's gradient. */
#include "tools/train.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { OPT_IDS = TOOL_LONG, OPT_MODE, OPT_OUT, OPT_FIRST_ORDER };

static const struct tool_option options[] = {
	{ OPT_IDS, "ids", "FILE", "token ids, a sequence a line, all of one length" },
	{ OPT_MODE, "mode", "MODE", "ttt (default), window or full" },
	{ OPT_OUT, "out", "G.safetensors", "write the gradients there" },
	{ OPT_FIRST_ORDER, "first-order", NULL, "leave the second-order terms out" },
	{ 0 }
};

static const struct tool_usage usage = {
	.synopsis = "--ids FILE [--mode MODE] [--out G.safetensors]",
	.purpose = "Print the outer loss of the sequences in FILE, and write its gradient.",
	.option = options,
	.common = TOOL_MODEL,
	.example = "ttt-train grad -m DIR --ids sequences --out gradients.safetensors",
};

/* All lines of the file as one array: ids [n_seq, n_token] (=), freed by the caller. */
static enum ttt_status
read_sequences(struct ttt_ids *all, int64_t *n_seq, int64_t *n_token, FILE *f, const char *path, int64_t n_vocab,
    struct ttt_error *err)
{
	struct ttt_ids line = { 0 };
	enum ttt_status s;
	int64_t number = 0;
	bool more = true;

	*n_seq = *n_token = 0;
	while ((s = ttt_ids_read_line(f, path, &number, n_vocab, &line, &more, err)) == TTT_OK && more) {
		int32_t *grown;

		if (*n_seq > 0 && line.n != *n_token) {
			s = ttt__fail(err, TTT_E_FORMAT,
			    "%s: line %lld has %lld ids, but the lines before it %lld", path, (long long)number,
			    (long long)line.n, (long long)*n_token);
			break;
		}
		grown = realloc(all->id, (size_t)(all->n + line.n + 1) * sizeof(*grown));
		if (grown == NULL) {
			s = ttt__fail_memory(err, "ids");
			break;
		}
		all->id = grown;
		for (int64_t i = 0; i < line.n; i++)
			all->id[all->n++] = line.id[i];
		*n_token = line.n;
		++*n_seq;
	}
	if (s == TTT_OK && (*n_seq == 0 || *n_token < 2)) {
		s = ttt__fail(err, TTT_E_FORMAT, "%s: holds no sequence of two ids or more", path);
	}
	free(line.id);
	return s;
}

static enum ttt_status
gradient(struct tool *t, const struct ttt_train_options *o, FILE *f, const char *path, const char *out,
    struct ttt_error *err)
{
	struct ttt_trainer *trainer = NULL;
	struct ttt_ids ids = { 0 };
	int64_t n_seq, n_token;
	double loss;
	enum ttt_status s;

	s = read_sequences(&ids, &n_seq, &n_token, f, path, ttt_model_config(t->model)->n_vocab, err);
	if (s == TTT_OK)
		s = ttt_trainer_create(&trainer, t->model, o, err);
	if (s == TTT_OK)
		s = ttt_trainer_gradient(trainer, ids.id, n_seq, n_token, -1, &loss, err);
	if (s == TTT_OK && !isfinite(loss))
		s = ttt__fail(err, TTT_E_RANGE, "%s: the loss of its sequences is not a finite number", path);
	if (s == TTT_OK && out != NULL) {
		tool_critical_begin();
		s = ttt_trainer_write_gradient(trainer, out, err);
		tool_critical_end();
	}
	if (s == TTT_OK)
		printf("loss\t%.17g\n", loss);
	ttt_trainer_free(trainer);
	free(ids.id);
	return s;
}

int
train_grad(struct tool *t, int argc, char **argv)
{
	struct ttt_train_options o = { .b1 = 0.9, .b2 = 0.95, .eps = 1e-8 };
	const char *path = NULL, *out = NULL;
	struct ttt_error err;
	enum ttt_status s;
	FILE *f;
	int key;

	while ((key = tool_option(t, &usage, argc, argv)) != TOOL_END) {
		if (key == OPT_IDS)
			path = optarg;
		else if (key == OPT_MODE)
			o.mode = (enum ttt_mode)tool_word(t, "--mode", optarg, train_modes);
		else if (key == OPT_OUT)
			out = optarg;
		else
			o.first_order = true;
	}
	if (path == NULL)
		tool_usage_error(t, "ids are missing (--ids)");
	if (optind < argc)
		tool_usage_error(t, "'%s': takes no operands", argv[optind]);
	if (out != NULL && tool_output_refused(t, out, &path, 1))
		return TOOL_TROUBLE;
	s = tool_model_open(t, &err);
	if (s != TTT_OK)
		return tool_fail(t, &err);
	f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	if (f == NULL) {
		tool_error(t, "%s: cannot open: %s", path, strerror(errno));
		return TOOL_TROUBLE;
	}
	s = gradient(t, &o, f, path, out, &err);
	if (f != stdin)
		fclose(f);
	return s == TTT_OK ? TOOL_DONE : tool_fail(t, &err);
}
