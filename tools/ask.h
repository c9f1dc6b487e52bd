/* The steps of ttt-ask. */
#ifndef TTT_TOOLS_ASK_H
#define TTT_TOOLS_ASK_H
#include "tools/tool.h"

struct ask {
	struct tool *t;
	struct ttt_ask_options o;
	int64_t context; /* lines around a passage's best one; -1: all of the first passage, 4 of others */
	int64_t n_token, seed;
	double temperature;
	bool json, complete, no_passages;
	bool visible; /* visible: stdout is a terminal, which quoted text must not steer */
	const char *path;
	char **operand;
	int n_operand;
	struct ttt_state *state;
	struct ttt_ask *ask;
	int64_t n_asked;
	char waiting[64];        /* [n_waiting] of a character that is not whole yet */
	size_t n_waiting;
};

/* ask-print.c */
/* Text that somebody else wrote, so that it does not steer a terminal. */
void ask_quote(const struct ask *a, const char *text, size_t n);
void ask_print_question(const struct ask *a, const char *question);
/* An answer as JSON, or as text; several: there are more questions than this one, which is printed as well. */
void ask_print_json(const char *question, const struct ttt_answer *r);
void ask_print(const struct ask *a, const char *question, bool several, const struct ttt_answer *r);

/* ask-complete.c: --complete. Returns an exit status, its message already printed. */
int ask_complete(struct ask *a);

#endif
