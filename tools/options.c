/* Command lines: one table a program gives both what getopt_long() needs and what --help prints. */
#include "tools/tool.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define N_OPTION_MAX 64

enum { KEY_THREADS = 0x10000, KEY_DEVICE, KEY_PRECISION, KEY_PROGRESS };

static const struct {
	unsigned common; /* 0: every program has it */
	struct tool_option option;
} commons[] = {
	{ TOOL_MODEL, { 'm', "model", "DIR", "model directory (default: $TTT_MODEL, else the embedded model)" } },
	{ TOOL_MODEL, { KEY_THREADS, "threads", "N", "threads to use (default: $OMP_NUM_THREADS, else as many as help)" } },
	{ TOOL_MODEL, { KEY_DEVICE, "device", "NAME", "what computes: cpu, the only one so far" } },
	{ TOOL_PRECISION, { KEY_PRECISION, "precision", "TYPE", "of weights that do not learn: f32 (default) or bf16" } },
	{ TOOL_PROGRESS, { KEY_PROGRESS, "progress", NULL, "show progress even where stderr is no terminal" } },
	{ 0, { 'q', "quiet", NULL, "no notes and no progress" } },
	{ 0, { 'v', "verbose", NULL, "say more" } },
	{ 0, { 'h', "help", NULL, "print this and exit" } },
	{ 0, { 'V', "version", NULL, "print the version and exit; with -v also the device" } },
};
#define N_COMMON (sizeof(commons) / sizeof(commons[0]))

static bool
has_common(const struct tool_usage *u, size_t i)
{
	return commons[i].common == 0 || (commons[i].common & u->common) != 0;
}

static void
print_option(const struct tool_option *o)
{
	char left[64];
	int n = o->key < TOOL_LONG ? snprintf(left, sizeof(left), "-%c, --%s", o->key, o->name)
	                           : snprintf(left, sizeof(left), "    --%s", o->name);

	if (o->argument != NULL && n > 0 && (size_t)n < sizeof(left))
		snprintf(left + n, sizeof(left) - (size_t)n, " %s", o->argument);
	if (strlen(left) > 28)
		printf("  %s\n  %-28s %s\n", left, "", o->help);
	else
		printf("  %-28s %s\n", left, o->help);
}

static void
print_help(struct tool *t, const struct tool_usage *u)
{
	const char *line = u->synopsis;
	const char *lead = "Usage: ";

	while (line != NULL) {
		const char *end = strchr(line, '\n');
		size_t n = end != NULL ? (size_t)(end - line) : strlen(line);

		printf("%s%s %.*s\n", lead, t->name, (int)n, line);
		line = end != NULL ? end + 1 : NULL;
		lead = "       ";
	}
	printf("%s\n\nOptions:\n", u->purpose);
	for (const struct tool_option *o = u->option; o != NULL && o->key != 0; o++)
		print_option(o);
	for (size_t i = 0; i < N_COMMON; i++)
		if (has_common(u, i))
			print_option(&commons[i].option);
	if (u->example != NULL)
		printf("\nExample: %s\n", u->example);
}

/* Written after all options were seen, so that -vV, --threads and $TTT_KERNELS tell. */
static _Noreturn void
version(struct tool *t)
{
	struct ttt_error err;

	printf("ttt-%s (ttt) %s\n", strncmp(t->name, "ttt-", 4) == 0 ? t->name + 4 : t->name, ttt_version());
	if (t->verbose > 0) {
		if (tool_device_open(t, &err) != TTT_OK)
			exit(tool_finish(t, tool_fail(t, &err)));
		printf("device: %s\n", ttt_device_describe(t->device));
	}
	exit(tool_finish(t, TOOL_DONE));
}

/* Fill what getopt_long() wants from the tables. */
static void
to_getopt(const struct tool_usage *u, char *letters, struct option *longs)
{
	size_t n = 0, l = 0;

	letters[l++] = ':';
	for (size_t i = 0;; i++) {
		const struct tool_option *o = u->option != NULL && u->option[i].key != 0 ? &u->option[i] : NULL;

		if (o == NULL)
			break;
		longs[n++] = (struct option){ o->name, o->argument ? required_argument : no_argument, NULL, o->key };
	}
	for (size_t i = 0; i < N_COMMON; i++)
		if (has_common(u, i))
			longs[n++] = (struct option){ commons[i].option.name,
				commons[i].option.argument ? required_argument : no_argument, NULL,
				commons[i].option.key };
	longs[n] = (struct option){ 0 };
	for (size_t i = 0; i < n; i++)
		if (longs[i].val < TOOL_LONG) {
			letters[l++] = (char)longs[i].val;
			if (longs[i].has_arg == required_argument)
				letters[l++] = ':';
		}
	letters[l] = '\0';
}

static _Noreturn void
bad_option(struct tool *t, int key, char **argv)
{
	const char *word = argv[optind - 1];

	if (key == ':' && optopt < TOOL_LONG && optopt > 0 && strncmp(word, "--", 2) != 0)
		tool_usage_error(t, "option '-%c' wants a value", optopt);
	if (key == ':')
		tool_usage_error(t, "option '%s' wants a value", word);
	if (strncmp(word, "--", 2) == 0 && strchr(word, '=') != NULL && optopt != 0)
		tool_usage_error(t, "option '%s' takes no value", word);
	if (optopt > 0 && optopt < TOOL_LONG)
		tool_usage_error(t, "unknown option '-%c'", optopt);
	tool_usage_error(t, "unknown or ambiguous option '%s'", word);
}

int
tool_option(struct tool *t, const struct tool_usage *u, int argc, char **argv)
{
	static const char *const precisions[] = { "f32", "bf16", NULL };
	struct option longs[N_OPTION_MAX + 1];
	char letters[2 * N_OPTION_MAX + 2];

	to_getopt(u, letters, longs);
	opterr = 0;
	for (;;) {
		int key = getopt_long(argc, argv, letters, longs, NULL);

		switch (key) {
		case -1:
			if (t->version)
				version(t);
			return TOOL_END;
		case 'm':
			if (!(u->common & TOOL_MODEL))
				return key;
			t->model_dir = optarg;
			break;
		case KEY_THREADS:
			t->n_thread = (int)tool_integer(t, "--threads", optarg, 1, 4096);
			break;
		case KEY_DEVICE:
			t->device_name = optarg;
			break;
		case KEY_PRECISION:
			t->precision = tool_word(t, "--precision", optarg, precisions) == 1 ? TTT_BF16 : TTT_F32;
			break;
		case KEY_PROGRESS:
			t->progress = true;
			break;
		case 'q':
			t->quiet = true;
			break;
		case 'v':
			t->verbose++;
			break;
		case 'V':
			t->version = true;
			break;
		case 'h':
			print_help(t, u);
			exit(tool_finish(t, TOOL_DONE));
		case ':':
		case '?':
			bad_option(t, key, argv);
		default:
			return key;
		}
	}
}

static void
print_commands(struct tool *t, const struct tool_command *c, const char *purpose)
{
	printf("Usage: %s COMMAND [OPTION...] ...\n%s\n\nCommands:\n", t->name, purpose);
	for (; c->name != NULL; c++)
		printf("  %-12s %s\n", c->name, c->help);
	printf("\n'%s COMMAND --help' lists the options of one.\n", t->name);
}

int
tool_command(struct tool *t, const struct tool_command *c, const char *purpose, int argc, char **argv)
{
	static char name[64]; /* lives as long as t->name is used: to the end */

	if (argc < 2)
		tool_usage_error(t, "a command is missing");
	if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0) {
		print_commands(t, c, purpose);
		return TOOL_DONE;
	}
	for (int i = 1; i < argc && argv[i][0] == '-'; i++) {
		t->version |= strcmp(argv[i], "--version") == 0 || strchr(argv[i] + 1, 'V') != NULL;
		t->verbose += strcmp(argv[i], "--verbose") == 0 || strchr(argv[i] + 1, 'v') == argv[i] + 1;
	}
	if (t->version)
		version(t);
	for (; c->name != NULL; c++) {
		if (strcmp(argv[1], c->name) != 0)
			continue;
		snprintf(name, sizeof(name), "%s %s", t->name, c->name);
		t->name = name;
		return c->fn(t, argc - 1, argv + 1);
	}
	tool_usage_error(t, "unknown command '%s'", argv[1]);
}

double
tool_number(struct tool *t, const char *name, const char *text, double least, double most)
{
	char *end;
	double x;

	errno = 0;
	x = strtod(text, &end);
	if (end == text || *end != '\0' || !isfinite(x) || x < least || x > most)
		tool_usage_error(t, "%s: '%s' is not a number from %g to %g", name, text, least, most);
	return x;
}

int64_t
tool_integer(struct tool *t, const char *name, const char *text, int64_t least, int64_t most)
{
	char *end;
	long long x;

	errno = 0;
	x = strtoll(text, &end, 10);
	if (end == text || *end != '\0' || errno != 0 || x < least || x > most)
		tool_usage_error(t, "%s: '%s' is not a whole number from %lld to %lld", name, text, (long long)least,
		    (long long)most);
	return x;
}

size_t
tool_size(struct tool *t, const char *name, const char *text)
{
	static const char suffixes[] = "KMGT";
	char *end;
	const char *s;
	unsigned long long x;
	unsigned shift = 0;

	errno = 0;
	x = strtoull(text, &end, 10);
	if (end != text && *end != '\0' && (s = strchr(suffixes, *end)) != NULL) {
		shift = 10 * (unsigned)(s - suffixes + 1);
		end++;
	}
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || x > (SIZE_MAX >> shift))
		tool_usage_error(t, "%s: '%s' is not a size such as 500000, 64M or 2G", name, text);
	return (size_t)x << shift;
}

int
tool_word(struct tool *t, const char *name, const char *text, const char *const *words)
{
	char list[256] = "";

	for (int i = 0; words[i] != NULL; i++) {
		if (strcmp(words[i], text) == 0)
			return i;
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i > 0 ? ", " : "", words[i]);
	}
	tool_usage_error(t, "%s: '%s' is none of %s", name, text, list);
}
