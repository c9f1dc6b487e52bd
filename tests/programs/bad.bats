# Files that are not what they should be: one line, exit 2, nothing changed.
# shellcheck disable=SC2154 # status, output, stderr, files and model are set by run and by common.bash
# shellcheck disable=SC2002,SC2016,SC2034 # a pipe is what is tested; bash -c expands; loops count
load common

@test "no such file" {
	refuse "nosuch: .*No such file" ttt-absorb -o s nosuch
	refuse "nosuch: .*No such file" ttt-ppl nosuch
	refuse "nosuch: .*No such file" ttt-absorb --ids nosuch -o s
	refuse "nosuch: .*No such file" ttt-ppl --ids nosuch
	refuse "nosuch: .*No such file" ttt-absorb -f nosuch -o s "$files/text"
	refuse "nosuch: .*No such file" ttt-ppl -s nosuch "$files/text"
	refuse "nosuch.*No such file" ttt-ppl -m nosuch "$files/text"
	refuse "nosuch.*No such file" ttt-absorb -o nosuch/s "$files/text"
	[ ! -e s ]
}

@test "a file that comes after good ones" {
	refuse "nosuch: " ttt-absorb -o s "$files/text" nosuch
	[ ! -e s ]
}

@test "an output that exists stays as it was where anything fails" {
	echo mine >s
	echo mine >before
	: >empty
	refuse "nosuch: " ttt-absorb -o s nosuch
	refuse "nosuch: " ttt-absorb -o s "$files/text" nosuch
	refuse "empty: " ttt-absorb -o s empty
	echo 1 2 300 >ids
	refuse "ids: line 1" ttt-absorb -o s --ids ids
	refuse "ids: line 1" ttt-train grad --ids ids --out s
	refuse "nosuch" ttt-train tokenizer -o s --vocab 300 nosuch
	cmp s before
}

@test "an output that cannot be written is said before anything is read" {
	mkfifo pipe # a reader of it would wait
	for out in nosuch/s "$files" /dev/null ''; do
		refuse "$out" timeout 10 ttt-absorb -o "$out" pipe
		refuse "$out" timeout 10 ttt-absorb -u "$out" pipe
		refuse "$out" timeout 10 ttt-train tokenizer --vocab 300 -o "$out" pipe
	done
	ls
	[ "$(ls)" = pipe ]
}

@test "what is read is not written over" {
	cp "$files/text" text
	ttt-train tokenize text | cut -d ' ' -f 1-33 >ids
	ttt-absorb -o s text
	mkdir before
	cp text ids s before
	refuse "text: is the file" ttt-absorb -o text text
	refuse "ids: is the file" ttt-absorb -o ids --ids ids
	printf 'text\0' >names
	refuse "names: is the file" ttt-absorb -o names --files0-from names
	refuse "s: is the file" ttt-snapshot export --safetensors s s
	refuse "text: is the file" ttt-train tokenizer --vocab 300 -o text text
	refuse "ids: is the file" ttt-train grad --ids ids --out ids
	for command in 'ttt-ppl text' 'ttt-ppl - <text' 'ttt-train tokenize text' 'ttt-train tokenize <text'; do
		run --separate-stderr timeout 10 bash -c "$command >>text"
		show "$command"
		[ "$status" -eq 2 ]
		[[ $stderr == *": is the file that standard output goes to" ]]
	done
	cmp text before/text
	cmp ids before/ids
	cmp s before/s
}

@test "what is wrong is said with -q too" {
	head -c 4000 /dev/zero >zeros
	refuse "zeros: skipped: binary" ttt-absorb -q -o s zeros
	mkdir d
	cp zeros d
	refuse "d: nothing to absorb: all of it was passed over" ttt-absorb -q -r -o s d
	: >empty
	refuse "empty and 1 more: nothing to absorb: they are empty" ttt-absorb -o s empty empty
	refuse "'': cannot open" ttt-absorb -o s ''
	[ ! -e s ]
	[ "$(id -u)" -ne 0 ] || skip "root reads everything"
	cp "$files/text" d/text
	cp "$files/text" d/secret
	chmod 0 d/secret
	run --separate-stderr ttt-absorb -q -r -o s d
	show
	[ "$status" -eq 2 ]
	[[ $stderr == "ttt-absorb: d/secret: cannot open: Permission denied" ]]
	[ -e s ]
}

@test "no right to read" {
	[ "$(id -u)" -ne 0 ] || skip "root reads everything"
	cp "$files/text" secret
	chmod 0 secret
	refuse "secret: .*Permission denied" ttt-absorb -o s secret
	refuse "secret: .*Permission denied" ttt-ppl secret
}

@test "empty input" {
	: >empty
	refuse "empty: nothing to absorb" ttt-absorb -o s empty
	refuse "-: nothing to absorb" ttt-absorb -o s </dev/null
	refuse "empty: nothing to absorb" ttt-absorb --ids empty -o s
	refuse "empty" ttt-absorb -f empty -o s "$files/text"
	refuse "empty" ttt-ppl -s empty "$files/text"
	[ ! -e s ]
}

@test "ids that are none, and ids outside the vocabulary" {
	for bad in 300 -1 4294967296 99999999999999999999 1.5 abc 0x10 '3,4'; do
		echo "1 2 $bad" >ids
		refuse "ids: line 1" ttt-absorb --ids ids -o s
		refuse "ids: line 1" ttt-ppl --ids ids
		refuse "ids: line 1" ttt-train grad --ids ids --out g
	done
	printf '1 2\n3 300\n' >ids
	refuse "ids: line 2" ttt-absorb --ids ids -o s
	[ ! -e s ]
	[ ! -e g ]
}

@test "text for a model without a tokenizer" {
	mkdir bare
	cp "$files/model/config.json" "$files/model/model.safetensors" bare
	refuse "bare: has no tokenizer" ttt-absorb -m bare -o s "$files/text"
	refuse "bare: has no tokenizer" ttt-ppl -m bare "$files/text"
	[ ! -e s ]
	echo 1 2 3 >ids
	ok ttt-ppl -m bare --ids ids
	ok ttt-absorb -m bare --ids ids -o s
}

@test "malformed weights: each is refused by a line that names the file" {
	count=0
	for bad in "$TTT_TESTS"/files/safetensors/*.safetensors; do
		name=$(basename "$bad")
		[[ $name == ok_* ]] && continue
		rm -rf m
		cp -r "$files/model" m
		chmod u+w m/model.safetensors
		cp "$bad" m/model.safetensors
		echo "$name"
		refuse "m/model.safetensors" ttt-ppl -m m "$files/text2"
		count=$((count + 1))
	done
	[ "$count" -ge 20 ]
}

@test "malformed configurations: each is refused by a line that names the file" {
	count=0
	for bad in "$TTT_TESTS"/files/config/*.json; do
		rm -rf m
		cp -r "$files/model" m
		cp "$bad" m/config.json
		echo "$bad"
		refuse "m/(config.json|model.safetensors)" ttt-ppl -m m "$files/text2"
		count=$((count + 1))
	done
	[ "$count" -ge 20 ]
}

@test "malformed tokenizers: each is refused by a line that names the file" {
	count=0
	for bad in "$TTT_TESTS"/files/tokenizer/*.json; do
		name=$(basename "$bad")
		# The controls are good files, of which one is only slow to refuse; one is bad for its model alone.
		case $name in ok_* | *fast* | vocab_over_model*) continue ;; esac
		echo "$name"
		run --separate-stderr timeout 10 ttt-train tokenize -t "$bad" "$files/text2"
		show
		[ "$status" -eq 2 ] || [ "$status" -eq 0 ]
		if [ "$status" -eq 2 ]; then
			[[ ${stderr_lines[0]} == *"$name"* ]]
			[ -z "$output" ]
			count=$((count + 1))
		fi
	done
	[ "$count" -ge 20 ]
}

@test "a damaged state: every flipped byte and every cut is refused or changes nothing" {
	head -c 300 "$files/text" >short
	ttt-absorb --compress none -o s short
	size=$(stat -c %s s)
	ok ttt-ppl -s s "$files/text2"
	good=$output
	for i in $(seq 40); do
		at=$(((i * 7919 * 131) % size))
		cp s bad
		byte=$(od -An -v -t u1 -j $at -N 1 s)
		# shellcheck disable=SC2059
		printf "\\$(printf %o $(((byte + 1) % 256)))" | dd of=bad bs=1 seek=$at conv=notrunc status=none
		run --separate-stderr ttt-ppl -s bad "$files/text2"
		echo "byte $at: $status $stderr"
		if [ "$status" -eq 0 ]; then
			[ "$output" = "$good" ]
		else
			[ "$status" -eq 2 ]
			[ "${#stderr_lines[@]}" -le 2 ]
			[[ $stderr == *"bad: "* ]]
		fi
	done
	for cut in 0 1 511 512 513 1024 5000 $((size / 2)) $((size - 1025)); do
		head -c $cut s >bad
		refuse "bad: " ttt-ppl -s bad "$files/text2"
		refuse "bad: " ttt-absorb -f bad -o x "$files/text2"
	done
	ttt-absorb -o z short
	for cut in 1 100 $(($(stat -c %s z) / 2)) $(($(stat -c %s z) - 1)); do
		head -c $cut z >bad
		refuse "bad: " ttt-ppl -s bad "$files/text2"
	done
	[ ! -e x ]
}

@test "a state of another model" {
	ttt-train init -c "$files/config.json" -t "$files/tokenizer.json" --seed 9 other
	ttt-absorb -m other -o s "$files/text"
	cp s before
	refuse "s: " ttt-ppl -s s "$files/text"
	refuse "s: " ttt-absorb -f s -o t "$files/text"
	refuse "s: " ttt-absorb -u s "$files/text"
	cmp s before
	[ ! -e t ]
}

@test "a file that is no state" {
	refuse "text: " ttt-ppl -s "$files/text" "$files/text2"
	tar czf other.tgz -C "$files" text
	refuse "other.tgz: " ttt-ppl -s other.tgz "$files/text2"
	refuse "model.safetensors: " ttt-ppl -s "$files/model/model.safetensors" "$files/text2"
}

@test "zeros without end are no state, and are not read to their end" {
	refuse "/dev/zero: not a state" timeout 10 ttt-ask /dev/zero x
	truncate -s 1T sparse
	refuse "sparse: not a state" timeout 10 ttt-ppl -s sparse "$files/text2"
	ttt-absorb --compress none -o s "$files/text2"
	cat s <(head -c 512 /dev/zero) >more
	refuse "more: damaged: it does not end" ttt-ppl -s more "$files/text2"
	truncate -s 1T s
	refuse "s: damaged: it does not end" timeout 10 ttt-ppl -s s "$files/text2"
}

@test "a folder for temporary files that is not there or full is named" {
	ttt-absorb -o s "$files/text"
	TMPDIR=nosuch refuse "nosuch: cannot make a temporary file: No such file" ttt-absorb -f s -o t "$files/text2"
	TMPDIR=s refuse "s: cannot make a temporary file: Not a directory" ttt-absorb -f s -o t "$files/text2"
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do cat "$files/text"; done >long
	(
		ulimit -f 40
		refuse "/.*: cannot write to a temporary file: File too large" ttt-absorb --no-learn -o t long
	)
	[ ! -e t ]
}

@test "names with control characters stay on one line" {
	refuse 'no\\x0asuch\\x1b' ttt-ppl $'no\nsuch\033[31m'
	# CSI and a turn of direction in UTF-8, and a byte that is not UTF-8; what is harmless stays.
	refuse 'no\\x9bsuch\\u202e\\xff: ' ttt-ppl $'no\xc2\x9bsuch\xe2\x80\xae\xff'
	refuse $'na\xc3\xafve: ' ttt-ppl $'na\xc3\xafve'
}
