/* The network as a row of layers on a residual stream: x += post(f(pre(x))), f being attention, prime MLP or MLP. Private.
 *
 * Nothing before the first prime MLP depends on the fast weights: layers before "split" are the prefix, the others the suffix
 * (METAGRAD.md section 2, where the tangent starts). A plain Transformer is all prefix.
 * One implementation serves reading and training: a run takes T own tokens after S cached ones; what later passes need is left on a tape.
 * Value x, tangent rx along W + e v, total adjoint u, adjoint b of the chunk's own loss; u and b lie stacked, [2, T, ...]. */
#ifndef TTT_NET_NETWORK_H
#define TTT_NET_NETWORK_H
#include "libttt/model/model.h"

enum ttt__layer_kind { TTT__ATTENTION, TTT__PRIME, TTT__MLP };

struct ttt__layer {
	enum ttt__layer_kind kind;
	int64_t block;
};

/* What is computed, and nothing that changes. */
struct ttt__net {
	struct ttt_device *device;
	struct ttt_config config;
	const struct ttt__parameters *parameters; /* borrowed */
	int64_t window;                           /* keys a query sees; 0 = all */
	struct ttt__layer *layer;                 /* [n_layer] */
	int64_t n_layer, split;
	float *rope;                              /* [n_position, K / 2, 2] cosine, sine */
	int64_t n_position;
};

/* n_position: positions in the rotary table; 0 where runs bring angles of their own. */
enum ttt_status ttt__net_create(struct ttt__net *out, struct ttt_device *d, const struct ttt_config *c, const struct ttt__parameters *p,
    int64_t window, int64_t n_position, struct ttt_error *err);
void ttt__net_free(struct ttt__net *n);
/* More positions for the rotary table. */
enum ttt_status ttt__net_extend(struct ttt__net *n, int64_t n_position, struct ttt_error *err);

/* Arrays in the layout of ttt__parameters: slow points at its start, fast at the fast part; v is a tangent of the fast part, or NULL. */
struct ttt__weights {
	const float *slow, *fast, *v;
	const uint16_t *half; /* slow matrices in bfloat16, in place of those in slow; or NULL */
};
/* A matrix in float32, or in bfloat16 (f NULL). */
struct ttt__matrix {
	const float *f;
	const uint16_t *half;
};
/* Where gradients are added (+=); NULL: not wanted. set: those of the fast weights are put there instead (=). */
struct ttt__gradients {
	float *slow, *fast;
	bool set;
};

/* One layer's values, or their tangents. Empty arrays (NULL) where the layer has none. */
struct ttt__layer_tape {
	float *x;        /* [T, D] residual stream on the way in */
	float *n, *r1;   /* [T, D] after the pre-norm, [T] its 1/rms */
	float *qkv;      /* [T, 3D] */
	float *rq, *rk;  /* [T, H] 1/rms of the QK-norm */
	float *q;        /* [T, D] normed, turned */
	float *k, *v;    /* [T, D] tangents only: keys normed and turned, values */
	float *o, *lse;  /* [T, D], [H, T]; tangents: lse holds rho */
	float *ac, *h;   /* [T, 2F] gate and up, [T, F] */
	float *s, *r2;   /* [T, D] before the post-norm, [T] its 1/rms */
};

struct ttt__head_tape {
	float *x;       /* [T, D] residual stream at the end */
	float *n, *r;   /* [T, D] after the final norm, [T] */
	float *lse, *m; /* [T], [T, D] the mean of E under the softmax */
	float *y, *zy;  /* [T, D] E[target], [T] its logit */
	float *e, *max; /* kept only: tile after tile of the vocabulary, [T, tile] exp(logit - max), and [T] the max that was */
};

struct ttt__tape {
	struct ttt__layer_tape *layer; /* [net n_layer], first .. last - 1 filled */
	struct ttt__head_tape head;
	float *memory;
};

enum ttt__tape_kind {
	TTT__TAPE_VALUES,   /* everything a backward needs */
	TTT__TAPE_STACKED,  /* the same, with room behind n, o and h for their tangents */
	TTT__TAPE_TANGENTS, /* the same for tangents, but for n, o and h */
	TTT__TAPE_SHARED,   /* forward only: all layers use the same memory */
	TTT__TAPE_KEPT      /* what the first-order passes made that a dual backward needs too: b of n, o and h, and the head's e */
};

/* A tape for T tokens and layers first .. last - 1; the head's part where last is the net's end. */
enum ttt_status ttt__tape_create(struct ttt__tape *out, const struct ttt__net *n, enum ttt__tape_kind kind, int64_t first, int64_t last,
    int64_t T, struct ttt_error *err);
/* Have a tape of tangents keep n, o and h behind those of a stacked tape: the gradient of a weight is then one product,
 * [u; b]' [x; rx] (METAGRAD.md section 4). */
void ttt__tape_stack(struct ttt__tape *tangent, const struct ttt__tape *values, const struct ttt__net *n, int64_t first, int64_t last,
    int64_t T);
/* Floats that such a tape takes; -1: more than can be counted. */
int64_t ttt__tape_floats(const struct ttt__net *n, enum ttt__tape_kind kind, int64_t first, int64_t last, int64_t T);
void ttt__tape_free(struct ttt__tape *t, const struct ttt__net *n);

/* Keys (normed and turned by their positions) and values of one attention layer, or their adjoints: rows of D, row 0 being the oldest
 * cached. raw: keys before they were turned, which a state's file has; NULL where nobody wants them. */
struct ttt__kv {
	float *k, *v, *raw;
};

/* Buffers between steps of a pass: made once, used by every run of at most T own and S cached tokens. */
struct ttt__work {
	float *y;            /* [T, D] */
	float *attention;    /* the kernels' own */
	float *residual;     /* [2, T, D] u, b of the residual stream */
	float *ds, *dn, *dq; /* [2, T, D] */
	float *dh, *dac;     /* [2, T, F], [2, T, 2F], F the wider MLP */
	float *dqkv;         /* [2, T, 3D] */
	float *dk;           /* [T, D] u of own turned keys */
	float *own;          /* [4, T, D] u of own keys and values, b of own keys and values */
	float *z;            /* [2, T, tile] of the vocabulary, logits and their tangents; a narrower tile's rows lie closer */
	float *t;            /* [2, T, D] */
	float *row;          /* [8, T] */
	int64_t tile;        /* columns */
	float *memory;
};

enum ttt_status ttt__work_create(struct ttt__work *out, const struct ttt__net *n, int64_t T, int64_t S, struct ttt_error *err);
void ttt__work_free(struct ttt__work *w, const struct ttt__net *n);

/* The row weights of a loss: om [T] and -om [T] on the device (METAGRAD.md section 2). */
struct ttt__row_weights {
	float *om, *minus;
};

/* What is added to logits: the places (row, token), each once, and how much; on the device. Constants for every gradient and tangent. */
struct ttt__biases {
	int32_t *row, *column; /* [n] */
	float *value;          /* [n] */
	float *z;              /* [n] those logits as head_forward left them */
	int64_t n;
	float *every;          /* [V] added to the logits of every row; NULL: none, and nothing below is there */
	float *sum;            /* [V] by a head_forward with mean: each token's probabilities, summed over the rows whose target is not BOS */
	struct ttt__tape spare; /* head's e and max, for runs that keep none */
};

/* One run: the same net, weights, tokens and work for all its layers. */
struct ttt__run {
	const struct ttt__net *net;
	struct ttt__weights w;
	struct ttt__work *work;
	struct ttt__tape *tape, *tangent; /* tangent NULL: ordinary; else it is stacked on the tape */
	struct ttt__tape *kept;           /* filled by the head's forward and an ordinary backward, used by a dual one; NULL: made again there */
	int64_t T, S;
	const float *angle;               /* [T, K / 2, 2] cosine and sine of the own tokens' positions */
	const struct ttt__kv *kv;         /* [net n_layer], at the oldest cached row; own rows follow the cached; only attention entries are set */
	const struct ttt__biases *biases; /* of the own tokens' logits; NULL: none */
};

/* The slow matrix at an offset. */
struct ttt__matrix ttt__slow_matrix(const struct ttt__run *r, int64_t at);
/* y [T, N] = x [T, K] op(W) [K, N] + beta y, beta 0 or 1; turned: W is stored transposed, [N, K]. ld: the distance of rows. */
void ttt__times(const struct ttt__run *r, bool turned, int64_t T, int64_t N, int64_t K, const float *x, int64_t ldx, struct ttt__matrix W, int64_t ldw,
    double beta, float *y, int64_t ldy);

/* Layers first .. last - 1: from tape->layer[first].x (filled by the caller) to the next layer's x, or the head's x, or out where the tape
 * ends before either. Writes own keys and values into kv. */
void ttt__net_forward(const struct ttt__run *r, int64_t first, int64_t last, float *out);
/* Tangents of layers split .. end along w.v, into the tangent tape. The tangent of the split's input is zero. */
void ttt__net_tangent(const struct ttt__run *r);
/* Adjoints from work->residual, in place, down through layers last - 1 .. first. adjoint [net n_layer]: += for keys and values, cached rows
 * included; its own rows hold what later chunks gave. NULL: only own rows count (the inner gradient, or S = 0).
 * stop: below layer first no adjoint is wanted. */
void ttt__net_backward(const struct ttt__run *r, const struct ttt__gradients *g, int64_t first, int64_t last, const struct ttt__kv *adjoint,
    bool stop);

/* x [T, D] = E[id] */
void ttt__embed_forward(const struct ttt__run *r, float *x, const int32_t *id);
/* dE[id] += u */
void ttt__embed_backward(const struct ttt__run *r, const struct ttt__gradients *g, const int32_t *id, const float *u);

/* Final norm, tied head, log-sum-exp and the target's logit: nll_t = lse_t - zy_t. mean: also m, for a backward. target on the device. */
void ttt__head_forward(const struct ttt__run *r, const int32_t *target, bool mean);
/* Logits [T, V] of the rows in the tape's head (n), T small. */
void ttt__head_logits(const struct ttt__run *r, float *z);
void ttt__head_tangent(const struct ttt__run *r);
/* work->residual (=) from row weights: u has outer, b (dual only) inner. */
void ttt__head_backward(const struct ttt__run *r, const struct ttt__gradients *g, const int32_t *target, const struct ttt__row_weights *inner,
    const struct ttt__row_weights *outer);

/* The layers, each in a file of its own; i is its index. out: where the residual stream goes on. */
void ttt__attention_forward(const struct ttt__run *r, int64_t i, float *out);
void ttt__attention_tangent(const struct ttt__run *r, int64_t i, float *out);
void ttt__attention_backward(const struct ttt__run *r, const struct ttt__gradients *g, int64_t i, const struct ttt__kv *adjoint, bool stop);
void ttt__mlp_forward(const struct ttt__run *r, int64_t i, float *out);
void ttt__mlp_tangent(const struct ttt__run *r, int64_t i, float *out);
void ttt__mlp_backward(const struct ttt__run *r, const struct ttt__gradients *g, int64_t i, bool stop);

#endif
