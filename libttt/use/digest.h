/* A digest in memory. Private. Its members of a state file, written by digest_members.c:
 *   digest.json    {"version": 1, "lines": N, "cursor": "..", "scores": [..]}: lines read in all; journalctl's cursor; the newest scores, in
 *                  ten-thousandths, oldest first
 *   digest.lines   "COUNT\tLAST\tMASK\n", a line each kind of line learned: how many were like it, the number of the last one, its masked bytes
 *   digest.files   how far every file was read: libttt/text/positions.h */
#ifndef TTT_USE_DIGEST_H
#define TTT_USE_DIGEST_H
#include "libttt/use/lexicon.h"

enum { TTT__SCORES = 8192, TTT__CURSOR_MAX = 4096, TTT__MASK_MAX = 1 << 16 };

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

#endif
