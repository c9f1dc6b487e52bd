/* ttt-snapshot: look into states, compare, check and export them. */
#include "tools/tool.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { OPT_JSON = TOOL_LONG, OPT_SAFETENSORS };

enum { SPARK_COLUMNS = 60, SOURCES_SHOWN = 10 };

/* Open a state under the model of the command line; a failure has been reported when this is NULL. */
static struct ttt_state *
open_state(struct tool *t, const char *path)
{
	struct ttt_state *s = NULL;
	struct ttt_error err;

	if (tool_model_open(t, &err) == TTT_OK && ttt_state_open(&s, path, t->model, NULL, &err) == TTT_OK)
		return s;
	tool_fail(t, &err);
	return NULL;
}

/* ---------------------------------------------------------------------------------------------- info */

/* The loss curve as one line of blocks: each column the mean of its share of the points, low to high between the
 * extremes. */
static void
print_sparkline(const struct ttt_state *s)
{
	static const char *const block[] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
	double column[SPARK_COLUMNS], low = INFINITY, high = -INFINITY, loss;
	int64_t n = 0, n_column, n_token;

	while (ttt_state_curve_at(s, n, &n_token, &loss))
		n++;
	n_column = n < SPARK_COLUMNS ? n : SPARK_COLUMNS;
	if (n_column == 0)
		return;
	for (int64_t c = 0; c < n_column; c++) {
		int64_t from = c * n / n_column, to = (c + 1) * n / n_column;

		column[c] = 0;
		for (int64_t i = from; i < to && ttt_state_curve_at(s, i, &n_token, &loss); i++)
			column[c] += loss / (double)(to - from);
		low = fmin(low, column[c]);
		high = fmax(high, column[c]);
	}
	printf("curve       ");
	for (int64_t c = 0; c < n_column; c++)
		printf("%s", block[high > low ? (int)((column[c] - low) / (high - low) * 7.999) : 0]);
	printf("  %.3f .. %.3f nats a token\n", low, high);
}

static void
print_sources(const struct ttt_state *s)
{
	const char *name;
	int64_t n_byte, n = 0;

	while (ttt_state_source_at(s, n, &name, &n_byte)) {
		if (n < SOURCES_SHOWN) {
			printf("%s", n == 0 ? "sources     " : "            ");
			tool_write_visible(stdout, name, strlen(name));
			printf("  %lld bytes\n", (long long)n_byte);
		}
		n++;
	}
	if (n > SOURCES_SHOWN)
		printf("            and %lld more\n", (long long)(n - SOURCES_SHOWN));
}

static void
print_info(const char *path, const struct ttt_state_info *i)
{
	printf("state       ");
	tool_write_visible(stdout, path, strlen(path));
	printf("\nformat      %d\nmodel       ", i->version);
	tool_write_visible(stdout, i->model_name, strlen(i->model_name));
	printf(", %.16s\n", i->model_checksum);
	printf("absorbed    %lld tokens, %lld bytes, %lld chunks", (long long)i->n_token, (long long)i->n_byte,
	    (long long)i->n_chunk);
	printf("; %lld tokens and %lld bytes wait\n", (long long)i->n_pending_token, (long long)i->n_pending_byte);
	printf("kept        %lld bytes of text in %lld records, from %lld sources; %s\n", (long long)i->n_passage_byte,
	    (long long)i->n_passage_record, (long long)i->n_source,
	    i->has_window ? "with the window" : "window to be made again from the last tokens");
	printf("rule        %s, rate %g\n", i->rule, i->rate);
	if (i->n_chunk > 0)
		printf("loss        %.4f at first, %.4f at last, nats a token\n", i->loss_first, i->loss_last);
	printf("mean        of %lld weights\n", (long long)i->n_mean);
	if (i->n_bias >= 0)
		printf("n-grams     %lld biases by the last tokens\n", (long long)i->n_bias);
	printf("guards      %lld chunks of noise read; %lld steps on noise undone, in %lld returns\n", (long long)i->guards.n_noise,
	    (long long)i->guards.n_undone, (long long)i->guards.n_returned);
	printf("moved       the fast weights by %.3g %% of their initial size (2-norms)\n", 100 * i->drift);
}

/* A number as JSON has it: null for what is not finite. */
static void
print_json_number(const char *name, double x)
{
	if (isfinite(x))
		printf(", \"%s\": %.9g", name, x);
	else
		printf(", \"%s\": null", name);
}

static void
print_info_json(const char *path, const struct ttt_state_info *i)
{
	printf("{\"state\": ");
	tool_write_json(stdout, path, strlen(path));
	printf(", \"version\": %d, \"model_name\": ", i->version);
	tool_write_json(stdout, i->model_name, strlen(i->model_name));
	printf(", \"model_checksum\": ");
	tool_write_json(stdout, i->model_checksum, strlen(i->model_checksum));
	printf(", \"rule\": ");
	tool_write_json(stdout, i->rule, strlen(i->rule));
	printf(", \"n_token\": %lld, \"n_byte\": %lld, \"n_chunk\": %lld", (long long)i->n_token, (long long)i->n_byte,
	    (long long)i->n_chunk);
	printf(", \"n_pending_token\": %lld, \"n_pending_byte\": %lld", (long long)i->n_pending_token,
	    (long long)i->n_pending_byte);
	printf(", \"n_source\": %lld, \"n_passage_byte\": %lld, \"n_passage_record\": %lld, \"has_window\": %s",
	    (long long)i->n_source, (long long)i->n_passage_byte, (long long)i->n_passage_record,
	    i->has_window ? "true" : "false");
	printf(", \"n_mean\": %lld, \"n_noise\": %lld, \"n_undone\": %lld, \"n_returned\": %lld, \"n_bias\": %lld", (long long)i->n_mean,
	    (long long)i->guards.n_noise, (long long)i->guards.n_undone, (long long)i->guards.n_returned, (long long)i->n_bias);
	print_json_number("rate", i->rate);
	print_json_number("loss_first", i->n_chunk > 0 ? i->loss_first : NAN);
	print_json_number("loss_last", i->n_chunk > 0 ? i->loss_last : NAN);
	print_json_number("drift", i->drift);
	puts("}");
}

/* What only the state itself knows, where its model is at hand. */
static int
print_inside(struct tool *t, const char *path)
{
	struct ttt_state *s = NULL;
	struct ttt_error err;
	enum ttt_status status = tool_model_open(t, &err);

	if (status == TTT_OK)
		status = ttt_state_open(&s, path, t->model, NULL, &err);
	if (status == TTT_E_SHAPE) { /* it is another model's */
		tool_note(t, "%s: sources and curve are not shown: %s", path, err.text);
		return TOOL_DONE;
	}
	if (status != TTT_OK)
		return tool_fail(t, &err);
	print_sources(s);
	print_sparkline(s);
	ttt_state_free(s);
	return TOOL_DONE;
}

static int
info(struct tool *t, int argc, char **argv)
{
	static const struct tool_option options[] = { { OPT_JSON, "json", NULL, "JSON Lines" }, { 0 } };
	static const struct tool_usage usage = {
		.synopsis = "[--json] STATE...",
		.purpose = "Print what each STATE is: its model, what was absorbed and kept, the loss on the way.",
		.option = options,
		.common = TOOL_MODEL,
	};
	bool json = false;
	int key, status = TOOL_DONE;

	while ((key = tool_option(t, &usage, argc, argv)) != TOOL_END)
		json = json || key == OPT_JSON;
	if (optind == argc)
		tool_usage_error(t, "the state to look into is missing");
	for (int i = optind; i < argc; i++) {
		struct ttt_state_info about;
		struct ttt_error err;

		if (ttt_state_info_read(&about, argv[i], &err) != TTT_OK) {
			status = tool_fail(t, &err);
			continue;
		}
		if (json) {
			print_info_json(argv[i], &about);
			continue;
		}
		if (i > optind)
			putchar('\n');
		print_info(argv[i], &about);
		if (strcmp(argv[i], "-") != 0 && print_inside(t, argv[i]) != TOOL_DONE)
			status = TOOL_TROUBLE;
	}
	return status;
}

/* ---------------------------------------------------------------------------------------------- diff */

struct sums {
	bool json;
	double initial, moved_a, moved_b, apart; /* of squares */
};

static void
print_row(const char *name, bool json, double initial, double moved_a, double moved_b, double apart)
{
	static const char *const names[] = {"initial", "moved_a", "moved_b", "apart"};
	const double values[] = {initial, moved_a, moved_b, apart};

	if (!json) {
		printf("%s\t%.6g\t%.6g\t%.6g\t%.6g\n", name, initial, moved_a, moved_b, apart);
		return;
	}
	printf("{\"weight\": ");
	tool_write_json(stdout, name, strlen(name));
	for (int i = 0; i < 4; i++)
		print_json_number(names[i], values[i]);
	puts("}");
}

static void
print_difference(void *ctx, const struct ttt_difference *d)
{
	struct sums *sum = ctx;

	print_row(d->name, sum->json, d->initial, d->moved_a, d->moved_b, d->apart);
	sum->initial += d->initial * d->initial;
	sum->moved_a += d->moved_a * d->moved_a;
	sum->moved_b += d->moved_b * d->moved_b;
	sum->apart += d->apart * d->apart;
}

static int
diff(struct tool *t, int argc, char **argv)
{
	static const struct tool_option options[] = { { OPT_JSON, "json", NULL, "JSON Lines" }, { 0 } };
	static const struct tool_usage usage = {
		.synopsis = "[--json] A B",
		.purpose = "Print how far the fast weights of two states of one model lie apart: for each weight the\n"
		           "2-norm of the initial one, of what A and B added to it, and of the difference between A\n"
		           "and B. Exit status 0 when there is none, 1 when there is.",
		.option = options,
		.common = TOOL_MODEL,
	};
	struct ttt_state *a, *b = NULL;
	struct ttt_error err;
	struct sums sum = { 0 };
	int status = TOOL_TROUBLE;

	while (tool_option(t, &usage, argc, argv) != TOOL_END)
		sum.json = true;
	if (argc - optind != 2)
		tool_usage_error(t, "two states are needed");
	a = open_state(t, argv[optind]);
	if (a != NULL)
		b = open_state(t, argv[optind + 1]);
	if (b != NULL) {
		if (!sum.json)
			puts("weight\tinitial\tmoved A\tmoved B\tapart");
		if (ttt_state_compare(a, b, print_difference, &sum, &err) == TTT_OK) {
			print_row("all", sum.json, sqrt(sum.initial), sqrt(sum.moved_a), sqrt(sum.moved_b), sqrt(sum.apart));
			status = sum.apart > 0 ? TOOL_NO : TOOL_DONE;
		} else {
			tool_fail(t, &err);
		}
	}
	ttt_state_free(a);
	ttt_state_free(b);
	return status;
}

/* ---------------------------------------------------------------------------------------------- verify, export */

static int
verify(struct tool *t, int argc, char **argv)
{
	static const struct tool_usage usage = {
		.synopsis = "STATE...",
		.purpose = "Check every checksum of each STATE, then score its last chunk again from what is stored,\n"
		           "which must give the stored loss. Exit status 1 when anything is wrong.",
		.common = TOOL_MODEL,
	};
	struct ttt_error err;
	int status = TOOL_DONE;

	while (tool_option(t, &usage, argc, argv) != TOOL_END)
		;
	if (optind == argc)
		tool_usage_error(t, "the state to verify is missing");
	if (tool_model_open(t, &err) != TTT_OK)
		return tool_fail(t, &err);
	for (int i = optind; i < argc; i++) {
		bool ok;

		if (ttt_state_verify(argv[i], t->model, &ok, &err) != TTT_OK) {
			status = tool_fail(t, &err);
			continue;
		}
		if (ok) {
			tool_write_visible(stdout, argv[i], strlen(argv[i]));
			puts(": ok");
			continue;
		}
		tool_error(t, "%s", err.text);
		status = status == TOOL_DONE ? TOOL_NO : status;
	}
	return status;
}

static int
export_weights(struct tool *t, int argc, char **argv)
{
	static const struct tool_option options[] = {
		{ OPT_SAFETENSORS, "safetensors", "OUT", "write the fast weights to OUT, under their parameter names" },
		{ 0 }
	};
	static const struct tool_usage usage = {
		.synopsis = "--safetensors OUT STATE",
		.purpose = "Write the fast weights of STATE as a file that other software reads.",
		.option = options,
		.common = TOOL_MODEL,
	};
	const char *out = NULL;
	struct ttt_state *s;
	struct ttt_error err;
	enum ttt_status status;
	int key;

	while ((key = tool_option(t, &usage, argc, argv)) != TOOL_END)
		if (key == OPT_SAFETENSORS)
			out = optarg;
	if (out == NULL)
		tool_usage_error(t, "--safetensors OUT is missing: no other form is built yet");
	if (out != NULL && strcmp(out, "-") == 0)
		tool_usage_error(t, "--safetensors needs a file: it is written as a whole, or not");
	if (argc - optind != 1)
		tool_usage_error(t, "one state is needed");
	if (tool_output_refused(t, out, (const char *const *)argv + optind, 1))
		return TOOL_TROUBLE;
	s = open_state(t, argv[optind]);
	if (s == NULL)
		return TOOL_TROUBLE;
	tool_critical_begin();
	status = ttt_state_export(s, out, &err);
	tool_critical_end();
	ttt_state_free(s);
	return status == TTT_OK ? TOOL_DONE : tool_fail(t, &err);
}

int
cmd_main(struct tool *t, int argc, char **argv)
{
	static const struct tool_command commands[] = {
		{ "info", "what a state is: model, sources, sizes, loss curve", info },
		{ "diff", "how far two states lie apart", diff },
		{ "verify", "check a state file against itself", verify },
		{ "export", "write the fast weights as safetensors", export_weights },
		{ NULL, NULL, NULL }
	};

	return tool_command(t, commands, "Look into states, compare, check and export them.", argc, argv);
}
