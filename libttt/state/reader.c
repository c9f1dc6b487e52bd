#include "libttt/state/reader.h"

#include <stdlib.h>
#include <string.h>

#include "libttt/json.h"

enum ttt_status
ttt__reader_fail(const struct ttt__reader *r, const char *why, struct ttt_error *err)
{
	return ttt__fail(err, TTT_E_FORMAT, "%s: damaged: %s %s", r->label, r->member->name, why);
}

static enum ttt_status
read_manifest(struct ttt__reader *r, struct ttt_error *err)
{
	struct ttt__bytes b = { 0 };
	char name[TTT__MEMBER_NAME];
	enum ttt_status status;
	uint64_t size;
	bool more;

	status = ttt__tar_in_next(&r->tar, name, &size, &more, err);
	if (status != TTT_OK)
		return status;
	if (!more || strcmp(name, "manifest.json") != 0)
		return ttt__fail(err, TTT_E_FORMAT, "%s: not a state: it does not begin with manifest.json", r->label);
	if (size > TTT__MANIFEST_MAX)
		return ttt__fail(err, TTT_E_FORMAT, "%s: manifest.json is larger than %d bytes", r->label,
		    TTT__MANIFEST_MAX);
	b.p = ttt__new((size_t)size, 1);
	b.n = b.capacity = (size_t)size;
	r->manifest = ttt__new(1, sizeof(*r->manifest));
	if (b.p == NULL || r->manifest == NULL)
		status = ttt__fail_memory(err, r->label);
	else
		status = ttt__tar_in_read(&r->tar, b.p, b.n, err);
	if (status == TTT_OK)
		status = ttt__manifest_parse(r->manifest, &b, r->label, err);
	ttt__bytes_free(&b);
	return status;
}

enum ttt_status
ttt__reader_open(struct ttt__reader *r, const char *path, struct ttt_error *err)
{
	enum ttt_status status;

	memset(r, 0, sizeof(*r));
	status = ttt__tar_in_open(&r->tar, path, err);
	if (status != TTT_OK)
		return status;
	r->label = r->tar.label;
	r->buffer = malloc(TTT__TAR_BUFFER);
	status = r->buffer == NULL ? ttt__fail_memory(err, r->label) : read_manifest(r, err);
	if (status != TTT_OK)
		ttt__reader_close(r);
	return status;
}

void
ttt__reader_close(struct ttt__reader *r)
{
	ttt__tar_in_close(&r->tar);
	free(r->manifest);
	free(r->buffer);
	memset(r, 0, sizeof(*r));
}

enum ttt_status
ttt__reader_begin(struct ttt__reader *r, const struct ttt__member *m, struct ttt_error *err)
{
	char name[TTT__MEMBER_NAME], text[TTT__EXCERPT];
	enum ttt_status status;
	uint64_t size;
	bool more;

	status = ttt__tar_in_next(&r->tar, name, &size, &more, err);
	if (status != TTT_OK)
		return status;
	if (!more)
		return ttt__fail(err, TTT_E_FORMAT, "%s: damaged: member '%s' is missing", r->label, m->name);
	if (strcmp(name, m->name) != 0)
		return ttt__fail(err, TTT_E_FORMAT, "%s: damaged: member '%s' stands where manifest.json says '%s'",
		    r->label, ttt__excerpt(text, name), m->name);
	r->member = m;
	if (size != m->size)
		return ttt__reader_fail(r, "is not of the size that manifest.json gives", err);
	r->left = size;
	r->at = r->n = 0;
	ttt__checksum_start(&r->sum);
	return TTT_OK;
}

enum ttt_status
ttt__reader_end(struct ttt__reader *r, struct ttt_error *err)
{
	char hex[65];

	if (r->left > 0 || r->at < r->n)
		return ttt__reader_fail(r, "is longer than what it holds", err);
	ttt__checksum_end(&r->sum, hex);
	if (strcmp(hex, r->member->checksum) != 0)
		return ttt__reader_fail(r, "has the wrong checksum", err);
	return TTT_OK;
}

enum ttt_status
ttt__reader_finish(struct ttt__reader *r, struct ttt_error *err)
{
	char name[TTT__MEMBER_NAME], text[TTT__EXCERPT];
	uint64_t size;
	bool more;
	enum ttt_status status = ttt__tar_in_next(&r->tar, name, &size, &more, err);

	if (status == TTT_OK && more)
		return ttt__fail(err, TTT_E_FORMAT, "%s: damaged: member '%s' is not in manifest.json", r->label,
		    ttt__excerpt(text, name));
	return status;
}

static enum ttt_status
fill(struct ttt__reader *r, struct ttt_error *err)
{
	size_t n = r->left < TTT__TAR_BUFFER ? (size_t)r->left : TTT__TAR_BUFFER;
	enum ttt_status status;

	if (n == 0)
		return ttt__reader_fail(r, "ends early", err);
	status = ttt__tar_in_read(&r->tar, r->buffer, n, err);
	if (status != TTT_OK)
		return status;
	ttt__checksum_add(&r->sum, r->buffer, n);
	r->left -= n;
	r->at = 0;
	r->n = n;
	return TTT_OK;
}

enum ttt_status
ttt__reader_get(struct ttt__reader *r, void *p, size_t n, struct ttt_error *err)
{
	unsigned char *out = p;
	enum ttt_status status;

	while (n > 0) {
		size_t part;

		if (r->at == r->n && (status = fill(r, err)) != TTT_OK)
			return status;
		part = r->n - r->at < n ? r->n - r->at : n;
		memcpy(out, r->buffer + r->at, part);
		r->at += part;
		out += part;
		n -= part;
	}
	return TTT_OK;
}

enum ttt_status
ttt__reader_line(struct ttt__reader *r, char *line, size_t size, struct ttt_error *err)
{
	enum ttt_status status;
	size_t n = 0;

	for (;;) {
		if (r->at == r->n && (status = fill(r, err)) != TTT_OK)
			return status;
		if (n == size || r->buffer[r->at] == '\0')
			return ttt__reader_fail(r, "has a line that is none", err);
		if (r->buffer[r->at] == '\n')
			break;
		line[n++] = (char)r->buffer[r->at++];
	}
	r->at++;
	if (n == size)
		return ttt__reader_fail(r, "has a line that is too long", err);
	line[n] = '\0';
	return TTT_OK;
}

enum ttt_status
ttt__reader_all(struct ttt__reader *r, struct ttt__bytes *b, uint64_t max, struct ttt_error *err)
{
	enum ttt_status status = TTT_OK;

	b->n = 0;
	if (r->member->size > max)
		return ttt__reader_fail(r, "is larger than it can be", err);
	while (b->n < r->member->size && status == TTT_OK) {
		size_t step = b->n < 1 << 20 ? 1 << 20 : b->n, want = (size_t)r->member->size - b->n;
		unsigned char *grown = ttt__grow(b->p, b->n + (want < step ? want : step), 1);

		if (grown == NULL)
			return ttt__fail_memory(err, r->label);
		b->p = grown;
		b->capacity = b->n + (want < step ? want : step);
		status = ttt__reader_get(r, b->p + b->n, b->capacity - b->n, err);
		b->n = b->capacity;
	}
	return status;
}
