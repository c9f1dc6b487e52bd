/* ttt-absorb: the state before and after. */
#include "tools/absorb.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Before anything is read: would the output destroy an input, or go where it cannot? */
int
absorb_check_output(struct absorb *a)
{
	const char *path = a->update != NULL ? a->update : a->out;

	a->has_target = path != NULL ? stat(path, &a->target) == 0
	                             : fstat(STDOUT_FILENO, &a->target) == 0 && S_ISREG(a->target.st_mode);
	if (path == NULL) {
		if (tool_stdout_refused(a->t, "a state"))
			return TOOL_TROUBLE;
		if (a->from != NULL && tool_stdout_is(a->t, a->from))
			return TOOL_TROUBLE;
		if (a->ids != NULL && tool_stdout_is(a->t, a->ids))
			return TOOL_TROUBLE;
		if (a->n_name == 0 && a->ids == NULL && tool_stdout_is(a->t, "-"))
			return TOOL_TROUBLE;
		for (size_t i = 0; i < a->n_name; i++)
			if (tool_stdout_is(a->t, a->name[i]))
				return TOOL_TROUBLE;
		return TOOL_DONE;
	}
	if ((a->ids != NULL && tool_output_refused(a->t, path, &a->ids, 1)) ||
	    (a->files0 != NULL && tool_output_refused(a->t, path, &a->files0, 1)))
		return TOOL_TROUBLE;
	return tool_output_refused(a->t, path, a->name, a->n_name) ? TOOL_TROUBLE : TOOL_DONE;
}

/* Text that the state at path keeps and the one to be written will not: it is gone for good. */
static void
note_dropped(struct absorb *a, const char *path)
{
	struct ttt_state_info i;

	if ((!a->state.no_passages && a->state.passages_max == 0) || strcmp(path, "-") == 0 || ttt_state_info_read(&i, path, NULL) != TTT_OK)
		return;
	if (a->state.no_passages && i.n_passage_byte > 0)
		tool_note(a->t, "%s: the %lld bytes of text kept so far are left out, and no later text is kept", path, (long long)i.n_passage_byte);
	else if (!a->state.no_passages && (size_t)i.n_passage_byte > a->state.passages_max)
		tool_note(a->t, "%s: of the %lld bytes of text kept so far the newest are kept", path, (long long)i.n_passage_byte);
}

/* Lock, model, and the state to go on from. */
int
absorb_open(struct absorb *a)
{
	struct ttt_error err;
	const char *from = a->from;
	enum ttt_status s = TTT_OK;

	if (a->update != NULL) {
		s = ttt_lock_take(&a->lock, a->update, a->wait, &err);
		a->has_lock = s == TTT_OK && stat(ttt_lock_path(a->lock), &a->lock_file) == 0;
		if (s == TTT_OK && access(a->update, F_OK) == 0)
			from = a->update;
		else if (s == TTT_OK && errno != ENOENT) {
			tool_error(a->t, "%s: cannot look at it: %s", a->update, strerror(errno));
			return TOOL_TROUBLE;
		}
	}
	if (s == TTT_OK && from != NULL)
		note_dropped(a, from);
	if (s == TTT_OK)
		s = tool_model_open_to_read(a->t, &err);
	if (s == TTT_OK)
		s = from != NULL ? ttt_state_open(&a->s, from, a->t->model, &a->state, &err)
		                 : ttt_state_create(&a->s, a->t->model, &a->state, &err);
	return s == TTT_OK ? TOOL_DONE : tool_fail(a->t, &err);
}

static void
summary(struct absorb *a)
{
	const struct tool_progress *p = &a->progress;
	double moved, initial;

	ttt_session_drift(ttt_state_session(a->s), &moved, &initial);
	tool_verbose(a->t, "absorbed %lld %s; %lld tokens scored, %.4f nats each; weights moved by %.4f of %.4f",
	    (long long)a->n_absorbed, a->ids != NULL ? "ids" : "bytes", (long long)p->n_token,
	    p->n_token > 0 ? p->nats / (double)p->n_token : NAN, moved, initial);
}

int
absorb_write(struct absorb *a)
{
	const char *path = a->update != NULL ? a->update : a->out;
	struct ttt_error err;
	enum ttt_status s;

	summary(a);
	tool_critical_begin();
	s = path != NULL ? ttt_state_save(a->s, path, &a->save, &err) : ttt_state_write(a->s, stdout, &a->save, &err);
	tool_critical_end();
	if (s != TTT_OK)
		return tool_fail(a->t, &err);
	return a->n_failed > 0 ? TOOL_TROUBLE : TOOL_DONE;
}

void
absorb_close(struct absorb *a)
{
	ttt_state_free(a->s);
	ttt_lock_release(a->lock);
	free(a->names_text);
	free(a->names_table);
}
