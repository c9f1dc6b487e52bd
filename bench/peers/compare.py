#!/usr/bin/env python3
"""Time the same work by our programs and by the peers, by turns, and print the ratios as a Markdown table.

For each round: the peer, then ours; a row's figures are the medians over the rounds, its ratio that of each round's two speeds. Losses
are compared first (check.py), and nothing is timed when they differ."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.join(HERE, "../..")
BENCH = os.path.join(TOP, "bench/ttt-bench")
TEXT = os.path.join(TOP, "libttt/ttt.h")


def rows(*command):
    out = subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE, text=True).stdout
    return {row["name"]: row["value"] for row in map(json.loads, out.splitlines())}


def without_ngrams(model, to):
    """A copy of a model that has no biases by the last tokens, which the peers know nothing of."""
    os.mkdir(to)
    for name in ("model.safetensors", "tokenizer.json"):
        os.symlink(os.path.join(model, name), os.path.join(to, name))
    with open(os.path.join(model, "config.json"), encoding="utf-8") as f:
        config = json.load(f)
    with open(os.path.join(to, "config.json"), "w", encoding="utf-8") as f:
        json.dump({key: x for key, x in config.items() if not key.startswith("ngram_")}, f)
    return to


def write_ids(path, model, n):
    """n ids of a source file, read again and again; for a model without a tokenizer, ids as good as random."""
    ids = []
    if os.path.exists(os.path.join(model, "tokenizer.json")):
        train = os.path.join(TOP, "tools/ttt-train")
        out = subprocess.run([train, "tokenize", "-t", f"{model}/tokenizer.json", TEXT], check=True, stdout=subprocess.PIPE, text=True)
        ids = out.stdout.split()
        ids = (ids * (n // len(ids) + 1))[:n]
    else:
        ids = [str(1 + i * 7919 % 100003) for i in range(n)]
    with open(path, "w", encoding="ascii") as f:
        f.write(" ".join(ids) + "\n")


def compare(args, what, name, peer, ours, ours_name):
    """peer and ours: commands; name and ours_name: their rows."""
    speeds = []
    for _ in range(args.rounds):
        speeds.append((rows(*ours)[ours_name], rows(*peer)[name]))
    ratios = [a / b for a, b in speeds]
    a, b = (statistics.median(x) for x in zip(*speeds))
    print(f"| {what} | {a:,.0f} | {b:,.0f} | {statistics.median(ratios):.2f} | {min(ratios):.2f} .. {max(ratios):.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--big", action="store_true", help="also the 125M shape: a quarter of an hour")
    args = parser.parse_args()
    os.environ.setdefault("JAX_PLATFORMS", "cpu")  # where JAX sees a GPU it would take that
    python = sys.executable
    config = os.path.join(TOP, "bench/configs/125m.json")
    with tempfile.TemporaryDirectory() as folder:
        model, ids = without_ngrams(os.path.abspath(os.path.join(TOP, "model")), os.path.join(folder, "embedded")), os.path.join(folder, "ids")
        write_ids(ids, model, 4097)
        subprocess.run([python, f"{HERE}/check.py", "--model", model, "--ids", ids], check=True, stdout=sys.stderr)
        print("| work | ttt, tokens/s | peer, tokens/s | ratio | least .. greatest |\n|---|---|---|---|---|", flush=True)
        for threads in (1, 2):
            t = ("--threads", threads)
            absorb = (BENCH, "absorb", "--json", "--rounds", 3, *t)
            meta = (BENCH, "meta", "--json", "--rounds", 3, *t)
            torch, jax = (python, f"{HERE}/torch_ttt.py"), (python, f"{HERE}/jax_ttt.py")
            compare(args, f"embedded, absorb, PyTorch eager, {threads} thread(s)", "torch_absorb_tokens_per_second",
                    (*torch, "absorb", model, ids, *t), absorb, "absorb_tokens_per_second")
            compare(args, f"embedded, absorb, ours with --precision bf16, PyTorch eager in float32, {threads} thread(s)",
                    "torch_absorb_tokens_per_second", (*torch, "absorb", model, ids, *t), (*absorb, "--precision", "bf16"),
                    "absorb_tokens_per_second")
            compare(args, f"embedded, meta-training, JAX compiled, {threads} thread(s)", "jax_meta_tokens_per_second",
                    (*jax, "meta", model, ids, "--batch", 2, *t), meta, "meta_tokens_per_second")
            compare(args, f"embedded, plain training, PyTorch eager, {threads} thread(s)", "torch_plain_tokens_per_second",
                    (*torch, "plain", model, ids, "--batch", 2, *t), meta, "plain_tokens_per_second")
        if args.big:
            big = os.path.join(folder, "125m")
            subprocess.run([os.path.join(TOP, "tools/ttt-train"), "init", "-q", "--config", config, big], check=True)
            write_ids(ids, big, 11 * 1024 + 1)
            args.rounds = 1
            compare(args, "125M shape, absorb, PyTorch eager, 2 threads", "torch_absorb_tokens_per_second",
                    (*torch, "absorb", big, ids, *t),
                    (BENCH, "absorb", "--json", "--config", config, "--rounds", 3, "--seconds", 0, *t), "absorb_tokens_per_second")


if __name__ == "__main__":
    main()
