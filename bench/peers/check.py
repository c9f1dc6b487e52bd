#!/usr/bin/env python3
"""Assert that the peers compute what ttt computes.

Usage: check.py [CASES]                            against the golden cases (default: tests/golden/cases)
       check.py --model DIR --ids FILE [--tools DIR]   against ttt-ppl and ttt-train grad

IDS is a file of token ids, a sequence a line; some of its sequences must be longer than the configuration's seq_length. Prints
what was compared and the largest difference; exit status 1 when one is above 1e-4."""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
import torch
from safetensors.numpy import load_file

import common
import jax_ttt
import torch_ttt

HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT = 1e-4
worst = 0.0


def compare(what, got, wanted, scale=1.0):
    """Report max |got - wanted| / scale; what is compared may not be empty."""
    global worst
    got, wanted = np.asarray(got, np.float64), np.asarray(wanted, np.float64)
    if got.shape != wanted.shape or got.size == 0:
        raise SystemExit(f"{what}: shapes {got.shape} and {wanted.shape}")
    difference = float(np.abs(got - wanted).max() / scale)
    worst = max(worst, difference) if difference == difference else math.inf
    print(f"{'ok' if difference <= LIMIT else 'not ok'} {what}: {difference:.1e}", flush=True)


def largest(x):
    return float(np.abs(x).max())


def golden_fast(io, cfg):
    """The golden fast weights after the last chunk, [B, ...] each, in the peers' layout."""
    for n in range(cfg.layers - cfg.suffix, cfg.layers):
        gate, up, down = (io[f"fast.model.layers.{n}.prime_mlp.{x}_proj.weight"] for x in ("gate", "up", "down"))
        yield np.concatenate([gate, up], 1)
        yield down


def check_absorb(case, path, io):
    """torch: chunk losses of each sequence, and the fast weights at its end."""
    cfg, net = torch_ttt.load(path)
    read = [torch_ttt.absorb(cfg, net, ids.tolist()) for ids in io["tokens"]]
    compare(f"{case}: torch absorb, chunk losses", [[a / n for a, n in losses] for losses, _ in read], io["chunk_loss"])
    for i, wanted in enumerate(golden_fast(io, cfg)):
        got = [reader.fast[i].detach().numpy() for _, reader in read]
        compare(f"{case}: torch absorb, fast weights {i}", got, wanted, largest(wanted))


def check_meta(case, path, io):
    """jax: chunk losses, inner norms and fast weights; the meta-gradient's norm; where there are some, the losses of AdamW steps."""
    cfg, weights = jax_ttt.load(path)
    ids = jnp.array(io["tokens"])
    losses, sizes, fast = jax.jit(jax.vmap(lambda s: jax_ttt.meta_losses(cfg, weights, s)))(ids)
    compare(f"{case}: jax meta, chunk losses", losses, io["chunk_loss"])
    compare(f"{case}: jax meta, inner gradient norms", sizes, io["inner_grad_norm"], largest(io["inner_grad_norm"]))
    for i, wanted in enumerate(golden_fast(io, cfg)):
        compare(f"{case}: jax meta, fast weights {i}", fast[i // 2]["down" if i % 2 else "gate_up"], wanted, largest(wanted))
    with open(os.path.join(path, "config.json")) as f:
        outer = json.load(f).get("outer", {"lr_per_step": [0.0], "clip_gradient": 0.0, "weight_decay": 0.0})
    step = jax_ttt.make_step(jax_ttt.meta_loss, cfg, outer["clip_gradient"], outer["weight_decay"])
    moments, totals, norms = jax_ttt.zeros(weights), [], []
    for t, rate in enumerate(outer["lr_per_step"]):
        weights, moments, loss, size = step(weights, moments, ids, t + 1.0, rate)
        totals.append(loss)
        norms.append(size)
    compare(f"{case}: jax meta, gradient norm", norms[:1], io["outer_grad_norm"], largest(io["outer_grad_norm"]))
    compare(f"{case}: jax meta, losses of steps", totals, io.get("adamw_losses", io["total_loss"]))


def check_plain(case, path, io):
    """Both: the loss of whole sequences and the norm of its gradient."""
    cfg, net = torch_ttt.load(path)
    T = io["tokens"].shape[1] - 1
    weights = torch_ttt.parameters(net)
    ids = torch.from_numpy(io["tokens"]).long()
    loss = torch_ttt.plain_loss(cfg, net, ids, torch_ttt.rope_table(cfg, T), torch_ttt.whole(cfg, T))
    loss.backward()
    norm = torch.nn.utils.get_total_norm([w.grad for w in weights]).item()
    compare(f"{case}: torch plain, loss", [loss.item()], io["total_loss"])
    compare(f"{case}: torch plain, gradient norm", [norm], io["outer_grad_norm"], largest(io["outer_grad_norm"]))
    cfg, weights = jax_ttt.load(path)
    step = jax_ttt.make_step(jax_ttt.plain_loss, cfg)
    *_, loss, norm = step(weights, jax_ttt.zeros(weights), jnp.array(io["tokens"]), 1.0, 0.0)
    compare(f"{case}: jax plain, loss", [loss], io["total_loss"])
    compare(f"{case}: jax plain, gradient norm", [norm], io["outer_grad_norm"], largest(io["outer_grad_norm"]))


def check_cases(cases):
    for case in sorted(os.listdir(cases)):
        path = os.path.join(cases, case)
        io = load_file(os.path.join(path, "io.safetensors"))
        if "inner_grad_norm" in io:
            check_absorb(case, path, io)
            check_meta(case, path, io)
        else:
            check_plain(case, path, io)


def output(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def check_model(model, path, tools):
    """Both on a model and sequences of one's own, beside the programs."""
    cfg, net = torch_ttt.load(model)
    sequences = common.read_ids(path)
    options = ("-m", model, "--threads", "1")
    rows = output(f"{tools}/ttt-ppl", *options, "--ids", path, "--mode", "ttt", "--json").splitlines()
    read = [torch_ttt.absorb(cfg, net, s)[0] for s in sequences]
    got = [sum(a for a, _ in losses) / sum(n for _, n in losses) for losses in read]
    compare("torch absorb, ttt-ppl --mode ttt", got, [json.loads(row)["loss"] for row in rows[: len(sequences)]])
    pieces = common.cut(sequences, cfg.length, 2)
    with tempfile.NamedTemporaryFile("w") as f:
        f.writelines(" ".join(map(str, p)) + "\n" for p in pieces)
        f.flush()
        ours = {
            mode: float(output(f"{tools}/ttt-train", "grad", *options, "--ids", f.name, "--mode", mode).split()[1])
            for mode in ("ttt", "window")
        }
    ids = torch.tensor(pieces)
    with torch.no_grad():
        loss = torch_ttt.plain_loss(cfg, net, ids, torch_ttt.rope_table(cfg, cfg.length), torch_ttt.whole(cfg, cfg.length))
    compare("torch plain, ttt-train grad --mode window", [loss.item()], [ours["window"]])
    cfg, weights = jax_ttt.load(model)
    for name, loss_of, mode in (("plain", jax_ttt.plain_loss, "window"), ("meta", jax_ttt.meta_loss, "ttt")):
        loss = jax.jit(lambda w, ids, loss_of=loss_of: loss_of(cfg, w, ids))(weights, jnp.array(pieces))
        compare(f"jax {name}, ttt-train grad --mode {mode}", [loss], [ours[mode]])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("cases", nargs="?", default=os.path.join(HERE, "../../tests/golden/cases"))
    parser.add_argument("--model", help="a model directory to compare the programs on")
    parser.add_argument("--ids", help="token ids, a sequence a line")
    parser.add_argument("--tools", default=os.path.join(HERE, "../../tools"), help="where the programs are")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.model:
        check_model(args.model, args.ids, args.tools)
    else:
        check_cases(args.cases)
    print(f"largest difference {worst:.1e}, limit {LIMIT:.0e}")
    sys.exit(worst > LIMIT)


if __name__ == "__main__":
    main()
