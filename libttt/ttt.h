/* libttt: a language model that learns what it reads (TTT-E2E, arXiv 2512.23675).
 *
 * The whole public interface. An object ttt_X is made by ttt_X_create() or ttt_X_open(), freed by ttt_X_free(), and
 * free(NULL) does nothing. A fallible call returns an enum ttt_status and takes a struct ttt_error as its last argument;
 * the error is written only on failure, after which an object that was to be made is NULL. The library never prints, never exits, and holds
 * no global mutable state. A struct ttt_model is immutable and may be shared by threads, with its device; every other object belongs to one
 * thread at a time.
 * Large matrix products are oneDNN's (libdnnl.so.3 or .2), opened when the first comes; where it is not found they are made here, more slowly.
 * The library's own threads block all signals. A handler that may interrupt a thread of the caller's within the library must run on a
 * stack of its own (sigaltstack, SA_ONSTACK): the stack pointer may lie within the heap while oneDNN multiplies.
 *
 * Letters: T tokens of a chunk, D width, H heads, K head size, F MLP width, V vocabulary, L blocks, P suffix blocks.
 * Tensors are float32, row-major, last index fastest, written [T, D]. Losses are in nats unless a comment says bits. */
#ifndef TTT_H
#define TTT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------------------------------ errors */

enum ttt_status {
	TTT_OK = 0,
	TTT_E_USAGE,       /* an argument that no state of the object allows */
	TTT_E_IO,          /* reading, writing, opening; text ends with the system's reason */
	TTT_E_FORMAT,      /* a file that is not what it should be */
	TTT_E_SHAPE,       /* tensors that do not fit the model */
	TTT_E_RANGE,       /* a token id outside the vocabulary, a number outside its limits */
	TTT_E_MEMORY,      /* no memory, or more than an option allows */
	TTT_E_UNSUPPORTED, /* well-formed, but not built or not implemented */
	TTT_E_LOCKED,      /* another process holds the lock, and the wait is over */
	TTT_E_INTERRUPTED  /* a signal came while a lock was waited for */
};

/* One finished sentence, without a full stop, that names the object, what failed and why ("model.safetensors: tensor
 * 'x' is [2, 3] but config.json says [2, 4]"); hint says what to do, or is empty. */
struct ttt_error {
	enum ttt_status status;
	char text[512];
	char hint[256];
};

/* As in configure.ac: "0.1.0". */
const char *ttt_version(void);

/* ------------------------------------------------------------------------------------------------ device */

enum ttt_dtype { TTT_F32 = 0, TTT_BF16 }; /* float32, bfloat16 */

struct ttt_device; /* a backend of kernels/kernels.h with its memory and threads */

struct ttt_device_options {
	const char *name;    /* "cpu"; "cuda" says plainly that it is not built */
	const char *kernels; /* instruction set: "plain", "avx2", "avx512"; NULL: the best this processor has */
	int n_thread;        /* 0: one for each processor this process may use, within its control groups' quota */
	/* TTT_BF16: of models opened on the device, the matrices that do not learn are kept in bfloat16 (rounded where the file has more;
	 * half the memory), and on processors with AVX512_BF16 or AMX multiplied in it: what they are multiplied with is rounded to it, sums
	 * are float32. All else stays float32. Such a model cannot be trained. TTT_F32 (0): everything in float32. */
	enum ttt_dtype precision;
};

/* Make a device. o NULL: the defaults above. Errors: TTT_E_UNSUPPORTED (not built, or this processor lacks the set), TTT_E_RANGE (n_thread
 * below 0), TTT_E_MEMORY.
 * The device must outlive what is made on it. */
enum ttt_status ttt_device_create(struct ttt_device **out, const struct ttt_device_options *o, struct ttt_error *err);
void ttt_device_free(struct ttt_device *d);
/* One line: backend, instruction set, threads. Borrowed; lives as long as the device. */
const char *ttt_device_describe(const struct ttt_device *d);
struct ttt_config;
/* Keep no more threads than reading with a model of configuration c is worth: more than its largest product of a chunk can use make it slower.
 * Not for training, which reads sequences side by side. While nothing computes on the device. Figures: bench/RESULTS.md. */
void ttt_device_fit(struct ttt_device *d, const struct ttt_config *c);

/* ------------------------------------------------------------------------------------------------ model */

enum { TTT_NGRAM_MAX = 8 }; /* lengths of contexts */

/* What config.json says, under its names (right). Sizes were checked when it was read. */
struct ttt_config {
	int64_t n_vocab;          /* V  vocab_size */
	int64_t d_model;          /* D  hidden_size = H * K */
	int64_t n_layer;          /* L  num_hidden_layers */
	int64_t n_layer_suffix;   /* P  num_suffix_layers: the last P blocks have a prime MLP; 0 = a plain Transformer */
	int64_t n_head;           /* H  num_attention_heads = num_key_value_heads */
	int64_t d_head;           /* K  head_dim, even */
	int64_t d_ff;             /* F  intermediate_size */
	int64_t d_prime;          /* F' prime_intermediate_size; 0 exactly when P is 0 */
	int64_t window;           /* sliding_window: keys a query sees, itself included; 0 = all (full attention) */
	int64_t chunk;            /* chunk_size: tokens between two inner steps */
	int64_t seq_length;       /* seq_length: tokens of a training sequence */
	int64_t bos;              /* bos_token_id: targets equal to it carry no loss; -1 = none */
	double rope_theta;        /* rope_theta */
	double rms_eps;           /* rms_norm_eps */
	double inner_lr;          /* inner_lr */
	double inner_clip;        /* inner_clip: global norm of an inner gradient; <= 0 = off */
	double inner_lr_effective; /* inner_lr_effective: what reading uses; inner_lr where absent */
	/* Reading alone, not meta-training; absent ones change nothing. */
	double inner_pull;        /* inner_pull: part of the way back to the initial weights, a chunk and nat of its loss; wanes with the root of
	                           * the chunks learned, to a quarter */
	double mean_share;        /* mean_share: part of the way from the initial weights to the running mean, where TTT_WEIGHTS_MEAN lie */
	double mean_decay;        /* mean_decay: of that mean, by polynomial-decay averaging (arXiv 1212.1824): the i-th weights count about i ^ mean_decay */
	double noise_bits;        /* noise_bits: bits a byte from which a chunk counts as noise; 0 = none does */
	/* Biases of the next token's logit, learned and looked up by the last tokens. */
	int64_t n_ngram;                     /* how many lengths of such contexts there are; 0 = no biases */
	int64_t ngram_order[TTT_NGRAM_MAX];  /* ngram_orders: tokens of a context, ascending; 0: of none, a bias for each token of the vocabulary */
	double ngram_rate[TTT_NGRAM_MAX];    /* ngram_rates: how fast each length's biases move */
	int64_t ngram_bits;                  /* ngram_bits: base-2 logarithm of how many biases are kept at most, those of order 0 not counted */
};

struct ttt_model;     /* configuration, slow weights, initial fast weights, tokenizer */
struct ttt_tokenizer; /* below */

/* Open a model directory (config.json, model.safetensors or its index, tokenizer.json if there is one), or with dir NULL the
 * embedded model. Every size is checked before memory is taken; weights must be finite. The files of weights stay in use until
 * the model is freed: who changes a model meanwhile replaces its files by others of the same names, and writes into none.
 * Errors: TTT_E_IO, TTT_E_FORMAT, TTT_E_SHAPE, TTT_E_MEMORY, TTT_E_RANGE (a size beyond its limits), TTT_E_UNSUPPORTED (another kind of
 * model, or none in the library). */
enum ttt_status ttt_model_open(struct ttt_model **out, struct ttt_device *d, const char *dir, struct ttt_error *err);
void ttt_model_free(struct ttt_model *m);
const struct ttt_config *ttt_model_config(const struct ttt_model *m);
/* The directory's name, or "embedded". Borrowed. */
const char *ttt_model_name(const struct ttt_model *m);
/* BLAKE2b-256 of configuration, weights and tokenizer, 64 hex digits. Read from the files when it is first asked for, by whichever
 * thread asks. Borrowed. */
const char *ttt_model_checksum(const struct ttt_model *m);
/* NULL where the directory has no tokenizer.json. Borrowed. */
const struct ttt_tokenizer *ttt_model_tokenizer(const struct ttt_model *m);
/* Parameters in all, and those that learn while reading (one sequence's fast weights). */
int64_t ttt_model_n_parameter(const struct ttt_model *m);
int64_t ttt_model_n_fast(const struct ttt_model *m);
/* A new model from a configuration file: linears and embedding normal(0, init_std) or, for prime MLPs with
 * prime_fan_in, normal(0, 1/sqrt(fan-in)); norms 1. Writes config.json, model.safetensors and, where tokenizer is not NULL,
 * a copy of that file as tokenizer.json into dir, which is made. Source: SEMANTICS section 9 (official: all 0.02). */
struct ttt_init_options {
	const char *config;    /* path of the configuration */
	const char *tokenizer; /* path of a tokenizer.json, or NULL */
	uint64_t seed;
	double init_std;       /* 0: 0.02 */
	bool prime_fan_in;
};
enum ttt_status ttt_model_init(const char *dir, const struct ttt_init_options *o, struct ttt_error *err);
/* Write m as a model directory, which is made: configuration and tokenizer as they are, weights in the order in which float32 ones
 * are used in place, without being copied when the model is opened. TTT_BF16 takes half the space and rounds to the nearest, ties to
 * even. Errors: TTT_E_IO, TTT_E_MEMORY, TTT_E_RANGE (a weight beyond the range of bfloat16). */
enum ttt_status ttt_model_write(const struct ttt_model *m, const char *dir, enum ttt_dtype dtype, struct ttt_error *err);

/* ------------------------------------------------------------------------------------------------ tokenizer */

/* Byte-level BPE as a Hugging Face tokenizer.json describes it (ByteLevel and Split pre-tokenizers, NFC, ignore_merges, added
 * tokens). What is not understood is an error, never ignored. label names the data in errors. Errors: TTT_E_IO, TTT_E_FORMAT,
 * TTT_E_UNSUPPORTED. */
enum ttt_status ttt_tokenizer_open(struct ttt_tokenizer **out, const char *path, struct ttt_error *err);
enum ttt_status ttt_tokenizer_parse(struct ttt_tokenizer **out, const void *json, size_t n, const char *label,
    struct ttt_error *err);
void ttt_tokenizer_free(struct ttt_tokenizer *t);
/* One more than the largest id. */
int64_t ttt_tokenizer_n_vocab(const struct ttt_tokenizer *t);
/* The bytes of token id (special tokens: their text). Borrowed, *n bytes; NULL for an id outside the vocabulary. */
const unsigned char *ttt_tokenizer_bytes(const struct ttt_tokenizer *t, int32_t id, size_t *n);

struct ttt_ids { /* a growing array of token ids; zero-initialise; free(v.id) */
	int32_t *id;
	int64_t n, capacity;
};

struct ttt_encoder; /* a stream of bytes on its way to tokens */

/* t must outlive the encoder. */
enum ttt_status ttt_encoder_create(struct ttt_encoder **out, const struct ttt_tokenizer *t, struct ttt_error *err);
void ttt_encoder_free(struct ttt_encoder *e);
/* Take n bytes and append the ids that no later byte can change. However the bytes are cut, the ids are the same. Bytes that
 * are not UTF-8 become tokens of their own and come back as they were. */
enum ttt_status ttt_encoder_feed(struct ttt_encoder *e, struct ttt_ids *out, const void *bytes, size_t n,
    struct ttt_error *err);
/* The stream has ended: append the ids of what was held back. The encoder is then as new. */
enum ttt_status ttt_encoder_end(struct ttt_encoder *e, struct ttt_ids *out, struct ttt_error *err);
/* The input bytes held back (not yet tokens), less than 64 KiB. Fed to a new encoder they restore this one; where tokens have
 * been made before them, after ttt_encoder_continue. Borrowed until the next call. */
const unsigned char *ttt_encoder_pending(const struct ttt_encoder *e, size_t *n);
/* On a new encoder: what will be fed is not the start of its stream. This matters to tokenizers that put a blank there. */
void ttt_encoder_continue(struct ttt_encoder *e);

/* Train a byte-level BPE (GPT-2 style merges, Llama-3 style pre-tokenizer pattern) of n_vocab tokens, the 256 bytes and the
 * named special tokens included, on files, and write a tokenizer.json. Same files, same result. */
struct ttt_tokenizer_train_options {
	int64_t n_vocab;
	const char *const *special; /* NULL-terminated; may be NULL */
	size_t max_bytes;           /* 0: read all */
};
enum ttt_status ttt_tokenizer_train(const char *out_path, const char *const *files, size_t n_files,
    const struct ttt_tokenizer_train_options *o, struct ttt_error *err);

/* ------------------------------------------------------------------------------------------------ session */

/* One stream on its way through a model: fast weights, key-value window, the tokens not yet filling a chunk. */
struct ttt_session;

enum ttt_attention { TTT_WINDOW = 0, TTT_FULL }; /* the model's own window, or every earlier token (memory grows) */

enum ttt_rule { TTT_RULE_SGD = 0 }; /* how a clipped gradient moves the fast weights */

/* m must outlive the session. */
enum ttt_status ttt_session_create(struct ttt_session **out, const struct ttt_model *m, enum ttt_attention a,
    struct ttt_error *err);
/* A copy that goes its own way. */
enum ttt_status ttt_session_clone(struct ttt_session **out, const struct ttt_session *s, struct ttt_error *err);
void ttt_session_free(struct ttt_session *s);

/* What a chunk gave. nll[i] is -log p(target[i] | all before it), measured BEFORE the chunk's own step. */
struct ttt_chunk_report {
	int64_t first;         /* position in the stream of target[0] */
	int64_t n;             /* targets scored */
	const int32_t *target; /* [n] borrowed during the call */
	const float *nll;      /* [n] nats, borrowed during the call */
	double loss;           /* mean nll of the unmasked targets */
	double grad_norm;      /* of the inner gradient before clipping; 0 when nothing was learned */
};
typedef void ttt_chunk_fn(void *ctx, const struct ttt_chunk_report *r);

struct ttt_feed {
	bool learn;        /* take the inner step after each whole chunk */
	double rate;       /* factor on the model's inner rate, up to 1e6; 0 means 1. Biases (n_ngram) have rates of their own */
	ttt_chunk_fn *fn;  /* called after every chunk; may be NULL */
	void *ctx;
};

/* Append ids [n] to the stream. Whenever a chunk's inputs and targets are complete it runs: forward, report, and with learn the
 * step of SEMANTICS section 4. The rest waits. how NULL: learn, rate 1, no report. Allocates nothing in the window attention,
 * but at the first chunk of noise a copy of the fast weights. Errors: TTT_E_RANGE for an id outside the vocabulary
 * or a rate outside 0 .. 1e6 (nothing was appended); TTT_E_MEMORY. */
enum ttt_status ttt_session_feed(struct ttt_session *s, const int32_t *ids, int64_t n, const struct ttt_feed *how,
    struct ttt_error *err);
/* Score the waiting tokens too, without learning and without changing the session: fn gets at most one report, of the targets
 * from stream position from on (0: all that wait). */
enum ttt_status ttt_session_peek(struct ttt_session *s, int64_t from, ttt_chunk_fn *fn, void *ctx, struct ttt_error *err);
/* Natural-log probabilities of the next token after everything fed, waiting tokens included: logp [V] out (=). */
enum ttt_status ttt_session_next(struct ttt_session *s, float *logp, struct ttt_error *err);
/* Fast weights back to the model's initial ones, no bias learned; window and waiting tokens stay. */
void ttt_session_reset_fast(struct ttt_session *s);
/* Window and waiting tokens forgotten, as at the start of a stream; fast weights stay. */
void ttt_session_reset_window(struct ttt_session *s);
/* Keep a running mean of the fast weights from here on: of every 8th chunk learned, noise left out; later ones count more by mean_decay. */
enum ttt_status ttt_session_keep_mean(struct ttt_session *s, struct ttt_error *err);
/* The weights at the end of what was learned go on with the stream; their mean says more of the whole of it. */
enum ttt_weights { TTT_WEIGHTS_LAST = 0, TTT_WEIGHTS_MEAN };
/* Put the fast weights mean_share of the way from the initial ones to the mean. Without a mean yet, nothing changes. */
void ttt_session_use_mean(struct ttt_session *s);
/* What guards the fast weights did: chunks of noise read, steps on noise undone because the weights from before it predicted better
 * what came after, and how often that was. */
struct ttt_guard_count {
	int64_t n_noise, n_undone, n_returned;
};
struct ttt_guard_count ttt_session_guards(const struct ttt_session *s);
/* Tokens fed so far, waiting ones included. */
int64_t ttt_session_n_token(const struct ttt_session *s);
/* The tokens that wait: the inputs of the chunk being filled. Borrowed until the next call. */
const int32_t *ttt_session_pending(const struct ttt_session *s, int64_t *n);
/* 2-norm of (fast weights - initial fast weights), and of the initial ones. */
void ttt_session_drift(const struct ttt_session *s, double *moved, double *initial);

/* ------------------------------------------------------------------------------------------------ state */

/* A session together with what state.ttt keeps: tokenizer's pending bytes, sources, passages, loss curve. */
struct ttt_state;

/* One record of the passages: whole lines of one source, as they were absorbed. */
struct ttt_record {
	const char *name;     /* source, "-" for standard input. Borrowed until the next call */
	int64_t first_line;   /* line number of the first byte, from 1 */
	const char *text;     /* n bytes, not NUL-terminated */
	size_t n;
};

struct ttt_state_options {
	bool no_passages;        /* keep no text */
	size_t passages_max;     /* bytes of text kept, oldest dropped first; 0: 256 MiB */
	bool no_learn;           /* fill window and passages only */
	double rate;             /* factor on the inner rate; 0 means 1 */
	enum ttt_rule rule;
};
/* In ttt_state_open 0 stands for what the state was saved with, in passages_max and rate. */

/* A new state on model m, at the start of a stream (the model's BOS, where it has one, comes before the first text). */
enum ttt_status ttt_state_create(struct ttt_state **out, const struct ttt_model *m, const struct ttt_state_options *o,
    struct ttt_error *err);
/* Read a state file made with model m ("-" reads standard input). Everything is checked before any of it is believed.
 * Errors: TTT_E_IO, TTT_E_FORMAT (damaged, newer version), TTT_E_SHAPE (another model). */
enum ttt_status ttt_state_open(struct ttt_state **out, const char *path, const struct ttt_model *m,
    const struct ttt_state_options *o, struct ttt_error *err);
void ttt_state_free(struct ttt_state *s);

/* Name what comes next: the text fed from here belongs to source name, from line 1 on; of a longer name 4,095 bytes are kept. Changes no
 * token. */
enum ttt_status ttt_state_source(struct ttt_state *s, const char *name, struct ttt_error *err);
/* Absorb n bytes of text. Needs the model's tokenizer. report, where not NULL, sees every chunk. */
enum ttt_status ttt_state_absorb(struct ttt_state *s, const void *bytes, size_t n, ttt_chunk_fn *report, void *ctx,
    struct ttt_error *err);
/* What was absorbed comes once more, to be learned again: ttt_state_again where it starts anew, then its bytes. They go through
 * the model as any others, and leave neither passages nor sources behind. */
enum ttt_status ttt_state_again(struct ttt_state *s, struct ttt_error *err);
enum ttt_status ttt_state_reread(struct ttt_state *s, const void *bytes, size_t n, ttt_chunk_fn *report, void *ctx,
    struct ttt_error *err);
/* Absorb token ids instead; they leave no passages. */
enum ttt_status ttt_state_absorb_ids(struct ttt_state *s, const int32_t *ids, int64_t n, ttt_chunk_fn *report, void *ctx,
    struct ttt_error *err);

enum ttt_compress { TTT_COMPRESS_GZIP = 0, TTT_COMPRESS_ZSTD, TTT_COMPRESS_NONE };

struct ttt_save_options {
	enum ttt_compress compress;
	bool window_tail; /* leave the key-value window out, which is made again from the last tokens when the state is opened; and the
	                   * biases (n_ngram), which begin anew */
};

/* Write the state to a stream, or to a path by temporary file, fsync and rename, mode 0600: the old file or the new one, never
 * a part. Same content, same bytes. o NULL: defaults. */
enum ttt_status ttt_state_write(struct ttt_state *s, FILE *f, const struct ttt_save_options *o, struct ttt_error *err);
enum ttt_status ttt_state_save(struct ttt_state *s, const char *path, const struct ttt_save_options *o,
    struct ttt_error *err);

/* The session inside. Borrowed, to be looked into and cloned: after it was fed directly the state cannot be told or saved any more. */
struct ttt_session *ttt_state_session(struct ttt_state *s);
/* Bytes held back by the tokenizer. Borrowed until the next call. */
const unsigned char *ttt_state_pending(const struct ttt_state *s, size_t *n);
/* Whether tokens have been made of the text that the state is in the midst of: an encoder that goes on there is to be told so
 * (ttt_encoder_continue). */
bool ttt_state_begun(const struct ttt_state *s);

/* What is known of a state without its model: read from manifest.json alone. */
struct ttt_state_info {
	int version;
	char model_name[128], model_checksum[65], rule[16];
	int64_t n_token, n_byte, n_chunk, n_pending_token, n_pending_byte;
	int64_t n_source, n_passage_byte, n_passage_record;
	double rate, loss_first, loss_last, drift;
	struct ttt_guard_count guards;
	int64_t n_mean;         /* weights in the mean; 0: none is kept */
	int64_t n_bias;         /* biases by the last tokens in use; -1: the state keeps none */
	bool has_window;
};
enum ttt_status ttt_state_info_read(struct ttt_state_info *out, const char *path, struct ttt_error *err);
enum ttt_status ttt_state_info(struct ttt_state *s, struct ttt_state_info *out, struct ttt_error *err);
/* Sources in the order they came: name, bytes absorbed. i from 0; false past the end. */
bool ttt_state_source_at(const struct ttt_state *s, int64_t i, const char **name, int64_t *n_byte);
/* The loss curve: i-th point (tokens absorbed so far, mean loss in nats since the point before). False past the end. */
bool ttt_state_curve_at(const struct ttt_state *s, int64_t i, int64_t *n_token, double *loss);
/* Walk the passages from the oldest. *cursor starts at 0; returns false at the end or, with err->status set, on a failure. */
bool ttt_state_record_next(struct ttt_state *s, int64_t *cursor, struct ttt_record *r, struct ttt_error *err);

/* Check every checksum of a file, then score the last whole chunk again from what is stored; it must give the stored loss. *ok and a
 * sentence in err->text when not. */
enum ttt_status ttt_state_verify(const char *path, const struct ttt_model *m, bool *ok, struct ttt_error *err);
/* Write the fast weights, under their parameter names, as safetensors. */
enum ttt_status ttt_state_export(struct ttt_state *s, const char *path, struct ttt_error *err);

/* How far two states of one model lie apart in one fast weight: 2-norms of the initial weight, of what each state's learning added to
 * it, and of the difference between the two. */
struct ttt_difference {
	const char *name; /* parameter; borrowed during the call */
	double initial, moved_a, moved_b, apart;
};
/* Call fn for every fast weight, in the order of the model. Errors: TTT_E_SHAPE (two models), TTT_E_MEMORY. */
enum ttt_status ttt_state_compare(struct ttt_state *a, struct ttt_state *b,
    void (*fn)(void *ctx, const struct ttt_difference *d), void *ctx, struct ttt_error *err);

/* A lock on path ("path.lock", flock), so that two updates queue. wait_seconds < 0 waits for ever. Errors: TTT_E_LOCKED, TTT_E_IO,
 * TTT_E_RANGE (wait_seconds is no number); for ever also TTT_E_INTERRUPTED, by a signal whose handler is set without SA_RESTART. */
struct ttt_lock;
enum ttt_status ttt_lock_take(struct ttt_lock **out, const char *path, double wait_seconds, struct ttt_error *err);
/* The lock's own file, borrowed. */
const char *ttt_lock_path(const struct ttt_lock *l);
void ttt_lock_release(struct ttt_lock *l);

/* ------------------------------------------------------------------------------------------------ inputs */

/* A sequence of named byte streams: files, directories (recursive), archives, compressed files, standard input. */
struct ttt_input;

struct ttt_input_options {
	bool recursive;   /* walk directories, names in byte order; else a directory is an error */
	bool archive;     /* every input is an archive; its regular members come by name */
	bool keep_binary; /* do not skip binary files */
	bool skip_errors; /* an unreadable file is noted and passed over */
};
/* Notes (skipped binary file, unreadable file) go to note(ctx, text), which may be NULL. names [n] are borrowed until free; "-" is
 * standard input; n = 0 means standard input. */
enum ttt_status ttt_input_open(struct ttt_input **out, const char *const *names, size_t n, const struct ttt_input_options *o,
    void (*note)(void *ctx, const char *text), void *ctx, struct ttt_error *err);
/* Go to the next stream: *name is borrowed until the next call, *size its size in bytes or -1; *name NULL at the end. */
enum ttt_status ttt_input_next(struct ttt_input *in, const char **name, int64_t *size, struct ttt_error *err);
/* Read on in the current stream: *n = 0 at its end. */
enum ttt_status ttt_input_read(struct ttt_input *in, void *buffer, size_t capacity, size_t *n, struct ttt_error *err);
/* How many notes said that something was not read, or not to its end, that was to be read. */
int64_t ttt_input_n_failed(const struct ttt_input *in);
void ttt_input_free(struct ttt_input *in);

/* Token ids as text: a line a document, ids separated by blanks. Reads one line into out (emptied first); *more is false at the
 * end. line counts from 1 and names the place in errors. Errors: TTT_E_FORMAT, TTT_E_RANGE (id outside [0, n_vocab)). */
enum ttt_status ttt_ids_read_line(FILE *f, const char *label, int64_t *line, int64_t n_vocab, struct ttt_ids *out, bool *more,
    struct ttt_error *err);

/* ------------------------------------------------------------------------------------------------ asking */

/* The passages of a state, indexed in memory (SQLite FTS5) and, where that is asked for, reordered by the adapted model. */
struct ttt_ask;

/* What orders passages: words (BM25, names of files, what the question asks for) or BM25 alone; or words, and for the ten best but the first
 * also by how much better the model predicts the question once it has learned the passage, from its initial weights or from the absorbed ones. */
enum ttt_rank { TTT_RANK_WORDS, TTT_RANK_BM25, TTT_RANK_INITIAL, TTT_RANK_ABSORBED };
struct ttt_ask_options {
	int64_t k;          /* passages wanted; 0: 5 */
	enum ttt_rank rank;
	double floor;       /* evidence below which nothing bears on the question: the share of it that a passage has, in words as rare as can be,
	                       0 to 1; 0: the built-in floor */
};
struct ttt_passage {
	const char *file;
	int64_t start, end; /* lines, from 1, both included */
	double score;
	const char *text;   /* its lines; n bytes */
	size_t n;
	int64_t best;       /* the line that bears most on the question, from 1 */
	bool older;         /* of a text that was absorbed again since, under the same name */
};
struct ttt_answer {
	struct ttt_passage *passage; /* [n] best first; borrowed until the next question or free */
	int64_t n;
	bool bears;                  /* something absorbed bears on the question */
};
/* s must outlive the object. Errors: TTT_E_USAGE when the state keeps no passages. */
enum ttt_status ttt_ask_create(struct ttt_ask **out, struct ttt_state *s, const struct ttt_ask_options *o,
    struct ttt_error *err);
void ttt_ask_free(struct ttt_ask *a);
enum ttt_status ttt_ask_question(struct ttt_ask *a, const char *question, struct ttt_answer *out, struct ttt_error *err);
/* Of a line [n] of an answer to the last question the part that bears most on it: *n_part bytes from *from on, at most `most`, of whole
 * characters. All of the line where it is no longer. Errors: TTT_E_MEMORY. */
enum ttt_status ttt_ask_excerpt(struct ttt_ask *a, const char *line, size_t n, size_t most, size_t *from, size_t *n_part,
    struct ttt_error *err);
/* Continue text with the adapted model: up to n tokens, each handed to fn as bytes; stops when fn returns false, and
 * at a token that ends the text. temperature 0 takes the likeliest token. Errors: TTT_E_RANGE (a temperature below 0). */
enum ttt_status ttt_complete(struct ttt_state *s, const char *text, size_t text_n, int64_t n, double temperature, uint64_t seed,
    bool (*fn)(void *ctx, const unsigned char *bytes, size_t n), void *ctx, struct ttt_error *err);

/* ------------------------------------------------------------------------------------------------ log digests */

/* What is new in log files since the last run, also where a log was rotated in between: renamed, copied and truncated, compressed,
 * several times over. A file is known by its bytes: by how it begins and by what stands before the place that was read to. Its inode
 * is a hint and no more, since file systems give the number of a deleted file to the next one. */
struct ttt_follow;
struct ttt_follow_line {
	const char *file; /* what it was read from: the file as given, or what that was rotated to; until the next begin */
	const char *text; /* n bytes, then a NUL; without the newline and a CR before it; until the next call. NULL: no more */
	size_t n;         /* at most 64 KiB */
	bool cut;         /* it was longer; the rest was passed over */
	int64_t number;   /* of the line in its file, from 1 */
};
/* json: n bytes that ttt_follow_json gave in an earlier run, or NULL: nothing was read yet. Errors: TTT_E_FORMAT where they are
 * anything else. */
enum ttt_status ttt_follow_create(struct ttt_follow **out, const void *json, size_t n, struct ttt_error *err);
void ttt_follow_free(struct ttt_follow *f);
/* Begin with a file: find what of it is new, and where. One without a position is read from its start, and what it was rotated to
 * before is not. Files passed over are told to note, which may be NULL, here and in ttt_follow_next. path need not last. Errors:
 * TTT_E_IO where path is no regular file, cannot be read, or was never read and is not there. */
enum ttt_status ttt_follow_begin(struct ttt_follow *f, const char *path, void (*note)(void *ctx, const char *text), void *ctx,
    struct ttt_error *err);
/* The next new line. A last line without a newline is held back as long as it may still grow. After an error there are no more lines
 * of this file; those that came before count as read. */
enum ttt_status ttt_follow_next(struct ttt_follow *f, struct ttt_follow_line *line, struct ttt_error *err);
/* How many notes said that a part could not be read, or not to its end. */
int64_t ttt_follow_n_failed(const struct ttt_follow *f);
/* The positions as they are now, behind the last line that ttt_follow_next gave, as JSON; the same positions are the same bytes. Files
 * that were not begun keep theirs. The caller frees *json, *n bytes. */
enum ttt_status ttt_follow_json(struct ttt_follow *f, char **json, size_t *n, struct ttt_error *err);

/* What is new in logs. A state that has read a log scores its next lines, then learns them, those it finds novel excepted: a stream
 * cannot teach itself away. Besides its weights the state keeps, in members of its own, each kind of line that was learned, the newest
 * scores, and how far every file was read. */
struct ttt_digest;

struct ttt_digest_options {
	bool learn_all;     /* learn novel lines too */
	bool no_model;      /* by words alone: the model neither scores nor learns */
	double threshold;   /* scores from here on are novel, but in a first run; 0: by the stream's own scores */
};
enum { TTT_MARKS = 8 };
struct ttt_mark {
	size_t start, end;  /* byte offsets in a line's text */
};
struct ttt_digest_line {
	const char *text;   /* in: n bytes of one line, without its end */
	size_t n;
	double score;       /* out: 0 .. 1, before anything of the block was learned */
	bool novel;         /* out: at or above the threshold */
	uint64_t kind;      /* out: alike lines, masked the same, have the same */
	uint64_t family;    /* out: of novel lines, also those that differ in a few words nobody has seen have the same */
	struct ttt_mark mark[TTT_MARKS]; /* out, of novel lines: what is surprising in them, in order, apart */
	int n_mark;
};
/* s must outlive the digest. Errors: TTT_E_USAGE (a model without tokenizer), TTT_E_FORMAT (damaged members). */
enum ttt_status ttt_digest_create(struct ttt_digest **out, struct ttt_state *s, const struct ttt_digest_options *o,
    struct ttt_error *err);
void ttt_digest_free(struct ttt_digest *d);
/* Score a block of lines in their order, then learn it. Errors: TTT_E_RANGE where a text has a newline or more than 64 KiB, TTT_E_MEMORY. */
enum ttt_status ttt_digest_read(struct ttt_digest *d, struct ttt_digest_line *line, size_t n, struct ttt_error *err);
/* Lines that were reported are as they should be: learn them. text: n bytes of one line. Errors: as above. */
enum ttt_status ttt_digest_accept(struct ttt_digest *d, const char *text, size_t n, struct ttt_error *err);
/* Put what is to be kept into the state, which is then ready to be saved. */
enum ttt_status ttt_digest_finish(struct ttt_digest *d, struct ttt_error *err);
/* Lines read in all the runs; what is novel from now on; 0 as long as too little was read to say so, and nothing is novel. */
int64_t ttt_digest_n_line(const struct ttt_digest *d);
double ttt_digest_threshold(const struct ttt_digest *d);
/* Where the files were left. Borrowed. */
struct ttt_follow *ttt_digest_follow(struct ttt_digest *d);
/* Where a journal was left: journalctl's cursor, "" at first; and setting it. */
const char *ttt_digest_cursor(const struct ttt_digest *d);
enum ttt_status ttt_digest_set_cursor(struct ttt_digest *d, const char *cursor, struct ttt_error *err);

/* ------------------------------------------------------------------------------------------------ training */

enum ttt_mode { TTT_MODE_TTT = 0, TTT_MODE_WINDOW, TTT_MODE_FULL }; /* meta-training; fast weights held at W_0; no window either */

/* AdamW for all parameters; or Muon for the blocks' matrices (momentum b1 with orthogonal steps of AdamW's size, arXiv 2502.16982) and
 * AdamW for embedding and norms. */
enum ttt_optimizer { TTT_OPTIMIZER_ADAMW = 0, TTT_OPTIMIZER_MUON };

/* Exact gradient of the outer loss (mean over sequences of the mean of chunk losses, SEMANTICS 2, 4, 6) by METAGRAD.md section 3; biases
 * (n_ngram) are learned on the way, but count as constants. */
struct ttt_trainer;

struct ttt_train_options {
	enum ttt_mode mode;
	bool first_order;      /* drop the second-order terms (v = 0) */
	enum ttt_optimizer optimizer;
	double init_lr, lr, end_lr;       /* SEMANTICS 7 */
	int64_t warmup_steps, decay_steps; /* steps of warm-up; the step, counted from 0, at which the decay has ended: all of them */
	int64_t hold_steps;               /* at lr between warm-up and decay */
	double b1, b2, eps, weight_decay, clip;
	double ilr_init;                  /* inner rate that the first step is one part above, as in SEMANTICS 4 */
	int64_t ilr_warmup_steps;         /* 0: inner_lr from the start */
	double held_tail;                 /* share of a sequence at its end, below 1, read with the fast weights held at their mean so far
	                                     (TTT_WEIGHTS_MEAN), so that what is learned lasts; 0: none */
	int64_t keep_bytes;               /* memory for first-order results that the way back needs again (METAGRAD.md section 5); 0: 1 GiB,
	                                     < 0: none, all are made again. The gradient is the same to rounding */
};
/* A trainer on a copy of m's weights; m, whose configuration it uses, must outlive it. o is not NULL. Errors: TTT_E_MEMORY, TTT_E_UNSUPPORTED
 * (a device of bfloat16). */
enum ttt_status ttt_trainer_create(struct ttt_trainer **out, const struct ttt_model *m, const struct ttt_train_options *o,
    struct ttt_error *err);
void ttt_trainer_free(struct ttt_trainer *t);
/* Loss and gradient of n_seq sequences of n_token ids each (n_token - 1 a multiple of the chunk): ids [n_seq, n_token]. Replaces the
 * gradient held. inner_rate < 0: the model's inner_lr_effective. Errors: TTT_E_USAGE (sequences that are none, or no whole chunks),
 * TTT_E_RANGE (an id outside the vocabulary, a rate that is no number), TTT_E_MEMORY. A loss that is no number is none: it is returned. */
enum ttt_status ttt_trainer_gradient(struct ttt_trainer *t, const int32_t *ids, int64_t n_seq, int64_t n_token, double inner_rate,
    double *loss, struct ttt_error *err);
/* One outer step on a batch: gradient, clip by global norm, AdamW (SEMANTICS 7). Errors: those of the gradient. */
struct ttt_step_report {
	int64_t step;        /* counted from 0 */
	double loss, grad_norm, lr, inner_rate;
};
enum ttt_status ttt_trainer_step(struct ttt_trainer *t, const int32_t *ids, int64_t n_seq, int64_t n_token,
    struct ttt_step_report *r, struct ttt_error *err);
/* Gradients as safetensors, named as the parameters. Errors: TTT_E_USAGE (none was computed yet), and those of the next: TTT_E_IO,
 * TTT_E_MEMORY. */
enum ttt_status ttt_trainer_write_gradient(struct ttt_trainer *t, const char *path, struct ttt_error *err);
/* Parameters as a model directory's model.safetensors. */
enum ttt_status ttt_trainer_write_model(struct ttt_trainer *t, const char *path, struct ttt_error *err);
/* Everything needed to go on bit for bit (parameters, moments, step), atomically; and back, where an error leaves the trainer as it was:
 * TTT_E_IO, TTT_E_FORMAT (no checkpoint), TTT_E_SHAPE (another model's), TTT_E_MEMORY. */
enum ttt_status ttt_trainer_save(struct ttt_trainer *t, const char *path, struct ttt_error *err);
enum ttt_status ttt_trainer_load(struct ttt_trainer *t, const char *path, struct ttt_error *err);
int64_t ttt_trainer_n_step(const struct ttt_trainer *t);

#ifdef __cplusplus
}
#endif
#endif
