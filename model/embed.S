/* The default model as bytes of the library: struct ttt__blob of libttt/file.h for each of its three files, so that a
 * program copied alone to another machine still has it, and its checksum. A tree without model.safetensors gives three empty
 * blobs. The paths are found through -I$(top_srcdir), by the preprocessor and by the assembler alike. embedded.h is made by
 * embedded.sh. */
#include "model/embedded.h"

#if __SIZEOF_POINTER__ == 8
#define WORD .quad
#define WORD_SIZE 8
#else
#define WORD .long
#define WORD_SIZE 4
#endif

/* A blob called name with the bytes between the local labels name_start and name_end. */
#define BLOB(name) \
	.balign WORD_SIZE; \
	.globl name; \
	.type name, %object; \
	.size name, 2 * WORD_SIZE; \
name: \
	WORD name##_start; \
	WORD name##_end - name##_start

	.section .rodata
#if __has_include("model/model.safetensors")
	.balign 64
ttt__embedded_config_start:
	.incbin "model/config.json"
ttt__embedded_config_end:
	/* The file begins so that its data, what the network reads, is aligned. */
	.balign 64
	.skip TTT__EMBEDDED_SKIP
ttt__embedded_weights_start:
	.incbin "model/model.safetensors"
ttt__embedded_weights_end:
	.balign 64
ttt__embedded_tokenizer_start:
	.incbin "model/tokenizer.json"
ttt__embedded_tokenizer_end:
#else
ttt__embedded_config_start:
ttt__embedded_config_end:
ttt__embedded_weights_start:
ttt__embedded_weights_end:
ttt__embedded_tokenizer_start:
ttt__embedded_tokenizer_end:
#endif
	.byte 0

	.globl ttt__embedded_checksum
	.type ttt__embedded_checksum, %object
ttt__embedded_checksum:
	.asciz TTT__EMBEDDED_CHECKSUM
	.size ttt__embedded_checksum, . - ttt__embedded_checksum

	.section .data.rel.ro, "aw", %progbits
	BLOB(ttt__embedded_config)
	BLOB(ttt__embedded_weights)
	BLOB(ttt__embedded_tokenizer)

	.section .note.GNU-stack, "", %progbits
