#!/usr/bin/env python3
"""Run ttt-bench and print its rows as Markdown tables: results.py [--quick] [TABLE...] > RESULTS.md

Tables: absorb, precision, meta, length, decode, start (all). --quick leaves out the 125M and the 1B shape, whose steps take minutes; the
latter needs 15 GB. Every figure is the median of its rounds, least and greatest behind it; shares are of the matrix-product peak timed by
turns in the same run."""
import argparse
import json
import os
import subprocess
import sys

from script import end, program

HERE = os.path.dirname(os.path.abspath(__file__))
TABLES = ("absorb", "precision", "meta", "length", "decode", "start")
BIG = os.path.join(HERE, "configs", "125m.json")
BIGGEST = os.path.join(HERE, "configs", "1b.json")


def rows(*arguments):
    out = subprocess.run([program(os.path.join(HERE, "ttt-bench"), "make bench/ttt-bench"), *arguments, "--json"], check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def show(value):
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def table(title, command, some):
    print(f"\n## {title}\n\n`ttt-bench {command}`\n\n| shape | threads | figure | median | least .. greatest | unit |\n|---|---|---|---|---|---|")
    for r in some:
        name = r["name"] + (f" ({r['detail']})" if "detail" in r else "")
        spread = f"{show(r['least'])} .. {show(r['most'])}" if r["least"] != r["most"] else ""
        print(f"| {r['config']} | {r['threads'] or ''} | {name} | {show(r['value'])} | {spread} | {r['unit']} |")
    sys.stdout.flush()


def machine():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    flags = next((line for line in open("/proc/cpuinfo") if line.startswith("flags")), "")
    level = "AVX-512" if " avx512f" in flags else "AVX2" if " avx2" in flags else "neither AVX2 nor AVX-512"
    commit = subprocess.run(["git", "-C", HERE, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    print(f"# Results\n\nMade by `bench/results.py` at {commit or '?'} on: {model}, {os.cpu_count()} processors, {level}.")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="without the 125M and the 1B shape, whose steps take minutes")
    parser.add_argument("tables", metavar="TABLE", nargs="*", help=", ".join(TABLES) + " (default: all)")
    args = parser.parse_args()
    for name in args.tables:
        if name not in TABLES:
            parser.error(f"no table is called '{name}': {', '.join(TABLES)}")
    wanted, big = args.tables or TABLES, not args.quick
    machine()
    if "absorb" in wanted:
        some = rows("absorb", "--threads", "1") + rows("absorb")
        if big:
            some += rows("absorb", "--config", BIG, "--rounds", "5", "--seconds", "0")
            some += rows("absorb", "--config", BIGGEST, "--rounds", "1", "--seconds", "0")
        table("Absorb", "absorb [--config bench/configs/125m.json --rounds 5 --seconds 0; 1b.json --rounds 1]", some)
    if "precision" in wanted:
        some = rows("precision", "--threads", "1") + rows("precision")
        if big:
            some += rows("precision", "--config", BIG, "--rounds", "3", "--seconds", "0")
        table("Precision", "precision [--config bench/configs/125m.json --rounds 3 --seconds 0]", some)
    if "meta" in wanted:
        some = rows("meta")
        if big:
            some += rows("meta", "--config", BIG, "--rounds", "1", "--seconds", "0", "--sequences", "1")
        table("Meta-training", "meta [--config bench/configs/125m.json --rounds 1 --seconds 0 --sequences 1]", some)
    if "length" in wanted:
        some = rows("length", "--context", "8K,32K,128K,1M", "--rounds", "51")
        table("Cost by context length", "length --context 8K,32K,128K,1M --rounds 51", some)
        if big:
            some = rows("length", "--config", BIG, "--context", "8K,32K,128K", "--filled", "--rounds", "3")
            table("Cost by context length, 125M shape", "length --config bench/configs/125m.json --context 8K,32K,128K --filled --rounds 3", some)
    if "decode" in wanted:
        some = rows("decode") + (rows("decode", "--config", BIG, "--rounds", "3") if big else [])
        table("Generating", "decode [--config bench/configs/125m.json --rounds 3]", some)
    if "start" in wanted:
        table("Start-up", "start", rows("start"))


if __name__ == "__main__":
    end(main)
