/* The full-text index. FTS5 does the matching and the counting; the scores are ours (rank.c), because FTS5's own
 * bm25() has constants that lose much of what mixed lengths give. Words come from questions and texts of strangers:
 * they reach SQL only as bound values, and MATCH only as quoted words of letters, digits and '_'. */
#include "libttt/use/fulltext.h"
#include "libttt/file.h"

#include <stdlib.h>
#include <string.h>

struct ttt__fulltext {
	sqlite3 *db;
	fts5_api *api;
	fts5_tokenizer porter;
	Fts5Tokenizer *words;
	sqlite3_stmt *find[2];   /* by enum ttt__table */
	uint32_t count[TTT__TERM_MAX]; /* of the row at hand, by the function ttt_count */
	int64_t n_word;          /* words the tokenizer has given out so far */
	uint32_t *length;        /* [units] */
};

enum { INDEXED_MAX = 1 << 20 }; /* bytes of a unit that are indexed: a line longer than that is data */

static enum ttt_status
fail(struct ttt__fulltext *ix, const char *what, int rc, struct ttt_error *err)
{
	if (rc == SQLITE_NOMEM)
		return ttt__fail_memory(err, "passage index");
	return ttt__fail(err, TTT_E_UNSUPPORTED, "passage index: %s: %s", what,
	    ix->db != NULL ? sqlite3_errmsg(ix->db) : sqlite3_errstr(rc));
}

/* SQL function ttt_count(table): notes how often each phrase of the MATCH stands in the current row. */
static void
count_phrases(const Fts5ExtensionApi *api, Fts5Context *fts, sqlite3_context *ctx, int n_arg, sqlite3_value **args)
{
	struct ttt__fulltext *ix = api->xUserData(fts);
	int n = api->xPhraseCount(fts), rc = SQLITE_OK;

	(void)n_arg;
	(void)args;
	for (int i = 0; i < n && i < TTT__TERM_MAX && rc == SQLITE_OK; i++) {
		Fts5PhraseIter it;
		int column, offset;

		ix->count[i] = 0;
		for (rc = api->xPhraseFirst(fts, i, &it, &column, &offset); rc == SQLITE_OK && column >= 0;
		     api->xPhraseNext(fts, &it, &column, &offset))
			ix->count[i]++;
	}
	if (rc != SQLITE_OK)
		sqlite3_result_error_code(ctx, rc);
}

static enum ttt_status
find_api(struct ttt__fulltext *ix, struct ttt_error *err)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(ix->db, "SELECT fts5(?1)", -1, &s, NULL);

	if (rc == SQLITE_OK) {
		sqlite3_bind_pointer(s, 1, (void *)&ix->api, "fts5_api_ptr", NULL);
		sqlite3_step(s);
		rc = sqlite3_finalize(s);
	}
	if (rc != SQLITE_OK || ix->api == NULL)
		return ttt__fail(err, TTT_E_UNSUPPORTED, "passage index: this SQLite was built without FTS5");
	return TTT_OK;
}

static enum ttt_status
set_up(struct ttt__fulltext *ix, struct ttt_error *err)
{
	/* Contentless: the text stays ours alone. No column sizes: lengths are counted here, identifiers included.
	 * A large hash keeps the writer from merging small segments again and again. */
	static const char schema[] =
	    "CREATE VIRTUAL TABLE units USING fts5(t, content='', columnsize=0, tokenize='porter ttt');"
	    "CREATE VIRTUAL TABLE names USING fts5(t, content='', columnsize=0, tokenize='porter ttt');"
	    "INSERT INTO units(units, rank) VALUES('hashsize', 33554432);";
	static const char *const porter_arguments[] = { "ttt" };
	void *porter_data;
	enum ttt_status status;
	int rc = sqlite3_open_v2(":memory:", &ix->db,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);

	if (rc != SQLITE_OK)
		return fail(ix, "cannot open a database in memory", rc, err);
	status = find_api(ix, err);
	if (status != TTT_OK)
		return status;
	rc = ttt__words_register(ix->api, &ix->n_word);
	if (rc == SQLITE_OK)
		rc = ix->api->xCreateFunction(ix->api, "ttt_count", ix, count_phrases, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(ix->db, schema, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = ix->api->xFindTokenizer(ix->api, "porter", &porter_data, &ix->porter);
	if (rc == SQLITE_OK)
		rc = ix->porter.xCreate(porter_data, (const char **)porter_arguments, 1, &ix->words);
	return rc == SQLITE_OK ? TTT_OK : fail(ix, "cannot set up FTS5", rc, err);
}

static int
insert(sqlite3_stmt *s, int64_t row, const char *text, size_t n)
{
	int rc;

	sqlite3_bind_int64(s, 1, row);
	rc = sqlite3_bind_text64(s, 2, text, n, SQLITE_STATIC, SQLITE_UTF8);
	if (rc == SQLITE_OK) {
		sqlite3_step(s);
		rc = sqlite3_reset(s);
	}
	return rc;
}

static int
insert_units(struct ttt__fulltext *ix, const struct ttt__corpus *c)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(ix->db, "INSERT INTO units(rowid, t) VALUES(?1, ?2)", -1, &s, NULL);

	for (int64_t i = 0; i < c->n && rc == SQLITE_OK; i++) {
		const struct ttt__unit *u = &c->unit[i];
		int64_t before = ix->n_word;

		rc = insert(s, i + 1, (const char *)c->text.p + u->offset,
		    u->n_byte < INDEXED_MAX ? u->n_byte : INDEXED_MAX);
		ix->length[i] = (uint32_t)(ix->n_word - before);
	}
	sqlite3_finalize(s);
	return rc;
}

/* "fs/ext4/balloc.c" counts as "balloc", "proc.5.txt" as "proc.5": an extension says what a file is, not what it is
 * about. */
static size_t
base_name(const char *name, const char **base)
{
	const char *dot;

	*base = ttt__path_name(name);
	dot = strrchr(*base, '.');
	return dot == NULL || dot == *base ? strlen(*base) : (size_t)(dot - *base);
}

static int
insert_names(struct ttt__fulltext *ix, const struct ttt__corpus *c)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(ix->db, "INSERT INTO names(rowid, t) VALUES(?1, ?2)", -1, &s, NULL);

	for (int64_t i = 0; i < c->n_file && rc == SQLITE_OK; i++) {
		const char *base;
		size_t n = base_name(ttt__corpus_name(c, (int32_t)i), &base);

		rc = insert(s, i + 1, base, n);
	}
	sqlite3_finalize(s);
	return rc;
}

static enum ttt_status
fill(struct ttt__fulltext *ix, const struct ttt__corpus *c, struct ttt_error *err)
{
	static const char *const find[] = {
		[TTT__UNITS] = "SELECT rowid, ttt_count(units) FROM units WHERE units MATCH ?1",
		[TTT__NAMES] = "SELECT rowid, ttt_count(names) FROM names WHERE names MATCH ?1",
	};
	int rc = sqlite3_exec(ix->db, "BEGIN", NULL, NULL, NULL);

	ix->length = ttt__new((size_t)c->n, sizeof(*ix->length));
	if (ix->length == NULL)
		return ttt__fail_memory(err, "passage index");
	if (rc == SQLITE_OK)
		rc = insert_units(ix, c);
	if (rc == SQLITE_OK)
		rc = insert_names(ix, c);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(ix->db, "COMMIT", NULL, NULL, NULL);
	for (int i = 0; i < 2 && rc == SQLITE_OK; i++)
		rc = sqlite3_prepare_v2(ix->db, find[i], -1, &ix->find[i], NULL);
	return rc == SQLITE_OK ? TTT_OK : fail(ix, "cannot index the passages", rc, err);
}

enum ttt_status
ttt__fulltext_create(struct ttt__fulltext **out, const struct ttt__corpus *c, struct ttt_error *err)
{
	struct ttt__fulltext *ix = ttt__new(1, sizeof(*ix));
	enum ttt_status s;

	if (ix == NULL)
		return ttt__fail_memory(err, "passage index");
	s = set_up(ix, err);
	if (s == TTT_OK)
		s = fill(ix, c, err);
	if (s != TTT_OK) {
		ttt__fulltext_free(ix);
		return s;
	}
	*out = ix;
	return TTT_OK;
}

void
ttt__fulltext_free(struct ttt__fulltext *ix)
{
	if (ix == NULL)
		return;
	if (ix->words != NULL)
		ix->porter.xDelete(ix->words);
	sqlite3_finalize(ix->find[TTT__UNITS]);
	sqlite3_finalize(ix->find[TTT__NAMES]);
	sqlite3_close(ix->db);
	free(ix->length);
	free(ix);
}

int64_t
ttt__fulltext_length(const struct ttt__fulltext *ix, int64_t i)
{
	return ix->length[i];
}

struct walk {
	ttt__stem_fn *fn;
	void *ctx;
};

static int
walk_word(void *ctx, int flags, const char *token, int n, int start, int end)
{
	const struct walk *w = ctx;

	(void)flags;
	return w->fn(w->ctx, token, (size_t)n, (size_t)start, (size_t)end) ? SQLITE_OK : SQLITE_DONE;
}

enum ttt_status
ttt__fulltext_words(struct ttt__fulltext *ix, const char *text, size_t n, bool whole, ttt__stem_fn *fn, void *ctx,
    struct ttt_error *err)
{
	struct walk w = { .fn = fn, .ctx = ctx };
	int rc = ix->porter.xTokenize(ix->words, &w, whole ? FTS5_TOKENIZE_QUERY : FTS5_TOKENIZE_AUX, text,
	    n < INDEXED_MAX ? (int)n : INDEXED_MAX, walk_word);

	return rc == SQLITE_OK || rc == SQLITE_DONE ? TTT_OK : fail(ix, "cannot read words", rc, err);
}

/* "word" OR "word" ...: a word is letters, digits and '_', so that nothing in it can end the quotes. */
static size_t
match_text(char *out, const struct ttt__term *term, int n)
{
	size_t at = 0;

	for (int i = 0; i < n; i++) {
		size_t k = strlen(term[i].word);

		memcpy(out + at, i == 0 ? "\"" : " OR \"", i == 0 ? 1 : 5);
		at += i == 0 ? 1 : 5;
		memcpy(out + at, term[i].word, k);
		at += k;
		out[at++] = '"';
	}
	return at;
}

enum ttt_status
ttt__fulltext_find(struct ttt__fulltext *ix, enum ttt__table table, const struct ttt__term *term, int n,
    ttt__row_fn *fn, void *ctx, struct ttt_error *err)
{
	char match[TTT__TERM_MAX * (TTT__WORD_MAX + 8)];
	sqlite3_stmt *s = ix->find[table];
	enum ttt_status status = TTT_OK;
	int rc;

	if (n <= 0)
		return TTT_OK;
	rc = sqlite3_bind_text(s, 1, match, (int)match_text(match, term, n), SQLITE_STATIC);
	while (rc == SQLITE_OK && status == TTT_OK) {
		rc = sqlite3_step(s);
		if (rc != SQLITE_ROW)
			break;
		rc = SQLITE_OK;
		status = fn(ctx, sqlite3_column_int64(s, 0) - 1, ix->count, err);
	}
	rc = sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	if (status == TTT_OK && rc != SQLITE_OK)
		status = fail(ix, "cannot search", rc, err);
	return status;
}
