/* The text of a state: sources, passages, curve, and members that are not known. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libttt/state/reader.h"

enum { LINE = 4 * TTT__NAME_MAX + 64, MAX_CURVE = 1 << 16 };
static const uint64_t MAX_EXTRA = UINT64_C(1) << 30;

/* A decimal number without sign or leading zeros, ended by *end, which is stepped over; -1 where there is none. */
static int64_t
take_number(char **p, char end)
{
	char *start = *p, *stop;
	long long n;

	if (*start < '0' || *start > '9' || (*start == '0' && start[1] != end))
		return -1;
	errno = 0;
	n = strtoll(start, &stop, 10);
	if (errno != 0 || *stop != end)
		return -1;
	*p = stop + 1;
	return n;
}

enum ttt_status
ttt__load_sources(struct ttt__reader *r, struct ttt_state *s, struct ttt_error *err)
{
	char line[LINE], *p;
	enum ttt_status status = ttt__reader_line(r, line, LINE, err);
	int64_t n_byte = 0, one;

	if (r->manifest->info.n_source > TTT__N_SOURCE_MAX)
		return ttt__reader_fail(r, "names more sources than a state keeps", err);
	if (status == TTT_OK && strcmp(line, "bytes\tname") != 0)
		status = ttt__reader_fail(r, "has no header line", err);
	for (int64_t i = 0; i < r->manifest->info.n_source && status == TTT_OK; i++) {
		status = ttt__reader_line(r, line, LINE, err);
		if (status != TTT_OK)
			break;
		p = line;
		one = take_number(&p, '\t');
		if (one < 0 || !ttt__i64_add(&n_byte, n_byte, one) || !ttt__name_unescape(p) ||
		    strlen(p) > TTT__NAME_MAX)
			status = ttt__reader_fail(r, "has a line that is no source", err);
		else
			status = ttt__sources_add(&s->sources, p, one, err);
	}
	if (status == TTT_E_RANGE)
		status = ttt__reader_fail(r, "names more sources than a state keeps", err);
	if (status == TTT_OK && n_byte != r->manifest->info.n_byte)
		status = ttt__reader_fail(r, "does not add up to the bytes that manifest.json gives", err);
	return status;
}

/* One record: its header line, then its bytes into s->text. Its source is the first of this name that is not before the
 * last record's. */
static enum ttt_status
read_record(struct ttt__reader *r, struct ttt_state *s, char *line, size_t *source, int64_t *first_line, size_t *n,
    struct ttt_error *err)
{
	enum ttt_status status = ttt__reader_line(r, line, LINE, err);
	char *p;
	int64_t size = -1;

	if (status != TTT_OK)
		return status;
	p = strchr(line, '\t');
	*first_line = 0;
	if (p != NULL) {
		*p++ = '\0';
		*first_line = take_number(&p, '\t');
		if (*first_line > 0)
			size = take_number(&p, '\0');
	}
	if (size < 1 || size > TTT__RECORD_MAX || !ttt__name_unescape(line))
		return ttt__reader_fail(r, "has a header line that is none", err);
	while (*source < s->sources.n && strcmp(s->sources.p[*source].name, line) != 0)
		++*source;
	if (*source == s->sources.n)
		return ttt__reader_fail(r, "has a record of no source", err);
	*n = (size_t)size;
	return ttt__reader_get(r, s->text, *n, err);
}

/* The line of the next byte must be what the text that may still grow says; without such text the manifest says it. */
static enum ttt_status
check_line(struct ttt__reader *r, struct ttt_state *s, struct ttt_error *err)
{
	struct ttt__passages *p = &s->passages;
	int64_t line = r->manifest->line, counted = p->open_line;

	p->line = line;
	if (p->n_open == 0) {
		p->open_line = line;
		return TTT_OK;
	}
	for (size_t i = 0; i < p->n_open; i++)
		counted += p->open[i] == '\n';
	if (counted != line || p->source + 1 != s->sources.n)
		return ttt__reader_fail(r, "does not end where manifest.json says", err);
	return TTT_OK;
}

enum ttt_status
ttt__load_passages(struct ttt__reader *r, struct ttt_state *s, struct ttt_error *err)
{
	const struct ttt_state_info *info = &r->manifest->info;
	char line[LINE];
	enum ttt_status status = TTT_OK;
	int64_t first_line, n_byte = 0;
	size_t source = 0, n = 0;

	if (info->n_passage_record > TTT__N_RECORD_MAX)
		return ttt__reader_fail(r, "has more records than a state keeps", err);
	for (int64_t i = 0; i < info->n_passage_record && status == TTT_OK; i++) {
		bool open = r->manifest->open_record && i == info->n_passage_record - 1;

		status = read_record(r, s, line, &source, &first_line, &n, err);
		if (status != TTT_OK)
			break;
		n_byte += (int64_t)n;
		if (open && strcmp(s->sources.p[s->sources.n - 1].name, line) != 0) {
			status = ttt__reader_fail(r, "has a last record that is not of the last source", err);
			break;
		}
		if (open)
			source = s->sources.n - 1; /* a name may have come more than once */
		if (s->keeps_passages)
			status = ttt__passages_append(&s->passages, source, first_line, s->text, n, open, err);
	}
	if (status == TTT_OK && n_byte != info->n_passage_byte)
		status = ttt__reader_fail(r, "does not add up to the bytes that manifest.json gives", err);
	if (status == TTT_OK && s->keeps_passages)
		status = check_line(r, s, err);
	if (s->sources.n > 0)
		s->passages.source = s->sources.n - 1;
	return status;
}

enum ttt_status
ttt__load_curve(struct ttt__reader *r, struct ttt_state *s, struct ttt_error *err)
{
	const struct ttt__manifest *m = r->manifest;
	struct ttt__bytes b = { 0 };
	enum ttt_status status = ttt__reader_all(r, &b, MAX_CURVE, err);
	int64_t n = 0;

	if (status == TTT_OK)
		status = ttt__curve_parse(&s->curve, &b, r->label, err);
	ttt__bytes_free(&b);
	if (status != TTT_OK)
		return status;
	s->curve.stride = m->curve_stride;
	s->curve.n_partial = m->curve_partial;
	s->curve.sum = m->curve_sum;
	if (!ttt__i64_mul(&n, s->curve.n, s->curve.stride) || !ttt__i64_add(&n, n, s->curve.n_partial) ||
	    n != m->info.n_chunk)
		return ttt__reader_fail(r, "is not the curve of as many chunks as manifest.json gives", err);
	return TTT_OK;
}

enum ttt_status
ttt__load_extra(struct ttt__reader *r, struct ttt_state *s, struct ttt_error *err)
{
	struct ttt__extra *grown = ttt__grow(s->extra, s->n_extra + 1, sizeof(*grown)), *x;
	enum ttt_status status = TTT_OK;
	int64_t end = 0;

	if (grown == NULL)
		return ttt__fail_memory(err, r->label);
	s->extra = grown;
	x = &s->extra[s->n_extra];
	if (s->n_extra > 0)
		end = x[-1].offset + (int64_t)x[-1].member.size;
	if (r->member->size > MAX_EXTRA - (uint64_t)end)
		return ttt__reader_fail(r, "is not known, and too large to be kept", err);
	*x = (struct ttt__extra){ .member = *r->member, .offset = end };
	s->n_extra++;
	if (s->extra_fd < 0)
		status = ttt__spool_open(&s->extra_fd, err);
	for (uint64_t at = 0; at < x->member.size && status == TTT_OK;) {
		size_t n = x->member.size - at < TTT__RECORD_MAX ? (size_t)(x->member.size - at) : TTT__RECORD_MAX;

		status = ttt__reader_get(r, s->text, n, err);
		if (status == TTT_OK)
			status = ttt__spool_write(s->extra_fd, s->text, n, end + (int64_t)at, err);
		at += n;
	}
	return status;
}
