/* ttt-digest: from cron, the few new lines of logs that are not as usual. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/digest.h"

enum { OPT_ACCEPT = TOOL_LONG, OPT_ALL, OPT_COLOR, OPT_DRY_RUN, OPT_IGNORE, OPT_JOURNAL, OPT_JSON, OPT_LEARN_ALL, OPT_MAIL, OPT_NO_MODEL,
	OPT_THRESHOLD, OPT_WAIT };

static const struct tool_option options[] = {
	{'n', "lines", "N", "print at most N rows (default: 20; with --json all)"},
	{OPT_ALL, "all", NULL, "print every new line with its score"},
	{OPT_JSON, "json", NULL, "JSON Lines"},
	{OPT_MAIL, "mail", NULL, "with headers for sendmail -t, to $MAILTO or root"},
	{OPT_COLOR, "color", "WHEN", "show what is surprising in bold: auto (default), always or never"},
	{OPT_JOURNAL, "journal", NULL, "read systemd's journal too, through journalctl"},
	{OPT_IGNORE, "ignore", "RULES", "leave out lines that match a PCRE2 pattern, one a line of RULES"},
	{OPT_ACCEPT, "accept", "REPORT", "learn the lines of a report: they were as they should be"},
	{OPT_DRY_RUN, "dry-run", NULL, "print, and leave the state as it is"},
	{OPT_LEARN_ALL, "learn-all", NULL, "learn novel lines too"},
	{OPT_NO_MODEL, "no-model", NULL, "by words alone: fast, and the model learns nothing"},
	{OPT_THRESHOLD, "threshold", "X", "lines with scores from X, 0 to 1, are novel (default: learned)"},
	{OPT_WAIT, "wait", "SECONDS", "wait at most so long for other runs (then exit 75)"},
	{0},
};

static const struct tool_usage usage = {
	.synopsis = "[OPTION...] STATE [FILE...]",
	.purpose = "Read what is new in the logs FILE since the last run, print the lines that are not as\n"
	           "usual, most novel first, and learn the others. A first run learns and prints nothing.\n"
	           "Nothing is printed when all is as usual. FILE - is standard input.",
	.option = options,
	.common = TOOL_MODEL | TOOL_PRECISION | TOOL_PROGRESS,
	.example = "ttt-digest /var/lib/ttt/logs.ttt /var/log/syslog /var/log/auth.log",
};

static bool
wants_color(struct tool *t, const char *when)
{
	static const char *const whens[] = {"auto", "always", "never", NULL};
	const char *none = getenv("NO_COLOR"), *term = getenv("TERM");
	int which = tool_word(t, "--color", when, whens);

	if (which == 0)
		return isatty(STDOUT_FILENO) == 1 && (none == NULL || none[0] == '\0') && (term == NULL || strcmp(term, "dumb") != 0);
	return which == 1;
}

static void
set_option(struct digest *d, int key, const char **color)
{
	switch (key) {
	case 'n':
		d->most = tool_integer(d->t, "-n", optarg, 0, 1000000);
		break;
	case OPT_ALL:
		d->all = true;
		break;
	case OPT_JSON:
		d->json = true;
		break;
	case OPT_MAIL:
		d->mail = true;
		break;
	case OPT_COLOR:
		*color = optarg;
		break;
	case OPT_JOURNAL:
		d->journal = true;
		break;
	case OPT_IGNORE:
		d->ignore = optarg;
		break;
	case OPT_ACCEPT:
		d->accept = optarg;
		break;
	case OPT_DRY_RUN:
		d->dry_run = true;
		break;
	case OPT_LEARN_ALL:
		d->o.learn_all = true;
		break;
	case OPT_NO_MODEL:
		d->o.no_model = true;
		break;
	case OPT_THRESHOLD:
		d->o.threshold = tool_number(d->t, "--threshold", optarg, 1e-9, 1);
		break;
	case OPT_WAIT:
		d->wait = tool_number(d->t, "--wait", optarg, 0, 1e9);
		break;
	default:
		break;
	}
}

static void
check_options(struct digest *d, int argc, char **argv)
{
	int n_stdin = d->accept != NULL && strcmp(d->accept, "-") == 0;

	if (optind == argc)
		tool_usage_error(d->t, "the state that keeps what was learned is missing");
	d->path = argv[optind];
	d->name = (const char *const *)argv + optind + 1;
	d->n_name = (size_t)(argc - optind) - 1;
	if (strcmp(d->path, "-") == 0)
		tool_usage_error(d->t, "the state has to be a file, not '-'");
	if (d->n_name == 0 && !d->journal && d->accept == NULL)
		tool_usage_error(d->t, "a log to read is missing");
	for (size_t i = 0; i < d->n_name; i++)
		n_stdin += strcmp(d->name[i], "-") == 0;
	if (n_stdin > 1)
		tool_usage_error(d->t, "standard input can be read only once");
	if (d->mail && (d->json || d->all))
		tool_usage_error(d->t, "--mail goes with neither --json nor --all");
}

/* Lock, model, state, digest. A run that changes nothing needs no lock: states are replaced as a whole. */
static int
open_digest(struct digest *d)
{
	const struct ttt_state_options o = {.no_passages = true};
	struct ttt_error err;
	enum ttt_status s = TTT_OK;
	bool old;

	if (!d->dry_run)
		s = ttt_lock_take(&d->lock, d->path, d->wait, &err);
	if (s != TTT_OK)
		return tool_fail(d->t, &err);
	for (size_t i = 0; i < d->n_name; i++)
		if (tool_stdout_is(d->t, d->name[i]))
			return TOOL_TROUBLE;
	old = access(d->path, F_OK) == 0;
	if (!old && errno != ENOENT) {
		tool_error(d->t, "%s: cannot look at it: %s", d->path, strerror(errno));
		return TOOL_TROUBLE;
	}
	if (!d->dry_run && tool_output_refused(d->t, d->path, d->name, d->n_name))
		return TOOL_TROUBLE;
	s = tool_model_open_to_read(d->t, &err);
	if (s == TTT_OK)
		s = old ? ttt_state_open(&d->s, d->path, d->t->model, NULL, &err) : ttt_state_create(&d->s, d->t->model, &o, &err);
	if (s == TTT_OK)
		s = ttt_digest_create(&d->d, d->s, &d->o, &err);
	return s == TTT_OK ? TOOL_DONE : tool_fail(d->t, &err);
}

/* The report has gone out; now the state with all that was learned, and where the logs were left, in one step. */
static int
save(struct digest *d)
{
	struct ttt_error err;
	enum ttt_status s;

	if (d->dry_run)
		return TOOL_DONE;
	s = ttt_digest_finish(d->d, &err);
	if (s != TTT_OK)
		return tool_fail(d->t, &err);
	tool_critical_begin();
	s = ttt_state_save(d->s, d->path, NULL, &err);
	tool_critical_end();
	return s == TTT_OK ? TOOL_DONE : tool_fail(d->t, &err);
}

static void
close_digest(struct digest *d)
{
	digest_report_free(d);
	digest_rules_close(d->rules);
	ttt_digest_free(d->d);
	ttt_state_free(d->s);
	ttt_lock_release(d->lock);
}

int
cmd_main(struct tool *t, int argc, char **argv)
{
	struct digest d = {.t = t, .most = -1, .wait = -1};
	const char *color = "auto";
	int64_t before = 0;
	int key, status;

	while ((key = tool_option(t, &usage, argc, argv)) != TOOL_END)
		set_option(&d, key, &color);
	check_options(&d, argc, argv);
	d.color = wants_color(t, color);
	status = digest_rules_open(&d);
	if (status == TOOL_DONE)
		status = open_digest(&d);
	if (status == TOOL_DONE)
		before = ttt_digest_n_line(d.d);
	if (status == TOOL_DONE && d.accept != NULL)
		status = digest_accept(&d);
	if (status == TOOL_DONE)
		status = digest_read(&d);
	if (status == TOOL_DONE)
		status = digest_report_end(&d);
	if (status == TOOL_DONE)
		status = save(&d);
	if (status == TOOL_DONE && !d.dry_run && ttt_digest_threshold(d.d) <= 0 && ttt_digest_n_line(d.d) > before)
		tool_note(t, "%s: %lld lines learned; what is novel is known %s", d.path, (long long)(ttt_digest_n_line(d.d) - before),
		    ttt_digest_n_line(d.d) < 100 ? "once 100 lines are" : "from the next run on");
	close_digest(&d);
	return status == TOOL_DONE && d.n_failed > 0 ? TOOL_TROUBLE : status;
}
