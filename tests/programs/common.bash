# What the tests of programs share. Every test runs in a folder of its own, with the programs first in PATH.
# The model and the text are made once a file: a tiny model knows nothing, but does everything that a large one does.

# shellcheck disable=SC2154 # status, output and stderr are set by run
bats_require_minimum_version 1.5.0

setup_file() {
	PATH=$TTT_BIN:$PATH
	unset TTT_MODEL NO_COLOR POSIXLY_CORRECT SOURCE_DATE_EPOCH
	LC_ALL=C
	export PATH LC_ALL
	cd "$BATS_FILE_TMPDIR" || return 1
	make_text 1 6000 >text
	make_text 2 2000 >text2
	ttt-train tokenizer -o tokenizer.json --vocab 300 --special '<|bos|>' text
	make_config 300 299 >config.json
	ttt-train init -c config.json -t tokenizer.json --seed 1 model
	files=$BATS_FILE_TMPDIR
	model=$BATS_FILE_TMPDIR/model
	export files model
	if command -v more_setup >/dev/null; then
		more_setup
	fi
}

setup() {
	mkdir "$BATS_TEST_TMPDIR/work" # bats keeps files of its own beside it
	cd "$BATS_TEST_TMPDIR/work" || return 1
	export TTT_MODEL=$model
}

# Are the programs built under the sanitizers? They are slow then.
sanitized() {
	ldd "$TTT_BIN/ttt-absorb" 2>/dev/null | grep -q libasan
}

# usr1_until PID FILE PATTERN: ask for progress until FILE has the pattern, for half a minute at most.
usr1_until() {
	for _ in $(seq 300); do
		kill -USR1 "$1"
		sleep 0.1
		grep -q "$3" "$2" && break
	done
}

# make_text SEED BYTES: words in lines, the same for the same seed.
make_text() {
	awk -v seed="$1" -v bytes="$2" 'BEGIN {
		n = split("static int return struct value node list if while the of error read write file buffer size 42 0x1f ( ) { } ; ==", w, " ")
		x = seed * 7919 + 17
		while (made < bytes) {
			line = ""
			x = (x * 16807) % 2147483647
			for (i = x % 9; i >= 0; i--) {
				x = (x * 16807) % 2147483647
				line = line w[1 + x % n] (i > 0 ? " " : "")
			}
			print line
			made += length(line) + 1
		}
	}' | head -c "$2"
}

# make_config VOCAB BOS: four small blocks, two of which learn; the window is longer than a chunk.
make_config() {
	cat <<-END
	{"vocab_size": $1, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "head_dim": 8,
	"intermediate_size": 24, "prime_intermediate_size": 24, "num_suffix_layers": 2, "sliding_window": 20,
	"chunk_size": 16, "seq_length": 64, "rope_theta": 10000.0, "rms_norm_eps": 1e-6, "bos_token_id": $2,
	"inner_lr": 0.5, "inner_clip": 1.0}
	END
}

# ok COMMAND...: it must succeed and say nothing on stderr. Its stdout is in $output.
ok() {
	run --separate-stderr "$@"
	show "$@"
	[ "$status" -eq 0 ]
	[ -z "$stderr" ]
}

# refuse PATTERN COMMAND...: exit 2, nothing on stdout, and one line on stderr that names the program and matches the
# pattern; a line with a hint may follow.
refuse() {
	local pattern=$1
	shift
	run --separate-stderr "$@"
	show "$@"
	[ "$status" -eq 2 ]
	[ -z "$output" ]
	[[ ${stderr_lines[0]} == ttt-*": "* ]]
	[[ ${stderr_lines[0]} =~ $pattern ]]
	[ "${#stderr_lines[@]}" -eq 1 ] || { [ "${#stderr_lines[@]}" -eq 2 ] && [[ ${stderr_lines[1]} == *": hint: "* ]]; }
}

# Shown by bats where the test fails.
show() {
	printf 'command: %s\nstatus: %s\nstdout: %s\nstderr: %s\n' "$*" "$status" "$output" "$stderr"
}

# unpack STATE FOLDER
unpack() {
	mkdir "$2"
	tar xzf "$1" -C "$2"
}

# same_memory A B: two states hold the same weights, window, and waiting bytes and tokens, and the same text.
same_memory() {
	rm -rf .a .b
	unpack "$1" .a
	unpack "$2" .b
	for member in fast.safetensors window.safetensors pending recent; do
		cmp ".a/$member" ".b/$member" || return 1
	done
}

# Column NUMBER of a table with a header, on stdin.
column() {
	tail -n +2 | cut -f "$1"
}
