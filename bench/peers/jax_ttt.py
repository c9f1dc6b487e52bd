#!/usr/bin/env python3
"""The network of ttt in JAX on the CPU, compiled by XLA: a step of meta-training (meta), and an ordinary one (plain).

Usage: jax_ttt.py meta|plain MODEL IDS [--threads N] [--seq T] [--batch B] [--steps N]

MODEL is a model directory, IDS a file of token ids, a sequence a line. Prints JSON Lines. Compiling is timed by itself."""

import argparse
import functools
import os
import time

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.flax import load_file

import common

# What a block's own arrays are called in the file; those of two or three matrices are put together from theirs.
NAMES = {
    "input_norm": "input_layernorm",
    "q_norm": "self_attn.q_norm",
    "k_norm": "self_attn.k_norm",
    "o": "self_attn.o_proj",
    "post_attention_norm": "post_attention_layernorm",
    "pre_ffn_norm": "pre_feedforward_layernorm",
    "down": "mlp.down_proj",
    "post_ffn_norm": "post_feedforward_layernorm",
}
PRIME_NAMES = {"pre_prime_norm": "pre_prime_layernorm", "post_prime_norm": "post_prime_layernorm"}
SUM_MAX = 12  # nats that biases add to a logit: libttt/learn/ngram.c


def load(directory, ngrams=False):
    """The configuration and the float32 weights of a model directory; fast ones apart. What one product reads lies in one array. ngrams: as in
    common.read_config."""
    cfg = common.read_config(directory, ngrams)
    file = {name: w.astype(jnp.float32) for name, w in load_file(os.path.join(directory, "model.safetensors")).items()}

    def block(n):
        def w(name):
            return file[f"model.layers.{n}.{name}.weight"]

        own = NAMES | PRIME_NAMES if n >= cfg.layers - cfg.suffix else NAMES
        return {key: w(name) for key, name in own.items()} | {
            "qkv": jnp.concatenate([w(f"self_attn.{x}_proj") for x in "qkv"]),
            "gate_up": jnp.concatenate([w("mlp.gate_proj"), w("mlp.up_proj")]),
        }

    def prime(n):
        gate, up, down = (file[f"model.layers.{n}.prime_mlp.{x}_proj.weight"] for x in ("gate", "up", "down"))
        return {"gate_up": jnp.concatenate([gate, up]), "down": down}

    return cfg, {
        "embed": file["model.embed_tokens.weight"],
        "blocks": [block(n) for n in range(cfg.layers)],
        "norm": file["model.norm.weight"],
        "fast": [prime(n) for n in range(cfg.layers - cfg.suffix, cfg.layers)],
    }


def rope_table(cfg, positions):
    """Cosines and sines [positions, 1, head / 2] of neighbouring pairs."""
    rates = cfg.theta ** (-np.arange(0, cfg.head, 2) / cfg.head)
    angles = np.arange(positions)[:, None, None] * rates
    return jnp.array(np.cos(angles), jnp.float32), jnp.array(np.sin(angles), jnp.float32)


def rotate(x, rope):
    cos, sin = rope
    a, b = x[..., 0::2], x[..., 1::2]
    return jnp.stack([a * cos - b * sin, a * sin + b * cos], -1).reshape(x.shape)


def norm(cfg, x, weight):
    return x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + cfg.eps) * weight


def swiglu(x, w):
    gate, up = jnp.split(x @ w["gate_up"].T, 2, -1)
    return (jax.nn.silu(gate) * up) @ w["down"].T


def keys(cfg, b, x, rope):
    """Queries, keys and values [T, H, K] of a block, the first two normalised and rotated."""
    qkv = (norm(cfg, x, b["input_norm"]) @ b["qkv"].T).reshape(-1, 3, cfg.heads, cfg.head)
    q, k = norm(cfg, qkv[:, 0], b["q_norm"]), norm(cfg, qkv[:, 1], b["k_norm"])
    return rotate(q, rope), rotate(k, rope), qkv[:, 2]


def look(cfg, q, k, v, seen):
    """Softmax attention of [..., T, H, K] over [..., S, H, K]; seen [..., T, S] or less."""
    scores = jnp.einsum("...qhk,...shk->...hqs", q * cfg.head**-0.5, k)
    p = jax.nn.softmax(jnp.where(seen, scores, -jnp.inf), -1)
    return jnp.einsum("...hqs,...shk->...qhk", p, v).reshape(*q.shape[:-2], -1)


def rest(cfg, b, fast, x, o):
    """What follows attention in a block: its output projection, the prime MLP where there is one, the ordinary one."""
    x = x + norm(cfg, o @ b["o"].T, b["post_attention_norm"])
    if fast is not None:
        x = x + norm(cfg, swiglu(norm(cfg, x, b["pre_prime_norm"]), fast), b["post_prime_norm"])
    return x + norm(cfg, swiglu(norm(cfg, x, b["pre_ffn_norm"]), b), b["post_ffn_norm"])


def look_whole(cfg, q, k, v):
    """Attention of a whole sequence: a window as blocks of queries over two blocks of keys."""
    T, W = q.shape[0], cfg.window
    if not W or W >= T:
        return look(cfg, q, k, v, np.tri(T, dtype=bool))
    n = -(-T // W)
    back = W + np.arange(W)[:, None] - np.arange(2 * W)
    seen = np.broadcast_to((back >= 0) & (back < W), (n, 1, W, 2 * W)).copy()
    seen[0, :, :, :W] = False
    q, k, v = (jnp.pad(x, ((0, n * W - T), (0, 0), (0, 0))).reshape(n, W, *x.shape[1:]) for x in (q, k, v))
    k, v = (jnp.concatenate([jnp.roll(x, 1, 0), x], 1) for x in (k, v))
    return look(cfg, q, k, v, seen).reshape(n * W, -1)[:T]


def whole_block(cfg, b, fast, x, rope):
    return rest(cfg, b, fast, x, look_whole(cfg, *keys(cfg, b, x, rope)))


def biased_loss(cfg, weights, x, targets, biases):
    """Mean loss over the targets that are not BOS, of logits to which biases (columns, values, every) are added: every [V] to each row, and
    values [T, E], at most SUM_MAX to one logit; and what the softmax then gives the columns [T, E], the targets [T], and each token of the
    vocabulary [V], summed over those rows."""
    logits = norm(cfg, x, weights["norm"]) @ weights["embed"].T
    if biases:
        columns, values, every = biases
        sums = jnp.zeros_like(logits).at[jnp.arange(x.shape[0])[:, None], columns].add(values)
        logits += every + jnp.clip(sums, -SUM_MAX, SUM_MAX)
    lse = jax.nn.logsumexp(logits, -1)
    nll = lse - jnp.take_along_axis(logits, targets[:, None], 1)[:, 0]
    mask, p = targets != cfg.bos, ()
    if biases:
        p = jnp.exp(logits - lse[:, None])
        p = (jnp.take_along_axis(p, columns, 1), jnp.exp(-nll), mask @ p)
    return (nll * mask).sum() / jnp.maximum(mask.sum(), 1), p


def mean_loss(cfg, weights, x, targets):
    return biased_loss(cfg, weights, x, targets, ())[0]


def clip(grads, limit):
    """Gradients scaled to a global norm of at most limit, and that norm; the scale has a derivative also where all are zero."""
    square = sum(jnp.square(g).sum() for g in jax.tree.leaves(grads))
    size = jnp.sqrt(jnp.where(square > 0, square, 1))
    scale = jnp.where((limit > 0) & (square > 0) & (size >= limit), limit / size, 1)
    return jax.tree.map(lambda g: g * scale, grads), jnp.sqrt(square)


def before_suffix(cfg, weights, ids):
    """What the layers without a prime MLP make of a sequence's inputs [T], and the rotations by position."""
    rope = rope_table(cfg, ids.shape[0])
    x = weights["embed"][ids]
    for b in weights["blocks"][: cfg.layers - cfg.suffix]:
        x = whole_block(cfg, b, None, x, rope)
    return x, rope


def in_chunks(cfg, tree):
    """Arrays over positions as arrays over chunks."""
    return jax.tree.map(lambda a: a.reshape(a.shape[0] // cfg.chunk, cfg.chunk, *a.shape[1:]), tree)


def cut_chunks(cfg, inputs):
    """Arrays over all positions as arrays over chunks, and behind them the chunks' first positions."""
    return (*in_chunks(cfg, inputs), jnp.arange(0, inputs[0].shape[0], cfg.chunk))


def empty_caches(cfg, cached):
    return [(jnp.zeros((cached, cfg.heads, cfg.head)),) * 2 for _ in range(cfg.suffix)]


def chunk_reader(cfg, weights, cached):
    """The function that reads a chunk behind caches of so many rows and takes the inner step: to (fast, caches), (loss, gradient's norm)."""
    C = cfg.chunk
    back = cached + np.arange(C)[:, None] - np.arange(cached + C)
    band = (back >= 0) & (back < cfg.window) if cfg.window else back >= 0

    def chunk_loss(fast, caches, x, targets, rope, start, biases=()):
        seen = band & (start - cached + jnp.arange(cached + C) >= 0)
        kept = []
        for b, f, cache in zip(weights["blocks"][cfg.layers - cfg.suffix :], fast, caches):
            q, k, v = keys(cfg, b, x, rope)
            k, v = (jnp.concatenate(pair) for pair in zip(cache, (k, v)))
            kept.append((k[C:], v[C:]))
            x = rest(cfg, b, f, x, look(cfg, q, k, v, seen))
        loss, p = biased_loss(cfg, weights, x, targets, biases)
        return loss, (kept, p)

    def read(fast, caches, chunk, biases=()):
        (loss, (caches, p)), grads = jax.value_and_grad(chunk_loss, has_aux=True)(fast, caches, *chunk, biases)
        grads, size = clip(grads, cfg.clip)
        return (jax.tree.map(lambda w, g: w - cfg.rate * g, fast, grads), caches), (loss, size, p)

    return read


def meta_losses(cfg, weights, ids):
    """One sequence [T + 1] read as ttt-absorb reads it: chunk losses, each taken before its step, and the last fast weights."""
    T = ids.shape[0] - 1
    cached = min(cfg.window - 1, T - cfg.chunk) if cfg.window else T - cfg.chunk
    x, rope = before_suffix(cfg, weights, ids[:-1])
    read = jax.checkpoint(chunk_reader(cfg, weights, cached))
    start = (weights["fast"], empty_caches(cfg, cached))
    (fast, _), (losses, sizes, _) = jax.lax.scan(lambda carry, chunk: read(*carry, chunk), start, cut_chunks(cfg, (x, ids[1:], rope)))
    return losses, sizes, fast


def meta_loss(cfg, weights, ids):
    """Mean over sequences [B, T + 1] of the means of their chunks' losses."""
    return jax.vmap(lambda s: meta_losses(cfg, weights, s)[0].mean())(ids).mean()


def plain_loss(cfg, weights, ids):
    """The same of a network whose fast weights are ordinary ones."""
    rope = rope_table(cfg, ids.shape[1] - 1)
    fast = [None] * (cfg.layers - cfg.suffix) + weights["fast"]

    def one(s):
        x = weights["embed"][s[:-1]]
        for b, f in zip(weights["blocks"], fast):
            x = whole_block(cfg, b, f, x, rope)
        losses = jax.vmap(functools.partial(mean_loss, cfg, weights))
        return losses(x.reshape(-1, cfg.chunk, cfg.width), s[1:].reshape(-1, cfg.chunk)).mean()

    return jax.vmap(one)(ids).mean()


def adamw(_, g, m, v, t):
    """AdamW's (0.9, 0.95) update of one array at step t, counted from 1, and its moments."""
    m, v = 0.9 * m + 0.1 * g, 0.95 * v + 0.05 * g * g
    return m / (1 - 0.9**t) / (jnp.sqrt(v / (1 - 0.95**t)) + 1e-8), m, v


def train_step(loss_of, cfg, limit, decay, update_of, weights, moments, ids, t, rate):
    """One step, t counted from 1; the loss and the gradient's norm before it. update_of: as adamw, first the array's path in weights."""
    loss, grads = jax.value_and_grad(functools.partial(loss_of, cfg))(weights, ids)
    grads, size = clip(grads, limit)
    updated = jax.tree_util.tree_map_with_path(lambda path, *a: update_of(path, *a, t), grads, *moments)
    updates, *moments = jax.tree.transpose(jax.tree.structure(weights), jax.tree.structure((0, 0, 0)), updated)
    return jax.tree.map(lambda w, u: w - rate * (u + decay * w), weights, updates), tuple(moments), loss, size


def make_step(loss_of, cfg, limit=1.0, decay=0.1, update_of=adamw):
    return jax.jit(functools.partial(train_step, loss_of, cfg, limit, decay, update_of), donate_argnums=(0, 1))


def zeros(weights):
    """AdamW's moments before the first step."""
    return tuple(jax.tree.map(jnp.zeros_like, weights) for _ in range(2))


def run(args, name, loss_of):
    cfg, weights = load(args.model)
    T = args.seq or cfg.length
    ids = jnp.array(common.cut(common.read_ids(args.ids), T, args.batch))
    moments = zeros(weights)
    start = time.perf_counter()
    step = make_step(loss_of, cfg).lower(weights, moments, ids, 1.0, 1e-3).compile()
    compiling = time.perf_counter() - start
    watch, losses = common.Stopwatch(), []
    for t in range(args.steps + 1):
        watch.start()
        weights, moments, loss, _ = jax.block_until_ready(step(weights, moments, ids, t + 1.0, 1e-3))
        losses.append(float(loss))
        if t > 0:  # the first is the warm-up
            watch.lap()
    config = {
        "model": args.model,
        "chunk": cfg.chunk,
        "window": cfg.window,
        "threads": len(os.sched_getaffinity(0)),
        "peer": f"jax {jax.__version__}, jit, float32",
        "sequence": T,
        "batch": args.batch,
    }
    common.print_row(f"jax_{name}_loss", losses[0], "nats/token", config)
    watch.print_speed(f"jax_{name}", args.batch * T, config)
    common.print_row(f"jax_{name}_compile_seconds", compiling, "s", config)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("command", choices=("meta", "plain"))
    parser.add_argument("model")
    parser.add_argument("ids")
    parser.add_argument("--threads", type=int, default=0, help="processors to run on (default: all that the program may use)")
    parser.add_argument("--seq", type=int, default=0, help="tokens a sequence (default: the configuration's)")
    parser.add_argument("--batch", type=int, default=2, help="sequences a step")
    parser.add_argument("--steps", type=int, default=5, help="steps that are timed")
    args = parser.parse_args()
    if args.threads:  # XLA makes a thread for each processor the process may run on
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])
    run(args, args.command, meta_loss if args.command == "meta" else plain_loss)


if __name__ == "__main__":
    main()
