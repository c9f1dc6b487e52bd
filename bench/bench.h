/* What the measurements share. A command measures something in rounds, so that what is compared is timed by turns in one run, and
 * reports rows: a name, the median over the rounds, their least and greatest, a unit, the shape measured. */
#ifndef TTT_BENCH_H
#define TTT_BENCH_H
#include "libttt/model/model.h"
#include "tools/tool.h"

enum { BENCH_ROUNDS_MAX = 101, BENCH_CONTEXTS_MAX = 16 };

struct bench {
	struct tool *t;
	const char *config;  /* --config FILE: a shape, measured with random weights; NULL: the embedded model */
	const char *text;    /* --text FILE: what is absorbed, for a model that has a tokenizer */
	const char *shape;   /* the shape's name in the rows */
	bool json;
	int rounds;
	int64_t n_sequence, seq_length; /* of a training step; 0: the command's own */
	int64_t context[BENCH_CONTEXTS_MAX]; /* lengths to measure at */
	size_t n_context;
	bool filled;         /* --filled */
	double seconds;      /* least duration of one timing */
};

/* A series of one value a round. */
struct series {
	double at[BENCH_ROUNDS_MAX];
	int n;
};
void bench_add(struct series *s, double value);
double bench_median(const struct series *s);
/* Print a row of the series, or of one value. detail, a part of the name such as "128K", may be NULL. */
void bench_row(const struct bench *b, const char *name, const char *detail, const struct series *s, const char *unit);
void bench_row_value(const struct bench *b, const char *name, const char *detail, double value, const char *unit);

double bench_now(void); /* seconds */

/* Device and model as the options say. */
enum ttt_status bench_open(struct bench *b, struct ttt_error *err);
/* Ids to read: the text's where the model has a tokenizer, else drawn. *n_byte: what they stand for, or 0. Freed by the caller. */
enum ttt_status bench_ids(const struct bench *b, struct ttt_ids *out, int64_t *n_byte, struct ttt_error *err);
/* A session whose window (or with attention TTT_FULL, whose n cached tokens) is filled, so that the next chunk costs what any later one
 * does. n < 0: as many as the window holds. */
enum ttt_status bench_session(struct ttt_session **out, const struct bench *b, enum ttt_attention a, int64_t n, struct ttt_error *err);

/* Matrix-product rate of this machine: the products that a chunk of the shape is made of, and a square one, each timed once a round. */
struct peak {
	struct product {
		const char *name;
		bool ta, tb;
		int64_t M, N, K;
		struct series gflops;
	} product[16];
	int n;
	float *a, *b, *c;
	struct series best; /* the round's fastest product */
};
enum ttt_status peak_start(struct peak *p, const struct bench *b, struct ttt_error *err);
/* One round; returns the fastest product's rate in GFLOP/s. */
double peak_round(struct peak *p, const struct bench *b);
void peak_end(struct peak *p, const struct bench *b);

/* Useful operations (two a multiply-add) of the matrix products, by METAGRAD.md section 6. */
double flops_absorb(const struct ttt_config *c, int64_t cached);            /* per token of a chunk with so many cached tokens */
double flops_plain(const struct ttt_config *c, int64_t T);                  /* a sequence's ordinary step */
double flops_meta(const struct ttt_config *c, int64_t T, bool first_order); /* a sequence's meta step, the sweep's tapes kept */

int bench_peak(struct tool *t, int argc, char **argv);
int bench_absorb(struct tool *t, int argc, char **argv);
int bench_meta(struct tool *t, int argc, char **argv);
int bench_length(struct tool *t, int argc, char **argv);
int bench_decode(struct tool *t, int argc, char **argv);
int bench_precision(struct tool *t, int argc, char **argv);
int bench_start(struct tool *t, int argc, char **argv);
/* Options of a command; synopsis and purpose for its --help. */
void bench_options(struct bench *b, struct tool *t, const char *synopsis, const char *purpose, int argc, char **argv);

#endif
