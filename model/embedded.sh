#!/bin/sh
# Print, as a header for embed.S, what is known of the files in DIR when the library is built: embedded.sh DIR.
set -eu
cd "$1"

# A line of the model's checksum (libttt/model/model.c): what the file is, and its BLAKE2b-256.
line() {
	sum=$(b2sum -l 256 "$2")
	printf '%s %s\n' "$1" "${sum%% *}"
}

checksum='' skip=0
if [ -f model.safetensors ]; then
	# Where there is no b2sum, the library computes the checksum itself when it is asked for it.
	if command -v b2sum >/dev/null; then
		checksum=$({
			line config config.json
			line weights model.safetensors
			line tokenizer tokenizer.json
		} | b2sum -l 256)
	fi
	# The header's length, little-endian in the first bytes: with this many bytes before the file, its data is aligned.
	# shellcheck disable=SC2046
	set -- $(od -An -tu1 -N4 model.safetensors)
	skip=$(((64 - (8 + $1 + 256 * ($2 + 256 * ($3 + 256 * $4))) % 64) % 64))
fi
echo "#define TTT__EMBEDDED_CHECKSUM \"${checksum%% *}\""
echo "#define TTT__EMBEDDED_SKIP $skip"
