/* What a model is made of. Private. */
#ifndef TTT_MODEL_MODEL_H
#define TTT_MODEL_MODEL_H
#include "kernels/kernels.h"
#include "libttt/file.h"
#include "libttt/model/parameter.h"

struct ttt_model {
	struct ttt_device *device; /* borrowed */
	struct ttt_config config;
	struct ttt__parameters parameters;
	const float *weights;      /* [parameters.n_float] on the device; with half, matrices that do not learn are not set */
	float *copy;               /* the same, where it had to be copied there; NULL: weights lie in the mapped file */
	const uint16_t *half;      /* [parameters.fast_offset] those matrices in bfloat16, at the same offsets; NULL: they are in weights */
	uint16_t *half_copy;       /* the same, where it had to be copied; NULL: they lie in the mapped file, or there is no half */
	struct ttt_tokenizer *tokenizer; /* or NULL */
	char *name;
	bool embedded;             /* the files below are the library's */
	struct ttt__blob config_file, tokenizer_file; /* tokenizer: n = 0 where there is none */
	struct ttt__blob *weights_file; /* [n_weights_file] mapped */
	size_t n_weights_file;
	struct ttt__model_checksum *checksum;
};

/* out [n], on the host = parameter p from element first on, as it is used: rounded where half has it. */
void ttt__model_read(const struct ttt_model *m, const struct ttt__parameter *p, int64_t first, size_t n, float *out);

/* The embedded model's files, linked in; n = 0 when the library was built without one. */
extern const struct ttt__blob ttt__embedded_config, ttt__embedded_weights, ttt__embedded_tokenizer;
/* The checksum of that model, as computed when the library was built; empty where it was not. */
extern const char ttt__embedded_checksum[];

#endif
