/* config.json. Private. */
#ifndef TTT_MODEL_CONFIG_H
#define TTT_MODEL_CONFIG_H
#include "libttt/base.h"

enum { TTT__CONFIG_MAX = 1 << 20 }; /* bytes of the file */

/* Parse and check a configuration of n bytes; label names it in errors ("DIR/config.json"). Limits: every size positive and at most
 * 2^24 (vocabulary 2^22, layers 4096), hidden_size = heads * head_dim, head_dim even, suffix <= layers, finite numbers, and the sum
 * of all parameters fits 2^40. A value that would change the arithmetic and is not implemented is an error. */
enum ttt_status ttt__config_parse(struct ttt_config *out, const void *json, size_t n, const char *label, struct ttt_error *err);
/* Whether the vocabulary has a place for every token id; label names the tokenizer in errors. */
enum ttt_status ttt__config_fits(const struct ttt_config *c, const struct ttt_tokenizer *t, const char *label, struct ttt_error *err);

#endif
