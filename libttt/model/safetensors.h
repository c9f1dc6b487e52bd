/* safetensors files: strict reading, plain writing. Private.
 * Format: 8 bytes little-endian header length, JSON header, data; tensors cover the data without holes or overlaps. */
#ifndef TTT_MODEL_SAFETENSORS_H
#define TTT_MODEL_SAFETENSORS_H
#include "libttt/base.h"

enum ttt__tensor_type { TTT__F32, TTT__F16, TTT__BF16, TTT__F64, TTT__I32, TTT__I64, TTT__OTHER };

struct ttt__tensor {
	char *name;
	enum ttt__tensor_type dtype;
	int n_dim; /* 0 .. 4 */
	int64_t dim[4];
	size_t n_element, offset, n_byte; /* offset from the start of the data */
};

struct ttt__safetensors {
	struct ttt__tensor *tensor; /* [n] in order of offset */
	struct ttt__tensor **by_name; /* [n] the same ones, sorted by name */
	size_t n;
	const unsigned char *data; /* borrowed from the buffer parsed */
	size_t n_data;
	char *label;
};

/* Parse n bytes, which must outlive the result (NULL when n is 0). Limits: header 100 MB and within the file, 65536 tensors, 4 dimensions,
 * names of 1 to 128 bytes, no duplicates, no unknown dtype, dimensions and offsets checked against one another and the
 * file. */
enum ttt_status ttt__safetensors_parse(struct ttt__safetensors *out, const void *bytes, size_t n, const char *label,
    struct ttt_error *err);
void ttt__safetensors_free(struct ttt__safetensors *s);
const struct ttt__tensor *ttt__safetensors_find(const struct ttt__safetensors *s, const char *name);
/* Convert tensor t (F32, F16, BF16, F64) to float32: out [n_element] (=). A value that is not finite is an error. */
enum ttt_status ttt__safetensors_f32(const struct ttt__safetensors *s, const struct ttt__tensor *t, float *out,
    struct ttt_error *err);
/* An error where F32 tensor t, in place, has a value that is not finite. */
enum ttt_status ttt__safetensors_check_f32(const struct ttt__safetensors *s, const struct ttt__tensor *t,
    struct ttt_error *err);
/* Convert n of its elements, from number first on. */
enum ttt_status ttt__safetensors_convert(const struct ttt__safetensors *s, const struct ttt__tensor *t, size_t first,
    size_t n, float *out, struct ttt_error *err);

/* One tensor to write: float32 (data), stored as such or as bfloat16, or int32 (data_i32). */
struct ttt__tensor_out {
	const char *name;
	bool bf16;
	int n_dim;
	int64_t dim[4];
	const float *data;
	const int32_t *data_i32;
};
/* Append length and header to b, a multiple of 64 bytes together; *n_data is the size of the data that must follow (may be NULL). */
enum ttt_status ttt__safetensors_write_header(struct ttt__bytes *b, const struct ttt__tensor_out *t, size_t n,
    const char *const *metadata, size_t *n_data, struct ttt_error *err);
/* Append n values of four bytes, little-endian. */
enum ttt_status ttt__safetensors_write_data(struct ttt__bytes *b, const void *data, size_t n, struct ttt_error *err);
/* Append n numbers as bfloat16, rounded to the nearest, ties to even. Errors: TTT_E_RANGE where one is so large that it would
 * become infinite. */
enum ttt_status ttt__safetensors_write_bf16(struct ttt__bytes *b, const float *data, size_t n, struct ttt_error *err);
/* Append a whole file to b, tensors in the order given, header padded with blanks so
 * that the data of a file is aligned to 64 bytes. metadata: pairs of
 * strings, NULL at the end, or NULL. Same tensors, same bytes. */
enum ttt_status ttt__safetensors_write(struct ttt__bytes *b, const struct ttt__tensor_out *t, size_t n,
    const char *const *metadata, struct ttt_error *err);

#endif
