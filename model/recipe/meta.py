#!/usr/bin/env python3
"""Meta-training on a GPU: what `ttt-train run --held-tail 0.25 --optimizer muon` computes, in JAX, with many sequences a step.

Usage: meta.py [--steps N] [--batch B] [--lr X] [--seed N] DIR FROM OUT

Reads DIR/corpus/train and DIR/tokenizer.json, goes on from the model FROM, and writes the model directory OUT. Muon takes the blocks'
matrices and AdamW the rest, at a rate that rises for ten steps and falls along a cosine. A sequence is a random window of a document,
documents being drawn by length within a group; shorter ones are put together. Needs JAX, safetensors and ttt-train on PATH; without a
GPU it computes the same, slower than ttt-train."""

import argparse
import json
import math
import os
import shutil
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import load_file, save_file

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../bench/peers"))
import jax_ttt  # noqa: E402
import tokens  # noqa: E402

SHARES = tokens.SHARES | {"c": 0.42, "logs": 0.20}
HELD_TAIL = 0.25
END_LR, WARMUP = 2e-4, 10
B1, B2, WEIGHT_DECAY = 0.9, 0.95, 0.1


class Sampler:
    """Batches of sequences of ids from groups of documents."""

    def __init__(self, groups, length, seed):
        self.length, self.random = length, np.random.default_rng(seed)
        self.shares = np.cumsum(list(SHARES.values()))
        self.groups = [(docs, np.cumsum([len(d) for d in docs])) for docs in groups]

    def pick(self, docs, ends):
        return docs[np.searchsorted(ends, self.random.integers(ends[-1]), "right")]

    def sequence(self):
        docs, ends = self.groups[np.searchsorted(self.shares, self.random.random() * self.shares[-1], "right")]
        doc = self.pick(docs, ends)
        if len(doc) >= self.length:
            at = self.random.integers(len(doc) - self.length + 1)
            return doc[at : at + self.length]
        parts = [doc]
        while sum(map(len, parts)) < self.length:
            doc = self.pick(docs, ends)
            if len(doc) < self.length:
                parts.append(doc)
        return np.concatenate(parts)[: self.length]

    def batch(self, n):
        return np.stack([self.sequence() for _ in range(n)]).astype(np.int32)


def held_losses(cfg, weights, fast, caches, x, targets, rope):
    """Chunk losses of a tail [t] read with the weights held, behind caches of W - 1 rows: blocks of W queries over two of keys."""
    W, n = cfg.window, x.shape[0] // cfg.window
    back = W + np.arange(W)[:, None] - np.arange(2 * W)
    seen = ((back >= 0) & (back < W))[None, None]

    def blocks(a):  # [n W, H, K] -> [n, W, H, K]
        return a.reshape(n, W, *a.shape[1:])

    for b, f, cache in zip(weights["blocks"][cfg.layers - cfg.suffix :], fast, caches):
        q, *kv = jax_ttt.keys(cfg, b, x, rope)
        # Row 0 stands before the window and is never seen.
        k, v = (jnp.concatenate([c[:1], c, a]) for c, a in zip(cache, kv))
        k, v = (jnp.concatenate([blocks(a[:-W]), blocks(a[W:])], 1) for a in (k, v))
        x = jax_ttt.rest(cfg, b, f, x, jax_ttt.look(cfg, blocks(q), k, v, seen).reshape(n * W, -1))
    return jax.vmap(lambda x, y: jax_ttt.mean_loss(cfg, weights, x, y))(
        x.reshape(-1, cfg.chunk, cfg.width), targets.reshape(-1, cfg.chunk)
    )


def sequence_loss(cfg, share, weights, ids):
    """Mean of the chunk losses of ids [T + 1]; the tail is read with the weights at share of the way to their mean."""
    first, T, C = cfg.layers - cfg.suffix, ids.shape[0] - 1, cfg.chunk
    learned, cached = T - int(HELD_TAIL * T), cfg.window - 1
    rope = jax_ttt.rope_table(cfg, T)
    x = weights["embed"][ids[:-1]]
    for b in weights["blocks"][:first]:
        x = jax_ttt.whole_block(cfg, b, None, x, rope)
    back = cached + np.arange(C)[:, None] - np.arange(cached + C)
    band = (back >= 0) & (back < cfg.window)

    def chunk_loss(fast, caches, x, targets, rope, start):
        seen = band & (start - cached + jnp.arange(cached + C) >= 0)
        kept = []
        for b, f, cache in zip(weights["blocks"][first:], fast, caches):
            q, k, v = jax_ttt.keys(cfg, b, x, rope)
            k, v = (jnp.concatenate(pair) for pair in zip(cache, (k, v)))
            kept.append((k[C:], v[C:]))
            x = jax_ttt.rest(cfg, b, f, x, jax_ttt.look(cfg, q, k, v, seen))
        return jax_ttt.mean_loss(cfg, weights, x, targets), kept

    def step(fast, caches, chunk):
        (loss, caches), grads = jax.value_and_grad(chunk_loss, has_aux=True)(fast, caches, *chunk)
        grads, _ = jax_ttt.clip(grads, cfg.clip)
        return jax.tree.map(lambda w, g: w - cfg.rate * g, fast, grads), caches, loss

    step = jax.checkpoint(step, prevent_cse=False)

    def read(carry, chunk):
        fast, caches, loss = step(*carry[:2], chunk)
        return (fast, caches, jax.tree.map(jnp.add, carry[2], fast)), loss

    empty = [(jnp.zeros((cached, cfg.heads, cfg.head)),) * 2 for _ in range(cfg.suffix)]
    inputs = (x, ids[1:], rope)
    chunks = jax.tree.map(lambda a: a[:learned].reshape(learned // C, C, *a.shape[1:]), inputs)
    start = (weights["fast"], empty, jax.tree.map(jnp.zeros_like, weights["fast"]))
    (_, caches, total), losses = jax.lax.scan(read, start, (*chunks, jnp.arange(0, learned, C)))
    held = jax.tree.map(lambda w, s: (1 - share) * w + share * C / learned * s, weights["fast"], total)
    tail = jax.tree.map(lambda a: a[learned:], inputs)
    return (losses.sum() + held_losses(cfg, weights, held, caches, *tail).sum()) * C / T


def batch_loss(cfg, share, weights, ids):
    return jax.vmap(lambda s: sequence_loss(cfg, share, weights, s))(ids).mean()


def orthogonalize(x):
    """Newton-Schulz on matrices [..., R, C]: libttt/learn/muon.c."""
    x = x / (jnp.sqrt(jnp.square(x).sum((-2, -1), keepdims=True)) + 1e-20)
    wide = x.shape[-2] <= x.shape[-1]
    for _ in range(5):
        s = x @ x.mT if wide else x.mT @ x
        p = -4.7750 * s + 2.0315 * (s @ s)
        x = 3.4445 * x + (p @ x if wide else x @ p)
    return x


def matrices(path, w):
    """An array of weights as the matrices it is made of, [n, R, C]; None where AdamW takes it."""
    name = path[-1].key
    if w.ndim < 2 or name == "embed":
        return None
    n = {"qkv": 3, "gate_up": 2}.get(name, 1)
    return w.reshape(n, -1, w.shape[1])


def move(path, w, g, m, v, lr, t):
    """One step of an array and of its moments, of which Muon uses the first alone."""
    if matrices(path, w) is None:
        m, v = B1 * m + (1 - B1) * g, B2 * v + (1 - B2) * g * g
        update = m / (1 - B1**t) / (jnp.sqrt(v / (1 - B2**t)) + 1e-8)
    else:
        m = B1 * m + g
        x = matrices(path, B1 * m + g)
        update = (orthogonalize(x) * (0.2 * math.sqrt(max(x.shape[1:])))).reshape(w.shape)
    return w * (1 - lr * WEIGHT_DECAY) - lr * update, m, v


def train_step(cfg, share, weights, moments, ids, lr, t):
    """A step behind a clip of the gradient's norm to 1, t counted from 1; the loss before it."""
    loss, grads = jax.value_and_grad(lambda w: batch_loss(cfg, share, w, ids))(weights)
    grads, _ = jax_ttt.clip(grads, 1.0)
    moved = jax.tree_util.tree_map_with_path(lambda p, *a: move(p, *a, lr, t), weights, grads, *moments)
    weights, m, v = jax.tree.transpose(jax.tree.structure(weights), jax.tree.structure((0, 0, 0)), moved)
    return weights, (m, v), loss


def rate(step, steps, peak):
    if step < WARMUP:
        return peak * (step + 1) / WARMUP
    return END_LR + (peak - END_LR) * 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / max(1, steps - WARMUP)))


def write(model, weights, out):
    """The weights under their names in the file."""
    names = {
        "input_norm": "input_layernorm",
        "q_norm": "self_attn.q_norm",
        "k_norm": "self_attn.k_norm",
        "o": "self_attn.o_proj",
        "post_attention_norm": "post_attention_layernorm",
        "pre_ffn_norm": "pre_feedforward_layernorm",
        "post_ffn_norm": "post_feedforward_layernorm",
        "pre_prime_norm": "pre_prime_layernorm",
        "post_prime_norm": "post_prime_layernorm",
    }
    w = jax.tree.map(np.asarray, weights)
    file = {"model.embed_tokens.weight": w["embed"], "model.norm.weight": w["norm"]}
    first = len(w["blocks"]) - len(w["fast"])

    def add_mlp(prefix, mlp):
        gate, up = np.split(mlp["gate_up"], 2)
        file.update({f"{prefix}.gate_proj.weight": gate, f"{prefix}.up_proj.weight": up, f"{prefix}.down_proj.weight": mlp["down"]})

    for n, b in enumerate(w["blocks"]):
        prefix = f"model.layers.{n}."
        file |= {prefix + names[k] + ".weight": x for k, x in b.items() if k in names}
        file |= {f"{prefix}self_attn.{k}_proj.weight": x for k, x in zip("qkv", np.split(b["qkv"], 3))}
        add_mlp(prefix + "mlp", b)
        if n >= first:
            add_mlp(prefix + "prime_mlp", w["fast"][n - first])
    old = load_file(os.path.join(model, "model.safetensors"))
    assert {k: x.shape for k, x in old.items()} == {k: x.shape for k, x in file.items()}
    os.makedirs(out, exist_ok=True)
    save_file({k: np.ascontiguousarray(x, np.float32) for k, x in file.items()}, os.path.join(out, "model.safetensors"))
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(os.path.join(model, name), out)


class Trainer:
    """The compiled step and what it changes: weights and the optimizer's moments."""

    def __init__(self, model, batch, seq):
        self.cfg, self.weights = jax_ttt.load(model)
        if not self.cfg.window or HELD_TAIL * seq % self.cfg.window:
            raise SystemExit(f"meta.py: {model}: its window must divide a quarter of {seq} tokens")
        with open(os.path.join(model, "config.json"), encoding="utf-8") as f:
            share = json.load(f)["mean_share"]
        self.moments = jax_ttt.zeros(self.weights)
        ids = jnp.zeros((batch, seq + 1), jnp.int32)
        step = jax.jit(lambda *a: train_step(self.cfg, share, *a), donate_argnums=(0, 1))
        self.step = step.lower(self.weights, self.moments, ids, 1.0, 1.0).compile()

    def __call__(self, ids, lr, t):
        """Step t, from 1, on ids [B, T + 1]; the loss before it, not waited for."""
        self.weights, self.moments, loss = self.step(self.weights, self.moments, ids, lr, float(t))
        return loss


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("dir")
    parser.add_argument("model", metavar="from")
    parser.add_argument("out")
    parser.add_argument("--steps", type=int, default=473)
    parser.add_argument("--batch", type=int, default=64, help="sequences a step; 64 of 8,192 tokens take 63 GB of a GPU's memory")
    parser.add_argument("--seq", type=int, default=8192)
    parser.add_argument("--lr", type=float, default=6e-3)
    parser.add_argument("--seed", type=int, default=11)
    args = parser.parse_args()
    trainer = Trainer(args.model, args.batch, args.seq)
    groups = [tokens.read_documents(args.dir, group, trainer.cfg.bos) for group in SHARES]
    sampler, begin, losses = Sampler(groups, args.seq + 1, args.seed), time.time(), []
    for step in range(args.steps):
        losses.append(trainer(sampler.batch(args.batch), rate(step, args.steps, args.lr), step + 1))
        if step % 20 == 19 or step + 1 == args.steps:
            mean = float(jnp.stack(losses).mean())
            print(json.dumps({"step": step + 1, "loss": mean, "seconds": round(time.time() - begin, 1)}), flush=True)
            losses = []
    write(args.model, trainer.weights, args.out)


if __name__ == "__main__":
    main()
