# What every program does with its command line, its descriptors and its end.
# shellcheck disable=SC2154 # status, output, stderr, files and model are set by run and by common.bash
# shellcheck disable=SC2002,SC2016,SC2034 # a pipe is what is tested; bash -c expands; loops count
load common

programs='ttt-absorb ttt-ask ttt-digest ttt-ppl ttt-snapshot ttt-train'

@test "--help and --version go to stdout and exit 0" {
	for p in $programs; do
		ok "$p" --help
		[[ $output == "Usage: $p "* ]]
		ok "$p" -h
		[[ $output == "Usage: $p "* ]]
		ok "$p" --version
		[[ $output == "$p (ttt) "[0-9]* ]]
		ok "$p" -vV
		[[ $output == *"device: cpu"* ]]
	done
	for c in init tokenizer tokenize run eval convert grad; do
		ok ttt-train $c --help
		[[ $output == "Usage: ttt-train $c "* ]]
	done
}

@test "an unknown option is a usage error" {
	for p in $programs; do
		refuse "$p: .*'--nonsense'" "$p" --nonsense
	done
	refuse "unknown option '-Z'" ttt-absorb -Z
	refuse "option '-o' wants a value" ttt-absorb -o
	refuse "option '--rate' wants a value" ttt-absorb --rate
	refuse "takes no value" ttt-absorb --no-learn=1
}

@test "values of options are checked" {
	refuse "--rate: 'fast' is not a number" ttt-absorb --rate fast
	refuse "--rate: 'nan' is not a number" ttt-absorb --rate nan
	refuse "--passages-max: '10X' is not a size" ttt-absorb --passages-max 10X
	refuse "--passages-max: '-1' is not a size" ttt-absorb --passages-max -1
	refuse "--passages-max: '99999999999999999999' is not a size" ttt-absorb --passages-max 99999999999999999999
	refuse "--threads: '0' is not a whole number" ttt-ppl --threads 0
	refuse "--mode: 'x' is none of ttt, frozen, window, full" ttt-ppl --mode x
	refuse "'adam' is not built yet" ttt-absorb --rule adam
	refuse "--top: '1.5' is not a whole number" ttt-ppl --top 1.5
}

@test "options that do not go together are refused" {
	refuse "neither -f nor -o" ttt-absorb -u a -o b "$files/text"
	refuse "neither -f nor -o" ttt-absorb -u a -f b "$files/text"
	refuse "goes with -u" ttt-absorb --wait 1 "$files/text"
	refuse "takes the place of FILEs" ttt-absorb --ids a "$files/text"
	refuse "takes the place of FILEs" ttt-ppl --ids a "$files/text"
	refuse "both the state and the text" ttt-absorb -f -
	refuse "only one of" ttt-ppl --tokens --lines "$files/text"
	refuse "--mode full" ttt-ppl -s a --mode full "$files/text"
	refuse "command is missing" ttt-train
	refuse "unknown command 'nonsense'" ttt-train nonsense
}

@test "-- ends options, - is standard input, long options may be cut short" {
	cp "$files/text" ./-r
	ok ttt-ppl -- -r
	[[ $output == *$'\n-r\t'* ]]
	ok ttt-ppl - <"$files/text"
	[[ $output == *$'\n-\t'* ]]
	ok ttt-ppl --pos "$files/text"
	[[ $output == "from"* ]]
}

@test "a device that is not built and a set that is not there are said to be so" {
	refuse "cuda" ttt-ppl --device cuda "$files/text"
	refuse "nonsense" ttt-ppl --device nonsense "$files/text"
	TTT_KERNELS=nonsense refuse "nonsense" ttt-ppl "$files/text"
	TTT_KERNELS=plain ok ttt-ppl "$files/text"
}

@test "a full disk is noticed at the end" {
	[ -w /dev/full ] || skip "no /dev/full"
	for command in "ttt-ppl --help" "ttt-ppl $files/text" "ttt-train --help" "ttt-absorb --version" \
	    "ttt-train tokenize $files/text" "ttt-absorb $files/text"; do
		run --separate-stderr bash -c "$command >/dev/full"
		show "$command"
		[ "$status" -eq 2 ]
		[[ $stderr == *"No space left on device"* ]]
		[ "${#stderr_lines[@]}" -eq 1 ]
	done
}

@test "a limit on the size of files is met as a full disk is" {
	run --separate-stderr bash -c 'ulimit -f 2; ttt-absorb -o s "$files/text"'
	show
	[ "$status" -eq 2 ]
	[[ $stderr == "ttt-absorb: s: cannot write: File too large" ]]
	[ -z "$(ls)" ]
	run --separate-stderr bash -c 'ulimit -f 2; ttt-ppl --tokens "$files/text" >table'
	show
	[ "$status" -eq 2 ]
	[[ $stderr == "ttt-ppl: standard output: cannot write: File too large" ]]
}

@test "a closed stdout is noticed" {
	for command in "ttt-ppl --help" "ttt-ppl $files/text" "ttt-absorb $files/text" "ttt-train tokenize $files/text"; do
		run --separate-stderr bash -c "$command >&-"
		show "$command"
		[ "$status" -eq 2 ]
		[[ $stderr == ttt-*"standard output"* ]]
		[ "${#stderr_lines[@]}" -eq 1 ]
	done
}

@test "a program that prints nothing does not need stdout, stdin or stderr" {
	run bash -c "ttt-absorb -o s $files/text >&- <&- 2>&-"
	[ "$status" -eq 0 ]
	tar tzf s >/dev/null
}

@test "a closed stdin is an error, not an empty file" {
	run --separate-stderr bash -c "ttt-absorb -o s <&-"
	show
	[ "$status" -eq 2 ]
	[ "${#stderr_lines[@]}" -eq 1 ]
	[ ! -e s ]
}

@test "a closed pipe ends a program quietly" {
	for i in 1 2 3 4 5 6 7 8; do
		cat "$files/text"
	done >long
	run --separate-stderr bash -c 'ttt-ppl --tokens long | head -n 1; exit "${PIPESTATUS[0]}"'
	show
	[ "$status" -eq 141 ]
	[ -z "$stderr" ]
	# Also where the signal was ignored by whoever started it.
	run --separate-stderr bash -c 'trap "" PIPE; ttt-ppl --tokens long | head -n 1; exit "${PIPESTATUS[0]}"'
	show
	[ "$status" -ne 0 ]
	[ -z "$stderr" ]
}

@test "a second SIGINT does not wait for what the first one waits for" {
	mkfifo pipe
	env --default-signal=INT ttt-train tokenizer -o t.json --vocab 300 pipe &
	pid=$!
	exec 9>pipe
	sleep 0.2
	kill -INT $pid
	sleep 0.2
	kill -0 $pid
	kill -INT $pid
	status=0
	wait $pid || status=$?
	exec 9>&-
	[ "$status" -eq 130 ]
	[ "$(ls)" = pipe ]
}

@test "nothing to say, nothing said: the exit status is the same with -q" {
	refuse "nosuch" ttt-absorb -q nosuch
	refuse "nosuch" ttt-ppl -q nosuch
}

@test "--progress and SIGUSR1 print lines on stderr" {
	run --separate-stderr ttt-absorb --progress -o s "$files/text"
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	mkfifo pipe
	# Ignored until the program takes it over: it must not be hit while it starts.
	(trap '' USR1; exec ttt-absorb -o s2 <pipe 2>log) &
	pid=$!
	exec 9>pipe
	cat "$files/text" >&9
	usr1_until $pid log '6.0 KB'
	exec 9>&-
	wait $pid
	cat log
	grep -q 'ttt-absorb: 6.0 KB, .*/s, .* bits per byte' log
	cmp <(tar xzOf s fast.safetensors) <(tar xzOf s2 fast.safetensors)
}

@test "-v says what is used" {
	run --separate-stderr ttt-absorb -v -o s "$files/text"
	show
	[ "$status" -eq 0 ]
	[[ $stderr == *"model "*parameters* ]]
	[[ $stderr == *"absorbed 6000 bytes"* ]]
}
