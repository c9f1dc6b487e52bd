/* ttt-train tokenizer, tokenize: text to ids and back. */
#include "tools/train.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { OPT_VOCAB = TOOL_LONG, OPT_SPECIAL, OPT_MAX, OPT_DECODE };
enum { BLOCK = 65536 };

static const struct tool_option trainer_options[] = {
	{ 'o', "output", "FILE", "the tokenizer.json to write" },
	{ OPT_VOCAB, "vocab", "N", "tokens in all, the 256 bytes and special ones included" },
	{ OPT_SPECIAL, "special", "TEXT", "a special token; may be given more than once" },
	{ OPT_MAX, "max-bytes", "SIZE", "read at most SIZE bytes" },
	{ 0 }
};

static const struct tool_usage trainer_usage = {
	.synopsis = "-o tokenizer.json --vocab N [--special TEXT]... FILE...",
	.purpose = "Train a byte-level BPE tokenizer on FILEs.",
	.option = trainer_options,
	.example = "ttt-train tokenizer -o tokenizer.json --vocab 4096 --special '<|bos|>' *.txt",
};

int
train_tokenizer(struct tool *t, int argc, char **argv)
{
	struct ttt_tokenizer_train_options o = { 0 };
	const char **special = calloc((size_t)argc + 1, sizeof(*special)); /* each takes an argument of its own */
	const char *out = NULL;
	struct ttt_error err;
	enum ttt_status s;
	size_t n_special = 0;
	int key;

	if (special == NULL)
		return tool_fail(t, (ttt__fail_memory(&err, "the special tokens"), &err));
	while ((key = tool_option(t, &trainer_usage, argc, argv)) != TOOL_END) {
		if (key == 'o')
			out = optarg;
		else if (key == OPT_VOCAB)
			o.n_vocab = tool_integer(t, "--vocab", optarg, 256, 1 << 22);
		else if (key == OPT_SPECIAL)
			special[n_special++] = optarg;
		else
			o.max_bytes = tool_size(t, "--max-bytes", optarg);
	}
	if (out == NULL || o.n_vocab == 0)
		tool_usage_error(t, "%s is missing", out == NULL ? "-o" : "--vocab");
	if (optind == argc)
		tool_usage_error(t, "no files to train on");
	o.special = special;
	if (tool_output_refused(t, out, (const char *const *)argv + optind, (size_t)(argc - optind))) {
		free(special);
		return TOOL_TROUBLE;
	}
	tool_critical_begin();
	s = ttt_tokenizer_train(out, (const char *const *)argv + optind, (size_t)(argc - optind), &o, &err);
	tool_critical_end();
	free(special);
	return s == TTT_OK ? TOOL_DONE : tool_fail(t, &err);
}

static const struct tool_option tokenize_options[] = {
	{ 't', "tokenizer", "FILE", "the tokenizer.json (default: the model's)" },
	{ OPT_DECODE, "decode", NULL, "the input is ids; print their bytes" },
	{ 0 }
};

static const struct tool_usage tokenize_usage = {
	.synopsis = "[-t tokenizer.json] [--decode] [FILE]",
	.purpose = "Print the token ids of FILE, or of standard input, on one line.",
	.option = tokenize_options,
	.common = TOOL_MODEL,
	.example = "echo hello | ttt-train tokenize -t tokenizer.json",
};

static void
print_ids(struct ttt_ids *ids, bool *first)
{
	for (int64_t i = 0; i < ids->n; i++) {
		printf(*first ? "%ld" : " %ld", (long)ids->id[i]);
		*first = false;
	}
	ids->n = 0;
}

static enum ttt_status
encode(const struct ttt_tokenizer *k, FILE *f, const char *label, struct ttt_error *err)
{
	static unsigned char buffer[BLOCK];
	struct ttt_encoder *e = NULL;
	struct ttt_ids ids = { 0 };
	enum ttt_status s = ttt_encoder_create(&e, k, err);
	bool first = true;
	size_t n;

	while (s == TTT_OK && (n = fread(buffer, 1, sizeof(buffer), f)) > 0) {
		s = ttt_encoder_feed(e, &ids, buffer, n, err);
		print_ids(&ids, &first);
	}
	if (s == TTT_OK && ferror(f)) {
		s = ttt__fail(err, TTT_E_IO, "%s: cannot read: %s", label, strerror(errno));
	}
	if (s == TTT_OK)
		s = ttt_encoder_end(e, &ids, err);
	if (s == TTT_OK) {
		print_ids(&ids, &first);
		putchar('\n');
	}
	ttt_encoder_free(e);
	free(ids.id);
	return s;
}

static enum ttt_status
decode(const struct ttt_tokenizer *k, FILE *f, const char *label, struct ttt_error *err)
{
	struct ttt_ids ids = { 0 };
	enum ttt_status s = TTT_OK;
	int64_t line = 0;
	bool more = true;

	while (s == TTT_OK && (s = ttt_ids_read_line(f, label, &line, ttt_tokenizer_n_vocab(k), &ids, &more, err)) ==
	    TTT_OK && more)
		for (int64_t i = 0; i < ids.n && s == TTT_OK; i++) {
			size_t n = 0;
			const unsigned char *p = ttt_tokenizer_bytes(k, ids.id[i], &n);

			if (p != NULL) {
				fwrite(p, 1, n, stdout);
				continue;
			}
			s = ttt__fail(err, TTT_E_RANGE, "%s: line %lld: the tokenizer has no token %ld", label,
			    (long long)line, (long)ids.id[i]);
		}
	free(ids.id);
	return s;
}

int
train_tokenize(struct tool *t, int argc, char **argv)
{
	const char *path = NULL, *label;
	const struct ttt_tokenizer *k;
	struct ttt_tokenizer *own = NULL;
	struct ttt_error err;
	enum ttt_status s;
	bool back = false;
	FILE *f;
	int key;

	while ((key = tool_option(t, &tokenize_usage, argc, argv)) != TOOL_END) {
		if (key == 't')
			path = optarg;
		else
			back = true;
	}
	if (argc - optind > 1)
		tool_usage_error(t, "one FILE is read, not %d", argc - optind);
	label = optind < argc ? argv[optind] : "-";
	if (tool_stdout_is(t, label))
		return TOOL_TROUBLE;
	s = path != NULL ? ttt_tokenizer_open(&own, path, &err) : tool_model_open(t, &err);
	if (s != TTT_OK)
		return tool_fail(t, &err);
	k = own != NULL ? own : tool_tokenizer(t);
	if (k == NULL)
		return TOOL_TROUBLE;
	f = strcmp(label, "-") == 0 ? stdin : fopen(label, "rbe");
	if (f == NULL) {
		tool_error(t, "%s: cannot open: %s", label, strerror(errno));
		ttt_tokenizer_free(own);
		return TOOL_TROUBLE;
	}
	s = back ? decode(k, f, label, &err) : encode(k, f, label, &err);
	if (f != stdin)
		fclose(f);
	ttt_tokenizer_free(own);
	return s == TTT_OK ? TOOL_DONE : tool_fail(t, &err);
}
