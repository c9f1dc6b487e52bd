#include "libttt/text/positions.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "libttt/checksum.h"
#include "libttt/json.h"
#include "libttt/text/names.h"

enum { VERSION = 1, DEPTH = 4, MAX_VALUES = 1 << 22 };

static const char label[] = "positions in logs";

/* Where path is, or would be put. */
static size_t
place(const struct ttt__positions *s, const char *path, bool *there)
{
	size_t low = 0, high = s->n;

	*there = false;
	while (low < high && !*there) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(path, s->p[middle].path);

		*there = order == 0;
		if (order <= 0)
			high = middle;
		else
			low = middle + 1;
	}
	return high;
}

enum ttt_status
ttt__positions_at(struct ttt__positions *s, struct ttt__position **out, const char *path, struct ttt_error *err)
{
	bool there;
	size_t i = place(s, path, &there);
	char *copy;

	*out = NULL;
	if (!there) {
		if (s->n == s->capacity) {
			size_t capacity = s->capacity > 0 ? 2 * s->capacity : 8;
			struct ttt__position *grown = ttt__grow(s->p, capacity, sizeof(*grown));

			if (grown == NULL)
				return ttt__fail_memory(err, label);
			s->p = grown;
			s->capacity = capacity;
		}
		copy = strdup(path);
		if (copy == NULL)
			return ttt__fail_memory(err, label);
		memmove(s->p + i + 1, s->p + i, (s->n - i) * sizeof(*s->p));
		s->p[i] = (struct ttt__position){ .path = copy };
		s->n++;
	}
	*out = &s->p[i];
	return TTT_OK;
}

bool
ttt__positions_beside(const struct ttt__positions *s, const char *path, const char *name)
{
	size_t n_folder = (size_t)(strrchr(path, '/') - path) + 1;

	for (size_t i = 0; i < s->n; i++)
		if (s->p[i].read && strncmp(s->p[i].path, path, n_folder) == 0 && strcmp(s->p[i].path + n_folder, name) == 0)
			return true;
	return false;
}

void
ttt__positions_free(struct ttt__positions *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->p[i].path);
	free(s->p);
	*s = (struct ttt__positions){ 0 };
}

/* A path is any bytes, JSON is UTF-8: what is not, controls and backslashes are written \xHH. Allocated; NULL: no memory. */
static char *
escape(const char *path)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = strlen(path), used = 0;
	char *out = ttt__new(n + 1, 4);

	for (size_t i = 0; out != NULL && i < n;) {
		unsigned char c = (unsigned char)path[i];
		utf8proc_int32_t code;
		utf8proc_ssize_t size = utf8proc_iterate((const utf8proc_uint8_t *)path + i, (utf8proc_ssize_t)(n - i), &code);

		if (size > 0 && c >= 0x20 && c != 0x7f && c != '\\') {
			memcpy(out + used, path + i, (size_t)size);
			used += (size_t)size;
			i += (size_t)size;
			continue;
		}
		out[used++] = '\\';
		out[used++] = 'x';
		out[used++] = digits[c >> 4];
		out[used++] = digits[c & 15];
		i++;
	}
	return out;
}

/* The path that escape makes this of, in place; false where it makes this of none. */
static bool
unescape(char *s)
{
	char *whole = strdup(s), *again = whole != NULL && ttt__name_unescape(s) ? escape(s) : NULL;
	bool same = again != NULL && strcmp(again, whole) == 0;

	free(again);
	free(whole);
	return same && s[0] == '/';
}

static int64_t
least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static bool
parse_mark(const json_t *o, struct ttt__mark *m)
{
	struct {
		const char *key;
		int64_t *to, min, max;
	} numbers[] = {
		{ "device", &m->device, INT64_MIN, INT64_MAX },
		{ "inode", &m->inode, INT64_MIN, INT64_MAX },
		{ "mtime", &m->mtime, INT64_MIN, INT64_MAX },
		{ "offset", &m->offset, 0, INT64_MAX },
		{ "lines", &m->lines, 0, INT64_MAX },
		{ "head_bytes", &m->n_head, 0, TTT__MARK_HEAD },
		{ "tail_bytes", &m->n_tail, 0, TTT__MARK_TAIL },
	};
	enum { N = sizeof(numbers) / sizeof(numbers[0]) };
	const char *head = json_string_value(json_object_get(o, "head"));
	const char *tail = json_string_value(json_object_get(o, "tail"));

	if (json_object_size(o) != N + 2 || head == NULL || tail == NULL || !ttt__checksum_valid(head) ||
	    !ttt__checksum_valid(tail))
		return false;
	memcpy(m->head, head, sizeof(m->head));
	memcpy(m->tail, tail, sizeof(m->tail));
	for (size_t i = 0; i < N; i++) {
		const json_t *v = json_object_get(o, numbers[i].key);

		if (!json_is_integer(v) || json_integer_value(v) < numbers[i].min || json_integer_value(v) > numbers[i].max)
			return false;
		*numbers[i].to = json_integer_value(v);
	}
	/* a line is a byte at least */
	return m->lines <= m->offset && m->n_tail == least(m->offset, TTT__MARK_TAIL) &&
	    (m->offset == 0 || m->n_head == least(m->offset, TTT__MARK_HEAD));
}

static enum ttt_status
parse_file(struct ttt__positions *s, const char *key, const json_t *o, struct ttt_error *err)
{
	const json_t *previous = json_object_get(o, "previous");
	struct ttt__position *p, read = { .read = true, .has_previous = previous != NULL };
	char text[TTT__EXCERPT], *path;
	enum ttt_status status;

	if (json_object_size(o) != 1u + (previous != NULL) || !parse_mark(json_object_get(o, "at"), &read.at) ||
	    (previous != NULL && !parse_mark(previous, &read.previous)))
		return ttt__fail(err, TTT_E_FORMAT, "%s: the position in '%s' is damaged", label, ttt__excerpt(text, key));
	path = strdup(key);
	if (path == NULL)
		return ttt__fail_memory(err, label);
	if (unescape(path)) {
		status = ttt__positions_at(s, &p, path, err);
		if (status == TTT_OK) {
			read.path = p->path;
			*p = read;
		}
	} else
		status = ttt__fail(err, TTT_E_FORMAT, "%s: '%s' is no path written here", label, ttt__excerpt(text, key));
	free(path);
	return status;
}

enum ttt_status
ttt__positions_parse(struct ttt__positions *s, const void *json, size_t n, struct ttt_error *err)
{
	static const struct ttt__json_limits limits = { .depth = DEPTH, .n_value = MAX_VALUES };
	json_t *root, *files, *o;
	const char *key;
	enum ttt_status status = ttt__json_parse(&root, json, n, &limits, label, "the text", err);

	if (status != TTT_OK)
		return status;
	files = json_object_get(root, "files");
	o = json_object_get(root, "version");
	if (!json_is_integer(o) || json_integer_value(o) != VERSION)
		status = ttt__fail(err, TTT_E_FORMAT, "%s: not of version %d", label, VERSION);
	else if (!json_is_object(files) || json_object_size(root) != 2)
		status = ttt__fail(err, TTT_E_FORMAT, "%s: 'files' is missing, or not all there is", label);
	else
		json_object_foreach(files, key, o) {
			status = parse_file(s, key, o, err);
			if (status != TTT_OK)
				break;
		}
	json_decref(root);
	return status;
}

static json_t *
mark_json(const struct ttt__mark *m)
{
	return json_pack("{sI sI sI sI sI sI ss sI ss}", "device", (json_int_t)m->device, "inode", (json_int_t)m->inode,
	    "mtime", (json_int_t)m->mtime, "offset", (json_int_t)m->offset, "lines", (json_int_t)m->lines, "head_bytes",
	    (json_int_t)m->n_head, "head", m->head, "tail_bytes", (json_int_t)m->n_tail, "tail", m->tail);
}

/* json_object_set_new fails for a NULL value, which is one that there was no memory for. */
static bool
add_file(json_t *files, const struct ttt__position *p)
{
	json_t *o = json_object();
	char *key = escape(p->path);
	bool done = o != NULL && key != NULL && json_object_set_new(o, "at", mark_json(&p->at)) == 0 &&
	    (!p->has_previous || json_object_set_new(o, "previous", mark_json(&p->previous)) == 0);

	done = done && json_object_set(files, key, o) == 0;
	json_decref(o);
	free(key);
	return done;
}

enum ttt_status
ttt__positions_write(const struct ttt__positions *s, struct ttt__bytes *out, struct ttt_error *err)
{
	json_t *root = json_object(), *files = json_object();
	bool done = root != NULL && files != NULL && json_object_set(root, "files", files) == 0 &&
	    json_object_set_new(root, "version", json_integer(VERSION)) == 0;
	char *text = NULL;
	enum ttt_status status;

	for (size_t i = 0; done && i < s->n; i++)
		if (s->p[i].read)
			done = add_file(files, &s->p[i]);
	if (done)
		text = json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS);
	json_decref(files);
	json_decref(root);
	status = text != NULL ? ttt__bytes_add(out, text, strlen(text), err) : ttt__fail_memory(err, label);
	if (status == TTT_OK)
		status = ttt__bytes_add(out, "\n", 1, err);
	free(text);
	return status;
}
