/* Asking: words, units, ranking without a model, and the public calls over a state of a tiny random model. */
#include "libttt/use/rank.h"
#include "libttt/use/cues.h"
#include "tests/unit/state_fixture.h"

/* A made-up collection: each file short enough to be seen through. */
static const char journal_c[] =
    "/*\n"
    " * Replay of the journal at mount.\n"
    " */\n"
    "#include \"journal.h\"\n"
    "\n"
    "int journal_replay(struct journal *j)\n"
    "{\n"
    "\tif (!j->dirty)\n"
    "\t\treturn 0;\n"
    "\treturn walk_blocks(j, apply_block);\n"
    "}\n"
    "\n"
    "int journal_start(struct journal *j)\n"
    "{\n"
    "\treturn j->full ? -ENOSPC : 0;\n"
    "}\n";
static const char limits_txt[] =
    "Limits\n"
    "\n"
    "Each user may hold sixty-four locks; the process ends when memory is exhausted.\n"
    "A queue keeps 4096 messages unless the administrator changes queue_max.\n"
    "Names are case sensitive.\n";
static const char garden_txt[] =
    "Apples ripen in autumn. Pears do not keep.\n"
    "Water tomatoes every morning.\n";

struct index { /* a corpus with all that ranking needs */
	struct ttt__corpus c;
	struct ttt__fulltext *ix;
	struct ttt__thesaurus *t;
	struct ttt__ranker *r;
	struct ttt__question q;
	struct ttt__ranking found;
};

static void
add(struct index *x, const char *name, int64_t line, const char *text)
{
	struct ttt_error err = { 0 };

	assert_ok(ttt__corpus_add(&x->c, name, line, text, strlen(text), &err), &err);
}

static void
build(struct index *x)
{
	struct ttt_error err = { 0 };

	assert_ok(ttt__corpus_cut(&x->c, &err), &err);
	assert_ok(ttt__fulltext_create(&x->ix, &x->c, &err), &err);
	assert_ok(ttt__thesaurus_create(&x->t, x->ix, &err), &err);
	assert_ok(ttt__ranker_create(&x->r, &x->c, x->ix, &err), &err);
}

static void
drop(struct index *x)
{
	ttt__ranker_free(x->r);
	ttt__thesaurus_free(x->t);
	ttt__fulltext_free(x->ix);
	ttt__corpus_free(&x->c);
}

static void
build_three(struct index *x)
{
	add(x, "src/journal.c", 1, journal_c);
	add(x, "doc/limits.txt", 1, limits_txt);
	add(x, "doc/garden.txt", 1, garden_txt);
	build(x);
}

static void
ask(struct index *x, const char *question)
{
	struct ttt_error err = { 0 };

	assert_ok(ttt__question_parse(&x->q, x->ix, x->t, question, &err), &err);
	assert_ok(ttt__rank(x->r, &x->q, 10, false, &x->found, &err), &err);
}

/* The first passage is of file, and its best line that line. */
static void
assert_found(struct index *x, const char *question, const char *file, int64_t line)
{
	const struct ttt_passage *shown;

	ask(x, question);
	assert_true(x->found.n > 0);
	assert_string_equal(ttt__corpus_name(&x->c, x->c.unit[x->found.p[0].first].file), file);
	shown = &x->found.p[0].shown;
	if (shown->best != line)
		fail_msg("'%s': best line %lld, not %lld", question, (long long)shown->best, (long long)line);
}

static bool
has_term(const struct ttt__question *q, const char *word)
{
	for (int i = 0; i < q->n_own; i++)
		if (strcmp(q->term[i].word, word) == 0)
			return true;
	return false;
}

static void
test_cues(void **state)
{
	static const char *const how_many[] = { "how", "many", "locks" }, *const how[] = { "how", "locks" },
	    *const fails[] = { "why", "fails" };

	(void)state;
	assert_true(ttt__stop_word("the", 3) && ttt__stop_word("a", 1) && ttt__stop_word("yourself", 8));
	assert_false(ttt__stop_word("journal", 7) || ttt__stop_word("th", 2) || ttt__stop_word("", 0));
	assert_true(ttt__asks_number(how_many, 3));
	assert_false(ttt__asks_number(how, 2) || ttt__asks_number(how_many, 1));
	assert_true(ttt__asks_error(fails, 2));
	assert_false(ttt__asks_error(how, 2));
	assert_true(ttt__has_number("at most 64 of", 13) && ttt__has_number("7", 1) && ttt__has_number("(7)", 3));
	assert_false(ttt__has_number("ext4 i_8 4k", 11) || ttt__has_number("", 0));
	assert_true(ttt__has_errno("return -ENOSPC;", 15) && ttt__has_errno("E2BIG", 5));
	assert_false(ttt__has_errno("ELF EXT4_MAX Error E", 20));
}

static void
test_records_join(void **state)
{
	struct index x = { 0 };

	(void)state;
	add(&x, "a", 1, "one\ntwo\n");
	add(&x, "a", 3, "three, which is lo");
	add(&x, "a", 3, "ng\nfour\n");
	add(&x, "a", 1, "again\n");
	add(&x, "b", 2, "other\n");
	add(&x, "b", 9, "after a gap\n");
	build(&x);
	assert_int_equal(x.c.n_file, 4);
	assert_int_equal(x.c.n, 4);
	assert_int_equal(x.c.unit[0].n_line, 4);
	assert_int_equal(x.c.unit[1].line, 1);
	assert_int_equal(x.c.unit[3].line, 9);
	drop(&x);
}

static void
test_units(void **state)
{
	struct index x = { 0 };
	struct ttt__bytes b = { 0 };
	int64_t line = 1;
	size_t offset = 0;

	(void)state;
	for (int i = 1; i <= 100; i++) { /* blank lines at 15, 30, 60 and 63 */
		char text[32];
		int n = snprintf(text, sizeof(text), i == 15 || i == 30 || i == 60 || i == 63 ? " \t\n" : "line %d\n",
		    i);

		assert_int_equal(ttt__bytes_add(&b, text, (size_t)n, NULL), TTT_OK);
	}
	assert_int_equal(ttt__bytes_add(&b, "", 1, NULL), TTT_OK);
	add(&x, "-", 1, (const char *)b.p);
	build(&x);
	for (int64_t i = 0; i < x.c.n; i++) {
		assert_int_equal(x.c.unit[i].line, line);
		assert_int_equal(x.c.unit[i].offset, offset);
		assert_in_range(x.c.unit[i].n_line, 1, 20);
		line += x.c.unit[i].n_line;
		offset += x.c.unit[i].n_byte;
	}
	assert_int_equal(line, 101);
	assert_int_equal(offset, x.c.text.n);
	assert_int_equal(x.c.unit[1].line, 16);
	assert_int_equal(x.c.unit[2].line, 31);
	assert_true(ttt__corpus_joins(&x.c, 0));
	assert_false(ttt__corpus_joins(&x.c, x.c.n - 1));
	drop(&x);
	ttt__bytes_free(&b);
}

static void
test_question(void **state)
{
	struct index x = { 0 };

	(void)state;
	build_three(&x);
	ask(&x, "Why doesn't the user's journal_replay() walk blocks?");
	assert_int_equal(x.q.n_own, 6);
	assert_true(has_term(&x.q, "journal") && has_term(&x.q, "replay") && has_term(&x.q, "journal_replay"));
	assert_true(has_term(&x.q, "user") && has_term(&x.q, "walk") && has_term(&x.q, "blocks"));
	assert_true(x.q.n > x.q.n_own); /* synonyms */
	for (int i = x.q.n_own; i < x.q.n; i++)
		assert_in_range(x.q.of[i], 0, x.q.n_own - 1);
	ask(&x, "who is it?"); /* nothing else: the stop words themselves */
	assert_true(x.q.n_own == 3 && has_term(&x.q, "who"));
	ask(&x, "?!");
	assert_int_equal(x.q.n, 0);
	assert_int_equal(x.found.n, 0);
	drop(&x);
}

static void
test_order(void **state)
{
	struct index x = { 0 };

	(void)state;
	build_three(&x);
	assert_found(&x, "where is the journal replayed?", "src/journal.c", 2);
	assert_found(&x, "which error says that it is full?", "src/journal.c", 15);
	assert_found(&x, "How many messages does a queue hold?", "doc/limits.txt", 4);
	assert_found(&x, "queue_max", "doc/limits.txt", 4);
	assert_found(&x, "When are apples ripe?", "doc/garden.txt", 1);
	/* In other words: RAM for memory, runs out for exhausted. */
	assert_found(&x, "what if all RAM is exhausted?", "doc/limits.txt", 3);
	assert_true(x.found.evidence > 0.25);
	ask(&x, "colourless green ideas");
	assert_int_equal(x.found.n, 0);
	assert_true(x.found.evidence == 0);
	ask(&x, "Which btrfs subvolume may a zebra colour in autumn?");
	assert_true(x.found.evidence < 0.25); /* one common word is nothing */
	drop(&x);
}

/* What a stranger writes into a question is words, never syntax of the index. */
static void
test_syntax(void **state)
{
	static const char *const hostile[] = { "\"", "journal\" OR \"", "NEAR(journal replay)", "journal*",
	    "-journal", "t:journal",
	    "journal AND NOT replay", "^journal", "'; DROP TABLE units; --", "{journal} + replay",
	    "journal\xff\xfe replay", "\x01\x02" };
	struct index x = { 0 };

	(void)state;
	build_three(&x);
	for (size_t i = 0; i < sizeof(hostile) / sizeof(*hostile); i++) {
		ask(&x, hostile[i]);
		if (strstr(hostile[i], "journal") != NULL)
			assert_true(x.found.n > 0);
	}
	assert_found(&x, "journal", "src/journal.c", 2);
	drop(&x);
}

static void
test_long_question(void **state)
{
	struct index x = { 0 };
	struct ttt__bytes b = { 0 };
	struct ttt_error err = { 0 };

	(void)state;
	build_three(&x);
	for (int i = 0; i < 2000; i++) {
		char word[32];
		int n = snprintf(word, sizeof(word), "delete%d remove_%d ", i, i);

		assert_ok(ttt__bytes_add(&b, word, (size_t)n, &err), &err);
	}
	memset(b.p, 'x', 500); /* and a very long word */
	assert_ok(ttt__bytes_add(&b, "", 1, &err), &err);
	ask(&x, (const char *)b.p);
	assert_in_range(x.q.n, 1, TTT__TERM_MAX);
	ttt__bytes_free(&b);
	drop(&x);
}

static void
test_no_line_twice(void **state)
{
	struct index x = { 0 };

	(void)state;
	for (int i = 0; i < 6; i++) {
		char text[2000] = "";

		for (int k = 0; k < 18; k++)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "marker alpha beta line %d\n",
			    18 * i + k);
		add(&x, "same", 1 + 18 * i, text);
	}
	add(&x, "copy", 7, "licence marker\n");
	add(&x, "copy2", 70, "licence marker\n");
	build(&x);
	ask(&x, "marker alpha");
	assert_true(x.found.n > 1);
	for (int64_t i = 0; i < x.found.n; i++)
		for (int64_t j = 0; j < i; j++) {
			const struct ttt__candidate *a = &x.found.p[i], *b = &x.found.p[j];

			assert_true(a->first + a->n <= b->first || b->first + b->n <= a->first);
		}
	ask(&x, "licence");
	assert_int_equal(x.found.n, 1); /* the same text in two files is one passage, the one absorbed last */
	assert_string_equal(ttt__corpus_name(&x.c, x.c.unit[x.found.p[0].first].file), "copy2");
	drop(&x);
}

/* Of a long passage 21 lines are shown, five of them before the best one, and its other lines can be found again. */
static void
test_shown(void **state)
{
	struct index x = { 0 };
	char text[2000] = "";
	const struct ttt_passage *first;

	(void)state;
	for (int i = 1; i <= 40; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s\n",
		    i == 2 ? "a turnip grows" : i == 26 ? "the turnip grows in the cellar" : "nothing to see here");
	add(&x, "long.txt", 1, text);
	build(&x);
	ask(&x, "where does the turnip grow in the cellar?");
	assert_true(x.found.n == 2);
	first = &x.found.p[0].shown;
	assert_int_equal(first->best, 26);
	assert_int_equal(first->start, 21);
	assert_true(first->end - first->start < 21);
	assert_int_equal(strncmp(first->text, "nothing", 7), 0);
	assert_int_equal(first->text[first->n - 1], '\n');
	assert_int_equal(x.found.p[1].shown.best, 2);
	assert_true(x.found.p[1].shown.end < first->start);
	drop(&x);
}

static void
test_odd_text(void **state)
{
	static const char text[] = "a\0journal\xff\xc3\x28 na\xc3\xafve \xc3\x89t\xc3\xa9\n\0\n";
	struct index x = { 0 };
	struct ttt_error err = { 0 };

	(void)state;
	assert_ok(ttt__corpus_add(&x.c, "odd", 1, text, sizeof(text) - 1, &err), &err);
	build(&x);
	ask(&x, "JOURNAL");
	assert_int_equal(x.found.n, 1);
	ask(&x, "\xc3\xa9t\xc3\xa9"); /* in another case */
	assert_int_equal(x.found.n, 1);
	drop(&x);
}

/* ---------------------------------------------------------------------------------------------- over a state */

static struct ttt_state *
absorb_three(struct fixture *f, const struct ttt_state_options *o)
{
	static const char *const names[] = { "src/journal.c", "doc/limits.txt", "doc/garden.txt" };
	static const char *const texts[] = { journal_c, limits_txt, garden_txt };
	struct ttt_error err = { 0 };
	struct ttt_state *s;

	assert_ok(ttt_state_create(&s, f->model, o, &err), &err);
	for (int i = 0; i < 3; i++) {
		assert_ok(ttt_state_source(s, names[i], &err), &err);
		assert_ok(ttt_state_absorb(s, texts[i], strlen(texts[i]), NULL, NULL, &err), &err);
	}
	return s;
}

static void
test_answer(void **state)
{
	struct fixture *f = *state;
	struct ttt_state *s = absorb_three(f, NULL);
	struct ttt_error err = { 0 };

	for (enum ttt_rank rank = TTT_RANK_WORDS; rank <= TTT_RANK_ABSORBED; rank++) {
		struct ttt_ask_options o = { .k = 2, .rank = rank };
		struct ttt_answer r;
		struct ttt_ask *a;

		assert_ok(ttt_ask_create(&a, s, &o, &err), &err);
		assert_ok(ttt_ask_question(a, "Which error says that the journal is full?", &r, &err), &err);
		assert_true(r.bears && r.n >= 1 && r.n <= 2);
		assert_string_equal(r.passage[0].file, "src/journal.c");
		assert_int_equal(r.passage[0].start, 1);
		assert_int_equal(r.passage[0].end, 16);
		assert_int_equal(r.passage[0].best, 15);
		assert_int_equal(r.passage[0].n, strlen(journal_c));
		assert_memory_equal(r.passage[0].text, journal_c, r.passage[0].n);
		assert_ok(ttt_ask_question(a, "colourless green ideas", &r, &err), &err);
		assert_false(r.bears);
		assert_ok(ttt_ask_question(a, "", &r, &err), &err);
		assert_true(!r.bears && r.n == 0);
		ttt_ask_free(a);
	}
	ttt_state_free(s);
}

/* Asking changes nothing: the state's bytes stay, and the same question gets the same answer. */
static void
test_asking_leaves_state(void **state)
{
	struct fixture *f = *state;
	struct ttt_state *s = absorb_three(f, NULL);
	struct ttt_error err = { 0 };
	struct ttt_answer r;
	struct ttt_ask *a;
	double first;

	save(s, in(f->dir, "before"), TTT_COMPRESS_NONE, false);
	assert_ok(ttt_ask_create(&a, s, NULL, &err), &err);
	assert_ok(ttt_ask_question(a, "how many locks may a user hold?", &r, &err), &err);
	first = r.passage[0].score;
	assert_ok(ttt_ask_question(a, "apples", &r, &err), &err);
	assert_ok(ttt_ask_question(a, "how many locks may a user hold?", &r, &err), &err);
	assert_true(r.passage[0].score == first);
	ttt_ask_free(a);
	save(s, in(f->dir, "after"), TTT_COMPRESS_NONE, false);
	assert_same_file(in(f->dir, "before"), in(f->dir, "after"));
	ttt_state_free(s);
}

static void
test_no_passages(void **state)
{
	struct fixture *f = *state;
	struct ttt_state *s = absorb_three(f, &(struct ttt_state_options){ .no_passages = true });
	struct ttt_error err = { 0 };
	struct ttt_ask *a;

	assert_fails(ttt_ask_create(&a, s, NULL, &err), TTT_E_USAGE, &err, "keeps no passages");
	ttt_state_free(s);
}

struct written {
	struct ttt__bytes b;
	int calls, stop_after;
};

static bool
collect(void *ctx, const unsigned char *bytes, size_t n)
{
	struct written *w = ctx;

	assert_int_equal(ttt__bytes_add(&w->b, bytes, n, NULL), TTT_OK);
	return ++w->calls != w->stop_after;
}

static struct written
completed(struct ttt_state *s, const char *text, int64_t n, double temperature, uint64_t seed, int stop_after)
{
	struct written w = { .stop_after = stop_after };
	struct ttt_error err = { 0 };

	assert_ok(ttt_complete(s, text, strlen(text), n, temperature, seed, collect, &w, &err), &err);
	return w;
}

static void
test_complete(void **state)
{
	struct fixture *f = *state;
	struct ttt_state *s = absorb_three(f, NULL);
	struct written a = completed(s, "int ", 12, 0, 1, 0), b = completed(s, "int ", 12, 0, 2, 0), c, d, e;

	assert_true(a.b.n > 0 && a.calls <= 12);
	assert_int_equal(a.b.n, b.b.n); /* the likeliest tokens need no seed */
	assert_memory_equal(a.b.p, b.b.p, a.b.n);
	c = completed(s, "int ", 40, 1, 7, 0);
	d = completed(s, "int ", 40, 1, 7, 0);
	e = completed(s, "int ", 40, 1, 8, 0);
	assert_int_equal(c.b.n, d.b.n);
	assert_memory_equal(c.b.p, d.b.p, c.b.n);
	assert_true(c.b.n != e.b.n || memcmp(c.b.p, e.b.p, c.b.n) != 0);
	ttt__bytes_free(&e.b);
	e = completed(s, "int ", 40, 1, 7, 3);
	assert_int_equal(e.calls, 3);
	assert_memory_equal(e.b.p, c.b.p, e.b.n);
	ttt__bytes_free(&a.b);
	ttt__bytes_free(&b.b);
	ttt__bytes_free(&c.b);
	ttt__bytes_free(&d.b);
	ttt__bytes_free(&e.b);
	ttt_state_free(s);
}

/* The prompt goes on from what the state has read, bytes its tokenizer still holds included: the same text cut
 * elsewhere gives the same continuation. */
static void
test_complete_goes_on(void **state)
{
	struct fixture *f = *state;
	struct ttt_error err = { 0 };
	struct written a, b;

	for (size_t cut = 1; cut < 40; cut += 7) {
		struct ttt_state *s, *t;

		assert_ok(ttt_state_create(&s, f->model, NULL, &err), &err);
		assert_ok(ttt_state_create(&t, f->model, NULL, &err), &err);
		assert_ok(ttt_state_absorb(s, garden_txt, cut, NULL, NULL, &err), &err);
		a = completed(s, "autumn", 6, 0, 1, 0);
		assert_ok(ttt_state_absorb(t, garden_txt, cut > 2 ? cut - 2 : 0, NULL, NULL, &err), &err);
		if (cut < 8) { /* nothing was learned in between: both have read less than a chunk */
			char text[64];

			snprintf(text, sizeof(text), "%.*sautumn", cut > 2 ? 2 : (int)cut, garden_txt + (cut > 2 ?
			    cut - 2 : 0));
			b = completed(t, text, 6, 0, 1, 0);
			assert_int_equal(a.b.n, b.b.n);
			assert_memory_equal(a.b.p, b.b.p, a.b.n);
			ttt__bytes_free(&b.b);
		}
		ttt__bytes_free(&a.b);
		ttt_state_free(s);
		ttt_state_free(t);
	}
}

static void
sum_up(void *ctx, const struct ttt_difference *d)
{
	struct ttt_difference *sum = ctx;

	sum->initial += d->initial;
	sum->moved_a += d->moved_a;
	sum->moved_b += d->moved_b;
	sum->apart += d->apart;
}

static void
test_compare(void **state)
{
	struct fixture *f = *state;
	struct ttt_state *a = absorb_three(f, NULL), *b = absorb_three(f,
	    &(struct ttt_state_options){ .no_learn = true }), *other;
	struct ttt_difference d = { 0 };
	struct ttt_error err = { 0 };

	assert_ok(ttt_state_compare(a, b, sum_up, &d, &err), &err);
	assert_true(d.initial > 0 && d.moved_a > 0 && d.moved_b == 0 && d.apart == d.moved_a);
	memset(&d, 0, sizeof(d));
	assert_ok(ttt_state_compare(a, a, sum_up, &d, &err), &err);
	assert_true(d.moved_a > 0 && d.moved_a == d.moved_b && d.apart == 0);
	assert_ok(ttt_state_create(&other, f->other, NULL, &err), &err);
	assert_fails(ttt_state_compare(a, other, sum_up, &d, &err), TTT_E_SHAPE, &err, "different models");
	ttt_state_free(a);
	ttt_state_free(b);
	ttt_state_free(other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cues),
		cmocka_unit_test(test_records_join),
		cmocka_unit_test(test_units),
		cmocka_unit_test(test_question),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_long_question),
		cmocka_unit_test(test_no_line_twice),
		cmocka_unit_test(test_shown),
		cmocka_unit_test(test_odd_text),
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_asking_leaves_state),
		cmocka_unit_test(test_no_passages),
		cmocka_unit_test(test_complete),
		cmocka_unit_test(test_complete_goes_on),
		cmocka_unit_test(test_compare),
	};

	return cmocka_run_group_tests(tests, fixture_make, fixture_free);
}
