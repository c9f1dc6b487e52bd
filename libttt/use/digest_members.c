/* What a digest keeps in its state, out and in. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "libttt/json.h"
#include "libttt/state/extra.h"
#include "libttt/use/digest.h"

enum { JSON_DEPTH = 8, JSON_VALUES = 1 << 20 };

static enum ttt_status
damaged(const char *member, const char *why, struct ttt_error *err)
{
	return ttt__fail(err, TTT_E_FORMAT, "%s: %s", member, why);
}

static enum ttt_status
read_scores(struct ttt_digest *d, const json_t *scores, struct ttt_error *err)
{
	size_t n = json_array_size(scores);

	if (!json_is_array(scores) || n > TTT__SCORES)
		return damaged("digest.json", "scores is not what it should be", err);
	for (size_t i = 0; i < n; i++) {
		const json_t *v = json_array_get(scores, i);

		if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > 10000)
			return damaged("digest.json", "a score is not what it should be", err);
		d->score[i] = (uint16_t)json_integer_value(v);
	}
	d->n_score = (int64_t)n;
	return TTT_OK;
}

static enum ttt_status
read_json(struct ttt_digest *d, const struct ttt__bytes *b, struct ttt_error *err)
{
	static const struct ttt__json_limits limits = {JSON_DEPTH, JSON_VALUES};
	const json_t *version, *lines, *cursor;
	json_t *root = NULL;
	enum ttt_status s = ttt__json_parse(&root, b->p, b->n, &limits, "digest.json", "the member", err);

	if (s != TTT_OK)
		return s;
	version = json_object_get(root, "version");
	lines = json_object_get(root, "lines");
	cursor = json_object_get(root, "cursor");
	if (json_integer_value(version) != 1)
		s = damaged("digest.json", "its version is not known", err);
	else if (!json_is_integer(lines) || json_integer_value(lines) < 0 || json_integer_value(lines) > INT64_MAX / 2)
		s = damaged("digest.json", "lines is not what it should be", err);
	else if (!json_is_string(cursor) || json_string_length(cursor) > TTT__CURSOR_MAX)
		s = damaged("digest.json", "cursor is not what it should be", err);
	else
		s = ttt_digest_set_cursor(d, json_string_value(cursor), err);
	if (s == TTT_OK) {
		d->n_line = json_integer_value(lines);
		s = read_scores(d, json_object_get(root, "scores"), err);
	}
	json_decref(root);
	return s;
}

/* A number >= 0 up to the byte end; *at goes behind it. */
static bool
number(const struct ttt__bytes *b, size_t *at, char end, int64_t *out)
{
	*out = 0;
	for (; *at < b->n && b->p[*at] >= '0' && b->p[*at] <= '9'; ++*at)
		if (!ttt__i64_mul(out, *out, 10) || !ttt__i64_add(out, *out, b->p[*at] - '0'))
			return false;
	return *at < b->n && b->p[(*at)++] == (unsigned char)end && *out <= INT64_MAX / 2;
}

static enum ttt_status
read_lines(struct ttt_digest *d, const struct ttt__bytes *b, struct ttt_error *err)
{
	enum ttt_status s = TTT_OK;
	size_t at = 0;

	while (at < b->n && s == TTT_OK) {
		const unsigned char *end;
		int64_t count, last, all;
		int32_t place;

		if (!number(b, &at, '\t', &count) || !number(b, &at, '\t', &last) || count < 1 ||
		    !ttt__i64_add(&all, d->lexicon.n_seen, count) || all > INT64_MAX / 2)
			return damaged("digest.lines", "a count is not what it should be", err);
		end = memchr(b->p + at, '\n', b->n - at);
		if (end == NULL || (size_t)(end - b->p) - at > TTT__MASK_MAX)
			return damaged("digest.lines", "a line is not what it should be", err);
		if (ttt__lexicon_find(&d->lexicon, b->p + at, (size_t)(end - b->p) - at) >= 0)
			return damaged("digest.lines", "a line stands there twice", err);
		s = ttt__lexicon_add(&d->lexicon, b->p + at, (size_t)(end - b->p) - at, count, last, &place, err);
		if (s == TTT_OK)
			ttt__lexicon_learned(&d->lexicon, place);
		at = (size_t)(end - b->p) + 1;
	}
	return s;
}

enum ttt_status
ttt__digest_load(struct ttt_digest *d, struct ttt_error *err)
{
	struct ttt__bytes b = {0};
	bool found;
	enum ttt_status s = ttt__state_extra_read(d->state, "digest.json", &b, &found, err);

	if (s == TTT_OK && found)
		s = read_json(d, &b, err);
	if (s == TTT_OK)
		s = ttt__state_extra_read(d->state, "digest.lines", &b, &found, err);
	if (s == TTT_OK && found)
		s = read_lines(d, &b, err);
	if (s == TTT_OK)
		s = ttt__state_extra_read(d->state, "digest.files", &b, &found, err);
	if (s == TTT_OK)
		s = ttt_follow_create(&d->follow, found ? b.p : NULL, b.n, err);
	ttt__bytes_free(&b);
	return s;
}

static enum ttt_status
store_json(struct ttt_digest *d, struct ttt_error *err)
{
	int64_t first = d->n_score > TTT__SCORES ? d->n_score - TTT__SCORES : 0;
	json_t *scores = json_array(), *root;
	char *text = NULL;
	enum ttt_status s;

	for (int64_t i = first; i < d->n_score; i++)
		json_array_append_new(scores, json_integer(d->score[i % TTT__SCORES]));
	root = json_pack("{s:i, s:I, s:s, s:o}", "version", 1, "lines", (json_int_t)d->n_line, "cursor", ttt_digest_cursor(d), "scores",
	    scores);
	if (root != NULL)
		text = json_dumps(root, JSON_COMPACT);
	s = text == NULL ? ttt__fail_memory(err, "the digest")
	                 : ttt__state_extra_write(d->state, "digest.json", text, strlen(text), err);
	free(text);
	json_decref(root);
	return s;
}

static enum ttt_status
store_lines(struct ttt_digest *d, struct ttt_error *err)
{
	struct ttt__bytes b = {0};
	enum ttt_status s = TTT_OK;

	for (size_t i = 0; i < d->lexicon.n_line && s == TTT_OK; i++) {
		const struct ttt__lexicon_line *x = &d->lexicon.line[i];
		char numbers[64];
		int n = snprintf(numbers, sizeof(numbers), "%" PRId64 "\t%" PRId64 "\t", x->count, x->last);

		if (!x->known)
			continue;
		s = ttt__bytes_add(&b, numbers, (size_t)n, err);
		if (s == TTT_OK)
			s = ttt__bytes_add(&b, x->mask, x->n, err);
		if (s == TTT_OK)
			s = ttt__bytes_add(&b, "\n", 1, err);
	}
	if (s == TTT_OK)
		s = ttt__state_extra_write(d->state, "digest.lines", b.p, b.n, err);
	ttt__bytes_free(&b);
	return s;
}

enum ttt_status
ttt__digest_store(struct ttt_digest *d, struct ttt_error *err)
{
	char *files = NULL;
	size_t n;
	enum ttt_status s = store_json(d, err);

	if (s == TTT_OK)
		s = store_lines(d, err);
	if (s == TTT_OK)
		s = ttt_follow_json(d->follow, &files, &n, err);
	if (s == TTT_OK)
		s = ttt__state_extra_write(d->state, "digest.files", files, n, err);
	free(files);
	return s;
}
