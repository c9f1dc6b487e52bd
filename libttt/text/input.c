/* Inputs one after another: operands, what walks find, members of archives. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "libttt/text/stream.h"
#include "libttt/text/walk.h"

enum { PEEK = 8192 }; /* bytes looked at to tell text from binary data */

struct ttt_input {
	const char *const *name; /* [n] borrowed */
	size_t n, at;
	struct ttt_input_options o;
	void (*note)(void *ctx, const char *text);
	void *ctx;
	struct ttt__walk walk;
	struct ttt__stream stream;
	bool open;               /* stream is; with archive, it may have more members */
	bool partial;            /* the current stream could not be read to its end */
	unsigned char peek[PEEK];
	size_t n_peek, at_peek;
	int64_t n_failed;
};

static const char *const standard_input[] = { "-" };

enum ttt_status
ttt_input_open(struct ttt_input **out, const char *const *names, size_t n, const struct ttt_input_options *o,
    void (*note)(void *ctx, const char *text), void *ctx, struct ttt_error *err)
{
	struct ttt_input *in = ttt__new(1, sizeof(*in));

	*out = NULL;
	if (in == NULL)
		return ttt__fail_memory(err, "inputs");
	in->name = n > 0 ? names : standard_input;
	in->n = n > 0 ? n : 1;
	if (o != NULL)
		in->o = *o;
	in->note = note;
	in->ctx = ctx;
	in->stream.fd = -1;
	*out = in;
	return TTT_OK;
}

void
ttt_input_free(struct ttt_input *in)
{
	if (in == NULL)
		return;
	ttt__stream_close(&in->stream);
	ttt__walk_free(&in->walk);
	free(in);
}

int64_t
ttt_input_n_failed(const struct ttt_input *in)
{
	return in->n_failed;
}

static void
note(struct ttt_input *in, const char *text)
{
	if (in->note != NULL)
		in->note(in->ctx, text);
}

/* A failure is the caller's, or with skip_errors a note; memory is never skipped over. */
static enum ttt_status
pass_over(struct ttt_input *in, enum ttt_status status, const struct ttt_error *e, struct ttt_error *err)
{
	if (in->o.skip_errors && status != TTT_E_MEMORY) {
		in->n_failed++;
		note(in, e->text);
		return TTT_OK;
	}
	if (err != NULL)
		*err = *e;
	return status;
}

/* Fill the peek buffer; true when its bytes are not text: a NUL is in none, and holes are nothing else. */
static enum ttt_status
look(struct ttt_input *in, bool *binary, struct ttt_error *err)
{
	enum ttt_status status = TTT_OK;
	size_t got = 1;

	in->n_peek = in->at_peek = 0;
	while (!in->stream.sparse && in->n_peek < PEEK && got > 0 && status == TTT_OK) {
		status = ttt__stream_read(&in->stream, in->peek + in->n_peek, PEEK - in->n_peek, &got, err);
		in->n_peek += got;
	}
	*binary = in->stream.sparse || (in->n_peek > 0 && memchr(in->peek, '\0', in->n_peek) != NULL);
	return status;
}

/* The stream is open on what is called name: take it, unless it is binary. operand: the user named it, rather than a
 * walk. */
static enum ttt_status
take(struct ttt_input *in, const char *name, bool operand, bool *taken, struct ttt_error *err)
{
	bool binary = false;
	char text[512];
	enum ttt_status status;

	*taken = false;
	in->partial = false;
	in->n_peek = in->at_peek = 0;
	/* standard input is taken as it is, and without waiting for its first 8 KiB */
	if (in->o.keep_binary || (strcmp(name, "-") == 0 && operand)) {
		*taken = true;
		return TTT_OK;
	}
	status = look(in, &binary, err);
	if (status != TTT_OK)
		return status;
	*taken = !binary;
	if (binary) {
		(void)snprintf(text, sizeof(text), "%.400s: skipped: binary data", name);
		in->n_failed += operand;
		note(in, text);
	}
	return TTT_OK;
}

/* Open a file and take it, or as an archive for its members to be taken later. */
static enum ttt_status
open_path(struct ttt_input *in, const char *path, bool operand, bool *taken, struct ttt_error *err)
{
	struct ttt_error e = { .status = TTT_OK };
	enum ttt_status status = in->o.archive ? ttt__archive_open(&in->stream, path, &e)
	    : ttt__stream_open(&in->stream, path, &e);

	*taken = false;
	in->open = status == TTT_OK;
	if (status == TTT_OK && !in->o.archive)
		status = take(in, path, operand, taken, &e);
	return status == TTT_OK ? TTT_OK : pass_over(in, status, &e, err);
}

/* The next member of the open archive that is taken; *name NULL when it has no more. */
static enum ttt_status
next_member(struct ttt_input *in, const char **name, struct ttt_error *err)
{
	struct ttt_error e = { .status = TTT_OK };
	enum ttt_status status;
	bool taken;

	do {
		status = ttt__archive_next(&in->stream, name, &e);
		if (status != TTT_OK || *name == NULL)
			break;
		status = take(in, *name, false, &taken, &e);
	} while (status == TTT_OK && !taken);
	if (status == TTT_OK)
		return TTT_OK;
	*name = NULL;
	return pass_over(in, status, &e, err);
}

/* Step to the next file of a walk, or the next operand; *taken says that *path is now being read. */
static enum ttt_status
next_file(struct ttt_input *in, const char **path, bool *taken, struct ttt_error *err)
{
	struct ttt_error e = { .status = TTT_OK };
	enum ttt_status status;
	struct stat st;

	*taken = false;
	status = ttt__walk_next(&in->walk, path, &e);
	if (status != TTT_OK)
		return pass_over(in, status, &e, err);
	if (*path != NULL)
		return open_path(in, *path, false, taken, err);
	if (in->at == in->n)
		return TTT_OK;
	*path = in->name[in->at++];
	if (!in->o.recursive || strcmp(*path, "-") == 0 || stat(*path, &st) != 0 || !S_ISDIR(st.st_mode))
		return open_path(in, *path, true, taken, err);
	status = ttt__walk_enter(&in->walk, *path, &e);
	return status == TTT_OK ? TTT_OK : pass_over(in, status, &e, err);
}

enum ttt_status
ttt_input_next(struct ttt_input *in, const char **name, int64_t *size, struct ttt_error *err)
{
	enum ttt_status status = TTT_OK;
	bool taken = false;

	*name = NULL;
	for (;;) {
		if (in->open && in->o.archive) {
			status = next_member(in, name, err);
			if (status != TTT_OK || *name != NULL)
				break;
		}
		if (in->open)
			ttt__stream_close(&in->stream);
		in->open = false;
		status = next_file(in, name, &taken, err);
		if (status != TTT_OK || taken || *name == NULL) {
			if (status == TTT_OK && *name == NULL && (in->at < in->n || in->walk.n > 0))
				continue; /* a directory that could not be read was passed over */
			break;
		}
	}
	if (status != TTT_OK)
		*name = NULL;
	*size = *name != NULL ? in->stream.size : -1;
	return status;
}

enum ttt_status
ttt_input_read(struct ttt_input *in, void *buffer, size_t capacity, size_t *n, struct ttt_error *err)
{
	struct ttt_error e = { .status = TTT_OK };
	enum ttt_status status;

	*n = 0;
	if (!in->open || in->partial || capacity == 0)
		return TTT_OK;
	if (in->at_peek < in->n_peek) {
		*n = in->n_peek - in->at_peek < capacity ? in->n_peek - in->at_peek : capacity;
		memcpy(buffer, in->peek + in->at_peek, *n);
		in->at_peek += *n;
		return TTT_OK;
	}
	status = ttt__stream_read(&in->stream, buffer, capacity, n, &e);
	if (status == TTT_OK)
		return TTT_OK;
	in->partial = true;
	return pass_over(in, status, &e, err);
}
