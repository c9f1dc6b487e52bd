# ttt-absorb: streams into states.
# shellcheck disable=SC2154 # status, output, stderr, files and model are set by run and by common.bash
# shellcheck disable=SC2002,SC2016,SC2034 # a pipe is what is tested; bash -c expands; loops count
load common

@test "a pipe, a file and a name give the same state, and the same again" {
	ttt-absorb <"$files/text" >a
	cat "$files/text" | ttt-absorb >b
	cmp a b
	ttt-absorb "$files/text" >c
	same_memory a c
	ttt-absorb -o d "$files/text"
	cmp c d
	ttt-absorb -o e - <"$files/text"
	cmp a e
	sleep 1.1
	ttt-absorb "$files/text" >f
	cmp c f
}

@test "a state is a tar that others read, manifest first, for its owner only" {
	ttt-absorb -o s "$files/text"
	ok tar tzf s
	[ "${lines[0]}" = manifest.json ]
	for member in fast.safetensors window.safetensors pending passages curve.tsv; do
		[[ $'\n'$output$'\n' == *$'\n'$member$'\n'* ]]
	done
	[ "$(stat -c %a s)" = 600 ]
	tar xzOf s passages | grep -q return
}

@test "names never go into the tokens: A B, cat A B, and A then B are the same" {
	ttt-absorb "$files/text" "$files/text2" >ab
	cat "$files/text" "$files/text2" | ttt-absorb >catab
	same_memory ab catab
	ttt-absorb "$files/text" >a
	ttt-absorb -f a "$files/text2" >b
	same_memory ab b
	ttt-absorb -f - "$files/text2" <a >c
	cmp b c
}

@test "a stream cut anywhere is the same stream" {
	head -c 1200 "$files/text" >whole
	printf 'na\303\257ve \342\202\254 \377\376 \0 <|bos|> \r\n tail' >>whole
	n=$(stat -c %s whole)
	ttt-absorb <whole >want # not by name: a file with NUL bytes would be passed over as binary
	unpack want want.d
	# Every cut of the last bytes, which hold characters of several bytes, and cuts all over.
	for cut in 1 2 3 15 16 17 100 255 256 257 511 700 1000 $(seq 1199 $((n - 1))); do
		head -c "$cut" whole >A
		tail -c +$((cut + 1)) whole >B
		ttt-absorb <A >./0
		ttt-absorb -f 0 <B >./2
		rm -rf got.d
		unpack 2 got.d
		for member in fast.safetensors window.safetensors pending recent; do
			cmp want.d/$member got.d/$member || {
				echo "cut at $cut: $member"
				return 1
			}
		done
	done
}

@test "biases by the last tokens are part of the stream, however it is cut, and are left out with the window" {
	sed 's/}$/,\n"ngram_orders": [0, 1, 3], "ngram_rates": [0.3, 1, 2], "ngram_bits": 10}/' "$files/config.json" >config.json
	ttt-train init -c config.json -t "$files/tokenizer.json" --seed 1 m
	export TTT_MODEL=m
	ttt-absorb <"$files/text" >whole
	for cut in 1 100 2047 5999; do
		head -c "$cut" "$files/text" | ttt-absorb >./0
		tail -c +$((cut + 1)) "$files/text" | ttt-absorb -f 0 >./2
		same_memory 2 whole
		cmp .a/ngrams .b/ngrams
	done
	ok ttt-snapshot verify whole
	ok ttt-snapshot info whole
	[[ $output == *"format      2"* && $output =~ n-grams\ +[1-9] ]]
	ttt-ppl -s whole "$files/text" | column 4 | awk '{ low = $1 < 3 } END { exit !low }' # of a model that knows nothing
	ttt-absorb --window tail -o tail "$files/text"
	tar tzf tail >members
	run ! grep -q ngrams members
	ok ttt-snapshot verify tail
	ok ttt-snapshot info tail
	[[ $output == *"format      1"* && $output != *n-grams* ]]
	ttt-absorb -m "$files/model" -o plain "$files/text"
	tar xzOf plain manifest.json >manifest
	run ! grep -q ngrams manifest
	grep -q '"version": 1,' manifest
}

@test "many small reads are the same as one" {
	head -c 1500 "$files/text" >whole
	ttt-absorb - <whole >want
	for part in 1 7 64 333; do
		dd if=whole bs=$part status=none | ttt-absorb >got
		cmp want got
	done
}

@test "learning moves the weights, --no-learn does not, --rate scales" {
	ttt-absorb -o s "$files/text"
	ttt-absorb --no-learn -o n "$files/text"
	ttt-absorb --rate 0.5 -o h "$files/text"
	unpack s s.d
	unpack n n.d
	unpack h h.d
	run ! cmp -s s.d/fast.safetensors n.d/fast.safetensors
	run ! cmp -s s.d/fast.safetensors h.d/fast.safetensors
	cmp s.d/pending n.d/pending
	cmp s.d/passages n.d/passages
	# A second, different text still moves nothing.
	ttt-absorb --no-learn -o n2 "$files/text2"
	unpack n2 n2.d
	cmp n.d/fast.safetensors n2.d/fast.safetensors
}

@test "--no-passages keeps no text, --passages-max drops the oldest" {
	ttt-absorb --no-passages -o n "$files/text"
	ttt-absorb -o s "$files/text"
	same_memory n s
	run ! tar xzOf n passages
	ttt-absorb --passages-max 1000 -o m "$files/text"
	same_memory m s
	tar xzOf m passages >kept
	[ "$(stat -c %s kept)" -lt 1500 ]
	tail -n 1 "$files/text" >last
	grep -qF "$(cat last)" kept
	[ "$(head -n 1 "$files/text")" != "$(sed -n 2p kept)" ]
}

@test "--compress and --window change the file, not what it is" {
	ttt-absorb -o s "$files/text"
	ttt-absorb --compress none -o n "$files/text"
	ok tar tf n
	[ "$(stat -c %s n)" -gt "$(stat -c %s s)" ]
	ttt-absorb -f n -o n2 "$files/text2"
	ttt-absorb -f s -o s2 "$files/text2"
	same_memory n2 s2
	ttt-absorb --window tail -o t "$files/text"
	ok tar tzf t
	[[ $output != *window.safetensors* ]]
	cmp <(tar xzOf s fast.safetensors) <(tar xzOf t fast.safetensors)
	ok ttt-absorb -f t -o t2 "$files/text2"
	tar tzf t2 | grep -q window.safetensors
}

@test "SOURCE_DATE_EPOCH sets the time of members; one that tar has no digits for can be read again" {
	SOURCE_DATE_EPOCH=1700000000 ttt-absorb -o s "$files/text"
	TZ=UTC tar tvzf s | grep -q '2023-11-14 22:13 manifest.json'
	for time in 8589934592 9999999999999; do
		SOURCE_DATE_EPOCH=$time ttt-absorb -o t "$files/text"
		same_memory s t
		ok ttt-snapshot verify t
	done
	for time in soon -1 1e3 9223372036854775807; do
		SOURCE_DATE_EPOCH=$time refuse "SOURCE_DATE_EPOCH" ttt-absorb -o none "$files/text"
		[ ! -e none ]
	done
}

@test "directories need -r, and -r walks them in one order" {
	mkdir -p d/b d/a
	cp "$files/text" d/b/one
	cp "$files/text2" d/a/two
	refuse "d: .*directory" ttt-absorb -o s d
	[ ! -e s ]
	ok ttt-absorb -r -o s d
	ttt-absorb -o t d/a/two d/b/one
	same_memory s t
	tar xzOf s passages | grep -q "d/a/two"
}

@test "-r does not read the state that it writes" {
	mkdir d
	cp "$files/text" d/text
	cd d
	run --separate-stderr bash -c 'ttt-absorb -r . >state.ttt'
	show
	[ "$status" -eq 0 ]
	[[ $stderr == *"state.ttt: skipped"* ]]
	ttt-absorb -o ../t "$files/text"
	same_memory state.ttt ../t
}

@test "archives: members by name, from a file and from a pipe" {
	mkdir d
	cp "$files/text" d/one
	cp "$files/text2" d/two
	ttt-absorb -o want d/one d/two
	tar cf d.tar d/one d/two
	tar czf d.tgz d/one d/two
	ok ttt-absorb -a -o a d.tar
	ok ttt-absorb -a -o b d.tgz
	cmp want a
	cmp a b
	cat d.tgz | ttt-absorb -a >c
	same_memory want c
	tar xzOf c passages | grep -q 'd/two'
	refuse "text" ttt-absorb -a -o x "$files/text"
	[ ! -e x ]
}

@test "archives one behind another are read to the last; what is no archive behind one is damage" {
	tar cf a.tar -C "$files" text
	tar cf b.tar -C "$files" text2
	ttt-absorb -o want "$files/text" "$files/text2"
	cat a.tar b.tar | ttt-absorb -a >got
	same_memory want got
	gzip a.tar
	gzip b.tar
	cat a.tar.gz b.tar.gz | ttt-absorb -a >got
	same_memory want got
	gunzip a.tar.gz
	cat "$files/text" >>a.tar
	refuse "a.tar: damaged archive" ttt-absorb -a -o x a.tar
	[ ! -e x ]
}

@test "members with holes are binary, links and devices are no members, names go nowhere" {
	truncate -s 1T holes # a few blocks of tar, and zeros for years
	head -c 9000 "$files/text" >half
	truncate -s 1T half
	mkfifo fifo
	ln "$files/text" text
	ln text hard
	ln -s /etc/passwd soft
	tar cSPf a.tar --transform 's,^text,../../text,' holes half fifo text hard soft
	run --separate-stderr timeout 20 ttt-absorb -a -o s a.tar
	show
	[ "$status" -eq 0 ]
	[ "${#stderr_lines[@]}" -eq 2 ]
	[[ $stderr == *"holes: skipped: binary data"*"half: skipped: binary data"* ]]
	[ "$(tar xzOf s sources.tsv)" = $'bytes\tname\n6000\t../../text' ]
	[ ! -e ../../text ]
}

@test "of many files passed over the first are told, and with -v all" {
	mkdir d
	for i in 1 2 3 4 5 6; do head -c 100 /dev/zero >"d/zeros$i"; done
	cp "$files/text" d
	run --separate-stderr ttt-absorb -r -o s d
	show
	[ "$status" -eq 0 ]
	[ "${#stderr_lines[@]}" -eq 4 ]
	[ "${stderr_lines[3]}" = "ttt-absorb: skipped 3 more (-v names all)" ]
	run --separate-stderr ttt-absorb -v -r -o s d
	[ "$(printf '%s\n' "${stderr_lines[@]}" | grep -c 'skipped: binary')" -eq 6 ]
}

@test "names in zip archives are UTF-8; in cpio the last of a file's links has its text" {
	python3 - <<-'END'
	import zipfile
	with zipfile.ZipFile("z", "w") as z:
	    z.writestr("docs/\u00fcber.txt", "the key is kept in the cellar\n")
	def member(name, mode, n_link, data):
	    fields = [7, mode, 0, 0, n_link, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
	    head = ("070701" + "%08x" * 13 % tuple(fields)).encode() + name.encode() + b"\0"
	    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)
	with open("c", "wb") as f:
	    f.write(member("one", 0o100644, 2, b"") + member("two", 0o100644, 2, b"the text of both\n") + member("TRAILER!!!", 0, 1, b""))
	END
	ok ttt-absorb -a -o s z
	[ "$(tar xzOf s sources.tsv)" = $'bytes\tname\n30\tdocs/\303\274ber.txt' ]
	ok ttt-absorb -a -o s c
	[ "$(tar xzOf s passages | tail -n 1)" = "the text of both" ]
}

@test "-r notes what it cannot look at" {
	long=$(printf '%0200d' 0)
	mkdir d
	cp "$files/text" d/text
	(cd d && for _ in {1..21}; do mkdir "$long" && cd "$long" || exit 1; done && echo deep >file)
	run --separate-stderr ttt-absorb -r -o s d
	show
	[ "$status" -eq 2 ]
	[[ $stderr == *"d/$long/"* ]]
	[ "$(tar xzOf s sources.tsv | tail -n 1)" = $'6000\td/text' ]
}

@test "a damaged archive gives no state" {
	tar czf d.tgz -C "$files" text text2
	head -c $(($(stat -c %s d.tgz) / 2)) d.tgz >cut.tgz
	refuse "cut.tgz" ttt-absorb -a -o x cut.tgz
	[ ! -e x ]
}

@test "compressed files are read through" {
	gzip -c "$files/text" >text.gz
	ttt-absorb -o a text.gz
	ttt-absorb -o b "$files/text"
	same_memory a b
	gzip </dev/null >empty.gz
	refuse "empty.gz: nothing to absorb: the input is empty" ttt-absorb -o x empty.gz
	ok ttt-absorb -o c empty.gz text.gz
	same_memory a c
}

@test "--files0-from takes names, from a file and from a pipe" {
	cp "$files/text" 'a b'
	cp "$files/text2" $'new\nline'
	printf 'a b\0new\nline\0' >names
	ok ttt-absorb --files0-from names -o s
	ttt-absorb -o t 'a b' $'new\nline'
	cmp s t
	printf 'a b\0new\nline' | ttt-absorb --files0-from=- -o u
	cmp s u
	refuse "name 2 is empty" ttt-absorb -o x --files0-from <(printf 'a b\0\0')
	refuse "nosuch: cannot read names" ttt-absorb -o x --files0-from nosuch
	: >none
	refuse "none: names no inputs" ttt-absorb -o x --files0-from none
	[ ! -e x ]
}

@test "--ids absorbs ids as text does, without passages" {
	ttt-train tokenize -t "$files/tokenizer.json" "$files/text" >ids
	(printf '299 '; cat ids) >with_bos
	ok ttt-absorb --ids with_bos -o a
	ttt-absorb -o b "$files/text"
	cmp <(tar xzOf a fast.safetensors) <(tar xzOf b fast.safetensors)
	# What waits is tokens here, and may be bytes there.
	ttt-absorb --ids - -o c <with_bos
	cmp a c
}

@test "a binary file is skipped with a note; nothing else there is an error" {
	head -c 4000 /dev/zero >zeros
	# Named, it counts as something that could not be done; the rest is absorbed.
	run --separate-stderr ttt-absorb -o s "$files/text" zeros
	show
	[ "$status" -eq 2 ]
	[ "${#stderr_lines[@]}" -eq 1 ]
	[[ $stderr == *zeros*binary* ]]
	ttt-absorb -o t "$files/text"
	same_memory s t
	# Met in a walk, it does not.
	mkdir d
	cp zeros "$files/text" d
	run --separate-stderr ttt-absorb -r -o w d
	show
	[ "$status" -eq 0 ]
	[[ $stderr == *d/zeros*binary* ]]
	same_memory w t
	refuse "zeros.*binary" ttt-absorb -o x zeros
	[ ! -e x ]
}

@test "the state is not written over an input" {
	cp "$files/text" mine
	cp mine before
	run --separate-stderr bash -c 'ttt-absorb mine >>mine'
	show
	[ "$status" -eq 2 ]
	[[ $stderr == *"mine: "* ]]
	cmp mine before
	refuse "mine: .*written to" ttt-absorb -o mine mine
	cmp mine before
	ttt-absorb -o s mine
	cp s s.before
	run --separate-stderr bash -c 'ttt-absorb -f s mine >>s'
	show
	[ "$status" -eq 2 ]
	[[ $stderr == *"s: "* ]]
	cmp s s.before
	run --separate-stderr bash -c 'ttt-absorb <>mine >&0'
	show
	[ "$status" -eq 2 ]
	cmp mine before
}

@test "a state is not written to a terminal" {
	command -v script >/dev/null || skip "no script(1)"
	run script -qec "ttt-absorb $files/text" /dev/null </dev/null
	[ "$status" -eq 2 ]
	[[ $output == *"not written to a terminal"* ]]
}

@test "-o and -f may be the same file" {
	ttt-absorb -o s "$files/text"
	ok ttt-absorb -f s -o s "$files/text2"
	ttt-absorb -o t "$files/text" "$files/text2"
	same_memory s t
}

@test "memory does not grow with the stream" {
	[ -r /proc/self/status ] || skip "no /proc"
	# Much more than a pipe holds: what it holds may not have been read when the memory is. The sanitizers are slow.
	for i in $(seq 30); do cat "$files/text"; done >small
	times=15
	! sanitized || times=4
	for i in $(seq $times); do cat small; done >large
	# The most memory a program had, read when all but a pipe's worth of its input is taken and before it ends.
	peak() {
		rm -f pipe
		mkfifo pipe
		ttt-absorb -o s pipe &
		local pid=$!
		exec 9>pipe
		cat "$1" >&9
		sleep 0.5
		sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\) kB/\1/p' /proc/$pid/status >peak
		exec 9>&-
		wait $pid
		cat peak
	}
	a=$(peak small)
	b=$(peak large)
	echo "$a KB for $(stat -c %s small) bytes of text, $b KB for $times times as much"
	[ "$a" -gt 1000 ]
	[ "$b" -le $((a + a / 20 + 512)) ]
}

@test "--passes refuses what can be read only once, however it is named" {
	printf 'some text to learn\n' >a.txt
	refuse "can be read only once" ttt-absorb --passes 2 -o s - <a.txt
	mkfifo pipe
	refuse "'pipe' can be read only once" ttt-absorb --passes 2 -o s a.txt pipe
	printf 'a.txt\0pipe\0' >names
	refuse "'pipe' can be read only once" ttt-absorb --passes 2 -o s --files0-from names
	ok ttt-absorb --passes 2 -q -o s a.txt
}

@test "text that a state will no longer keep is not dropped without a word" {
	printf 'the first text\n' >a.txt
	printf 'the second text\n' >b.txt
	ttt-absorb -u s a.txt
	run --separate-stderr ttt-absorb --no-passages -u s b.txt
	[ "$status" -eq 0 ]
	[[ $stderr == *"the 15 bytes of text kept so far are left out"* ]]
	run --separate-stderr ttt-absorb -u s b.txt
	[ -z "$stderr" ]
}

@test "binary data on standard input is taken, and said" {
	printf 'a\0b and more of it\n' >bin
	run --separate-stderr bash -c 'ttt-absorb <bin >s'
	[ "$status" -eq 0 ]
	[[ $stderr == *"standard input: binary data, taken as it is"* ]]
}
