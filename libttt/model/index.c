#include "libttt/model/index.h"

#include <stdlib.h>
#include <string.h>

#include "libttt/json.h"

enum { MAX_SHARD = 256 };

static int
by_tensor(const void *a, const void *b)
{
	return strcmp(((const struct ttt__index_entry *)a)->tensor, ((const struct ttt__index_entry *)b)->tensor);
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool
plain_name(const char *name)
{
	return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL && strlen(name) < 256;
}

/* All names first, then sorted and made unique; a repeated strcmp beats a hash table at these sizes. */
static enum ttt_status
collect_shards(struct ttt__index *x, json_t *map, struct ttt_error *err)
{
	char text[TTT__EXCERPT];
	size_t i, n = 0;
	const char *name, *last = NULL;
	const char **all = ttt__new(json_object_size(map) + 1, sizeof(*all));
	void *it;

	x->shard = ttt__new(MAX_SHARD, sizeof(*x->shard));
	if (all == NULL || x->shard == NULL) {
		free(all);
		return ttt__fail_memory(err, x->label);
	}
	for (it = json_object_iter(map); it != NULL; it = json_object_iter_next(map, it)) {
		name = json_string_value(json_object_iter_value(it));
		if (name == NULL || !plain_name(name)) {
			free(all);
			if (name == NULL)
				return ttt__fail(err, TTT_E_FORMAT, "%s: tensor '%s': its shard's name is not a string",
				    x->label, ttt__excerpt(text, json_object_iter_key(it)));
			return ttt__fail(err, TTT_E_FORMAT, "%s: shard '%s' is not a plain file name", x->label,
			    ttt__excerpt(text, name));
		}
		all[n++] = name;
	}
	qsort(all, n, sizeof(*all), by_text);
	for (i = 0; i < n; i++) {
		if (last != NULL && strcmp(all[i], last) == 0)
			continue;
		last = all[i];
		if (x->n_shard == MAX_SHARD || (x->shard[x->n_shard] = strdup(last)) == NULL) {
			free(all);
			return x->n_shard == MAX_SHARD
			    ? ttt__fail(err, TTT_E_FORMAT, "%s: more than %d shards", x->label, MAX_SHARD)
			    : ttt__fail_memory(err, x->label);
		}
		x->n_shard++;
	}
	free(all);
	return TTT_OK;
}

static enum ttt_status
collect_entries(struct ttt__index *x, json_t *map, struct ttt_error *err)
{
	const char *name;
	char **shard;
	void *it;

	x->entry = ttt__new(json_object_size(map) + 1, sizeof(*x->entry));
	if (x->entry == NULL)
		return ttt__fail_memory(err, x->label);
	for (it = json_object_iter(map); it != NULL; it = json_object_iter_next(map, it)) {
		name = json_string_value(json_object_iter_value(it));
		shard = bsearch(&name, x->shard, x->n_shard, sizeof(*x->shard), by_text);
		x->entry[x->n].tensor = strdup(json_object_iter_key(it));
		x->entry[x->n].shard = (size_t)(shard - x->shard);
		if (x->entry[x->n++].tensor == NULL)
			return ttt__fail_memory(err, x->label);
	}
	qsort(x->entry, x->n, sizeof(*x->entry), by_tensor);
	return TTT_OK;
}

enum ttt_status
ttt__index_parse(struct ttt__index *out, const void *json, size_t n, const char *label, struct ttt_error *err)
{
	static const struct ttt__json_limits limits = { 8, 1 << 19 };
	enum ttt_status status;
	json_t *root, *map;

	memset(out, 0, sizeof(*out));
	status = ttt__json_parse(&root, json, n, &limits, label, "the index", err);
	if (status != TTT_OK)
		return status;
	map = json_object_get(root, "weight_map");
	out->label = strdup(label);
	if (out->label == NULL)
		status = ttt__fail_memory(err, label);
	else if (!json_is_object(map))
		status = ttt__fail(err, TTT_E_FORMAT, "%s: weight_map is %s", label,
		    map == NULL ? "missing" : "not an object");
	else
		status = collect_shards(out, map, err);
	if (status == TTT_OK)
		status = collect_entries(out, map, err);
	json_decref(root);
	if (status != TTT_OK)
		ttt__index_free(out);
	return status;
}

void
ttt__index_free(struct ttt__index *x)
{
	for (size_t i = 0; i < x->n; i++)
		free(x->entry[i].tensor);
	for (size_t i = 0; i < x->n_shard; i++)
		free(x->shard[i]);
	free(x->entry);
	free(x->shard);
	free(x->label);
	memset(x, 0, sizeof(*x));
}

const struct ttt__index_entry *
ttt__index_find(const struct ttt__index *x, const char *tensor)
{
	struct ttt__index_entry key = { .tensor = (char *)tensor };

	return x->n == 0 ? NULL : bsearch(&key, x->entry, x->n, sizeof(*x->entry), by_tensor);
}

enum ttt_status
ttt__index_check(const struct ttt__index *x, size_t shard, const struct ttt__safetensors *s, struct ttt_error *err)
{
	char text[TTT__EXCERPT];

	for (size_t i = 0; i < x->n; i++)
		if (x->entry[i].shard == shard && ttt__safetensors_find(s, x->entry[i].tensor) == NULL)
			return ttt__fail(err, TTT_E_FORMAT, "%s: tensor '%s' is not in %s", x->label,
			    ttt__excerpt(text, x->entry[i].tensor), s->label);
	return TTT_OK;
}
