/* What ttt-ppl was asked for, and what it is counting. */
#ifndef TTT_TOOLS_PPL_H
#define TTT_TOOLS_PPL_H
#include "tools/tool.h"

enum ppl_mode { PPL_TTT, PPL_FROZEN, PPL_WINDOW, PPL_FULL };
enum ppl_form { PPL_FILES, PPL_TOKENS, PPL_LINES, PPL_POSITIONS };
enum { PPL_N_BUCKET = 48 }; /* position 0, then powers of two */

struct ppl_row { /* a finished line of output that waits to be sorted */
	double key;
	int64_t order;
	char *text;
	size_t n;
};

struct ppl_document { /* a file or a line of ids */
	const char *name; /* NULL for a line of ids */
	int64_t number;   /* from 0 */
	int64_t from;     /* first position of the stream that belongs to it */
	int64_t n_token;  /* scored */
	int64_t n_loss;   /* scored, and not BOS: SEMANTICS section 2 */
	int64_t n_byte;   /* of what was scored; -1: not known */
	double nats;      /* of the n_loss */
	double nats_held; /* of them, those of bytes that are the state's */
};

struct ppl {
	struct tool *t;
	/* what was asked for */
	const char *state, *ids;
	enum ppl_mode mode;
	enum ppl_form form;
	bool json, sort, headed;
	int64_t top;   /* 0: all */
	double rate;   /* 0: the state's, or 1 */
	enum ttt_weights weights; /* the state's to start from */
	struct ttt_input_options input;
	const char *const *name;
	size_t n_name;
	/* what it works with */
	struct ttt_state *s;
	struct ttt_session *base; /* what every document starts from, where there is no state */
	struct tool_progress progress;
	struct ppl_document document, total;
	struct ttt_input *in;
	int64_t n_document, n_empty;
	int64_t n_failed;         /* files of a walk that could not be read; each was reported */
	struct ppl_row *row;      /* [n_row] */
	int64_t n_row, capacity, n_order;
	char *text;               /* the row being written */
	size_t text_n;
	FILE *out;
	/* --lines: the line that is being put together */
	char *line;
	size_t line_n, line_capacity, skip; /* skip: bytes of the state, not of the text, still to come */
	int64_t line_number;
	double line_bits;
	/* --positions */
	int64_t bucket_n[PPL_N_BUCKET];
	double bucket_nats[PPL_N_BUCKET];
};

/* ppl-read.c: read and score every document. Return an exit status, the message already printed. */
int ppl_open(struct ppl *p);
int ppl_text(struct ppl *p);
int ppl_ids(struct ppl *p);

/* ppl-report.c: what was found. */
bool ppl_token(struct ppl *p, int32_t id, double nll, bool masked);
bool ppl_document_end(struct ppl *p);
void ppl_end(struct ppl *p);

#endif
