# ttt-digest beside a writer that never stops: rotations of every kind, and kills, and still every line is read, and learned once.
# shellcheck disable=SC2154 # status, output, stderr, files and model are set by run and by common.bash
load common

@test "100000 lines through rotations and kill -9: none lost, none learned twice" {
	command -v python3 >/dev/null || skip "python3 is not here"
	: >log
	ttt-digest -q s.ttt log
	python3 "$TTT_TESTS/programs/rotate.py" log 100000 "${TTT_SEED:-1}" &
	writer=$!
	killed=0 runs=0
	while kill -0 $writer 2>/dev/null; do
		runs=$((runs + 1))
		if [ $((runs % 3)) -eq 0 ]; then
			ttt-digest -q --all --json s.ttt log >"out.$runs" 2>"err.$runs" &
			sleep "0.0$((RANDOM % 10))"
			kill -9 $! 2>/dev/null && killed=$((killed + 1))
			wait $! || true
		else
			ttt-digest -q --all --json s.ttt log >"out.$runs" 2>"err.$runs"
			[ ! -s "err.$runs" ]
		fi
	done
	wait $writer
	ok ttt-digest -q --all --json s.ttt log
	printf '%s\n' "$output" >out.last
	ok ttt-digest -q --all --json s.ttt log
	[ -z "$output" ]
	echo "# $runs runs, $killed killed" >&3
	[ $killed -gt 0 ]
	# a killed run may end in the middle of a row, and its rows come again
	python3 -c '
import json, re, sys
seen = set()
for name in sys.argv[1:]:
    for row in open(name):
        try:
            text = json.loads(row)["text"]
        except ValueError:
            continue
        seen.add(int(re.search("request ([0-9]+) done$", text).group(1)))
assert seen == set(range(1, 100001)), (len(seen), sorted(set(range(1, 100001)) - seen)[:5])
' out.*
	unpack s.ttt u
	[ "$(jq .lines u/digest.json)" -eq 100000 ]
	[ "$(cut -f 1 u/digest.lines | awk '{ n += $1 } END { print n }')" -eq 100000 ]
}
