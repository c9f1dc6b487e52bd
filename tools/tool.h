/* What the programs share: start and end, options, messages, progress. A program is one file with a cmd_main() and a
 * table of options; main() is in tools/main.c.
 *
 *	static const struct tool_option options[] = {
 *		{ 'o', "output", "FILE", "write to FILE" },
 *		{ OPT_RATE, "rate", "X", "factor on the inner rate" },
 *		{ 0 }
 *	};
 *	static const struct tool_usage usage = { .synopsis = "[-o FILE] [FILE...]", .purpose = "...", .option = options,
 *	    .common = TOOL_MODEL };
 *
 *	int
 *	cmd_main(struct tool *t, int argc, char **argv)
 *	{
 *		struct ttt_error err;
 *		int key;
 *
 *		while ((key = tool_option(t, &usage, argc, argv)) != TOOL_END)
 *			if (key == OPT_RATE)
 *				rate = tool_number(t, "--rate", optarg, 0, 1e6);
 *		... operands are argv[optind] .. argv[argc - 1] ...
 *		if (tool_model_open(t, &err) != TTT_OK)
 *			return tool_fail(t, &err);
 *		return TOOL_DONE;
 *	}
 *
 * cmd_main's result is the exit status. What it wrote to stdout is flushed and checked afterwards: it need not check
 * printf(). */
#ifndef TTT_TOOL_H
#define TTT_TOOL_H
#include "libttt/ttt.h"
#include <getopt.h> /* optarg, optind */
#include <signal.h>

#if defined(__GNUC__)
#define TOOL_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define TOOL_PRINTF(f, a)
#endif

enum tool_status {
	TOOL_DONE = 0,    /* done */
	TOOL_NO = 1,      /* a negative answer: nothing found, a difference, a failed verification */
	TOOL_TROUBLE = 2, /* usage, bad input, no memory, disk full */
	TOOL_LOCKED = 75  /* another process holds the state (EX_TEMPFAIL) */
};

struct tool {
	const char *name;      /* "ttt-absorb", or "ttt-train run" within a command */
	const char *model_dir; /* -m, else $TTT_MODEL, else NULL: the embedded model */
	const char *kernels;   /* $TTT_KERNELS, or NULL */
	const char *device_name;
	int n_thread;
	enum ttt_dtype precision;
	bool quiet, progress, version;
	int verbose;
	struct ttt_device *device; /* both: after tool_model_open(); freed by main() */
	struct ttt_model *model;
	bool prints_rows;      /* set by a program that prints as it goes: no progress among its rows on a terminal */
	bool line_shown;       /* a progress line stands on the terminal */
};

/* The program. Defined once a program. */
int cmd_main(struct tool *t, int argc, char **argv);

/* ---- options (options.c) */

enum {
	TOOL_END = -1,
	TOOL_LONG = 256 /* first key of options without a letter: enum { OPT_RATE = TOOL_LONG, OPT_WAIT, ... } */
};

struct tool_option {
	int key;              /* the letter, or from TOOL_LONG on; 0 ends a table */
	const char *name;     /* long name, without dashes */
	const char *argument; /* what it takes, as shown by --help; NULL: nothing */
	const char *help;     /* one line, lower case, without full stop */
};

enum tool_common { /* which common options a program has besides -h, -V, -q and -v */
	TOOL_MODEL = 1,   /* -m, --threads, --device */
	TOOL_PROGRESS = 2, /* --progress */
	TOOL_PRECISION = 4 /* --precision */
};

struct tool_usage {
	const char *synopsis; /* what follows the name; several forms on lines of their own */
	const char *purpose;  /* sentences, on lines of at most 78 columns */
	const struct tool_option *option; /* may be NULL */
	unsigned common;
	const char *example;  /* a command line, or NULL */
};

/* The next option of the program's own: its key, with optarg set; TOOL_END after the last one. Common options are seen
 * to here; --help, --version and a usage error end the program. */
int tool_option(struct tool *t, const struct tool_usage *u, int argc, char **argv);

struct tool_command { /* a table ends with a NULL name */
	const char *name, *help;
	int (*fn)(struct tool *t, int argc, char **argv); /* as cmd_main; argv[0] is the command's name */
};
/* Run argv[1] as a command of the table; purpose introduces the list of them in --help. */
int tool_command(struct tool *t, const struct tool_command *c, const char *purpose, int argc, char **argv);

/* Values of options; name as the user knows it ("--rate"). A bad value ends the program with a usage error. */
double tool_number(struct tool *t, const char *name, const char *text, double least, double most);
int64_t tool_integer(struct tool *t, const char *name, const char *text, int64_t least, int64_t most);
/* Bytes: digits and, if wanted, K, M, G or T (powers of 1024). */
size_t tool_size(struct tool *t, const char *name, const char *text);
/* Index of text among words (NULL at the end). */
int tool_word(struct tool *t, const char *name, const char *text, const char *const *words);

/* ---- messages (message.c); every one is one line on stderr, control characters made visible */

void tool_error(struct tool *t, const char *fmt, ...) TOOL_PRINTF(2, 3);
/* What to do about it: "ttt-absorb: hint: ...". */
void tool_hint(struct tool *t, const char *fmt, ...) TOOL_PRINTF(2, 3);
/* Not shown with -q. */
void tool_note(struct tool *t, const char *fmt, ...) TOOL_PRINTF(2, 3);
/* Shown with -v. */
void tool_verbose(struct tool *t, const char *fmt, ...) TOOL_PRINTF(2, 3);
/* As ttt_input_open() takes it; ctx is the struct tool. */
void tool_input_note(void *ctx, const char *text);
/* Print a library's error and its hint; returns the exit status it calls for. */
int tool_fail(struct tool *t, const struct ttt_error *err);
/* A wrong command line: the message, a pointer to --help, exit status 2. */
_Noreturn void tool_usage_error(struct tool *t, const char *fmt, ...) TOOL_PRINTF(2, 3);
/* Write text to f so that it cannot steer a terminal, break a line or look like other text: control characters and bytes
 * that are not UTF-8 as \xNN, marks that turn the direction of writing as \uNNNN. */
void tool_write_visible(FILE *f, const char *text, size_t n);
/* The same for text of several lines: tabs and newlines stay. */
void tool_write_text(FILE *f, const char *text, size_t n);
/* Bytes of the UTF-8 character at p [n > 0]; 0 where there is none. */
size_t tool_character(const char *p, size_t n);
/* Write n bytes as a JSON string, quotes included; bytes that are not UTF-8 become U+FFFD. */
void tool_write_json(FILE *f, const char *text, size_t n);

/* ---- start and end (start.c, model.c) */

/* Make descriptors 0 to 2 valid, take over signals. Called by main(). */
void tool_start(struct tool *t, const char *argv0);
/* Flush and close stdout. Returns the status to exit with: status, or 2, with a message, where output was lost. */
int tool_finish(struct tool *t, int status);
/* Between these a SIGINT, SIGTERM or SIGHUP waits, so that a half-written file is seen to its end; it takes effect
 * at tool_critical_end(); a second SIGINT does not wait. Outside of them nothing has to be cleaned up and a signal ends the program at once. */
void tool_critical_begin(void);
void tool_critical_end(void);
/* Within: the number of the signal that waits, or 0. */
int tool_stop_wanted(void);
/* Within: forget the signal that waits; it has been answered. */
void tool_stop_answered(void);
/* True, with a message, when stdout is the file at path. */
bool tool_stdout_is(struct tool *t, const char *path);
/* True, with a message, when the file to write is one of the n inputs, or cannot be written: better known before the work
 * than after it. */
bool tool_output_refused(struct tool *t, const char *path, const char *const *inputs, size_t n);
/* True, with a message, when stdout is closed, or is a terminal, where "what" (a state) does not belong. */
bool tool_stdout_refused(struct tool *t, const char *what);
/* Open device and model as the options say. */
enum ttt_status tool_device_open(struct tool *t, struct ttt_error *err);
enum ttt_status tool_model_open(struct tool *t, struct ttt_error *err);
/* The same, to read streams with: unless told how many, no more threads than the model is worth. */
enum ttt_status tool_model_open_to_read(struct tool *t, struct ttt_error *err);
/* The tokenizer of the model; NULL with a message when it has none. */
const struct ttt_tokenizer *tool_tokenizer(struct tool *t);
/* Bytes in the files named, for the share done; -1 where that is not known before. */
int64_t tool_total(const char *const *names, size_t n);

/* ---- reading (read.c) */

/* All of f, n bytes with a NUL behind them. Allocated; NULL with errno. */
char *tool_read_all(FILE *f, size_t *n);

/* ---- progress (progress.c) */

struct tool_progress {
	struct tool *t;
	const struct ttt_tokenizer *tokenizer; /* to know the bytes of what was scored; or NULL */
	int64_t total, n_byte; /* bytes to read (-1: not known), bytes read */
	int64_t n_token, n_scored_byte;
	double nats;
	double started, shown; /* seconds */
	bool line;             /* shows itself */
};
/* Start; SIGUSR1 prints a line from here on. total -1: not known. */
void tool_progress_start(struct tool_progress *p, struct tool *t, const struct ttt_tokenizer *tokenizer, int64_t total);
/* n more bytes were read. */
void tool_progress_bytes(struct tool_progress *p, int64_t n);
/* A chunk was scored; has the type ttt_chunk_fn, ctx is the struct tool_progress. */
void tool_progress_chunk(void *ctx, const struct ttt_chunk_report *r);
/* Show a line of the program's own instead (at most 250 bytes). */
void tool_progress_say(struct tool_progress *p, const char *line);
void tool_progress_end(struct tool_progress *p);

#endif
