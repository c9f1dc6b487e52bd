"""Which entries of the table of biases by the last tokens every position of a sequence reads and changes, as libttt/learn/ngram.c has it. No
number that is learned plays a part in that, so it is found out beforehand. An entry is named by the order and the position that made it."""

import numba
import numpy as np

BUCKET, LEVELS, AGEING = 8, 8, 4
WANING, SCALE_RATE, UNIGRAM_WANING, UNIGRAM_COUNT_MAX = 0.7, 0.02, 0.5, 24


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
                    e = at + s
                    if hits[e] > 0 and check[e] == mark[t, r]:
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
                    if slots[p, r, s] == R * T:
                        continue
                    for e in range(at, at + BUCKET):
                        if hits[e] > 0 and name[e] == slots[p, r, s]:
                            live[p, r, s] = True
                            was |= e == has
                if has < 0:
                    has = at + p % BUCKET
                    for k in range(1, BUCKET):
                        e = at + (p + k) % BUCKET
                        if hits[e] < hits[has]:
                            has = e
                    if hits[has] > 0:
                        for e in range(at + BUCKET - AGEING, at + BUCKET):
                            hits[e] -= hits[e] // 2
                    check[has], token[has], hits[has], name[has] = mark[t, r], y, 0, r * T + p
                if not was:
                    own[p, r] = name[has]
                if hits[has] < 255:
                    hits[has] += 1
                seen = check[has], token[has], hits[has], name[has]
                for e in range(has, at, -1):
                    check[e], token[e], hits[e], name[e] = check[e - 1], token[e - 1], hits[e - 1], name[e - 1]
                check[at], token[at], hits[at], name[at] = seen


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
