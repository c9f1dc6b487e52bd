/* What the commands of ttt-train share. */
#ifndef TTT_TOOLS_TRAIN_H
#define TTT_TOOLS_TRAIN_H
#include "tools/tool.h"
#include "libttt/learn/data.h"

int train_init(struct tool *t, int argc, char **argv);
int train_tokenizer(struct tool *t, int argc, char **argv);
int train_tokenize(struct tool *t, int argc, char **argv);
int train_grad(struct tool *t, int argc, char **argv);
int train_run(struct tool *t, int argc, char **argv);
int train_eval(struct tool *t, int argc, char **argv);
int train_convert(struct tool *t, int argc, char **argv);

extern const char *const train_modes[]; /* names of enum ttt_mode, NULL at the end */
extern const char *const train_optimizers[]; /* of enum ttt_optimizer */

/* The settings of a run, kept in its directory as run.json, so that it resumes with nothing but its name. */
struct train_options {
	char **data; /* [n_data] PATH or PATH=WEIGHT */
	size_t n_data;
	char *held_list; /* or NULL */
	bool held_list_given, schedule_given; /* on the command line; the latter: steps, warmup or decay */
	int64_t optimizer_before; /* of the run so far; -1: it is new */
	int64_t mode;    /* enum ttt_mode */
	int64_t optimizer; /* enum ttt_optimizer */
	int64_t steps, batch, seq, warmup, decay, seed, ilr_warmup, checkpoint_every, eval_every, eval_documents, eval_tokens;
	int64_t project_depth, first_order, keep;
	double lr, init_lr, end_lr, weight_decay, clip, b1, b2, ilr_init, held_out, held_tail;
};
/* Read the command line over what run.json says, where there is one; *dir is the run directory. A wrong command line
 * ends the program. */
enum ttt_status train_options_read(struct tool *t, struct train_options *o, const char **dir, int argc, char **argv,
    struct ttt_error *err);
enum ttt_status train_options_write(const struct train_options *o, const char *dir, struct ttt_error *err);
/* The paths and weights of o->data: arrays [n_data], freed by train_sources_free(). *weight is NULL where none has
 * one. */
enum ttt_status train_sources(const struct train_options *o, char ***path, double **weight, struct ttt_error *err);
void train_sources_free(const struct train_options *o, char **path, double *weight);
void train_options_free(struct train_options *o);

/* An error where a model directory already holds a model; bare: or a configuration or tokenizer, from which one may be made. */
enum ttt_status train_model_new(const char *dir, bool bare, struct ttt_error *err);

/* Where the names of the documents held out are read: the list given, else the run's copy. Allocated. With a list only. */
char *train_held_path(const struct train_options *o, const char *dir);
/* Keep a copy of the list in the run. */
enum ttt_status train_held_keep(const char *list, const char *dir, struct ttt_error *err);
/* Say before a long run, not after it, that nothing is held out, or what the list (or NULL) names and is not there. */
enum ttt_status train_held_note(struct tool *t, const struct train_options *o, const struct ttt__data *d, const char *list,
    struct ttt_error *err);

/* How a model does on documents. */
struct train_score {
	int64_t n_document, n_token, n_byte; /* scored */
	double nats;
};
/* Score held-out documents, at most n_document of them, evenly picked, and n_token tokens of each: score [n_group],
 * one a group, and *all (both =). Mode TTT learns while reading. */
enum ttt_status train_score(struct train_score *score, struct train_score *all, const struct ttt_model *m,
    const struct ttt__data *d, enum ttt_mode mode, int64_t n_document, int64_t n_token, struct ttt_error *err);

/* log.jsonl: lines of steps from n_step on are dropped (they will be done again); *seconds is what the last line kept
 * says, or 0, and *evaluated whether that is of held-out documents. Then it is open for more. */
enum ttt_status train_log_open(FILE **f, const char *dir, int64_t n_step, double *seconds, bool *evaluated, struct ttt_error *err);

#endif
