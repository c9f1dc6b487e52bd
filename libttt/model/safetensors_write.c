/* Writing of safetensors files. The header is put together by hand, so that the same tensors give the same bytes
 * whatever the JSON library does about order and blanks. */
#include "libttt/model/bf16.h"
#include "libttt/model/safetensors.h"

#include <endian.h>
#include <inttypes.h>
#include <string.h>

static enum ttt_status
add_text(struct ttt__bytes *b, const char *s, struct ttt_error *err)
{
	return ttt__bytes_add(b, s, strlen(s), err);
}

/* A JSON string: quotes, backslashes and control characters escaped. */
static enum ttt_status
add_string(struct ttt__bytes *b, const char *s, struct ttt_error *err)
{
	enum ttt_status status = add_text(b, "\"", err);
	char text[8];

	for (; *s != '\0' && status == TTT_OK; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			(void)snprintf(text, sizeof(text), "\\%c", c);
		else if (c < 0x20)
			(void)snprintf(text, sizeof(text), "\\u%04x", c);
		else
			(void)snprintf(text, sizeof(text), "%c", c);
		status = add_text(b, text, err);
	}
	return status == TTT_OK ? add_text(b, "\"", err) : status;
}

static enum ttt_status
add_metadata(struct ttt__bytes *b, const char *const *metadata, struct ttt_error *err)
{
	enum ttt_status status = add_text(b, "\"__metadata__\":{", err);

	for (size_t i = 0; metadata[i] != NULL && metadata[i + 1] != NULL && status == TTT_OK; i += 2) {
		if (i > 0)
			status = add_text(b, ",", err);
		if (status == TTT_OK)
			status = add_string(b, metadata[i], err);
		if (status == TTT_OK)
			status = add_text(b, ":", err);
		if (status == TTT_OK)
			status = add_string(b, metadata[i + 1], err);
	}
	return status == TTT_OK ? add_text(b, "}", err) : status;
}

static bool
count(size_t *n, const struct ttt__tensor_out *t)
{
	*n = 1;
	for (int i = 0; i < t->n_dim; i++)
		if (t->dim[i] < 0 || !ttt__size_mul(n, *n, (size_t)t->dim[i]))
			return false;
	return true;
}

static enum ttt_status
add_tensor(struct ttt__bytes *b, const struct ttt__tensor_out *t, size_t *offset, struct ttt_error *err)
{
	const char *dtype = t->data_i32 != NULL ? "I32" : t->bf16 ? "BF16" : "F32";
	enum ttt_status status = add_string(b, t->name, err);
	size_t n, n_byte, end;
	char text[96];

	(void)snprintf(text, sizeof(text), ":{\"dtype\":\"%s\",\"shape\":[", dtype);
	if (status == TTT_OK)
		status = add_text(b, text, err);
	for (int i = 0; i < t->n_dim && status == TTT_OK; i++) {
		(void)snprintf(text, sizeof(text), "%s%" PRId64, i > 0 ? "," : "", t->dim[i]);
		status = add_text(b, text, err);
	}
	if (status != TTT_OK)
		return status;
	if (!count(&n, t) || !ttt__size_mul(&n_byte, n, t->bf16 ? 2 : 4) || !ttt__size_add(&end, *offset, n_byte))
		return ttt__fail(err, TTT_E_RANGE, "tensor '%s' is too large to be written", t->name);
	(void)snprintf(text, sizeof(text), "],\"data_offsets\":[%zu,%zu]}", *offset, end);
	*offset = end;
	return add_text(b, text, err);
}

enum ttt_status
ttt__safetensors_write_header(struct ttt__bytes *b, const struct ttt__tensor_out *t, size_t n,
    const char *const *metadata, size_t *n_data, struct ttt_error *err)
{
	size_t start = b->n, offset = 0;
	enum ttt_status status = ttt__bytes_add(b, "\0\0\0\0\0\0\0\0{", 9, err);

	if (status == TTT_OK && metadata != NULL)
		status = add_metadata(b, metadata, err);
	for (size_t i = 0; i < n && status == TTT_OK; i++) {
		if (i > 0 || metadata != NULL)
			status = add_text(b, ",", err);
		if (status == TTT_OK)
			status = add_tensor(b, &t[i], &offset, err);
	}
	if (status == TTT_OK)
		status = add_text(b, "}", err);
	while (status == TTT_OK && (b->n - start) % 64 != 0)
		status = add_text(b, " ", err);
	if (status != TTT_OK)
		return status;
	for (size_t i = 0, length = b->n - start - 8; i < 8; i++, length >>= 8)
		b->p[start + i] = (unsigned char)(length & 0xff);
	if (n_data != NULL)
		*n_data = offset;
	return TTT_OK;
}

enum ttt_status
ttt__safetensors_write_data(struct ttt__bytes *b, const void *data, size_t n, struct ttt_error *err)
{
	size_t start = b->n, n_byte;
	enum ttt_status status;
	uint32_t u;

	if (!ttt__size_mul(&n_byte, n, 4))
		return ttt__fail_memory(err, "a tensor");
	if (n == 0)
		return TTT_OK;
	status = ttt__bytes_add(b, data, n_byte, err);
	for (size_t i = 0; i < n && status == TTT_OK && htole32(1) != 1; i++) {
		memcpy(&u, b->p + start + 4 * i, 4);
		u = htole32(u);
		memcpy(b->p + start + 4 * i, &u, 4);
	}
	return status;
}

enum ttt_status
ttt__safetensors_write_bf16(struct ttt__bytes *b, const float *data, size_t n, struct ttt_error *err)
{
	enum { PIECE = 1024 };
	unsigned char piece[2 * PIECE];
	enum ttt_status status = TTT_OK;
	size_t filled = 0;

	for (size_t i = 0; i < n && status == TTT_OK; i++) {
		uint16_t u;

		if (!ttt__bf16_round(&u, data[i]))
			return ttt__fail(err, TTT_E_RANGE, "%g is beyond the range of bfloat16", (double)data[i]);
		piece[filled++] = (unsigned char)(u & 0xff);
		piece[filled++] = (unsigned char)(u >> 8);
		if (filled == sizeof(piece) || i + 1 == n) {
			status = ttt__bytes_add(b, piece, filled, err);
			filled = 0;
		}
	}
	return status;
}

enum ttt_status
ttt__safetensors_write(struct ttt__bytes *b, const struct ttt__tensor_out *t, size_t n, const char *const *metadata,
    struct ttt_error *err)
{
	enum ttt_status status = ttt__safetensors_write_header(b, t, n, metadata, NULL, err);
	size_t count_i;

	for (size_t i = 0; i < n && status == TTT_OK; i++) {
		(void)count(&count_i, &t[i]);
		if (t[i].bf16)
			status = ttt__safetensors_write_bf16(b, t[i].data, count_i, err);
		else
			status = ttt__safetensors_write_data(b,
			    t[i].data_i32 != NULL ? (const void *)t[i].data_i32 : t[i].data, count_i, err);
	}
	return status;
}
