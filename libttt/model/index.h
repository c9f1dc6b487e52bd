/* model.safetensors.index.json: which shard holds which tensor. Private. */
#ifndef TTT_MODEL_INDEX_H
#define TTT_MODEL_INDEX_H
#include "libttt/model/parameter.h"
#include "libttt/model/safetensors.h"

struct ttt__index_entry {
	char *tensor;
	size_t shard; /* index into ttt__index.shard */
};

struct ttt__index {
	struct ttt__index_entry *entry; /* [n] sorted by tensor */
	size_t n;
	char **shard; /* [n_shard] plain file names, sorted */
	size_t n_shard;
	char *label;
};

/* Parse the index. A shard's name is a plain file name: nothing outside the model's directory is ever opened. */
enum ttt_status ttt__index_parse(struct ttt__index *out, const void *json, size_t n, const char *label,
    struct ttt_error *err);
void ttt__index_free(struct ttt__index *x);
/* NULL where the index does not name the tensor. */
const struct ttt__index_entry *ttt__index_find(const struct ttt__index *x, const char *tensor);
/* Whatever the index says a shard holds must be in it. */
enum ttt_status ttt__index_check(const struct ttt__index *x, size_t shard, const struct ttt__safetensors *s,
    struct ttt_error *err);

#endif
