/* The settings of 'ttt-train run': one table for the command line, the defaults and run.json. */
#include "tools/train.h"
#include "libttt/file.h"
#include <jansson.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum kind { INTEGER, NUMBER, FLAG };

/* -1 stands for a default that depends on other settings or on the model; train-run.c works it out. */
static const struct field {
	const char *name, *argument, *help;
	enum kind kind;
	size_t offset;
	double standard, least, most;
} fields[] = {
#define AT(m) offsetof(struct train_options, m)
	{ "steps", "N", "outer steps in all (default: 1000)", INTEGER, AT(steps), 1000, 1, 1e9 },
	{ "batch", "N", "sequences a step (default: 2)", INTEGER, AT(batch), 2, 1, 4096 },
	{ "seq", "N", "tokens a sequence (default: the configuration's seq_length)", INTEGER, AT(seq), -1, 1, 1e7 },
	{ "lr", "X", "learning rate after the warm-up (default: 0.003)", NUMBER, AT(lr), 0.003, 0, 10 },
	{ "init-lr", "X", "learning rate of the first step (default: 0)", NUMBER, AT(init_lr), 0, 0, 10 },
	{ "end-lr", "X", "learning rate that a cosine ends at (default: 0.00001)", NUMBER, AT(end_lr), 1e-5, 0, 10 },
	{ "warmup", "N", "steps of warm-up (default: a twentieth)", INTEGER, AT(warmup), -1, 0, 1e9 },
	{ "decay", "N", "last steps, in which the rate falls to --end-lr (default: all after the warm-up)", INTEGER, AT(decay), -1, 0, 1e9 },
	{ "weight-decay", "X", "decoupled (default: 0.1)", NUMBER, AT(weight_decay), 0.1, 0, 10 },
	{ "clip", "X", "global norm of a gradient (default: 1; 0: off)", NUMBER, AT(clip), 1, 0, 1e9 },
	{ "beta1", "X", "AdamW, and Muon's momentum (default: 0.9)", NUMBER, AT(b1), 0.9, 0, 0.999999 },
	{ "beta2", "X", "AdamW (default: 0.95)", NUMBER, AT(b2), 0.95, 0, 0.999999 },
	{ "inner-init", "X", "inner rate of the first step (default: a tenth of inner_lr)", NUMBER, AT(ilr_init), -1, 0,
	    1e6 },
	{ "inner-warmup", "N", "steps until it is inner_lr (default: a tenth)", INTEGER, AT(ilr_warmup), -1, 0, 1e9 },
	{ "first-order", NULL, "leave the second-order terms out", FLAG, AT(first_order), 0, 0, 1 },
	{ "held-tail", "X", "share of a sequence at its end read with the mean weights, held (default: 0)", NUMBER, AT(held_tail), 0, 0, 0.9 },
	{ "keep", "MB", "memory for what the way back would otherwise make again (default: 1024)", INTEGER, AT(keep), 1024, 0, 1e6 },
	{ "seed", "N", "of the order of data (default: 1)", INTEGER, AT(seed), 1, 0, 9e15 },
	{ "project-depth", "N", "a document is all files below one directory N deep", INTEGER, AT(project_depth), 0, 0,
	    100 },
	{ "held-out", "X", "share of documents never trained on (default: 0.02)", NUMBER, AT(held_out), 0.02, 0, 1 },
	{ "checkpoint-every", "N", "steps (default: 100)", INTEGER, AT(checkpoint_every), 100, 1, 1e9 },
	{ "eval-every", "N", "steps between scores of held-out text (default: never)", INTEGER, AT(eval_every), 0, 0,
	    1e9 },
	{ "eval-documents", "N", "documents scored (default: 16)", INTEGER, AT(eval_documents), 16, 1, 1e9 },
	{ "eval-tokens", "N", "tokens read of each (default: 4096)", INTEGER, AT(eval_tokens), 4096, 2, 1e9 },
#undef AT
};
enum { N_FIELD = sizeof(fields) / sizeof(fields[0]) };
enum { OPT_DATA = TOOL_LONG + N_FIELD, OPT_MODE, OPT_OPTIMIZER, OPT_HELD_LIST };

static const struct tool_option others[] = {
	{ OPT_DATA, "data", "PATH[=WEIGHT]", "file or directory to learn from; may be given more than once" },
	{ OPT_MODE, "mode", "MODE", "ttt: meta-train (default); window: plainly, as a warm start; full: no window either" },
	{ OPT_OPTIMIZER, "optimizer", "NAME", "adamw (default), or muon: for the blocks' matrices, the rest by adamw" },
	{ OPT_HELD_LIST, "held-out-list", "FILE", "names of documents never trained on, a line each" },
};
enum { N_OTHER = sizeof(others) / sizeof(others[0]) };

static void
set(struct train_options *o, const struct field *f, double x)
{
	char *at = (char *)o + f->offset;

	if (f->kind == NUMBER)
		*(double *)(void *)at = x;
	else
		*(int64_t *)(void *)at = (int64_t)x;
}

static double
get(const struct train_options *o, const struct field *f)
{
	const char *at = (const char *)o + f->offset;

	return f->kind == NUMBER ? *(const double *)(const void *)at : (double)*(const int64_t *)(const void *)at;
}

static enum ttt_status
add_data(struct train_options *o, const char *text, struct ttt_error *err)
{
	char **grown = realloc(o->data, (o->n_data + 1) * sizeof(*grown));

	if (grown == NULL)
		return ttt__fail_memory(err, "settings");
	o->data = grown;
	o->data[o->n_data] = strdup(text);
	return o->data[o->n_data++] != NULL ? TTT_OK : ttt__fail_memory(err, "settings");
}

static void
forget_data(struct train_options *o)
{
	for (size_t i = 0; i < o->n_data; i++)
		free(o->data[i]);
	free(o->data);
	o->data = NULL;
	o->n_data = 0;
}

void
train_options_free(struct train_options *o)
{
	forget_data(o);
	free(o->held_list);
	o->held_list = NULL;
}

static enum ttt_status
bad_file(struct ttt_error *err, const char *path, const char *what)
{
	return ttt__fail(err, TTT_E_FORMAT, "%s: %s", path, what);
}

/* Which of the words x is; -1: none. */
static int64_t
word_at(const char *const *words, const json_t *x)
{
	for (int64_t i = 0; json_is_string(x) && words[i] != NULL; i++)
		if (strcmp(words[i], json_string_value(x)) == 0)
			return i;
	return -1;
}

static enum ttt_status
from_json(struct train_options *o, const json_t *root, const char *path, struct ttt_error *err)
{
	const json_t *data = json_object_get(root, "data"), *x, *mode = json_object_get(root, "mode");
	const json_t *optimizer = json_object_get(root, "optimizer");
	enum ttt_status s = TTT_OK;

	for (size_t i = 0; i < N_FIELD; i++) {
		x = json_object_get(root, fields[i].name);
		if (x == NULL) /* a setting newer than the run */
			continue;
		if (!json_is_number(x))
			return bad_file(err, path, "a setting is no number");
		if (json_number_value(x) != fields[i].standard &&
		    !(json_number_value(x) >= fields[i].least && json_number_value(x) <= fields[i].most))
			return bad_file(err, path, "a setting is outside its limits");
		set(o, &fields[i], json_number_value(x));
	}
	o->mode = word_at(train_modes, mode);
	o->optimizer = optimizer != NULL ? word_at(train_optimizers, optimizer) : TTT_OPTIMIZER_ADAMW;
	if (o->mode < 0 || o->optimizer < 0 || !json_is_array(data))
		return bad_file(err, path, "mode, optimizer or data is not what it should be");
	for (size_t i = 0; i < json_array_size(data) && s == TTT_OK; i++) {
		x = json_array_get(data, i);
		s = json_is_string(x) ? add_data(o, json_string_value(x), err)
		                      : bad_file(err, path, "data is no list of names");
	}
	x = json_object_get(root, "held-out-list");
	if (s == TTT_OK && json_is_string(x) && (o->held_list = strdup(json_string_value(x))) == NULL)
		s = ttt__fail_memory(err, "settings");
	return s;
}

/* Defaults, or what the run's directory says. */
static enum ttt_status
load(struct train_options *o, const char *path, struct ttt_error *err)
{
	struct ttt__bytes b = { 0 };
	struct ttt_error why;
	json_error_t where;
	json_t *root;
	enum ttt_status s;
	FILE *f = fopen(path, "re");

	for (size_t i = 0; i < N_FIELD; i++)
		set(o, &fields[i], fields[i].standard);
	if (f == NULL) /* a new run, or a directory that opening its files will complain of */
		return TTT_OK;
	fclose(f);
	s = ttt__file_read(&b, path, (size_t)1 << 24, &why);
	if (s != TTT_OK) {
		*err = why;
		return s;
	}
	root = json_loadb((const char *)b.p, b.n, JSON_REJECT_DUPLICATES, &where);
	s = json_is_object(root) ? from_json(o, root, path, err) : bad_file(err, path, "is not JSON");
	json_decref(root);
	ttt__bytes_free(&b);
	return s;
}

static enum ttt_status
apply(struct tool *t, struct train_options *o, int key, const char *value, bool *data_given, struct ttt_error *err)
{
	char name[64];

	if (key == OPT_DATA) {
		if (!*data_given)
			forget_data(o);
		*data_given = true;
		return add_data(o, value, err);
	}
	if (key == OPT_MODE) {
		o->mode = tool_word(t, "--mode", value, train_modes);
		return TTT_OK;
	}
	if (key == OPT_OPTIMIZER) {
		o->optimizer = tool_word(t, "--optimizer", value, train_optimizers);
		return TTT_OK;
	}
	if (key == OPT_HELD_LIST) {
		free(o->held_list);
		o->held_list = strdup(value);
		o->held_list_given = true;
		return o->held_list != NULL ? TTT_OK : ttt__fail_memory(err, "settings");
	}
	const struct field *f = &fields[key - TOOL_LONG];

	o->schedule_given |= strcmp(f->name, "steps") == 0 || strcmp(f->name, "warmup") == 0 || strcmp(f->name, "decay") == 0;
	snprintf(name, sizeof(name), "--%s", f->name);
	if (f->kind == FLAG)
		set(o, f, 1);
	else if (f->kind == INTEGER)
		set(o, f, (double)tool_integer(t, name, value, (int64_t)f->least, (int64_t)f->most));
	else
		set(o, f, tool_number(t, name, value, f->least, f->most));
	return TTT_OK;
}

enum ttt_status
train_options_read(struct tool *t, struct train_options *o, const char **dir, int argc, char **argv,
    struct ttt_error *err)
{
	struct tool_option table[N_FIELD + N_OTHER + 1] = { { 0 } };
	const struct tool_usage usage = {
		.synopsis = "[OPTION...] DIR",
		.purpose = "Train a model on the run directory DIR, which is made. DIR keeps all settings: the same\n"
		           "command, or 'ttt-train run DIR', resumes from the last checkpoint. SIGTERM saves one.",
		.option = table,
		.common = TOOL_MODEL | TOOL_PROGRESS,
		.example = "ttt-train run -m new --data src --project-depth 1 --steps 5000 run",
	};
	struct given {
		int key;
		const char *value;
	} *given = calloc((size_t)argc + 1, sizeof(*given)); /* an option takes a word at least */
	enum ttt_status s = given != NULL ? TTT_OK : ttt__fail_memory(err, "settings");
	bool data_given = false;
	size_t n = 0;
	char *path;

	for (size_t i = 0; i < N_OTHER; i++)
		table[i] = others[i];
	for (size_t i = 0; i < N_FIELD; i++)
		table[N_OTHER + i] = (struct tool_option){ TOOL_LONG + (int)i, fields[i].name, fields[i].argument,
			fields[i].help };
	for (int key; s == TTT_OK && (key = tool_option(t, &usage, argc, argv)) != TOOL_END; n++)
		given[n] = (struct given){ key, optarg };
	if (s == TTT_OK && argc - optind != 1)
		tool_usage_error(t, "one run directory is wanted, not %d", argc - optind);
	*dir = argv[optind];
	path = ttt__path_in(*dir, "run.json");
	if (s == TTT_OK)
		s = path != NULL ? load(o, path, err) : ttt__fail_memory(err, "settings");
	o->optimizer_before = o->n_data > 0 ? o->optimizer : -1;
	for (size_t i = 0; i < n && s == TTT_OK; i++)
		s = apply(t, o, given[i].key, given[i].value, &data_given, err);
	if (s == TTT_OK && o->n_data == 0)
		tool_usage_error(t, "nothing to learn from (--data)");
	free(path);
	free(given);
	return s;
}

enum ttt_status
train_options_write(const struct train_options *o, const char *dir, struct ttt_error *err)
{
	json_t *root = json_object(), *data = json_array();
	char *path = ttt__path_in(dir, "run.json"), *text = NULL;
	enum ttt_status s = TTT_OK;

	json_object_set_new(root, "mode", json_string(train_modes[o->mode]));
	json_object_set_new(root, "optimizer", json_string(train_optimizers[o->optimizer]));
	for (size_t i = 0; i < o->n_data; i++)
		if (json_array_append_new(data, json_string(o->data[i])) != 0)
			s = bad_file(err, o->data[i], "its name is not UTF-8, which run.json cannot hold");
	json_object_set_new(root, "data", data);
	if (o->held_list != NULL && json_object_set_new(root, "held-out-list", json_string(o->held_list)) != 0)
		s = bad_file(err, o->held_list, "its name is not UTF-8, which run.json cannot hold");
	for (size_t i = 0; i < N_FIELD; i++) {
		double x = get(o, &fields[i]);

		json_object_set_new(root, fields[i].name,
		    fields[i].kind == NUMBER ? json_real(x) : json_integer((json_int_t)x));
	}
	text = json_dumps(root, JSON_INDENT(1));
	json_decref(root);
	if (s == TTT_OK && (path == NULL || text == NULL))
		s = ttt__fail_memory(err, "settings");
	if (s == TTT_OK)
		s = ttt__file_write(path, text, strlen(text), false, err);
	free(text);
	free(path);
	return s;
}

/* "PATH=WEIGHT" where what follows the last '=' is a number and no file has the whole name. */
static enum ttt_status
split(const char *text, char **path, double *weight, struct ttt_error *err)
{
	const char *sign = strrchr(text, '=');
	char *end = NULL;
	double x = sign != NULL ? strtod(sign + 1, &end) : 0;
	bool has = sign != NULL && end > sign + 1 && *end == '\0' && access(text, F_OK) != 0;

	if (has && !(isfinite(x) && x >= 0)) {
		return ttt__fail(err, TTT_E_USAGE, "--data: '%s': a weight is a number from 0 on", text);
	}
	*path = has ? strndup(text, (size_t)(sign - text)) : strdup(text);
	*weight = has ? x : -1;
	return *path != NULL ? TTT_OK : ttt__fail_memory(err, "settings");
}

enum ttt_status
train_sources(const struct train_options *o, char ***path, double **weight, struct ttt_error *err)
{
	char **paths = calloc(o->n_data, sizeof(*paths));
	double *weights = calloc(o->n_data, sizeof(*weights));
	enum ttt_status s = paths != NULL && weights != NULL ? TTT_OK : ttt__fail_memory(err, "settings");
	size_t n_weight = 0;

	for (size_t i = 0; paths != NULL && weights != NULL && i < o->n_data && s == TTT_OK; i++) {
		s = split(o->data[i], &paths[i], &weights[i], err);
		n_weight += weights[i] >= 0;
	}
	if (s == TTT_OK && n_weight > 0 && n_weight < o->n_data) {
		s = ttt__fail(err, TTT_E_USAGE, "--data: either every PATH has a =WEIGHT or none has");
	}
	if (n_weight == 0 || s != TTT_OK) {
		free(weights);
		weights = NULL;
	}
	if (s != TTT_OK) {
		train_sources_free(o, paths, weights);
		paths = NULL;
	}
	*path = paths;
	*weight = weights;
	return s;
}

void
train_sources_free(const struct train_options *o, char **path, double *weight)
{
	for (size_t i = 0; path != NULL && i < o->n_data; i++)
		free(path[i]);
	free(path);
	free(weight);
}
