/* The two halves of training a byte-level BPE: counting words, and choosing merges. Private. */
#ifndef TTT_TEXT_TRAIN_H
#define TTT_TEXT_TRAIN_H
#include "libttt/text/tokenizer.h"

/* Words of a text and how often each came, in the order in which they first came. Zero-initialise. */
struct ttt__word_counts {
	struct ttt__word_count {
		const unsigned char *p;
		uint32_t n;
		int64_t count;
	} *word;
	size_t n, capacity;
	struct ttt__names index; /* word to its place */
	struct ttt__word_arena *arena;
};
/* Count the words of a file as tokenizer t splits it, at most *left bytes, which go down. */
enum ttt_status ttt__count_words(struct ttt__word_counts *c, const struct ttt_tokenizer *t, const char *path,
    size_t *left, struct ttt_error *err);
void ttt__word_counts_free(struct ttt__word_counts *c);

struct ttt__chosen {
	int32_t left, right;
};
/* Choose up to n merges, most frequent pair first; of equals, the one whose tokens are older. Ids: a byte is its value,
 * merge k makes id 256 + k. *n_chosen is less than n where the words give no more. */
enum ttt_status ttt__choose_merges(struct ttt__chosen *chosen, size_t *n_chosen, size_t n,
    const struct ttt__word_counts *c, struct ttt_error *err);

#endif
