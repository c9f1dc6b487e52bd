/* What of a session is saved and restored: weights, waiting tokens, the place in the stream. */
#include "libttt/learn/session_parts.h"

#include <inttypes.h>
#include <string.h>

const struct ttt_model *
ttt__session_model(const struct ttt_session *s)
{
	return s->model;
}

static float **
weights_of(struct ttt_session *s, enum ttt__fast which)
{
	return which == TTT__FAST_LAST ? &s->fast : which == TTT__FAST_MEAN ? &s->mean : &s->good;
}

bool
ttt__session_has(const struct ttt_session *s, enum ttt__fast which)
{
	return which == TTT__FAST_LAST || (which == TTT__FAST_MEAN && s->mean && s->guard.n_settled > 0) ||
	    (which == TTT__FAST_GOOD && s->guard.noisy > 0);
}

void
ttt__session_fast_read_part(const struct ttt_session *s, enum ttt__fast which, int64_t from, int64_t n, float *out)
{
	const float *w = which == TTT__FAST_LAST ? s->fast : which == TTT__FAST_MEAN ? s->mean : s->good;

	s->net.device->ops->download(s->net.device, out, w + from, (size_t)n * sizeof *out);
}

void
ttt__session_fast_read(const struct ttt_session *s, enum ttt__fast which, float *out)
{
	ttt__session_fast_read_part(s, which, 0, s->model->parameters.n_fast, out);
}

enum ttt_status
ttt__session_fast_write(struct ttt_session *s, enum ttt__fast which, const float *in, struct ttt_error *err)
{
	float **w = weights_of(s, which);
	int64_t n = s->model->parameters.n_fast;
	enum ttt_status status = *w ? TTT_OK : ttt__device_floats(s->net.device, w, n, "the fast weights", err);

	if (status)
		return status;
	s->net.device->ops->upload(s->net.device, *w, in, (size_t)n * sizeof *in);
	s->ahead = 0;
	return TTT_OK;
}

struct ttt__ngram *
ttt__session_ngram(struct ttt_session *s)
{
	return &s->ngram;
}

enum ttt_status
ttt__session_stream_set(struct ttt_session *s, const int32_t *pending, int64_t n_pending, int64_t n_done, struct ttt_error *err)
{
	enum ttt_status status;

	if (n_pending < 0 || n_pending > ttt__session_chunk(s) || n_done < 0)
		return ttt__fail(err, TTT_E_SHAPE, "%" PRId64 " waiting tokens do not fit a chunk of %" PRId64, n_pending, ttt__session_chunk(s));
	if (n_done < s->rows)
		return ttt__fail(err, TTT_E_SHAPE, "%" PRId64 " cached rows cannot stand before token %" PRId64, s->rows, n_done);
	status = ttt__session_check_ids(s, pending, n_pending, err);
	if (status)
		return status;
	memcpy(s->pending, pending, (size_t)n_pending * sizeof *pending);
	s->n_pending = n_pending;
	s->turned = s->turned && s->n_done == n_done; /* the cached keys stand elsewhere now */
	s->n_done = n_done;
	s->ahead = 0;
	return TTT_OK;
}
