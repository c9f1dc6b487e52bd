/* Operations by METAGRAD.md section 6, in units of one product over the tokens: linear layers, attention passes over visible keys (in
 * brackets there: own keys only), head. Two operations a multiply-add. */
#include "bench/bench.h"

struct sizes {
	double attention, mlp, prime, head; /* multiply-adds a token of all of a block's (or the head's) products */
	double d, suffix, blocks;
};

static struct sizes
sizes_of(const struct ttt_config *c)
{
	double D = (double)c->d_model;

	return (struct sizes){ .attention = 4 * D * D, .mlp = 3 * D * (double)c->d_ff, .prime = 3 * D * (double)c->d_prime,
	    .head = D * (double)c->n_vocab, .d = D, .suffix = (double)c->n_layer_suffix, .blocks = (double)c->n_layer };
}

static double
seen(const struct ttt_config *c, int64_t keys)
{
	return (double)(c->window && keys > c->window ? c->window : keys);
}

/* Pairs of queries from .. to - 1 and visible keys; and those whose key is in the query's own chunk. */
static void
pairs(const struct ttt_config *c, int64_t from, int64_t to, double *all, double *own)
{
	*all = *own = 0;
	for (int64_t t = from; t < to; t++) {
		*all += seen(c, t + 1);
		*own += seen(c, t % c->chunk + 1);
	}
}

double
flops_absorb(const struct ttt_config *c, int64_t cached)
{
	struct sizes s = sizes_of(c);
	double C = (double)c->chunk, all, own, linear, prefix;

	pairs(c, 0, c->chunk, &all, &own);
	all = 0;
	for (int64_t t = 0; t < c->chunk; t++)
		all += seen(c, cached + t + 1);
	all *= s.d / C;
	own *= s.d / C;
	if (s.suffix == 0)
		return 2 * (s.blocks * (s.attention + s.mlp + 2 * all) + s.head);
	/* before the first prime MLP: forward alone */
	prefix = (s.blocks - s.suffix) * (s.attention + s.mlp + 2 * all) + s.attention + 2 * all;
	linear = 2 * (s.suffix * s.mlp + (s.suffix - 1) * s.attention) + 3 * s.suffix * s.prime - s.prime * 2 / 3;
	return 2 * (prefix + linear + (s.suffix - 1) * (5 * all + 2 * own) + 2 * s.head);
}

double
flops_plain(const struct ttt_config *c, int64_t T)
{
	struct sizes s = sizes_of(c);
	double all, own;

	pairs(c, 0, T, &all, &own);
	return 2 * (3 * (double)T * (s.blocks * (s.attention + s.mlp) + s.suffix * s.prime + s.head) + s.blocks * 7 * s.d * all);
}

double
flops_meta(const struct ttt_config *c, int64_t T, bool first_order)
{
	struct sizes s = sizes_of(c);
	double K = s.suffix, learns = (double)(T - c->chunk), C = (double)c->chunk, all, own, last, own_last, prefix, slow, prime, attention, head;
	double width = K * s.mlp + (K - 1) * s.attention;

	pairs(c, 0, T, &all, &own);
	pairs(c, T - c->chunk, T, &last, &own_last);
	all *= s.d, own *= s.d, last *= s.d, own_last *= s.d;
	prefix = (s.blocks - K) * (3 * (double)T * (s.attention + s.mlp) + 7 * all) + 3 * (double)T * s.attention + 7 * all;
	attention = 5 * (all - last) + 2 * (own - own_last); /* the sweep */
	if (first_order) {
		slow = learns * width * 2 + 3 * (double)T * width;
		prime = 3 * K * s.prime * (learns + (double)T) - s.prime * 2 / 3 * learns;
		attention += 7 * all;
		head = s.head * (4 * learns + 3 * C);
	} else {
		slow = width * (6 * learns + 3 * C);
		prime = K * s.prime * (9 * learns + 3 * C) - s.prime * 2 / 3 * learns * 3;
		attention += 12 * (all - last) + 5 * (own - own_last) + 7 * last;
		head = s.head * (6 * learns + 3 * C);
	}
	return 2 * (prefix + slow + prime + (K - 1) * attention + head);
}
