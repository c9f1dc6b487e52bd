/* The weights of a model file or of several shards, onto the device. Private. */
#ifndef TTT_MODEL_WEIGHTS_H
#define TTT_MODEL_WEIGHTS_H
#include "libttt/model/model.h"

/* Map dir/model.safetensors, or what dir/model.safetensors.index.json names, as m->weights_file, and load m->weights from it
 * once every header has been found to fit m->parameters. What was mapped before a failure is ttt_model_free's to unmap. */
enum ttt_status ttt__weights_load(struct ttt_model *m, const char *dir, struct ttt_error *err);
/* The same from memory, which outlives the model. */
enum ttt_status ttt__weights_load_blob(struct ttt_model *m, const struct ttt__blob *blob, const char *label,
    struct ttt_error *err);

#endif
