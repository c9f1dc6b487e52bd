# ttt-ppl: how well a text is predicted.
# shellcheck disable=SC2154 # status, output, stderr, files and model are set by run and by common.bash
# shellcheck disable=SC2002,SC2016,SC2034 # a pipe is what is tested; bash -c expands; loops count
load common

more_setup() {
	ttt-absorb -m model -o state text
}

@test "a line a file, and a total of several" {
	ok ttt-ppl "$files/text" "$files/text2"
	[ "${lines[0]}" = "$(printf 'name\tbytes\ttokens\tloss\tbits_per_byte\tperplexity')" ]
	[ "${#lines[@]}" -eq 4 ]
	[[ ${lines[1]} == "$files/text"$'\t'6000$'\t'* ]]
	[[ ${lines[2]} == "$files/text2"$'\t'2000$'\t'* ]]
	[[ ${lines[3]} == total$'\t'8000$'\t'* ]]
	ok ttt-ppl "$files/text"
	[ "${#lines[@]}" -eq 2 ]
	# Loss, bits per byte and perplexity say the same thing.
	printf '%s\n' "${lines[1]}" | awk -F '\t' '{
		bits = $4 / log(2) * $3 / $2
		exit !((bits - $5) ^ 2 < 1e-6 && (exp($4) / $6 - 1) ^ 2 < 1e-6)
	}'
}

@test "bfloat16 for what does not learn changes little, and nothing with the number of threads" {
	near() { awk -v a="$1" -v b="$2" 'BEGIN { exit !((a - b) ^ 2 < 1e-6) }'; }
	loss() { ttt-ppl "$@" | tail -n 1 | cut -f 4; }
	a=$(loss "$files/text") b=$(loss --precision bf16 --threads 1 "$files/text")
	near "$a" "$b"
	[ "$b" = "$(loss --precision bf16 --threads 2 "$files/text")" ]
	[ "$a" = "$(loss --precision f32 "$files/text")" ]
	refuse "f16" ttt-ppl --precision f16 "$files/text"
}

@test "every byte is scored, and each file from the same start" {
	ok ttt-ppl --tokens "$files/text2"
	[ "${lines[0]}" = "$(printf 'document\tposition\tid\tnll')" ]
	ttt-train tokenize -t "$files/tokenizer.json" "$files/text2" | tr ' ' '\n' >want
	printf '%s\n' "${lines[@]}" | column 3 | cmp - want
	printf '%s\n' "${lines[@]}" | column 2 | cmp - <(seq 0 $(($(wc -l <want) - 1)))
	ok ttt-ppl "$files/text" "$files/text2"
	second=${lines[2]#*$'\t'}
	ok ttt-ppl "$files/text2"
	[ "${lines[1]#*$'\t'}" = "$second" ]
}

@test "modes: learning helps on a text that repeats; frozen and window are the same without a state" {
	for i in 1 2 3 4 5 6; do cat "$files/text2"; done >repeats
	loss() { ttt-ppl --mode "$1" repeats | column 4; }
	ttt=$(loss ttt)
	frozen=$(loss frozen)
	window=$(loss window)
	full=$(loss full)
	echo "ttt $ttt frozen $frozen window $window full $full"
	[ "$frozen" = "$window" ]
	[ "$full" != "$window" ]
	awk -v a="$ttt" -v b="$frozen" 'BEGIN { exit !(a < b) }'
}

@test "a state helps on what it has read, and each mode is another thing" {
	loss() { ttt-ppl "$@" "$files/text" | column 4; }
	none=$(loss --mode frozen)
	frozen=$(loss -s "$files/state" --mode frozen)
	window=$(loss -s "$files/state" --mode window)
	ttt=$(loss -s "$files/state")
	echo "none $none, with state: frozen $frozen window $window ttt $ttt"
	awk -v a="$frozen" -v b="$none" -v c="$window" -v d="$ttt" 'BEGIN { exit !(a < b && a < c && d != a) }'
	refuse "--mode full" ttt-ppl -s "$files/state" --mode full "$files/text"
}

@test "reading on from a state is reading the whole" {
	ttt-ppl --tokens "$files/text" | column 3,4 >alone
	cat "$files/text" "$files/text2" >both
	ttt-ppl --tokens both | column 3,4 >whole
	ttt-ppl --tokens -s "$files/state" "$files/text2" | column 3,4 >rest
	# The last token of the first text may have become another one: the state holds its bytes back.
	n=$(wc -l <rest)
	tail -n "$n" whole | cmp - rest
	[ $(($(wc -l <alone) - 1)) -le $(($(wc -l <whole) - n)) ]
	[ "$(ttt-ppl --lines -s "$files/state" "$files/text2" | column 5)" = "$(cat "$files/text2")" ]
}

@test "--ids: position t scores id t + 1, and with a state the first one too" {
	printf '1 2 3 4 5\n7 8\n' >ids
	ok ttt-ppl --ids ids --tokens
	[ "${lines[0]}" = "$(printf 'sequence\tposition\tid\tnll')" ]
	[ "$(printf '%s\n' "${lines[@]}" | column 1-3)" = "$(printf '0\t0\t2\n0\t1\t3\n0\t2\t4\n0\t3\t5\n1\t0\t8')" ]
	ok ttt-ppl -s "$files/state" --ids ids --tokens
	[ "$(printf '%s\n' "${lines[@]}" | column 3)" = "$(printf '1\n2\n3\n4\n5\n7\n8')" ]
	ok ttt-ppl --ids - --tokens <ids
	[ "${#lines[@]}" -eq 6 ]
	# Text is BOS and its ids.
	(printf '299 '; ttt-train tokenize -t "$files/tokenizer.json" "$files/text2") >ids
	cmp <(ttt-ppl --ids ids --tokens | column 2-4) <(ttt-ppl --tokens "$files/text2" | column 2-4)
}

@test "--lines gives every line back, with bits that add up" {
	ok ttt-ppl --lines "$files/text2"
	[ "$(printf '%s\n' "${lines[@]}" | column 5)" = "$(cat "$files/text2")" ]
	sum=$(printf '%s\n' "${lines[@]}" | column 4 | awk '{ s += $1 } END { print s }')
	ttt-ppl "$files/text2" | column 2,5 | awk -v sum="$sum" '{ near = ($1 * $2 - sum) ^ 2 < 1 } END { exit !near }'
	[ "$(ttt-ppl --lines "$files/text2" | column 2 | tail -n 1)" -eq "${#lines[@]}" ] ||
	    [ "$(ttt-ppl --lines "$files/text2" | column 2 | tail -n 1)" -eq $((${#lines[@]} - 1)) ]
}

@test "--lines cannot steer a terminal, through a pipe either" {
	printf 'an evil \033[31mline\377\n' >evil
	ttt-ppl --lines evil >out
	grep -F 'an evil \x1b[31mline\xff' out
	run ! grep -q "$(printf '\033')" out
	ttt-ppl --lines --top 1 evil | cmp - out
}

@test "--positions counts every token once" {
	ok ttt-ppl --positions "$files/text2"
	[ "${lines[0]}" = "$(printf 'from\tto\ttokens\tloss')" ]
	[[ ${lines[1]} == 0$'\t'0$'\t'1$'\t'* ]]
	[[ ${lines[3]} == 2$'\t'3$'\t'2$'\t'* ]]
	n=$(printf '%s\n' "${lines[@]}" | column 3 | awk '{ s += $1 } END { print s }')
	[ "$n" -eq "$(ttt-ppl "$files/text2" | column 3)" ]
}

@test "--sort and --top: worst first" {
	ttt-ppl --tokens "$files/text2" | column 4 | sort -rg >want
	ttt-ppl --tokens --sort "$files/text2" | column 4 | cmp - want
	ttt-ppl --tokens --top 7 "$files/text2" | column 4 | cmp - <(head -n 7 want)
	ttt-ppl --lines --top 3 "$files/text2" >top
	[ "$(wc -l <top)" -eq 4 ]
	column 4 <top | sort -rgc
	ok ttt-ppl --sort "$files/text" "$files/text2"
	[[ ${lines[3]} == total* ]]
	refuse "--positions" ttt-ppl --sort --positions "$files/text"
}

@test "--json has the same names and numbers, in JSON" {
	printf 'a "b" \\ \377 \t x\n' >'odd "name"'
	for form in --tokens --lines --positions ""; do
		ttt-ppl $form --json 'odd "name"' >out
		perl -MJSON::PP -e 1 2>/dev/null || skip "no JSON reader"
		perl -MJSON::PP -ne 'ref(decode_json($_)) eq "HASH" or die' out
		names=$(head -n 1 out | perl -MJSON::PP -ne 'print join("\t", sort keys %{decode_json($_)})')
		want=$(ttt-ppl $form 'odd "name"' | head -n 1 | tr '\t' '\n' | sort | paste -s)
		[ "$names" = "$want" ]
	done
}

@test "an empty file among others is said, and the exit status tells" {
	: >empty
	run --separate-stderr ttt-ppl empty "$files/text2"
	show
	[ "$status" -eq 2 ]
	[[ $stderr == "ttt-ppl: empty: nothing to score"* ]]
	[ "${#lines[@]}" -ge 2 ]
	refuse "empty: nothing to score" ttt-ppl empty
	refuse "-: nothing to score" ttt-ppl </dev/null
	refuse "empty: nothing to score" ttt-ppl --ids empty
	echo 5 >one
	refuse "one: sequence 0: nothing to score" ttt-ppl --ids one
	# Nor is what a state holds back a document of its own.
	ttt-absorb -o s "$files/text"
	refuse "empty: nothing to score" ttt-ppl -s s empty
	refuse "-: nothing to score" ttt-ppl -s s </dev/null
}

@test "a file among others that cannot be opened is said, and the rest is scored" {
	run --separate-stderr ttt-ppl "$files/text" nosuch "$files/text2"
	show
	[ "$status" -eq 2 ]
	[ "$stderr" = "ttt-ppl: nosuch: cannot open: No such file or directory" ]
	[[ ${lines[2]} == *text2$'\t'2000$'\t'* ]]
	[[ ${lines[3]} == total$'\t'8000$'\t'* ]]
}

@test "bytes of any kind are scored" {
	head -c 3000 /dev/zero >zeros
	ok ttt-ppl zeros
	[[ ${lines[1]} == zeros$'\t'3000$'\t'* ]]
	printf '\377\376\0\200' >odd
	ok ttt-ppl odd
	[[ ${lines[1]} == odd$'\t'4$'\t'* ]]
}

@test "a loss that is no finite number is an error, not a row" {
	cp -r "$files/model" m
	python3 - <<-'END'
	import struct
	b = open("m/model.safetensors", "rb").read()
	n = 8 + struct.unpack("<Q", b[:8])[0]
	open("m/model.safetensors", "wb").write(b[:n] + struct.pack("<f", 1e30) * ((len(b) - n) // 4))
	END
	for form in '' --json --positions '--sort --tokens' '--lines --top 1'; do
		# shellcheck disable=SC2086 # none, one or two words
		refuse "text: the loss is no longer a finite number" ttt-ppl -m m $form "$files/text"
	done
	ttt-train tokenize "$files/text" | cut -d ' ' -f 1-33 >ids
	refuse "ids: the loss" ttt-ppl -m m --ids ids
	refuse "ids: the loss" ttt-train grad -m m --ids ids --out g
	[ ! -e g ]
}

@test "a walk passes over what it cannot read, and says so in the exit status" {
	mkdir -p d/empty
	refuse "d: nothing to score" ttt-ppl -r d
	cp "$files/text" d/text
	: >d/nothing
	run --separate-stderr ttt-ppl -r d
	[ "$status" -eq 0 ]
	[[ $stderr == "ttt-ppl: d/nothing: nothing to score: it is empty" ]]
	rm d/nothing
	ln -s /dev/null d/link
	ok ttt-ppl -r d
	refuse "nosuch: cannot open" ttt-ppl -q -r nosuch
	run --separate-stderr ttt-ppl -r --sort nosuch d
	show
	[ "$status" -eq 2 ]
	[[ ${lines[1]} == d/text$'\t'* ]]
	[[ $stderr == "ttt-ppl: nosuch: cannot open: No such file or directory" ]]
}

@test "with -s bytes that the state holds back are not the file's" {
	printf 'int f(void)\n{\n	return 0;\n}\n' | ttt-absorb -o s
	printf 'static int g;\n' >g.c
	ok ttt-ppl -s s g.c
	[ "$(printf '%s\n' "$output" | tail -n 1 | cut -f 2)" = 14 ]
	bits=$(printf '%s\n' "$output" | tail -n 1 | cut -f 5)
	ok ttt-ppl -s s --lines g.c
	[ "$(printf '%s\n' "$output" | tail -n 1 | cut -f 3)" = "$bits" ]
}
