/* ttt-train eval: how a model does on documents that it was not trained on. */
#include "tools/train.h"
#include "libttt/file.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { OPT_MODE = TOOL_LONG, OPT_DOCUMENTS, OPT_TOKENS, OPT_JSON };

static const struct tool_option options[] = {
	{ OPT_MODE, "mode", "MODE", "ttt: learn while reading (default), window or full" },
	{ OPT_DOCUMENTS, "documents", "N", "score at most N documents (default: all)" },
	{ OPT_TOKENS, "tokens", "N", "the first N tokens of each (default: all)" },
	{ OPT_JSON, "json", NULL, "JSON Lines" },
	{ 0 }
};

static const struct tool_usage usage = {
	.synopsis = "[--mode MODE] DIR",
	.purpose = "Score the held-out documents of the run directory DIR with its model, or with -m.",
	.option = options,
	.common = TOOL_MODEL,
	.example = "ttt-train eval --mode window run",
};

struct sum {
	struct train_score *score;
	const struct ttt_tokenizer *tokenizer;
	int64_t bos; /* a target that carries no loss */
};

static void
on_chunk(void *ctx, const struct ttt_chunk_report *r)
{
	struct sum *sum = ctx;

	for (int64_t i = 0; i < r->n; i++) {
		size_t n = 0;

		if (r->target[i] == sum->bos)
			continue;
		sum->score->n_token++;
		sum->score->nats += r->nll[i];
		if (sum->tokenizer != NULL && ttt_tokenizer_bytes(sum->tokenizer, r->target[i], &n) != NULL)
			sum->score->n_byte += (int64_t)n;
	}
}

/* Score n tokens from first on as one document. */
static enum ttt_status
score_one(struct train_score *score, const struct ttt_model *m, const struct ttt__data *d, enum ttt_mode mode,
    int64_t first, int64_t n, struct ttt_error *err)
{
	struct sum sum = { score, ttt_model_tokenizer(m), ttt_model_config(m)->bos };
	struct ttt_feed how = { .learn = mode == TTT_MODE_TTT, .fn = on_chunk, .ctx = &sum };
	struct ttt_session *session = NULL;
	int32_t ids[1024];
	enum ttt_status s = ttt_session_create(&session, m, mode == TTT_MODE_FULL ? TTT_FULL : TTT_WINDOW, err);

	for (int64_t at = 0; at < n && s == TTT_OK;) {
		int64_t part = n - at < 1024 ? n - at : 1024;

		s = ttt__data_read(d, first + at, part, ids, err);
		if (s == TTT_OK)
			s = ttt_session_feed(session, ids, part, &how, err);
		at += part;
	}
	if (s == TTT_OK)
		s = ttt_session_peek(session, 0, on_chunk, &sum, err);
	score->n_document++;
	ttt_session_free(session);
	return s;
}

static void
add(struct train_score *to, const struct train_score *x)
{
	to->n_document += x->n_document;
	to->n_token += x->n_token;
	to->n_byte += x->n_byte;
	to->nats += x->nats;
}

enum ttt_status
train_score(struct train_score *score, struct train_score *all, const struct ttt_model *m, const struct ttt__data *d,
    enum ttt_mode mode, int64_t n_document, int64_t n_token, struct ttt_error *err)
{
	int64_t n_held = 0, seen = 0;
	enum ttt_status s = TTT_OK;

	memset(score, 0, (size_t)d->n_group * sizeof(*score));
	*all = (struct train_score){ 0 };
	for (int64_t i = 0; i < d->n_document; i++)
		n_held += d->document[i].held;
	if (n_document <= 0 || n_document > n_held)
		n_document = n_held;
	for (int64_t i = 0; i < d->n_document && s == TTT_OK; i++) {
		const struct ttt__document *x = &d->document[i];
		int64_t n = n_token > 0 && x->n_token > n_token ? n_token : x->n_token;

		if (!x->held)
			continue;
		/* Evenly picked: the documents where seen * n_document / n_held goes up by one. */
		if (seen * n_document / n_held < (seen + 1) * n_document / n_held)
			s = score_one(&score[x->group], m, d, mode, x->offset, n, err);
		seen++;
	}
	for (int64_t g = 0; g < d->n_group; g++)
		add(all, &score[g]);
	return s;
}

static void
print_score(const char *name, size_t n, const struct train_score *x, bool json)
{
	double loss = x->n_token > 0 ? x->nats / (double)x->n_token : 0;
	double bits = x->n_byte > 0 ? x->nats / M_LN2 / (double)x->n_byte : 0;

	if (json)
		fputs("{\"group\":", stdout);
	if (json)
		tool_write_json(stdout, name, n);
	else
		tool_write_visible(stdout, name, n);
	printf(json ? ",\"documents\":%lld,\"tokens\":%lld,\"loss\":%.9g,\"bits_per_byte\":%.9g}\n"
	            : "\t%lld\t%lld\t%.6f\t%.4f\n",
	    (long long)x->n_document, (long long)x->n_token, loss, bits);
}

/* A group is named by the first part of its documents' names. */
static void
print_group(const struct ttt__data *d, int64_t group, const struct train_score *x, bool json)
{
	for (int64_t i = 0; i < d->n_document; i++)
		if (d->document[i].group == group) {
			print_score(d->document[i].name, strcspn(d->document[i].name, "/"), x, json);
			return;
		}
}

static enum ttt_status
evaluate(struct tool *t, const char *dir, enum ttt_mode mode, int64_t n_document, int64_t n_token, bool json,
    struct ttt_error *err)
{
	struct ttt__data d = { .fd = -1 };
	struct train_score *score = NULL, all = { 0 };
	char *shards = ttt__path_in(dir, "shards");
	enum ttt_status s = shards != NULL ? ttt__data_open(&d, shards, err) : ttt__fail_memory(err, dir);

	if (s == TTT_OK && (score = ttt__new((size_t)d.n_group, sizeof(*score))) == NULL)
		s = ttt__fail_memory(err, shards);
	if (score != NULL)
		s = train_score(score, &all, t->model, &d, mode, n_document, n_token, err);
	if (s == TTT_OK && all.n_token == 0) {
		s = ttt__fail(err, TTT_E_FORMAT, "%s: no document of the run is held out", shards);
	}
	if (s == TTT_OK && !isfinite(all.nats))
		s = ttt__fail(err, TTT_E_RANGE, "%s: the loss of its held-out documents is not a finite number", dir);
	if (s == TTT_OK && !json)
		puts("group\tdocuments\ttokens\tloss\tbits_per_byte");
	for (int64_t g = 0; s == TTT_OK && score != NULL && g < d.n_group; g++)
		if (score[g].n_document > 0)
			print_group(&d, g, &score[g], json);
	if (s == TTT_OK)
		print_score("total", 5, &all, json);
	ttt__data_close(&d);
	free(score);
	free(shards);
	return s;
}

/* The run's shards hold ids of its own tokenizer: those of another model's mean other text, or none. */
static enum ttt_status
check_tokenizer(const struct ttt_tokenizer *t, const char *dir, const char *model, struct ttt_error *err)
{
	char *path = ttt__path_in(dir, "model/tokenizer.json");
	struct ttt_tokenizer *own = NULL;
	enum ttt_status s = path != NULL ? ttt_tokenizer_open(&own, path, err) : ttt__fail_memory(err, dir);
	int64_t n = own != NULL ? ttt_tokenizer_n_vocab(own) : 0;
	bool same = t != NULL && n == ttt_tokenizer_n_vocab(t);

	for (int64_t i = 0; i < n && same; i++) {
		size_t n_a = 0, n_b = 0;
		const unsigned char *a = ttt_tokenizer_bytes(own, (int32_t)i, &n_a), *b = ttt_tokenizer_bytes(t, (int32_t)i, &n_b);

		same = n_a == n_b && (n_a == 0 || memcmp(a, b, n_a) == 0);
	}
	if (s == TTT_OK && !same)
		s = ttt__fail(err, TTT_E_SHAPE, "%s: its tokenizer is not that of the run '%s'", model, dir);
	ttt_tokenizer_free(own);
	free(path);
	return s;
}

int
train_eval(struct tool *t, int argc, char **argv)
{
	const char *before = t->model_dir;
	char *own = NULL;
	enum ttt_mode mode = TTT_MODE_TTT;
	int64_t n_document = 0, n_token = 0;
	struct ttt_error err;
	enum ttt_status s;
	bool json = false;
	int key;

	while ((key = tool_option(t, &usage, argc, argv)) != TOOL_END) {
		if (key == OPT_MODE)
			mode = (enum ttt_mode)tool_word(t, "--mode", optarg, train_modes);
		else if (key == OPT_DOCUMENTS)
			n_document = tool_integer(t, "--documents", optarg, 1, INT64_MAX);
		else if (key == OPT_TOKENS)
			n_token = tool_integer(t, "--tokens", optarg, 2, INT64_MAX);
		else
			json = true;
	}
	if (argc - optind != 1)
		tool_usage_error(t, "one run directory is wanted, not %d", argc - optind);
	if (t->model_dir == before) /* no -m: the run's own, whatever $TTT_MODEL says */
		t->model_dir = own = ttt__path_in(argv[optind], "model");
	s = t->model_dir != NULL ? tool_model_open(t, &err) : ttt__fail_memory(&err, argv[optind]);
	if (s == TTT_OK && own == NULL)
		s = check_tokenizer(ttt_model_tokenizer(t->model), argv[optind], ttt_model_name(t->model), &err);
	if (s == TTT_OK)
		s = evaluate(t, argv[optind], mode, n_document, n_token, json, &err);
	free(own);
	return s == TTT_OK ? TOOL_DONE : tool_fail(t, &err);
}
