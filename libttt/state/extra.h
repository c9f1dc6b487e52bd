/* Members of a state file that belong to one program, kept whole: a small file in the file. Private. */
#ifndef TTT_STATE_EXTRA_H
#define TTT_STATE_EXTRA_H
#include "libttt/state/state.h"

/* The member's bytes; *found false, and none, where the state has no such member. Errors: TTT_E_IO, TTT_E_MEMORY. */
enum ttt_status ttt__state_extra_read(const struct ttt_state *s, const char *name, struct ttt__bytes *out, bool *found,
    struct ttt_error *err);
/* Set it. Errors: TTT_E_IO, TTT_E_MEMORY. */
enum ttt_status ttt__state_extra_write(struct ttt_state *s, const char *name, const void *p, size_t n, struct ttt_error *err);

#endif
