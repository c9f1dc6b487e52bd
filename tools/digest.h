/* The steps of ttt-digest. Those that return int return an exit status, their message already printed. */
#ifndef TTT_TOOLS_DIGEST_H
#define TTT_TOOLS_DIGEST_H
#include "libttt/text/vocab.h"
#include "tools/tool.h"

enum {
	DIGEST_LINE = 1 << 16, /* bytes of a line that are read */
	DIGEST_TEXT = 1000,    /* of them that text shows, and "..." */
	DIGEST_MAIL = 970      /* bytes of a row in a mail, the "..." of one that was cut included, its count not */
};

struct digest_rules; /* lines that are left out, as PCRE2 patterns */

struct digest_group { /* alike novel lines */
	uint64_t kind;
	struct ttt_digest_line line; /* the first of them; text is the group's own */
	char *file;
	int64_t first, first_in_file, last; /* lines: of the FILE's new ones, of the file read, of the FILE's new ones */
	int64_t count, n_family;            /* lines; kinds of the family of which it is the first */
	bool inner;                         /* begins with a blank, below a novel line */
};

struct digest {
	struct tool *t;
	struct tool_progress progress; /* of bytes read */
	/* what was asked for */
	const char *path, *accept, *ignore;
	const char *const *name; /* [n_name] logs */
	size_t n_name;
	struct ttt_digest_options o;
	int64_t most;            /* rows printed; -1: not given */
	double wait;             /* seconds; < 0: for ever */
	bool journal, dry_run, all, json, mail, color;
	/* what it takes */
	struct ttt_lock *lock;
	struct ttt_state *s;
	struct ttt_digest *d;
	struct digest_rules *rules;
	struct digest_group **group; /* [n_group] in the order in which they came */
	size_t n_group, group_capacity;
	int64_t n_beyond;        /* lines of kinds beyond those */
	struct ttt__names kinds; /* a group's kind to its place */
	double head_score;       /* of the FILE's lines, the last that did not begin with a blank: its score; -1: it was not novel */
	int64_t n_failed;        /* logs that could not be read; each was reported */
	int64_t n_unread;        /* parts of logs among these */
};

/* digest-rules.c */
int digest_rules_open(struct digest *d);
bool digest_rules_match(const struct digest_rules *r, const char *text, size_t n);
void digest_rules_close(struct digest_rules *r);

/* digest-read.c: all that is new, scored and learned. */
int digest_read(struct digest *d);

/* digest-accept.c: learn the lines of a report. */
int digest_accept(struct digest *d);

/* digest-report.c */
/* A line of file was scored: number among the FILE's new ones, and in the file read. */
int digest_report_line(struct digest *d, const char *file, int64_t number, int64_t in_file, const struct ttt_digest_line *line);
/* Print what is novel. After it all output has gone out, or the status says that it has not. */
int digest_report_end(struct digest *d);
void digest_report_free(struct digest *d);

#endif
