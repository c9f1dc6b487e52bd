/* What can be made again from a state: its window, from the recent tokens; and a loss that any reader of the file can
 * repeat. */
#include "libttt/state/state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "libttt/learn/session.h"

int64_t
ttt__state_rows(const struct ttt_model *m, int64_t n_done)
{
	int64_t window = m->config.window;

	return window > 0 && n_done > window - 1 ? window - 1 : n_done;
}

enum ttt_status
ttt__state_remake_window(const struct ttt_state *s, struct ttt_session *session, struct ttt_error *err)
{
	const struct ttt_feed how = { .learn = false };
	int64_t n_recent, n_pending = 0, n_token = ttt_session_n_token(session);
	const int32_t *recent = ttt__state_recent(s, &n_recent), *waiting = ttt_session_pending(session, &n_pending);
	size_t n_byte = (size_t)n_pending * sizeof(*waiting);
	int32_t *pending = malloc(n_byte > 0 ? n_byte : 1);
	enum ttt_status status;

	if (pending == NULL)
		return ttt__fail_memory(err, "the window");
	if (n_byte > 0)
		memcpy(pending, waiting, n_byte);
	ttt_session_reset_window(session);
	/* a chunk runs when its last target is known: that of the last one waits */
	status = ttt_session_feed(session, recent, n_recent, &how, err);
	if (status == TTT_OK && n_pending > 0)
		status = ttt_session_feed(session, pending, 1, &how, err);
	if (status == TTT_OK)
		status = ttt__session_stream_set(session, pending, n_pending, n_token - n_pending, err);
	free(pending);
	return status;
}

static void
take_loss(void *ctx, const struct ttt_chunk_report *r)
{
	*(double *)ctx = r->loss;
}

enum ttt_status
ttt__state_check_loss(const struct ttt_state *s, struct ttt_session *session, double *loss, struct ttt_error *err)
{
	int64_t n_recent, n_pending, n_token = ttt_session_n_token(session), chunk = s->model->config.chunk;
	const int32_t *recent = ttt__state_recent(s, &n_recent), *waiting = ttt_session_pending(session, &n_pending);
	size_t n_byte = (size_t)n_pending * sizeof(*waiting);
	int32_t *pending;
	enum ttt_status status, restored;

	*loss = NAN;
	if (n_recent < chunk)
		return TTT_OK;
	pending = malloc(n_byte > 0 ? n_byte : 1);
	if (pending == NULL)
		return ttt__fail_memory(err, "the last chunk");
	if (n_byte > 0)
		memcpy(pending, waiting, n_byte);
	*loss = 0; /* a chunk of one token has no target to score here */
	status = ttt__session_stream_set(session, recent + (n_recent - chunk), chunk, n_token - n_pending, err);
	if (status == TTT_OK)
		status = ttt_session_peek(session, 0, take_loss, loss, err);
	restored = ttt__session_stream_set(session, pending, n_pending, n_token - n_pending,
	    status == TTT_OK ? err : NULL);
	free(pending);
	return status == TTT_OK ? restored : status;
}
