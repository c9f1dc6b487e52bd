/* Reading token shards, and the batches drawn from them. */
#include "libttt/file.h"
#include "libttt/learn/data.h"
#include "libttt/random.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The documents of a group, those at least one sequence long apart from those to be put together. */
struct ttt__sampler_group {
	int64_t *whole, *part;         /* [n_whole], [n_part] indices of documents */
	int64_t *whole_end, *part_end; /* running sums of their lengths */
	int64_t n_whole, n_part;
};

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
	return p++ != NULL && take_number(&p, &d->n_group) && d->n_group > 0 && d->n_group < INT32_MAX;
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
	x.held = held == 1;
	x.name = take_name(p);
	if (x.name == NULL)
		return ttt__fail_memory(err, label);
	d->document[d->n_document++] = x;
	d->n_token += x.held ? 0 : x.n_token;
	d->n_byte += x.held ? 0 : x.n_byte;
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

/* ------------------------------------------------------------------------------------------------ batches */

static enum ttt_status
list_group(struct ttt__sampler_group *g, const struct ttt__data *d, int64_t group, int64_t n_token,
    struct ttt_error *err)
{
	int64_t n = 0, whole_sum = 0, part_sum = 0;

	for (int64_t i = 0; i < d->n_document; i++)
		n += d->document[i].group == group && !d->document[i].held;
	g->whole = ttt__new((size_t)n, sizeof(int64_t));
	g->part = ttt__new((size_t)n, sizeof(int64_t));
	g->whole_end = ttt__new((size_t)n, sizeof(int64_t));
	g->part_end = ttt__new((size_t)n, sizeof(int64_t));
	if (n > 0 && (!g->whole || !g->part || !g->whole_end || !g->part_end))
		return ttt__fail_memory(err, d->path);
	for (int64_t i = 0; i < d->n_document; i++) {
		const struct ttt__document *x = &d->document[i];

		if (x->group != group || x->held)
			continue;
		if (x->n_token >= n_token) {
			g->whole[g->n_whole] = i;
			g->whole_end[g->n_whole++] = whole_sum += x->n_token;
		} else {
			g->part[g->n_part] = i;
			g->part_end[g->n_part++] = part_sum += x->n_token;
		}
	}
	return TTT_OK;
}

static int64_t
last(const int64_t *end, int64_t n)
{
	return n > 0 ? end[n - 1] : 0;
}

enum ttt_status
ttt__sampler_create(struct ttt__sampler *out, const struct ttt__data *d, const double *weight, int64_t n_token,
    struct ttt_error *err)
{
	struct ttt__sampler s = { .data = d, .n_token = n_token };
	enum ttt_status status = TTT_OK;
	double sum = 0;

	*out = (struct ttt__sampler){ 0 };
	s.group = ttt__new((size_t)d->n_group, sizeof(*s.group));
	s.share = ttt__new((size_t)d->n_group, sizeof(*s.share));
	if (s.group == NULL || s.share == NULL) {
		ttt__sampler_free(&s);
		return ttt__fail_memory(err, d->path);
	}
	for (int64_t g = 0; g < d->n_group && status == TTT_OK; g++) {
		int64_t length;

		status = list_group(&s.group[g], d, g, n_token, err);
		length = last(s.group[g].whole_end, s.group[g].n_whole) + last(s.group[g].part_end, s.group[g].n_part);
		sum += length == 0 ? 0 : weight != NULL ? weight[g] : (double)length;
		s.share[g] = sum;
	}
	if (status == TTT_OK && !(sum > 0))
		status = ttt__fail(err, TTT_E_USAGE, "%s: every group that has documents has weight 0", d->path);
	if (status != TTT_OK)
		ttt__sampler_free(&s);
	*out = s;
	return status;
}

void
ttt__sampler_free(struct ttt__sampler *s)
{
	for (int64_t g = 0; s->group != NULL && g < s->data->n_group; g++) {
		free(s->group[g].whole);
		free(s->group[g].part);
		free(s->group[g].whole_end);
		free(s->group[g].part_end);
	}
	free(s->group);
	free(s->share);
	*s = (struct ttt__sampler){ 0 };
}

/* A whole number in [0, n): n is far below 2^53, so that the bias of scaling is not to be seen. */
static int64_t
below(struct ttt__random *r, int64_t n)
{
	int64_t x = (int64_t)(ttt__random_uniform(r) * (double)n);

	return x < n ? x : n - 1;
}

/* Index of the first running sum beyond x. */
static int64_t
find(const int64_t *end, int64_t n, int64_t x)
{
	int64_t low = 0, high = n - 1;

	while (low < high) {
		int64_t middle = low + (high - low) / 2;

		if (end[middle] > x)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* One sequence: ids [n_token] (=). */
static enum ttt_status
draw(const struct ttt__sampler *s, struct ttt__random *r, int32_t *ids, struct ttt_error *err)
{
	const struct ttt__data *d = s->data;
	const struct ttt__sampler_group *g;
	enum ttt_status status = TTT_OK;
	int64_t n_whole, x, i = 0;
	double at;

	assert(s->group != NULL && s->share != NULL); /* a sampler that was created */
	at = ttt__random_uniform(r) * s->share[d->n_group - 1];

	while (i < d->n_group - 1 && s->share[i] <= at)
		i++;
	g = &s->group[i];
	n_whole = last(g->whole_end, g->n_whole);
	x = below(r, n_whole + last(g->part_end, g->n_part));
	if (x < n_whole) {
		const struct ttt__document *doc = &d->document[g->whole[find(g->whole_end, g->n_whole, x)]];

		return ttt__data_read(d, doc->offset + below(r, doc->n_token - s->n_token + 1), s->n_token, ids, err);
	}
	for (int64_t have = 0; have < s->n_token && status == TTT_OK;) {
		const struct ttt__document *doc;
		int64_t n;

		x = below(r, g->part_end[g->n_part - 1]);
		doc = &d->document[g->part[find(g->part_end, g->n_part, x)]];
		n = doc->n_token < s->n_token - have ? doc->n_token : s->n_token - have;
		status = ttt__data_read(d, doc->offset, n, ids + have, err);
		have += n;
	}
	return status;
}

enum ttt_status
ttt__sampler_batch(const struct ttt__sampler *s, uint64_t seed, int64_t step, int64_t n_seq, int32_t *ids,
    struct ttt_error *err)
{
	enum ttt_status status = TTT_OK;

	for (int64_t i = 0; i < n_seq && status == TTT_OK; i++) {
		struct ttt__random r;
		int64_t key[3] = { (int64_t)seed, step, i };

		ttt__random_seed(&r, ttt__data_hash(TTT__HASH_START, key, sizeof(key)));
		status = draw(s, &r, ids + i * s->n_token, err);
	}
	return status;
}
