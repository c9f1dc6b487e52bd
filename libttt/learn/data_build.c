/* Documents to token shards. */
#include "libttt/file.h"
#include "libttt/learn/data.h"
#include "libttt/text/vocab.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 65536 };

struct build {
	const struct ttt__data_source *source;
	const struct ttt_tokenizer *tokenizer;
	int64_t bos;
	FILE *tokens;
	char *tokens_path;
	struct ttt__bytes index, held; /* held: the list of names, each ended by a newline */
	struct ttt__names listed;      /* .. and they as a set */
	struct ttt_encoder *encoder;
	struct ttt_ids ids;
	struct ttt__document now;      /* the document being written; no name: none */
	int64_t offset;
};

uint64_t
ttt__data_hash(uint64_t h, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * UINT64_C(0x100000001b3);
	return h;
}

/* What the shards depend on, so that others are not taken for them. */
static uint64_t
fingerprint(const struct build *b)
{
	const struct ttt__data_source *s = b->source;
	uint64_t h = TTT__HASH_START;
	int64_t n = ttt_tokenizer_n_vocab(b->tokenizer);
	struct ttt__plain_numbers numbers;
	char text[64];

	for (int32_t i = 0; i < n; i++) {
		size_t len = 0;
		const unsigned char *p = ttt_tokenizer_bytes(b->tokenizer, i, &len);

		h = ttt__data_hash(h, p, p != NULL ? len : 0);
		h = ttt__data_hash(h, &(unsigned char){ 0xff }, 1);
	}
	for (size_t i = 0; i < s->n_path; i++)
		h = ttt__data_hash(h, s->path[i], strlen(s->path[i]) + 1);
	ttt__plain_numbers_begin(&numbers);
	snprintf(text, sizeof(text), "%" PRId64 " %" PRId64 " %.9g", s->project_depth, b->bos, s->held_share);
	ttt__plain_numbers_end(&numbers);
	h = ttt__data_hash(h, text, strlen(text));
	return ttt__data_hash(h, b->held.p, b->held.n);
}

/* The names of the list of held-out documents, a line each. */
static enum ttt_status
enter_listed(struct build *b, struct ttt_error *err)
{
	const char *p = (const char *)b->held.p, *end = p + b->held.n;
	enum ttt_status s = TTT_OK;

	while (p < end && s == TTT_OK) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		size_t n = stop != NULL ? (size_t)(stop - p) : (size_t)(end - p);

		s = ttt__names_reserve(&b->listed, b->listed.n + 1, err);
		if (s == TTT_OK)
			(void)ttt__names_add(&b->listed, p, n, 0);
		p += n + 1;
	}
	return s;
}

static bool
is_held(const struct build *b, const char *name)
{
	uint64_t h = ttt__data_hash(TTT__HASH_START, name, strlen(name));

	/* FNV's high bits move little for short names: mix before they are taken for a number in [0, 1). */
	h = (h ^ (h >> 32)) * UINT64_C(0xd6e8feb86659fd93);
	h ^= h >> 32;
	return ttt__names_find(&b->listed, name, strlen(name)) >= 0 || (double)(h >> 11) * 0x1p-53 < b->source->held_share;
}

static enum ttt_status
put_ids(struct build *b, struct ttt_error *err)
{
	for (int64_t i = 0; i < b->ids.n; i++) {
		uint32_t x = (uint32_t)b->ids.id[i];
		unsigned char le[4] = { x & 255, x >> 8 & 255, x >> 16 & 255, x >> 24 };

		if (fwrite(le, 1, 4, b->tokens) != 4)
			return ttt__fail(err, TTT_E_IO, "%s: cannot write: %s", b->tokens_path, strerror(errno));
	}
	b->now.n_token += b->ids.n;
	b->offset += b->ids.n;
	b->ids.n = 0;
	return TTT_OK;
}

/* A name as one field of a line: bytes that would end it, and '%', as %XX. */
static enum ttt_status
put_name(struct ttt__bytes *out, const char *name, struct ttt_error *err)
{
	enum ttt_status s = TTT_OK;

	for (; *name != '\0' && s == TTT_OK; name++) {
		unsigned char c = (unsigned char)*name;
		char text[4] = { *name };

		if (c < 0x20 || c == '%')
			snprintf(text, sizeof(text), "%%%02X", c);
		s = ttt__bytes_add(out, text, strlen(text), err);
	}
	return s;
}

static enum ttt_status
end_document(struct build *b, struct ttt_error *err)
{
	struct ttt__document *d = &b->now;
	enum ttt_status s;
	char text[128];

	if (d->name == NULL)
		return TTT_OK;
	s = ttt_encoder_end(b->encoder, &b->ids, err);
	if (s == TTT_OK)
		s = put_ids(b, err);
	snprintf(text, sizeof(text), "%" PRId64 "\t%d\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t", d->group, d->held,
	    d->offset, d->n_token, d->n_byte);
	if (s == TTT_OK && d->n_byte > 0) {
		s = ttt__bytes_add(&b->index, text, strlen(text), err);
		if (s == TTT_OK)
			s = put_name(&b->index, d->name, err);
		if (s == TTT_OK)
			s = ttt__bytes_add(&b->index, "\n", 1, err);
	}
	free(d->name);
	d->name = NULL;
	return s;
}

/* The file name, met in group, belongs to which document? With a depth of N the first N directories below the group's
 * path name it; a file that is not that deep is its own. Allocated. */
static char *
document_name(const struct build *b, size_t group, const char *name)
{
	const char *root = b->source->path[group], *base, *below = name, *end;
	size_t n = strlen(root);
	char *out = NULL;

	while (n > 1 && root[n - 1] == '/')
		n--;
	for (base = root + n; base > root && base[-1] != '/'; base--)
		;
	if (strncmp(name, root, n) == 0)
		for (below = name + n; *below == '/'; below++)
			;
	end = below + strlen(below);
	for (int64_t i = 0, at = 0; i < b->source->project_depth; i++) {
		const char *slash = strchr(below + at, '/');

		if (slash == NULL) {
			end = below + strlen(below);
			break;
		}
		end = slash;
		at = slash - below + 1;
	}
	if (asprintf(&out, "%.*s%s%.*s", (int)(root + n - base), base, below < end ? "/" : "", (int)(end - below),
	    below) < 0)
		return NULL;
	return out;
}

/* Make the file that has come the next part of its document, ending the one before and beginning one where it is
 * another. */
static enum ttt_status
turn_to(struct build *b, size_t group, const char *name, struct ttt_error *err)
{
	char *document = document_name(b, group, name);
	enum ttt_status s;

	if (document == NULL)
		return ttt__fail_memory(err, name);
	if (b->now.name != NULL && b->now.group == (int64_t)group && strcmp(b->now.name, document) == 0) {
		free(document);
		return TTT_OK;
	}
	s = end_document(b, err);
	b->now = (struct ttt__document){ .name = document, .group = (int64_t)group, .offset = b->offset };
	b->now.held = is_held(b, document);
	if (s == TTT_OK && b->bos >= 0)
		s = ttt__ids_add(&b->ids, (int32_t)b->bos, err);
	return s;
}

static enum ttt_status
build_group(struct build *b, size_t group, void (*note)(void *ctx, const char *text), void *ctx, struct ttt_error *err)
{
	struct ttt_input_options o = { .recursive = true, .skip_errors = true };
	unsigned char *buffer = ttt__new(BLOCK, 1);
	struct ttt_input *in = NULL;
	const char *name = NULL;
	int64_t size;
	enum ttt_status s;

	if (buffer == NULL)
		return ttt__fail_memory(err, b->source->path[group]);
	if (access(b->source->path[group], R_OK) != 0) { /* what is met below it is passed over, but not all of it */
		s = ttt__fail(err, TTT_E_IO, "%s: cannot read: %s", b->source->path[group], strerror(errno));
		free(buffer);
		return s;
	}
	s = ttt_input_open(&in, &b->source->path[group], 1, &o, note, ctx, err);
	while (s == TTT_OK && (s = ttt_input_next(in, &name, &size, err)) == TTT_OK && name != NULL) {
		size_t n = 0;

		s = turn_to(b, group, name, err);
		while (s == TTT_OK && (s = ttt_input_read(in, buffer, BLOCK, &n, err)) == TTT_OK && n > 0) {
			b->now.n_byte += (int64_t)n;
			s = ttt_encoder_feed(b->encoder, &b->ids, buffer, n, err);
			if (s == TTT_OK)
				s = put_ids(b, err);
		}
	}
	if (s == TTT_OK)
		s = end_document(b, err);
	free(b->now.name);
	b->now.name = NULL;
	ttt_input_free(in);
	free(buffer);
	return s;
}

/* The tokens are in place: the index makes them count. */
static enum ttt_status
write_index(struct build *b, const char *path, const char *head, struct ttt_error *err)
{
	struct ttt__replace r;
	enum ttt_status s = ttt__replace_open(&r, path, false, err);

	if (s != TTT_OK)
		return s;
	s = ttt__write(r.f, path, head, strlen(head), err);
	if (s == TTT_OK)
		s = ttt__write(r.f, path, b->index.p, b->index.n, err);
	return ttt__replace_end(&r, s, err);
}

static enum ttt_status
write_tokens(struct build *b, void (*note)(void *ctx, const char *text), void *ctx, struct ttt_error *err)
{
	enum ttt_status s = TTT_OK;

	int fd = open(b->tokens_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600); /* as secret as the text */

	b->tokens = fd >= 0 ? fdopen(fd, "wb") : NULL;
	if (b->tokens == NULL) {
		s = ttt__fail(err, TTT_E_IO, "%s: cannot make: %s", b->tokens_path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return s;
	}
	for (size_t i = 0; i < b->source->n_path && s == TTT_OK; i++)
		s = build_group(b, i, note, ctx, err);
	if (s == TTT_OK && (fflush(b->tokens) != 0 || fsync(fileno(b->tokens)) != 0))
		s = ttt__fail(err, TTT_E_IO, "%s: cannot write: %s", b->tokens_path, strerror(errno));
	if (fclose(b->tokens) != 0 && s == TTT_OK)
		s = ttt__fail(err, TTT_E_IO, "%s: cannot write: %s", b->tokens_path, strerror(errno));
	if (s == TTT_OK && b->index.n == 0)
		s = ttt__fail(err, TTT_E_FORMAT, "%s: holds no text to learn from", b->source->path[0]);
	return s;
}

/* True where the index at path begins with head: these shards are the ones wanted. */
static enum ttt_status
look_for(const char *path, const char *head, bool *there, struct ttt_error *err)
{
	char line[128] = "";
	FILE *f = fopen(path, "re");

	*there = f != NULL;
	if (f == NULL)
		return errno == ENOENT ? TTT_OK
		                       : ttt__fail(err, TTT_E_IO, "%s: cannot open: %s", path, strerror(errno));
	if (fgets(line, sizeof(line), f) == NULL)
		line[0] = '\0';
	fclose(f);
	if (strcmp(line, head) == 0)
		return TTT_OK;
	ttt__fail(err, TTT_E_USAGE, "%s: was made from other data, with another tokenizer or another share held out",
	    path);
	return ttt__hint(err, TTT_E_USAGE, "remove its folder to make shards again, or use another run directory");
}

enum ttt_status
ttt__data_build(const char *dir, const struct ttt__data_source *source, const struct ttt_tokenizer *t, int64_t bos,
    void (*note)(void *ctx, const char *text), void *ctx, struct ttt_error *err)
{
	struct build b = { .source = source, .tokenizer = t, .bos = bos };
	char head[128], *index = ttt__path_in(dir, "index"), *final = ttt__path_in(dir, "tokens");
	enum ttt_status s = TTT_OK;
	bool there = false;

	b.tokens_path = ttt__path_in(dir, "tokens.part");
	if (index == NULL || final == NULL || b.tokens_path == NULL)
		s = ttt__fail_memory(err, dir);
	if (s == TTT_OK && source->held_list != NULL)
		s = ttt__file_read(&b.held, source->held_list, (size_t)1 << 26, err);
	if (s == TTT_OK)
		s = enter_listed(&b, err);
	if (s == TTT_OK) {
		snprintf(head, sizeof(head), "ttt-shards\t1\t%" PRId64 "\t%zu\t%016" PRIx64 "\n", bos, source->n_path,
		    fingerprint(&b));
		s = look_for(index, head, &there, err);
	}
	if (s == TTT_OK && !there) {
		s = ttt__make_directory(dir, err);
		if (s == TTT_OK)
			s = ttt_encoder_create(&b.encoder, t, err);
		if (s == TTT_OK)
			s = write_tokens(&b, note, ctx, err);
		if (s == TTT_OK && rename(b.tokens_path, final) != 0)
			s = ttt__fail(err, TTT_E_IO, "%s: cannot rename: %s", b.tokens_path, strerror(errno));
		if (s == TTT_OK)
			s = write_index(&b, index, head, err);
	}
	if (s != TTT_OK && b.tokens_path != NULL) /* a disk may be full of it */
		(void)unlink(b.tokens_path);
	ttt_encoder_free(b.encoder);
	ttt__bytes_free(&b.index);
	ttt__bytes_free(&b.held);
	ttt__names_free(&b.listed);
	free(b.ids.id);
	free(b.tokens_path);
	free(index);
	free(final);
	return s;
}
