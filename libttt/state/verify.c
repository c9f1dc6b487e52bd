/* A state file held against itself. Every checksum is compared in reading it; then the last chunk's tokens are scored
 * once more with the weights and the window of the file, as they were when it was written. On the machine that wrote it
 * the same loss comes out bit for bit, in the precision that it was written with. */
#include <math.h>

#include "libttt/state/reader.h"

enum ttt_status
ttt_state_verify(const char *path, const struct ttt_model *m, bool *ok, struct ttt_error *err)
{
	struct ttt_state *s;
	struct ttt__check stored = { NAN, 0 };
	double loss = NAN;
	enum ttt_status status = ttt__state_read(&s, path, m, NULL, &stored, err);

	*ok = false;
	if (status == TTT_E_FORMAT)
		return TTT_OK; /* err says what is wrong */
	if (status != TTT_OK)
		return status;
	status = ttt__state_check_loss(s, s->session, &loss, err);
	ttt_state_free(s);
	if (status != TTT_OK)
		return status;
	*ok = (isnan(stored.loss) && isnan(loss)) || fabs(stored.loss - loss) <= stored.tolerance * fmax(1, fabs(stored.loss));
	if (!*ok)
		(void)ttt__fail(err, TTT_OK, "%s: its last chunk has the loss %.9g, but manifest.json says %.9g", path,
		    loss, stored.loss);
	return TTT_OK;
}
