/* The fast weights as a file of their own. */
#include "libttt/file.h"
#include "libttt/state/members.h"

enum ttt_status
ttt_state_export(struct ttt_state *s, const char *path, struct ttt_error *err)
{
	struct ttt__replace r;
	struct ttt__sink k = { .label = path };
	enum ttt_status status = ttt__replace_open(&r, path, false, err);

	if (status != TTT_OK)
		return status;
	k.file = r.f;
	return ttt__replace_end(&r, ttt__put_fast(s, &k, err), err);
}
