"""Which entries of the table of biases by the last tokens every position of a sequence reads and changes, as libttt/learn/ngram.c has it. No
number that is learned plays a part in that, so it is found out beforehand. An entry is named by the order and the position that made it."""

import numba
import numpy as np

BUCKET, LEVELS = 8, 8
WANING, SCALE_RATE = 0.7, 0.02


@numba.njit(nogil=True, cache=False)
def _level(n):
    if n < 4:
        return n - 1
    if n < 6:
        return 3
    if n < 10:
        return 4
    if n < 20:
        return 5
    if n < 50:
        return 6
    return 7


@numba.njit(nogil=True, cache=False)
def _trace(ids, learned, chunk, orders, bits, bos, slots, tokens, level, part, own, live):
    T, R = ids.shape[0] - 1, orders.shape[0]
    check = np.zeros(1 << bits, np.uint16)
    token = np.zeros(1 << bits, np.int32)
    hits = np.zeros(1 << bits, np.uint8)
    name = np.zeros(1 << bits, np.int32)
    bucket = np.zeros((chunk, R), np.int64)
    mark = np.zeros((chunk, R), np.uint16)
    noted = np.zeros((chunk, R, BUCKET), np.int64)
    for first in range(0, T, chunk):
        for t in range(chunk):
            p = first + t
            for r in range(R):
                o = orders[r]
                if p + 1 < o:
                    bucket[t, r] = -1
                    continue
                h = np.uint64(o) * np.uint64(0x9E3779B97F4A7C15)
                for j in range(o):
                    h = (h ^ np.uint64(ids[p - j])) * np.uint64(0xD6E8FEB86659FD93)
                    h ^= h >> np.uint64(32)
                at = np.int64(h >> np.uint64(64 - (bits - 3))) * BUCKET
                bucket[t, r] = at
                mark[t, r] = np.uint16(h & np.uint64(0xFFFF))
                n, several = 0, 0
                for s in range(BUCKET):
                    noted[t, r, s] = -1
                    e = at + s
                    if hits[e] > 0 and check[e] == mark[t, r]:
                        noted[t, r, s] = e
                        slots[p, r, s] = name[e]
                        tokens[p, r, s] = token[e]
                        n += hits[e]
                        several += 1
                if several > 0:
                    level[p, r] = _level(n) * 2 + (several > 1)
        if first >= learned:
            continue
        for t in range(chunk):
            p = first + t
            y = ids[p + 1]
            if y == bos:
                continue
            for r in range(R):
                at = bucket[t, r]
                if at < 0:
                    continue
                n, has = 1, -1
                for s in range(BUCKET):
                    e = at + s
                    if hits[e] > 0 and check[e] == mark[t, r]:
                        n += hits[e]
                        if token[e] == y:
                            has = e
                part[p, r] = np.float32(np.float64(n) ** -WANING)
                was = False
                for s in range(BUCKET):
                    e = noted[t, r, s]
                    if e < 0:
                        continue
                    if hits[e] > 0 and check[e] == mark[t, r] and token[e] == tokens[p, r, s]:
                        live[p, r, s] = True
                        if e == has:
                            was = True
                if has >= 0:
                    if hits[has] < 255:
                        hits[has] += 1
                    if not was:
                        own[p, r] = name[has]
                    continue
                v = -1
                for s in range(BUCKET):
                    if hits[at + s] == 0:
                        v = s
                        break
                if v < 0:
                    for k in range(BUCKET):
                        s = (p + k) % BUCKET
                        if v < 0 or hits[at + s] < hits[at + v]:
                            v = s
                    for k in range(1, BUCKET // 2 + 1):
                        behind = at + (v + k) % BUCKET
                        hits[behind] -= hits[behind] // 2
                e = at + v
                check[e], token[e], hits[e], name[e] = mark[t, r], y, 1, r * T + p
                own[p, r] = name[e]


def trace(ids, learned, chunk, orders, bits, bos):
    """ids [T + 1] to arrays [T, R, 8] slots (R T: none), tokens, live, and [T, R] level (16: none), part (the rate's), own."""
    T, R = len(ids) - 1, len(orders)
    slots = np.full((T, R, BUCKET), R * T, np.int32)
    tokens = np.zeros((T, R, BUCKET), np.uint16)
    level = np.full((T, R), 2 * LEVELS, np.int8)
    part = np.zeros((T, R), np.float32)
    own = np.full((T, R), R * T, np.int32)
    live = np.zeros((T, R, BUCKET), np.bool_)
    _trace(ids.astype(np.int64), learned, chunk, np.array(orders, np.int64), bits, bos, slots, tokens, level, part, own, live)
    return {"slots": slots, "tokens": tokens, "level": level, "part": part, "own": own, "live": live}
