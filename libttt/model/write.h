/* Writing the files of a model directory, each replaced in one step. Private. */
#ifndef TTT_MODEL_WRITE_H
#define TTT_MODEL_WRITE_H
#include "libttt/file.h"
#include "libttt/model/parameter.h"

/* dir/name with these bytes. */
enum ttt_status ttt__model_write_file(const char *dir, const char *name, const struct ttt__blob *bytes,
    struct ttt_error *err);

/* Where weights come from: n numbers of parameter p from number first on, asked for in the order in which they are written. */
typedef void ttt__model_source_fn(void *ctx, const struct ttt__parameter *p, int64_t first, size_t n, float *out);
/* dir/model.safetensors: all parameters in the order of the table. */
enum ttt_status ttt__model_write_weights(const char *dir, const struct ttt__parameters *p, enum ttt_dtype dtype,
    ttt__model_source_fn *source, void *ctx, struct ttt_error *err);

#endif
