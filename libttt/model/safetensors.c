/* Reading of safetensors headers. Every number is checked against the file before anything is made of it: the tensors,
 * sorted by offset, must cover the data exactly, so that no byte has two readers and none has no reader. */
#include "libttt/model/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "libttt/json.h"

enum { MAX_TENSOR = 65536, MAX_NAME = 128, MAX_DIM = 4 };
static const size_t MAX_HEADER = 100000000;

static const struct {
	const char *name;
	enum ttt__tensor_type dtype;
	size_t size;
} dtypes[] = {
	{ "F32", TTT__F32, 4 }, { "F16", TTT__F16, 2 }, { "BF16", TTT__BF16, 2 }, { "F64", TTT__F64, 8 },
	{ "I32", TTT__I32, 4 }, { "I64", TTT__I64, 8 }, { "I16", TTT__OTHER, 2 }, { "I8", TTT__OTHER, 1 },
	{ "U64", TTT__OTHER, 8 }, { "U32", TTT__OTHER, 4 }, { "U16", TTT__OTHER, 2 }, { "U8", TTT__OTHER, 1 },
	{ "BOOL", TTT__OTHER, 1 }, { "F8_E4M3", TTT__OTHER, 1 }, { "F8_E5M2", TTT__OTHER, 1 },
};

static enum ttt_status
tensor_fail(const char *label, const struct ttt__tensor *t, const char *why, struct ttt_error *err)
{
	char name[TTT__EXCERPT];

	return ttt__fail(err, TTT_E_FORMAT, "%s: tensor '%s': %s", label, ttt__excerpt(name, t->name), why);
}

static enum ttt_status
parse_dtype(struct ttt__tensor *t, size_t *size, const json_t *entry, const char *label, struct ttt_error *err)
{
	const json_t *v = json_object_get(entry, "dtype");
	char text[TTT__EXCERPT], why[TTT__EXCERPT + 32];

	if (!json_is_string(v))
		return tensor_fail(label, t, v == NULL ? "no dtype" : "dtype is not a string", err);
	for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++)
		if (strcmp(json_string_value(v), dtypes[i].name) == 0) {
			t->dtype = dtypes[i].dtype;
			*size = dtypes[i].size;
			return TTT_OK;
		}
	(void)snprintf(why, sizeof(why), "unknown dtype '%s'", ttt__excerpt(text, json_string_value(v)));
	return tensor_fail(label, t, why, err);
}

static enum ttt_status
parse_shape(struct ttt__tensor *t, const json_t *entry, const char *label, struct ttt_error *err)
{
	const json_t *v = json_object_get(entry, "shape"), *d;
	size_t i;

	if (!json_is_array(v))
		return tensor_fail(label, t, v == NULL ? "no shape" : "shape is not a list", err);
	if (json_array_size(v) > MAX_DIM)
		return tensor_fail(label, t, "more than 4 dimensions", err);
	t->n_dim = (int)json_array_size(v);
	t->n_element = 1;
	for (i = 0; i < json_array_size(v); i++) {
		d = json_array_get(v, i);
		if (!json_is_integer(d))
			return tensor_fail(label, t, "a dimension is not an integer", err);
		if (json_integer_value(d) < 0)
			return tensor_fail(label, t, "a dimension is negative", err);
		t->dim[i] = json_integer_value(d);
		if (!ttt__size_mul(&t->n_element, t->n_element, (size_t)t->dim[i]))
			return tensor_fail(label, t, "more elements than can be counted", err);
	}
	return TTT_OK;
}

static enum ttt_status
parse_offsets(struct ttt__tensor *t, size_t size, const json_t *entry, size_t n_data, const char *label,
    struct ttt_error *err)
{
	const json_t *v = json_object_get(entry, "data_offsets"), *b, *e;
	json_int_t begin, end;
	size_t n_byte;

	if (!json_is_array(v) || json_array_size(v) != 2)
		return tensor_fail(label, t, v == NULL ? "no data_offsets" : "data_offsets is not a pair", err);
	b = json_array_get(v, 0);
	e = json_array_get(v, 1);
	if (!json_is_integer(b) || !json_is_integer(e))
		return tensor_fail(label, t, "an offset is not an integer", err);
	begin = json_integer_value(b);
	end = json_integer_value(e);
	if (begin < 0 || end < begin)
		return tensor_fail(label, t, "offsets are negative or reversed", err);
	if ((uint64_t)end > n_data)
		return tensor_fail(label, t, "data lies beyond the end of the file", err);
	if (!ttt__size_mul(&n_byte, t->n_element, size) || n_byte != (size_t)(end - begin))
		return tensor_fail(label, t, "shape and dtype do not fit the offsets", err);
	t->offset = (size_t)begin;
	t->n_byte = n_byte;
	return TTT_OK;
}

static enum ttt_status
parse_tensor(struct ttt__tensor *t, const char *name, const json_t *entry, size_t n_data, const char *label,
    struct ttt_error *err)
{
	enum ttt_status status;
	size_t size = 0;

	t->name = strdup(name);
	if (t->name == NULL)
		return ttt__fail_memory(err, label);
	if (name[0] == '\0' || strlen(name) > MAX_NAME)
		return tensor_fail(label, t, "the name is not 1 to 128 bytes long", err);
	if (!json_is_object(entry))
		return tensor_fail(label, t, "its entry is not an object", err);
	status = parse_dtype(t, &size, entry, label, err);
	if (status == TTT_OK)
		status = parse_shape(t, entry, label, err);
	if (status == TTT_OK)
		status = parse_offsets(t, size, entry, n_data, label, err);
	return status;
}

static enum ttt_status
check_metadata(const json_t *meta, const char *label, struct ttt_error *err)
{
	void *i;

	if (!json_is_object(meta))
		return ttt__fail(err, TTT_E_FORMAT, "%s: __metadata__ is not an object", label);
	for (i = json_object_iter((json_t *)meta); i != NULL; i = json_object_iter_next((json_t *)meta, i))
		if (!json_is_string(json_object_iter_value(i)))
			return ttt__fail(err, TTT_E_FORMAT, "%s: __metadata__ holds something that is not a string",
			    label);
	return TTT_OK;
}

static int
by_offset(const void *a, const void *b)
{
	const struct ttt__tensor *x = a, *y = b;

	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	if (x->n_byte != y->n_byte)
		return x->n_byte < y->n_byte ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp((*(struct ttt__tensor *const *)a)->name, (*(struct ttt__tensor *const *)b)->name);
}

static enum ttt_status
check_cover(struct ttt__safetensors *s, struct ttt_error *err)
{
	size_t i, end = 0;

	qsort(s->tensor, s->n, sizeof(*s->tensor), by_offset);
	for (i = 0; i < s->n; i++) {
		if (s->tensor[i].offset < end)
			return tensor_fail(s->label, &s->tensor[i], "its data overlaps another tensor's", err);
		if (s->tensor[i].offset > end)
			return tensor_fail(s->label, &s->tensor[i], "unused bytes lie before its data", err);
		end += s->tensor[i].n_byte;
	}
	if (end != s->n_data)
		return ttt__fail(err, TTT_E_FORMAT, "%s: %zu bytes after the last tensor", s->label, s->n_data - end);
	for (i = 0; i < s->n; i++)
		s->by_name[i] = &s->tensor[i];
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers is meant */
	qsort(s->by_name, s->n, sizeof(*s->by_name), by_name);
	return TTT_OK;
}

static enum ttt_status
parse_root(struct ttt__safetensors *s, json_t *root, struct ttt_error *err)
{
	enum ttt_status status = TTT_OK;
	size_t n = json_object_size(root);
	void *i;

	s->tensor = ttt__new(n + 1, sizeof(*s->tensor));
	s->by_name = ttt__new(n + 1, sizeof(struct ttt__tensor *));
	if (s->tensor == NULL || s->by_name == NULL)
		return ttt__fail_memory(err, s->label);
	for (i = json_object_iter(root); i != NULL && status == TTT_OK; i = json_object_iter_next(root, i)) {
		if (strcmp(json_object_iter_key(i), "__metadata__") == 0) {
			status = check_metadata(json_object_iter_value(i), s->label, err);
			continue;
		}
		status = parse_tensor(&s->tensor[s->n++], json_object_iter_key(i), json_object_iter_value(i), s->n_data,
		    s->label, err);
	}
	if (status == TTT_OK && s->n > MAX_TENSOR)
		status = ttt__fail(err, TTT_E_FORMAT, "%s: more than %d tensors", s->label, MAX_TENSOR);
	return status == TTT_OK ? check_cover(s, err) : status;
}

/* The length of the header of the file [n_file] that begins at p. */
static enum ttt_status
header_length(size_t *out, const unsigned char *p, size_t n_file, const char *label, struct ttt_error *err)
{
	uint64_t n = 0;

	if (n_file < 8)
		return ttt__fail(err, TTT_E_FORMAT, "%s: %u bytes are no safetensors file", label, (unsigned)n_file);
	for (int i = 7; i >= 0; i--)
		n = n << 8 | p[i];
	if (n < 2)
		return ttt__fail(err, TTT_E_FORMAT, "%s: the header's length is %u", label, (unsigned)n);
	if (n > n_file - 8)
		return ttt__fail(err, TTT_E_FORMAT, "%s: the header's length, %llu, is beyond the end of the file",
		    label, (unsigned long long)n);
	if (n > MAX_HEADER)
		return ttt__fail(err, TTT_E_FORMAT, "%s: the header's length, %llu, is more than %zu", label,
		    (unsigned long long)n, MAX_HEADER);
	*out = (size_t)n;
	return TTT_OK;
}

static enum ttt_status
parse_header(struct ttt__safetensors *out, const void *header, size_t n_header, size_t n_data, const char *label,
    struct ttt_error *err)
{
	/* a tensor is about 15 values; a metadata string is 2 */
	static const struct ttt__json_limits limits = { 4, (size_t)MAX_TENSOR * 16 };
	enum ttt_status status;
	json_t *root;

	memset(out, 0, sizeof(*out));
	if (*(const char *)header != '{')
		return ttt__fail(err, TTT_E_FORMAT, "%s: the header does not begin with '{'", label);
	status = ttt__json_parse(&root, header, n_header, &limits, label, "the header", err);
	if (status != TTT_OK)
		return status;
	out->n_data = n_data;
	out->label = strdup(label);
	status = out->label == NULL ? ttt__fail_memory(err, label) : parse_root(out, root, err);
	json_decref(root);
	if (status != TTT_OK)
		ttt__safetensors_free(out);
	return status;
}

enum ttt_status
ttt__safetensors_parse(struct ttt__safetensors *out, const void *bytes, size_t n, const char *label,
    struct ttt_error *err)
{
	const unsigned char *p = bytes;
	enum ttt_status status;
	size_t n_header = 0;

	memset(out, 0, sizeof(*out));
	status = header_length(&n_header, p, n, label, err);
	if (status == TTT_OK)
		status = parse_header(out, p + 8, n_header, n - 8 - n_header, label, err);
	if (status == TTT_OK)
		out->data = p + 8 + n_header;
	return status;
}

void
ttt__safetensors_free(struct ttt__safetensors *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n; i++)
		free(s->tensor[i].name);
	free(s->tensor);
	free(s->by_name);
	free(s->label);
	memset(s, 0, sizeof(*s));
}

static int
compare_name(const void *name, const void *element)
{
	return strcmp(name, (*(struct ttt__tensor *const *)element)->name);
}

const struct ttt__tensor *
ttt__safetensors_find(const struct ttt__safetensors *s, const char *name)
{
	struct ttt__tensor **p;

	if (s->n == 0)
		return NULL;
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers is meant */
	p = bsearch(name, s->by_name, s->n, sizeof(*s->by_name), compare_name);
	return p == NULL ? NULL : *p;
}
