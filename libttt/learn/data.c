/* Reading token shards. */
#include "libttt/file.h"
#include "libttt/learn/data.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GROUPS_MAX = 1 << 16 };

/* A decimal number and the tab behind it. */
static bool
take_number(const char **p, int64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoll(*p, &end, 10);
	if (errno != 0 || end == *p || **p < '0' || **p > '9' || *end != '\t')
		return false;
	*p = end + 1;
	return true;
}

static int
digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static char *
take_name(const char *p)
{
	char *name = strdup(p), *to = name;

	for (; name != NULL && *p != '\0'; p++) {
		int high = *p == '%' ? digit(p[1]) : -1, low = high >= 0 ? digit(p[2]) : -1;

		if (low >= 0) {
			*to++ = (char)(16 * high + low);
			p += 2;
		} else
			*to++ = *p;
	}
	if (name != NULL)
		*to = '\0';
	return name;
}

/* The first line of the index: "ttt-shards", version, BOS, groups, a fingerprint. */
static bool
take_head(struct ttt__data *d, const char *line)
{
	static const char head[] = "ttt-shards\t1\t";
	const char *p = line + strlen(head);

	if (strncmp(line, head, strlen(head)) != 0)
		return false;
	p = strchr(p, '\t');
	return p++ != NULL && take_number(&p, &d->n_group) && d->n_group > 0 && d->n_group <= GROUPS_MAX;
}

/* Line i of the index (NUL-terminated, without its newline); n_token: tokens that the file has. */
static enum ttt_status
take_document(struct ttt__data *d, const char *line, int64_t n_token, const char *label, struct ttt_error *err)
{
	struct ttt__document x = { 0 };
	int64_t held;
	const char *p = line;

	if (!take_number(&p, &x.group) || !take_number(&p, &held) || !take_number(&p, &x.offset) ||
	    !take_number(&p, &x.n_token) || !take_number(&p, &x.n_byte) || x.group >= d->n_group || held > 1 ||
	    x.offset > n_token || x.n_token > n_token - x.offset || x.n_token < 1 || *p == '\0')
		return ttt__fail(err, TTT_E_FORMAT, "%s: document %" PRId64 " is not described as it should be", label,
		    d->n_document + 1);
	if ((d->n_document & (d->n_document + 1)) == 0) { /* room for 2^k - 1 is full */
		void *grown = ttt__grow(d->document, (size_t)(2 * d->n_document + 1), sizeof(*d->document));

		if (grown == NULL)
			return ttt__fail_memory(err, label);
		d->document = grown;
	}
	if (held == 0 && !ttt__i64_add(&d->n_byte, d->n_byte, x.n_byte))
		return ttt__fail(err, TTT_E_FORMAT, "%s: document %" PRId64 " has more bytes than can be counted", label, d->n_document + 1);
	x.held = held == 1;
	x.name = take_name(p);
	if (x.name == NULL)
		return ttt__fail_memory(err, label);
	d->document[d->n_document++] = x;
	d->n_token += x.held ? 0 : x.n_token;
	return TTT_OK;
}

static enum ttt_status
read_index(struct ttt__data *d, const char *path, int64_t n_token, struct ttt_error *err)
{
	struct ttt__bytes b = { 0 };
	enum ttt_status s = ttt__file_read(&b, path, (size_t)1 << 30, err);
	char *line, *end;

	if (s == TTT_OK)
		s = ttt__bytes_add(&b, "", 1, err);
	line = (char *)b.p;
	for (int64_t i = 0; s == TTT_OK && *line != '\0'; i++, line = end + 1) {
		end = strchr(line, '\n');
		if (end == NULL) {
			s = ttt__fail(err, TTT_E_FORMAT, "%s: is cut short", path);
			break;
		}
		*end = '\0';
		if (i == 0 && !take_head(d, line))
			s = ttt__fail(err, TTT_E_FORMAT, "%s: is no index of token shards", path);
		else if (i > 0)
			s = take_document(d, line, n_token, path, err);
	}
	if (s == TTT_OK && d->n_token == 0)
		s = ttt__fail(err, TTT_E_FORMAT, "%s: holds no document to train on", path);
	ttt__bytes_free(&b);
	return s;
}

enum ttt_status
ttt__data_open(struct ttt__data *out, const char *dir, struct ttt_error *err)
{
	struct ttt__data d = { .fd = -1 };
	char *index = ttt__path_in(dir, "index");
	struct stat st;
	enum ttt_status s = TTT_OK;

	d.path = ttt__path_in(dir, "tokens");
	if (index == NULL || d.path == NULL)
		s = ttt__fail_memory(err, dir);
	else if ((d.fd = open(d.path, O_RDONLY | O_CLOEXEC)) < 0 || fstat(d.fd, &st) != 0)
		s = ttt__fail(err, TTT_E_IO, "%s: cannot open: %s", d.path, strerror(errno));
	else
		s = read_index(&d, index, st.st_size / 4, err);
	free(index);
	if (s != TTT_OK)
		ttt__data_close(&d);
	*out = d;
	return s;
}

void
ttt__data_close(struct ttt__data *d)
{
	for (int64_t i = 0; i < d->n_document; i++)
		free(d->document[i].name);
	free(d->document);
	free(d->path);
	if (d->path != NULL && d->fd >= 0)
		close(d->fd);
	*d = (struct ttt__data){ .fd = -1 };
}

enum ttt_status
ttt__data_read(const struct ttt__data *d, int64_t first, int64_t n, int32_t *ids, struct ttt_error *err)
{
	unsigned char *p = (unsigned char *)ids;
	size_t want = (size_t)n * 4, got = 0;

	while (got < want) {
		ssize_t r = pread(d->fd, p + got, want - got, (off_t)(first * 4) + (off_t)got);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return ttt__fail(err, TTT_E_IO, "%s: cannot read: %s", d->path,
			    r < 0 ? strerror(errno) : "it is shorter than its index says");
		got += (size_t)r;
	}
	for (int64_t i = 0; i < n; i++) { /* int32 little-endian, whatever this machine has */
		const unsigned char *q = p + 4 * i;

		ids[i] = (int32_t)((uint32_t)q[0] | (uint32_t)q[1] << 8 | (uint32_t)q[2] << 16 | (uint32_t)q[3] << 24);
	}
	return TTT_OK;
}
