# ttt-snapshot: what is in a state, and is it whole.
# shellcheck disable=SC2154 # status, output, stderr, files and model are set by run and by common.bash
load common

more_setup() {
	export TTT_MODEL=$model
	ttt-absorb -o state text
	ttt-absorb -o state2 text text2
}

@test "info says what a state is" {
	ok ttt-snapshot info "$files/state"
	[[ $output == *"6000 bytes"* ]]
	[[ $output == *"sources     text  6000 bytes"* ]]
	[[ $output == *"curve       "*"nats a token"* ]]
	ok ttt-snapshot info --json "$files/state" "$files/state2"
	[ "${#lines[@]}" -eq 2 ]
	printf '%s\n' "${lines[@]}" >out
	python3 - <<-'END'
	import json
	a, b = [json.loads(l) for l in open("out")]
	assert a["n_byte"] == 6000 and b["n_byte"] == 8000 and b["n_source"] == 2
	assert a["n_token"] > 0 and len(a["model_checksum"]) == 64 and a["drift"] > 0
	END
}

@test "info of another model's state shows what the file itself says" {
	ttt-train init -c "$files/config.json" -t "$files/tokenizer.json" --seed 2 other
	run --separate-stderr ttt-snapshot info -m other "$files/state"
	show
	[ "$status" -eq 0 ]
	[[ $output == *"6000 bytes"* ]]
	[[ $stderr == *"curve are not shown"* ]]
	refuse "model" ttt-snapshot diff -m other "$files/state" "$files/state2"
}

@test "diff: 0 for equal weights, 1 for others" {
	ok ttt-snapshot diff "$files/state" "$files/state"
	[[ ${lines[-1]} == all$'\t'*$'\t'0 ]]
	run --separate-stderr ttt-snapshot diff "$files/state" "$files/state2"
	show
	[ "$status" -eq 1 ]
	[ -z "$stderr" ]
	[ "${#lines[@]}" -eq 8 ] # two blocks of three weights, a header, the sum
	run --separate-stderr ttt-snapshot diff --json "$files/state" "$files/state2"
	[ "$status" -eq 1 ]
	printf '%s\n' "${lines[@]}" | jq -s -e '.[-1].weight == "all" and (.[-1].apart > 0) and (.[0] | has("initial") and has("moved_a") and has("moved_b"))'
	refuse "two states" ttt-snapshot diff "$files/state"
}

@test "verify: a whole state is ok, a damaged one is not" {
	ok ttt-snapshot verify "$files/state" "$files/state2"
	[ "${lines[1]}" = "$files/state2: ok" ]
	ttt-absorb --compress none -o plain "$files/text"
	size=$(stat -c %s plain)
	for at in 700 $((size / 2)); do
		cp plain bad
		printf '\377' | dd of=bad bs=1 seek="$at" conv=notrunc status=none
		run --separate-stderr ttt-snapshot verify bad
		show
		[ "$status" -eq 1 ]
		[ -z "$output" ]
		[ "${#stderr_lines[@]}" -eq 1 ]
	done
	refuse nosuch ttt-snapshot verify nosuch
	for command in verify info; do
		run --separate-stderr ttt-snapshot $command nosuch "$files/state"
		[ "$status" -eq 2 ]
		[[ $output == *"$files/state"* ]]
	done
}

@test "verify: a state made in bfloat16 is whole" {
	head -c 5000 "$BATS_TEST_DIRNAME/../../libttt/ttt.h" >header
	for precision in f32 bf16; do
		env -u TTT_MODEL ttt-absorb --precision "$precision" -o "$precision" header
	done
	ok env -u TTT_MODEL ttt-snapshot verify f32 bf16
	[ "$(tar xzOf bf16 manifest.json | grep -c '"precision": "bf16"')" -eq 1 ]
}

@test "export writes the fast weights under their names" {
	ok ttt-snapshot export -m "$model" --safetensors out "$files/state"
	python3 - <<-'END'
	import json, struct
	b = open("out", "rb").read()
	n = struct.unpack("<Q", b[:8])[0]
	h = {k: v for k, v in json.loads(b[8:8 + n]).items() if k != "__metadata__"}
	assert len(h) == 6 and all("prime" in k and v["dtype"] == "F32" for k, v in h.items()), h.keys()
	END
	refuse "safetensors" ttt-snapshot export "$files/state"
	refuse "one state" ttt-snapshot export --safetensors out
	echo keep >kept
	refuse "nosuch" ttt-snapshot export --safetensors kept nosuch
	[ "$(cat kept)" = keep ]
	refuse "folder" ttt-snapshot export --safetensors folder/x "$files/state"
}

@test "commands: help, none, unknown" {
	ok ttt-snapshot --help
	[[ $output == *verify* ]]
	refuse "command" ttt-snapshot
	refuse "nosuch" ttt-snapshot nosuch
	refuse "missing" ttt-snapshot info
	refuse "missing" ttt-snapshot verify
}

@test "info of a state that ends early says so with exit 2" {
	head -c 20000 "$BATS_TEST_DIRNAME/../../libttt/base.c" | ttt-absorb -o whole
	head -c $(($(stat -c %s whole) / 2)) whole >half
	run --separate-stderr ttt-snapshot info -q half
	[ "$status" -eq 2 ]
	[ -n "$stderr" ]
}
