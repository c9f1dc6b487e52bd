/* The lines of a log that were seen, each kind once, and how far a line lies from the nearest of them. Private.
 *
 * A line is its masked bytes (libttt/text/mask.h). Its words are runs of letters, digits and '_', in lower case, numbers as one 0. The distance
 * of two lines is 1 - the cosine of their word vectors (1 + ln of the count in the line) * idf, idf = ln((1 + N) / (1 + df)) + 1 over the N
 * lines seen; a word that was in none of them has the largest. */
#ifndef TTT_USE_LEXICON_H
#define TTT_USE_LEXICON_H
#include "libttt/text/vocab.h"

struct ttt__lexicon_word {
	unsigned char *text; /* n bytes */
	uint32_t n;
	bool known;          /* stands in a line that was learned */
	int64_t df;          /* lines seen that have it */
	double idf;          /* as of the last ttt__lexicon_settle; 0: it came later */
	struct ttt__lexicon_use {
		int32_t line;
		double often;    /* 1 + ln of its count there */
	} *line;             /* [n_line] of which it is a part */
	size_t n_line, line_capacity;
};

struct ttt__lexicon_line {
	unsigned char *mask;  /* n bytes */
	uint32_t n;
	bool known;           /* learned, so that the state knows it; else held back, or not decided yet */
	int64_t count, last;  /* lines that were like it; number of the last one in the stream */
	double score, norm;   /* what it was given when it came; of its word vector */
	struct ttt__lexicon_part {
		int32_t word, count;
		double often;     /* 1 + ln of the count */
	} *part;              /* [n_part] */
	size_t n_part;
};

struct ttt__lexicon {
	struct ttt__lexicon_line *line; /* [n_line] in the order in which they came */
	struct ttt__lexicon_word *word; /* [n_word] */
	size_t n_line, line_capacity, n_word, word_capacity;
	struct ttt__names lines, words; /* to their places */
	int64_t n_seen;                 /* N: lines, repeated ones counted */
	size_t n_byte;                  /* of masks */
	double top;                     /* idf of a word that was in none */
	double *dot;                    /* [line_capacity] scratch */
};

/* Zero-initialise. */
void ttt__lexicon_free(struct ttt__lexicon *l);
/* Place of a line, or -1. */
int32_t ttt__lexicon_find(const struct ttt__lexicon *l, const void *mask, size_t n);
/* Enter a line that is not there yet; it counts as seen count times, the last time as line number last. */
enum ttt_status ttt__lexicon_add(struct ttt__lexicon *l, const void *mask, size_t n, int64_t count, int64_t last, int32_t *place,
    struct ttt_error *err);
/* One more line like it. */
void ttt__lexicon_again(struct ttt__lexicon *l, int32_t place, int64_t last);
/* It was learned. */
void ttt__lexicon_learned(struct ttt__lexicon *l, int32_t place);
/* Distances of a line from the nearest one learned, and from the nearest one that came at all; 1 where there is none,
 * 0 for a line without words. */
enum ttt_status ttt__lexicon_distance(struct ttt__lexicon *l, const void *mask, size_t n, double *known, double *any, struct ttt_error *err);
/* Take the counts as they are now for idf. */
void ttt__lexicon_settle(struct ttt__lexicon *l);
/* Keep the lines that were learned, of them the most_lines that came last, and no more than most_bytes of masks. */
enum ttt_status ttt__lexicon_trim(struct ttt__lexicon *l, size_t most_lines, size_t most_bytes, struct ttt_error *err);

/* The next word of a masked line, from *at on: its bytes in word [TTT__LEXICON_WORD], their number, 0 at the end; *start and *at enclose it. */
enum { TTT__LEXICON_WORD = 64 };
size_t ttt__lexicon_next(const unsigned char *mask, size_t n, size_t *at, size_t *start, unsigned char *word);
/* Is the word part of a line that was learned? */
bool ttt__lexicon_knows(const struct ttt__lexicon *l, const unsigned char *word, size_t n);

#endif
