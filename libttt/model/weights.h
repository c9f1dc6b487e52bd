/* The weights of a model file or of several shards, onto the device. Private. */
#ifndef TTT_MODEL_WEIGHTS_H
#define TTT_MODEL_WEIGHTS_H
#include "libttt/model/checksum.h"
#include "libttt/model/model.h"

/* Open a regular file for reading; *size is its size. */
enum ttt_status ttt__model_file_open(FILE **out, uint64_t *size, const char *path, struct ttt_error *err);

/* Load dir/model.safetensors, or what dir/model.safetensors.index.json names, into m->weights, which is allocated once
 * every header has been found to fit m->parameters. Each file is read once, in order; a line "weights DIGEST" a file
 * goes into sum. */
enum ttt_status ttt__weights_load(struct ttt_model *m, const char *dir, struct ttt__checksum *sum,
    struct ttt_error *err);
/* The same from memory. */
enum ttt_status ttt__weights_load_blob(struct ttt_model *m, const struct ttt__blob *blob, const char *label,
    struct ttt__checksum *sum, struct ttt_error *err);

#endif
