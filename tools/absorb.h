/* The steps of ttt-absorb, in the order they are taken. Each returns an exit status, its message already printed. */
#ifndef TTT_TOOLS_ABSORB_H
#define TTT_TOOLS_ABSORB_H
#include "tools/tool.h"
#include <sys/stat.h>

struct absorb {
	struct tool *t;
	/* what was asked for */
	const char *from, *update, *out, *files0, *ids;
	double wait; /* seconds; < 0: for ever */
	int64_t n_pass;
	struct ttt_input_options input;
	struct ttt_state_options state;
	struct ttt_save_options save;
	const char *const *name; /* [n_name] inputs */
	size_t n_name;
	/* what it takes */
	struct ttt_lock *lock;
	struct ttt_state *s;
	struct tool_progress progress;
	char *names_text;         /* names read from --files0-from, and the table of them */
	const char **names_table;
	struct stat target;       /* the file written to, where it exists: it is no input */
	struct stat lock_file;
	bool has_target, has_lock;
	struct ttt_input *in;
	int64_t n_note, n_absorbed; /* notes given; bytes, or ids, absorbed */
	int64_t n_passed;           /* inputs passed over that are no failures */
	int64_t n_failed;           /* inputs passed over that count as failures; each was reported */
};

int absorb_names(struct absorb *a);
int absorb_check_output(struct absorb *a);
int absorb_open(struct absorb *a);
int absorb_text(struct absorb *a);
int absorb_ids(struct absorb *a);
int absorb_write(struct absorb *a);
void absorb_close(struct absorb *a);

#endif
