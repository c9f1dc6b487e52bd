#include "libttt/state/extra.h"

#include <string.h>

static struct ttt__extra *
find(const struct ttt_state *s, const char *name)
{
	for (size_t i = 0; i < s->n_extra; i++)
		if (strcmp(s->extra[i].member.name, name) == 0)
			return &s->extra[i];
	return NULL;
}

enum ttt_status
ttt__state_extra_read(const struct ttt_state *s, const char *name, struct ttt__bytes *out, bool *found, struct ttt_error *err)
{
	const struct ttt__extra *x = find(s, name);
	enum ttt_status status = TTT_OK;

	out->n = 0;
	*found = x != NULL;
	for (uint64_t at = 0; x != NULL && at < x->member.size && status == TTT_OK;) {
		unsigned char part[4096];
		size_t n = x->member.size - at < sizeof(part) ? (size_t)(x->member.size - at) : sizeof(part);

		status = ttt__spool_read(s->extra_fd, part, n, x->offset + (int64_t)at, err);
		if (status == TTT_OK)
			status = ttt__bytes_add(out, part, n, err);
		at += n;
	}
	return status;
}

enum ttt_status
ttt__state_extra_write(struct ttt_state *s, const char *name, const void *p, size_t n, struct ttt_error *err)
{
	struct ttt__extra *x = find(s, name);
	enum ttt_status status = s->extra_fd < 0 ? ttt__spool_open(&s->extra_fd, err) : TTT_OK;
	int64_t end = 0;

	if (status == TTT_OK && x == NULL) {
		x = ttt__grow(s->extra, s->n_extra + 1, sizeof(*x));
		if (x == NULL)
			return ttt__fail_memory(err, "the state");
		s->extra = x;
		x += s->n_extra++;
		*x = (struct ttt__extra){0};
		(void)snprintf(x->member.name, sizeof(x->member.name), "%s", name);
	}
	if (status != TTT_OK)
		return status;
	for (size_t i = 0; i < s->n_extra; i++) {
		int64_t after = s->extra[i].offset + (int64_t)s->extra[i].member.size;

		end = &s->extra[i] != x && after > end ? after : end;
	}
	x->offset = end;
	x->member.size = n;
	return ttt__spool_write(s->extra_fd, p, n, end, err);
}
