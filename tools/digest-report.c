/* ttt-digest: what it prints. A row of text is FILE:LINE:SCORE: TEXT, and behind it, of alike lines, how many and which is the last. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/digest.h"

enum { GROUPS = 10000, ROWS = 20, FAMILY = 3 }; /* kinds kept; rows of text unless -n says how many; kinds of a family that have a row each */

/* Bytes at to end of a line, its marks in bold. */
static void
write_part(FILE *f, const struct digest *d, const struct ttt_digest_line *x, size_t at, size_t end)
{
	for (int i = 0; i < x->n_mark && d->color; i++) {
		if (x->mark[i].start < at || x->mark[i].end > end)
			continue;
		tool_write_visible(f, x->text + at, x->mark[i].start - at);
		fputs("\033[1m", f);
		tool_write_visible(f, x->text + x->mark[i].start, x->mark[i].end - x->mark[i].start);
		fputs("\033[0m", f);
		at = x->mark[i].end;
	}
	tool_write_visible(f, x->text + at, end - at);
}

/* Of a long line the start, or less of it and the first that is surprising beyond. */
static void
write_marked(FILE *f, const struct digest *d, const struct ttt_digest_line *x)
{
	enum { HEAD = 300, BEFORE = 60 };
	size_t n = x->n < DIGEST_TEXT ? x->n : DIGEST_TEXT, from = 0;

	for (int i = 0; i < x->n_mark && from == 0; i++)
		if (x->mark[i].end > n)
			from = x->mark[i].start;
	if (from > 0) {
		from = from - BEFORE < x->n - (n - HEAD) ? from - BEFORE : x->n - (n - HEAD);
		write_part(f, d, x, 0, HEAD);
		fputs("...", f);
		write_part(f, d, x, from, from + n - HEAD);
	} else {
		write_part(f, d, x, 0, n);
	}
	if (n < x->n)
		fputs("...", f);
}

/* Where byte at of a line stands in its JSON text, in which a byte that is not UTF-8 has become three. */
static size_t
place_in_json(const struct ttt_digest_line *x, size_t at)
{
	size_t n = 0;

	for (size_t i = 0, len; i < at; i += len) {
		len = tool_character(x->text + i, x->n - i);
		n += len > 0 ? len : 3;
		len = len > 0 ? len : 1;
	}
	return n;
}

static void
write_json(const char *file, int64_t number, int64_t in_file, const struct ttt_digest_line *x, const struct digest_group *g)
{
	printf("{\"v\":1,\"file\":");
	tool_write_json(stdout, file, strlen(file));
	printf(",\"line\":%lld,\"file_line\":%lld,\"score\":%.4f,\"novel\":%s", (long long)number, (long long)in_file, x->score,
	    x->novel ? "true" : "false");
	if (g != NULL)
		printf(",\"count\":%lld,\"last\":%lld", (long long)g->count, (long long)g->last);
	printf(",\"marks\":[");
	for (int i = 0; i < x->n_mark; i++)
		printf("%s[%zu,%zu]", i > 0 ? "," : "", place_in_json(x, x->mark[i].start), place_in_json(x, x->mark[i].end));
	printf("],\"text\":");
	tool_write_json(stdout, x->text, x->n);
	puts("}");
}

/* A row up to what is behind the text. */
static void
write_start(FILE *f, const struct digest *d, const char *file, int64_t in_file, const struct ttt_digest_line *x)
{
	tool_write_visible(f, file, strlen(file));
	fprintf(f, ":%lld:%.2f: ", (long long)in_file, x->score);
	write_marked(f, d, x);
}

/* A line of a mail has 998 bytes at most (RFC 5322). */
static int
write_mailed(const struct digest *d, const char *file, int64_t in_file, const struct ttt_digest_line *x)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	bool written = f != NULL;

	if (f != NULL) {
		write_start(f, d, file, in_file, x);
		written = fclose(f) == 0;
	}
	if (!written) {
		free(text);
		tool_error(d->t, "the report: out of memory");
		return TOOL_TROUBLE;
	}
	if (n > DIGEST_MAIL) {
		for (n = DIGEST_MAIL - 3; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80;)
			n--;
		fwrite(text, 1, n, stdout);
		fputs("...", stdout);
	} else {
		fwrite(text, 1, n, stdout);
	}
	free(text);
	return TOOL_DONE;
}

static int
write_text(const struct digest *d, const char *file, int64_t in_file, const struct ttt_digest_line *x, const struct digest_group *g)
{
	int status = TOOL_DONE;

	if (d->mail)
		status = write_mailed(d, file, in_file, x);
	else
		write_start(stdout, d, file, in_file, x);
	if (g != NULL && g->count > 1)
		printf("  (%lld alike)", (long long)g->count);
	putchar('\n');
	return status;
}

static struct digest_group *
new_group(struct digest *d, const char *file, const struct ttt_digest_line *line)
{
	struct digest_group *g = ttt__new(1, sizeof(*g));
	char *text = ttt__new(line->n + 1, 1);
	struct ttt_error err;

	if (g != NULL)
		*g = (struct digest_group){.kind = line->kind, .line = *line, .file = strdup(file)};
	if (g == NULL || text == NULL || g->file == NULL || ttt__names_reserve(&d->kinds, 2 * (d->n_group + 1), &err) != TTT_OK) {
		tool_error(d->t, "the report: out of memory");
		free(text);
		if (g != NULL)
			free(g->file);
		free(g);
		return NULL;
	}
	memcpy(text, line->text, line->n);
	g->line.text = text;
	return g;
}

static struct digest_group *
find_group(const struct digest *d, uint64_t kind)
{
	int32_t place = ttt__names_find(&d->kinds, &kind, sizeof(kind));

	return place >= 0 ? d->group[place] : NULL;
}

/* But behind all others the lines that begin with a blank below a novel one: a stack's, say, which would fill the report. */
static int
most_novel_first(const void *a, const void *b)
{
	const struct digest_group *x = *(struct digest_group *const *)a, *y = *(struct digest_group *const *)b;

	if (x->inner != y->inner)
		return x->inner ? 1 : -1;
	return x->line.score != y->line.score ? (x->line.score < y->line.score ? 1 : -1) : (x->first > y->first) - (x->first < y->first);
}

static void
free_group(struct digest_group *g)
{
	free((char *)g->line.text);
	free(g->file);
	free(g);
}

/* Make room: the less novel half is only counted, and families begin anew. */
static int
drop_half(struct digest *d)
{
	struct ttt_error err;
	size_t n = d->n_group / 2;

	qsort(d->group, d->n_group, sizeof(struct digest_group *), most_novel_first);
	while (d->n_group > n) {
		d->n_beyond += d->group[--d->n_group]->count;
		free_group(d->group[d->n_group]);
	}
	ttt__names_free(&d->kinds);
	d->kinds = (struct ttt__names){0};
	if (ttt__names_reserve(&d->kinds, (size_t)2 * GROUPS, &err) != TTT_OK)
		return tool_fail(d->t, &err);
	for (size_t i = 0; i < n; i++)
		ttt__names_add(&d->kinds, &d->group[i]->kind, sizeof(d->group[i]->kind), (int32_t)i);
	return TOOL_DONE;
}

static int
add_group(struct digest *d, const char *file, int64_t number, int64_t in_file, const struct ttt_digest_line *line, bool inner)
{
	struct digest_group *g;

	if (d->n_group == GROUPS && drop_half(d) != TOOL_DONE)
		return TOOL_TROUBLE;
	if (d->n_group == d->group_capacity) {
		size_t capacity = 2 * d->group_capacity + 64;
		struct digest_group **grown = ttt__grow(d->group, capacity, sizeof(struct digest_group *));

		if (grown == NULL) {
			tool_error(d->t, "the report: out of memory");
			return TOOL_TROUBLE;
		}
		d->group = grown;
		d->group_capacity = capacity;
	}
	g = new_group(d, file, line);
	if (g == NULL)
		return TOOL_TROUBLE;
	g->inner = inner;
	g->first = g->last = number;
	g->first_in_file = in_file;
	g->count = g->n_family = 1;
	ttt__names_add(&d->kinds, &g->kind, sizeof(g->kind), (int32_t)d->n_group);
	if (line->family != line->kind && find_group(d, line->family) == NULL)
		ttt__names_add(&d->kinds, &g->line.family, sizeof(g->line.family), (int32_t)d->n_group);
	d->group[d->n_group++] = g;
	return TOOL_DONE;
}

int
digest_report_line(struct digest *d, const char *file, int64_t number, int64_t in_file, const struct ttt_digest_line *line)
{
	struct digest_group *g, *family;
	bool inner;

	if (d->all) {
		if (d->json)
			write_json(file, number, in_file, line, NULL);
		else
			return write_text(d, file, in_file, line, NULL);
		return TOOL_DONE;
	}
	inner = line->n > 0 && (line->text[0] == ' ' || line->text[0] == '\t');
	if (!inner)
		d->head_score = line->novel ? line->score : -1;
	if (!line->novel)
		return TOOL_DONE;
	g = find_group(d, line->kind);
	family = g == NULL && line->family != line->kind ? find_group(d, line->family) : NULL;
	if (family != NULL && ++family->n_family > FAMILY)
		g = family;
	if (g == NULL)
		return add_group(d, file, number, in_file, line, inner && line->score <= d->head_score);
	g->count++;
	if (strcmp(g->file, file) == 0)
		g->last = number;
	if (line->score > g->line.score)
		g->line.score = line->score;
	return TOOL_DONE;
}

/* Headers for sendmail -t. No text of a log goes into them. */
static void
write_headers(const struct digest *d)
{
	const char *to = getenv("MAILTO");
	char host[256] = "localhost";

	if (to == NULL || to[0] == '\0')
		to = "root";
	(void)gethostname(host, sizeof(host) - 1);
	printf("To: ");
	tool_write_visible(stdout, to, strlen(to));
	printf("\nSubject: %zu kind%s of novel log lines on ", d->n_group, d->n_group == 1 ? "" : "s");
	tool_write_visible(stdout, host, strlen(host));
	puts("\nAuto-Submitted: auto-generated\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n");
}

int
digest_report_end(struct digest *d)
{
	size_t most = d->most >= 0 ? (size_t)d->most : d->json ? GROUPS : ROWS, n = d->n_group < most ? d->n_group : most;

	if (d->n_group > 0)
		qsort(d->group, d->n_group, sizeof(struct digest_group *), most_novel_first);
	if (d->mail && d->n_group > 0)
		write_headers(d);
	for (size_t i = 0; i < n; i++) {
		const struct digest_group *g = d->group[i];

		if (d->json)
			write_json(g->file, g->first, g->first_in_file, &g->line, g);
		else if (write_text(d, g->file, g->first_in_file, &g->line, g) != TOOL_DONE)
			return TOOL_TROUBLE;
	}
	if (d->n_group > n && d->json)
		tool_note(d->t, "%zu more kinds of novel lines were not printed", d->n_group - n);
	else if (d->n_group > n)
		printf("... and %zu more kinds of novel lines (%s)\n", d->n_group - n,
		    d->dry_run ? "-n shows more" : "a larger -n shows more from the next run on");
	if (d->n_beyond > 0 && d->json)
		tool_note(d->t, "%lld lines of still other kinds were not printed", (long long)d->n_beyond);
	else if (d->n_beyond > 0)
		printf("... and %lld lines of still other kinds\n", (long long)d->n_beyond);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		tool_error(d->t, "standard output: cannot write the report: %s", strerror(errno));
		return TOOL_TROUBLE;
	}
	return TOOL_DONE;
}

void
digest_report_free(struct digest *d)
{
	for (size_t i = 0; i < d->n_group; i++)
		free_group(d->group[i]);
	free(d->group);
	ttt__names_free(&d->kinds);
}
