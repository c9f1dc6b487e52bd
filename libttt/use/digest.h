/* A digest in memory. Private. Its members of a state file, written by digest_members.c:
 *   digest.json    {"version": 1, "lines": N, "cursor": "..", "scores": [..]}: lines read in all; journalctl's cursor; the newest scores, in
 *                  ten-thousandths, oldest first
 *   digest.lines   "COUNT\tLAST\tMASK\n", a line each kind of line learned: how many were like it, the number of the last one, its masked bytes
 *   digest.files   how far every file was read: libttt/text/positions.h */
#ifndef TTT_USE_DIGEST_H
#define TTT_USE_DIGEST_H
#include "libttt/use/lexicon.h"

#define TTT__DIGEST_NATS 3.0 /* what a token may cost */
#define TTT__DIGEST_HALF 0.3 /* h that is half way from 3/4 to 1 (digest.c) */

enum { TTT__SCORES = 8192, TTT__CURSOR_MAX = 4096, TTT__MASK_MAX = 1 << 16 };

/* A line of a kind that was not there. */
struct ttt__fresh {
	int32_t place;         /* in the lexicon */
	size_t line;           /* of the block */
	size_t first, n;       /* its tokens; 0: the model has not read it */
	double known, any;     /* distances */
};

struct ttt_digest {
	struct ttt_state *state;
	struct ttt_digest_options o;
	struct ttt__lexicon lexicon;
	struct ttt_follow *follow;
	char *cursor;
	int64_t n_line, n_before;    /* lines in all, and before this run */
	int64_t n_read;              /* tokens that the model read in this run */
	double threshold;
	uint16_t score[TTT__SCORES]; /* a ring: score k of the stream, in ten-thousandths, is at k % TTT__SCORES */
	int64_t n_score;
	struct ttt_encoder *encoder;
	/* scratch of a block */
	struct ttt__bytes mask, place, learn;
	struct ttt__fresh *fresh;    /* [n_fresh] lines of a kind that was not there */
	size_t n_fresh, fresh_capacity;
	int32_t *at;                 /* [at_capacity] place of each line of the block in the lexicon */
	size_t at_capacity;
	struct ttt_ids ids;          /* tokens of the fresh lines */
	float *nll;                  /* [nll_capacity] their losses */
	size_t nll_capacity;
	int64_t base;                /* stream position of the first of them */
};

enum ttt_status ttt__digest_load(struct ttt_digest *d, struct ttt_error *err);
enum ttt_status ttt__digest_store(struct ttt_digest *d, struct ttt_error *err);

/* digest_surprise.c */
/* The part of a masked line that the model reads, ended by a newline, to b. */
enum ttt_status ttt__digest_add_text(struct ttt__bytes *b, const unsigned char *mask, size_t n, struct ttt_error *err);
/* Tokens of the fresh lines, each by itself, as far as the model may read; then their losses under the weights as they are, one line
 * after the other. */
enum ttt_status ttt__digest_make_tokens(struct ttt_digest *d, struct ttt_error *err);
enum ttt_status ttt__digest_score_tokens(struct ttt_digest *d, struct ttt_error *err);
/* h of digest.c; TTT__DIGEST_HALF where the model has not read the line. */
double ttt__digest_surprise(const struct ttt_digest *d, const struct ttt__fresh *f);

/* digest_marks.c: marks of x, whose masked line is in d->mask. */
void ttt__digest_mark_words(const struct ttt_digest *d, struct ttt_digest_line *x);
/* All words are known: those of the tokens that cost most. */
void ttt__digest_mark_tokens(const struct ttt_digest *d, const struct ttt__fresh *f, struct ttt_digest_line *x);

#endif
