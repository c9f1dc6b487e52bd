/* Batches drawn from token shards, as a pure function of a seed and a step. Private. */
#ifndef TTT_LEARN_SAMPLER_H
#define TTT_LEARN_SAMPLER_H
#include "libttt/learn/data.h"

/* Sequences of n_token ids drawn from the documents trained on. */
struct ttt__sampler {
	const struct ttt__data *data;
	int64_t n_token;
	struct ttt__sampler_group *group; /* [data->n_group] */
	double *share;                    /* [data->n_group] running sum of the groups' shares */
};
/* weight [n_group]: how often each group is drawn; NULL: as its length says. The data must outlive the sampler. */
enum ttt_status ttt__sampler_create(struct ttt__sampler *out, const struct ttt__data *d, const double *weight,
    int64_t n_token, struct ttt_error *err);
void ttt__sampler_free(struct ttt__sampler *s);
/* ids [n_seq, n_token] (=): the batch of a step. A sequence is a random window of a document drawn by its length;
 * documents shorter than a sequence are put one behind another. */
enum ttt_status ttt__sampler_batch(const struct ttt__sampler *s, uint64_t seed, int64_t step, int64_t n_seq,
    int32_t *ids, struct ttt_error *err);

#endif
