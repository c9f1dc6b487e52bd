# bench/text: bits per byte beside compressors.
# shellcheck disable=SC2154 # output and files are set by run and by common.bash
load common

more_setup() {
	mkdir -p corpus/c corpus/docs
	cp "$TTT_TESTS/../libttt/ttt.h" corpus/c/session.txt
	for _ in 1 2 3 4 5 6 7 8 9; do cat "$TTT_TESTS/../COPYING"; done >corpus/docs/licence.txt
}

# value NAME METHOD KIND: the figure in the JSON Lines in $output.
value() {
	printf '%s\n' "$output" | python3 -c '
import json, sys
rows = [json.loads(line) for line in sys.stdin]
[print(r["value"]) for r in rows if [r["name"], r["config"].get("method"), r["config"].get("kind")] == sys.argv[1:]]' "$@"
}

@test "bench/text: learning helps on a repeated text, and a compressor's figure is its file's size" {
	ok "$TTT_TESTS/../bench/text" --sizes 8K --documents 1 --json "$files/corpus"
	ttt=$(value bits_per_byte ttt docs)
	frozen=$(value bits_per_byte frozen docs)
	echo "ttt $ttt frozen $frozen"
	awk -v a="$ttt" -v b="$frozen" 'BEGIN { exit !(a > 0 && a < b) }'
	# The document is the first 8K up to a line's end.
	head -c 8192 "$files/corpus/c/session.txt" | python3 -c '
import sys
data = sys.stdin.buffer.read()
sys.stdout.buffer.write(data[: data.rindex(b"\n") + 1])' >document
	for name in 'gzip -9' 'bzip2 -9' 'xz -9e'; do
		# shellcheck disable=SC2086 # a command of two words
		size=$($name <document | wc -c)
		awk -v got="$(value bits_per_byte "$name" c)" -v size="$size" -v n="$(wc -c <document)" \
			'BEGIN { exit !((got - 8 * size / n) ^ 2 < 1e-18) }'
	done
	awk -v ttt="$(value bits_per_byte ttt c)" -v ppl="$(ttt-ppl document | column 5)" 'BEGIN { exit !((ttt - ppl) ^ 2 < 1e-8) }'
}

@test "bench/text describes the model within the programs" {
	ok env -u TTT_MODEL "$TTT_TESTS/../bench/text" --sizes 8K --documents 1 --kinds docs "$files/corpus"
	[[ $output == *"embedded, "*" parameters"* ]]
}

@test "bench/text: a table; what is not installed is said and fails nothing" {
	mkdir bin
	ln -s "$(python3 -c 'import sys; print(sys.executable)')" bin/python3
	ln -s "$(command -v gzip)" bin
	ok env PATH="$PWD/bin" "$TTT_TESTS/../bench/text" --sizes 1M --documents 1 --kinds docs --positions "$files/corpus"
	[[ $output == *"(its files joined)"* ]]
	[[ $output == *"| gzip -9 "*" | "*[0-9]" |"* ]]
	[[ $output == *"bzip2 -9: not installed; Debian's package is bzip2."* ]]
	[[ $output == *"| docs, ttt "* ]]
	[[ $output == *"cmix was not run"* ]]
}
