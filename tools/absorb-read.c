/* ttt-absorb: from inputs into the state. */
#include "tools/absorb.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NOTES = 3 }; /* files passed over in a walk or an archive that are told one by one */
enum { BLOCK = 65536 };

/* --files0-from: names ended by NUL. The names point into the text read. */
int
absorb_names(struct absorb *a)
{
	FILE *f;
	size_t n = 0, count = 0;

	if (a->files0 == NULL)
		return TOOL_DONE;
	f = strcmp(a->files0, "-") == 0 ? stdin : fopen(a->files0, "rbe");
	if (f != NULL)
		a->names_text = tool_read_all(f, &n);
	if (a->names_text == NULL) {
		tool_error(a->t, "%s: cannot read names: %s", a->files0, strerror(errno));
		if (f != NULL && f != stdin)
			fclose(f);
		return TOOL_TROUBLE;
	}
	if (f != stdin)
		fclose(f);
	a->names_table = calloc(n + 1, sizeof(*a->names_table)); /* one name has at least one byte */
	if (a->names_table == NULL) {
		tool_error(a->t, "%s: out of memory for names", a->files0);
		return TOOL_TROUBLE;
	}
	for (char *p = a->names_text; p < a->names_text + n; p += strlen(p) + 1) {
		if (*p == '\0' || (f == stdin && strcmp(p, "-") == 0)) {
			tool_error(a->t, "%s: name %zu is %s", a->files0, count + 1,
			    *p == '\0' ? "empty" : "'-', but the names come from standard input");
			return TOOL_TROUBLE;
		}
		a->names_table[count++] = p;
	}
	if (count == 0) {
		tool_error(a->t, "%s: names no inputs: it is empty", a->files0);
		return TOOL_TROUBLE;
	}
	a->name = a->names_table;
	a->n_name = count;
	return TOOL_DONE;
}

/* What was passed over: an error, which -q does not silence, where it makes the exit status 2. */
static void
note(void *ctx, const char *text)
{
	struct absorb *a = ctx;

	a->n_note++;
	if (ttt_input_n_failed(a->in) > a->n_failed)
		tool_error(a->t, "%s", text);
	else if (a->n_passed++ < NOTES || a->t->verbose)
		tool_note(a->t, "%s", text);
	a->n_failed = ttt_input_n_failed(a->in);
}

/* A walk meets a file of our own: the one that is being written, as in 'ttt-absorb -r . > state.ttt', or its lock. */
static bool
is_own(const struct absorb *a, const char *name, const struct stat *own)
{
	struct stat st;

	return !a->input.archive && stat(name, &st) == 0 && st.st_dev == own->st_dev && st.st_ino == own->st_ino;
}

/* One input, from its start to its end; after the first pass only to be learned. */
static enum ttt_status
absorb_one(struct absorb *a, const char *name, int64_t pass, unsigned char *buffer, struct ttt_error *err)
{
	enum ttt_status s = pass == 0 ? ttt_state_source(a->s, name, err) : TTT_OK;

	while (s == TTT_OK) {
		size_t n = 0;

		s = ttt_input_read(a->in, buffer, BLOCK, &n, err);
		if (s != TTT_OK || n == 0)
			break;
		if (a->n_absorbed == 0 && strcmp(name, "-") == 0 && memchr(buffer, '\0', n) != NULL)
			tool_note(a->t, "standard input: binary data, taken as it is (-a reads an archive's members)");
		s = pass == 0 ? ttt_state_absorb(a->s, buffer, n, tool_progress_chunk, &a->progress, err)
		              : ttt_state_reread(a->s, buffer, n, tool_progress_chunk, &a->progress, err);
		a->n_absorbed += (int64_t)n;
		tool_progress_bytes(&a->progress, (int64_t)n);
	}
	return s;
}

static enum ttt_status
absorb_all(struct absorb *a, int64_t pass, struct ttt_error *err)
{
	static unsigned char buffer[BLOCK];
	enum ttt_status s = TTT_OK;
	const char *name = NULL;
	int64_t size = -1;

	while (s == TTT_OK && (s = ttt_input_next(a->in, &name, &size, err)) == TTT_OK && name != NULL) {
		if (size < 0)
			a->progress.total = -1;
		if (a->has_lock && is_own(a, name, &a->lock_file))
			continue;
		if (a->has_target && is_own(a, name, &a->target))
			tool_note(a->t, "%s: skipped: it is the state being written", name);
		else
			s = absorb_one(a, name, pass, buffer, err);
	}
	return s;
}

/* Nothing came: one line says so, that of a failure already printed or this one. */
static int
nothing(struct absorb *a, const char *what, size_t n)
{
	if (a->n_failed > 0)
		return TOOL_TROUBLE;
	if (n > 1)
		tool_error(a->t, "%s and %zu more: nothing to absorb: %s", what, n - 1,
		    a->n_note > 0 ? "all was passed over" : "they are empty");
	else
		tool_error(a->t, "%s: nothing to absorb: %s", what,
		    a->n_note > 0 ? "all of it was passed over" : "the input is empty");
	return TOOL_TROUBLE;
}

/* What is read more than once has to be there more than once. */
static bool
can_be_reread(struct absorb *a)
{
	struct stat st;

	for (size_t i = 0; i < a->n_name; i++)
		if (strcmp(a->name[i], "-") == 0 || (stat(a->name[i], &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))) {
			tool_error(a->t, "--passes: '%s' can be read only once: name files", a->name[i]);
			return false;
		}
	return true;
}

int
absorb_text(struct absorb *a)
{
	struct ttt_error err;
	enum ttt_status s = TTT_OK;
	int64_t total;

	if (tool_tokenizer(a->t) == NULL)
		return TOOL_TROUBLE;
	if (a->n_pass > 1 && !can_be_reread(a))
		return TOOL_TROUBLE;
	a->input.skip_errors = a->input.recursive;
	for (size_t i = 0; a->input.recursive && i < a->n_name; i++)
		if (strcmp(a->name[i], "-") != 0 && access(a->name[i], R_OK) != 0) { /* in a walk: passed over */
			tool_error(a->t, "%s: cannot read: %s", a->name[i], strerror(errno));
			return TOOL_TROUBLE;
		}
	total = a->input.archive ? -1 : tool_total(a->name, a->n_name);
	tool_progress_start(&a->progress, a->t, ttt_model_tokenizer(a->t->model), total < 0 ? -1 : total * a->n_pass);
	for (int64_t pass = 0; pass < a->n_pass && s == TTT_OK; pass++) {
		if (pass > 0)
			s = ttt_state_again(a->s, &err);
		if (s == TTT_OK)
			s = ttt_input_open(&a->in, a->name, a->n_name, &a->input, pass == 0 ? note : NULL, a, &err);
		if (s == TTT_OK)
			s = absorb_all(a, pass, &err);
		ttt_input_free(a->in);
		a->in = NULL;
	}
	tool_progress_end(&a->progress);
	if (a->n_passed > NOTES && !a->t->verbose)
		tool_note(a->t, "skipped %lld more (-v names all)", (long long)(a->n_passed - NOTES));
	if (s != TTT_OK)
		return tool_fail(a->t, &err);
	return a->n_absorbed == 0 ? nothing(a, a->n_name > 0 ? a->name[0] : "-", a->n_name) : TOOL_DONE;
}

int
absorb_ids(struct absorb *a)
{
	const struct ttt_config *c = ttt_model_config(a->t->model);
	struct ttt_ids ids = { 0 };
	struct ttt_error err;
	enum ttt_status s = TTT_OK;
	int64_t line = 0;
	bool more = true;
	FILE *f = strcmp(a->ids, "-") == 0 ? stdin : fopen(a->ids, "re");

	if (f == NULL) {
		tool_error(a->t, "%s: cannot open: %s", a->ids, strerror(errno));
		return TOOL_TROUBLE;
	}
	tool_progress_start(&a->progress, a->t, ttt_model_tokenizer(a->t->model), -1);
	while ((s = ttt_ids_read_line(f, a->ids, &line, c->n_vocab, &ids, &more, &err)) == TTT_OK && more) {
		s = ttt_state_absorb_ids(a->s, ids.id, ids.n, tool_progress_chunk, &a->progress, &err);
		if (s != TTT_OK)
			break;
		a->n_absorbed += ids.n;
	}
	tool_progress_end(&a->progress);
	free(ids.id);
	if (f != stdin)
		fclose(f);
	if (s != TTT_OK)
		return tool_fail(a->t, &err);
	return a->n_absorbed == 0 ? nothing(a, a->ids, 1) : TOOL_DONE;
}
