/* Unicode normalization form C of a stream, piece by piece. Private. */
#ifndef TTT_TEXT_NFC_H
#define TTT_TEXT_NFC_H
#include "libttt/base.h"

/* A stretch of normalized text and where it comes from. */
struct ttt__seam {
	size_t text, raw; /* where it starts, in each */
	bool same;        /* byte for byte the same text up to the next seam */
};

/* Normalized text with its seams, in order; the last seam is the end of both. Zero-initialise. */
struct ttt__nfc {
	struct ttt__bytes text;
	struct ttt__seam *seam;
	size_t n, capacity;
};
/* Normalize raw [0, n), valid UTF-8, of which more follows or not; *used: how far, which is as far as what follows
 * cannot change. Seams are relative to raw and text. */
enum ttt_status ttt__nfc_run(struct ttt__nfc *f, const unsigned char *raw, size_t n, bool more, size_t *used,
    struct ttt_error *err);
void ttt__nfc_free(struct ttt__nfc *f);

#endif
