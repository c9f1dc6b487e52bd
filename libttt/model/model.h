/* What a model is made of. Private. */
#ifndef TTT_MODEL_MODEL_H
#define TTT_MODEL_MODEL_H
#include "kernels/kernels.h"
#include "libttt/model/parameter.h"

struct ttt_model {
	struct ttt_device *device; /* borrowed */
	struct ttt_config config;
	struct ttt__parameters parameters;
	float *weights;            /* [parameters.n_float] on the device */
	struct ttt_tokenizer *tokenizer; /* or NULL */
	char *name;
	char checksum[65];
};

/* The embedded model's files, linked in; n = 0 when the library was built without one. */
struct ttt__blob {
	const unsigned char *p;
	size_t n;
};
extern const struct ttt__blob ttt__embedded_config, ttt__embedded_weights, ttt__embedded_tokenizer;

#endif
