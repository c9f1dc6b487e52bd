# ttt-absorb --update: one state, many runs, nothing lost.
# shellcheck disable=SC2154 # status, output, stderr, files and model are set by run and by common.bash
# shellcheck disable=SC2002,SC2016,SC2034 # a pipe is what is tested; bash -c expands; loops count
load common

@test "-u makes a state, goes on with it, and leaves one file" {
	ok ttt-absorb -u s "$files/text"
	ttt-absorb -o t "$files/text"
	cmp s t
	ok ttt-absorb -u s "$files/text2"
	ttt-absorb -f t -o t2 "$files/text2"
	cmp s t2
	[ "$(stat -c %a s)" = 600 ]
	# Neither the lock nor anything half-written stays.
	ls
	[ "$(ls)" = "$(printf 's\nt\nt2')" ]
}

@test "-u leaves the old state alone where anything fails" {
	ttt-absorb -u s "$files/text"
	cp s before
	refuse nosuch ttt-absorb -u s nosuch
	cmp s before
	refuse "directory" ttt-absorb -u s .
	cmp s before
	: >empty
	refuse "nothing to absorb" ttt-absorb -u s empty
	cmp s before
	refuse "text" ttt-absorb -u s -a "$files/text"
	cmp s before
	echo damaged >s
	refuse "s: " ttt-absorb -u s "$files/text"
	[ "$(cat s)" = damaged ]
	mkdir dir
	refuse "dir: " ttt-absorb -u dir "$files/text"
}

@test "-u on a full disk or in a folder that is gone leaves the old state alone" {
	ttt-absorb -u s "$files/text"
	cp s before
	# A limit on the size of files stands for the full disk.
	run --separate-stderr bash -c 'trap "" XFSZ; ulimit -f 4; ttt-absorb -u s "$files/text2"'
	show
	[ "$status" -eq 2 ]
	[[ ${stderr_lines[0]} == *"File too large" ]]
	cmp s before
	[ -z "$(find . -name 's.??????')" ]
	refuse "nosuch" ttt-absorb -u nosuch/s "$files/text"
}

@test "updates queue: none is lost" {
	for i in 1 2 3 4 5 6; do
		ttt-absorb -u s "$files/text2" &
	done
	wait
	for i in 1 2 3 4 5 6; do cat "$files/text2"; done | ttt-absorb >want
	same_memory s want
}

@test "--wait gives up with exit 75, and the state stays" {
	ttt-absorb -u s "$files/text"
	cp s before
	mkfifo pipe
	ttt-absorb -u s pipe &
	first=$!
	exec 9>pipe
	sleep 0.3
	run --separate-stderr ttt-absorb -u s --wait 0.2 "$files/text2" 9>&-
	show
	[ "$status" -eq 75 ]
	[ "${#stderr_lines[@]}" -ge 1 ]
	[[ ${stderr_lines[0]} == *"s"* ]]
	cmp s before
	cat "$files/text2" >&9
	exec 9>&-
	wait $first
	ttt-absorb -f before -o want "$files/text2"
	same_memory s want
}

@test "SIGINT and SIGTERM end it by the signal and leave the old state in place" {
	ttt-absorb -u s "$files/text"
	cp s before
	mkfifo pipe
	for signal in INT TERM HUP; do
		# A shell starts what runs in the background with SIGINT ignored: env(1) undoes that.
		env --default-signal=$signal ttt-absorb -u s pipe &
		pid=$!
		exec 9>pipe
		cat "$files/text2" >&9
		sleep 0.3
		kill -$signal $pid
		status=0
		wait $pid || status=$?
		exec 9>&-
		echo "$signal: $status"
		[ "$status" -eq $((128 + $(kill -l $signal))) ]
		cmp s before
		[ -z "$(find . -name 's.??????')" ]
	done
}

@test "kill -9 at many moments leaves a readable state: the old one or the new one" {
	ttt-absorb -u s "$files/text"
	cp s before
	cp s after
	start=$(date +%s%N)
	ttt-absorb -u after "$files/text2"
	whole=$(($(date +%s%N) - start))
	old=0
	new=0
	for i in $(seq 0 59); do
		cp before s
		ttt-absorb -u s "$files/text2" &
		pid=$!
		# From the start of a run to a little after its end.
		sleep "$(awk -v i="$i" -v t="$whole" 'BEGIN { printf "%.4f", i / 50 * t * 1e-9 }')"
		kill -9 $pid 2>/dev/null || true
		wait $pid 2>/dev/null || true
		if cmp -s s before; then
			old=$((old + 1))
		else
			cmp s after
			new=$((new + 1))
		fi
	done
	echo "$old times the old state, $new times the new one"
	[ "$old" -gt 0 ]
	ok ttt-absorb -u s "$files/text"
}

@test "-u and -o through a link that leads nowhere yet make what it leads to; a loop is refused" {
	mkdir d
	ln -s d/s u
	ln -s ../u d/o
	ok ttt-absorb -u u "$files/text"
	[ -L u ]
	ok ttt-absorb -o d/o "$files/text2"
	[ -L d/o ]
	[ "$(ls d)" = "$(printf 'o\ns')" ]
	ttt-absorb -o want "$files/text2"
	same_memory d/s want
	ln -s loop loop
	refuse "loop: .*Too many levels" ttt-absorb -u loop "$files/text"
	refuse "loop: .*Too many levels" ttt-absorb -o loop "$files/text"
	[ -L loop ]
}

@test "-u with -r does not read its own lock" {
	mkdir d
	cp "$files/text" d/text
	ok ttt-absorb -u d/s -r d
	ttt-absorb -o t d/text
	cmp d/s t
}

@test "-u through a link keeps the link" {
	mkdir d
	ttt-absorb -u d/s "$files/text"
	ln -s d/s link
	ok ttt-absorb -u link "$files/text2"
	[ -L link ]
	ttt-absorb -o want "$files/text" "$files/text2"
	same_memory d/s want
}
