# The recipe of the embedded model, in small.
# shellcheck disable=SC2154 # status, output and stderr are set by run
load common

@test "recipe: a smoke run ends with a lower loss, and goes on from where it was" {
	! sanitized || skip "training is tested under the sanitizers by train.bats, in a minute less"
	recipe=$TTT_TESTS/../model/recipe/run
	run --separate-stderr "$recipe" --smoke small
	[ "$status" -eq 0 ]
	[[ $output == "loss "*" bits per byte before, "*" after" ]]
	cp small/plain/log.jsonl whole.jsonl
	run --separate-stderr "$recipe" --smoke small
	[ "$status" -eq 0 ]
	cmp whole.jsonl small/plain/log.jsonl
	run --separate-stderr "$recipe" --check small
	[ "$status" -eq 2 ]
	[[ $stderr == *"100 steps"* ]]
	run --separate-stderr "$recipe" --install nowhere
	[ "$status" -eq 2 ]
}
