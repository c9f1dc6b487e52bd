#!/usr/bin/env python3
"""A writer that never stops: numbered lines into a log, which is rotated by rename, by copy and truncation, and into .gz, at random.

usage: rotate.py LOG LINES SEED

Copy and truncation are one step here, since what is written between the two is lost by the method itself.
"""
import gzip
import os
import random
import shutil
import sys
import time

KEEP = 40  # rotated files


def names(log):
    """The rotated files in use, number -> name."""
    out = {}
    for number in range(1, KEEP + 2):
        for name in (f"{log}.{number}", f"{log}.{number}.gz"):
            if os.path.exists(name):
                out[number] = name
    return out


def shift(log):
    for number, name in sorted(names(log).items(), reverse=True):
        if number >= KEEP:
            os.unlink(name)
        else:
            os.rename(name, name.replace(f".{number}", f".{number + 1}", 1))


def compress(name):
    """As gzip does: the time stays, the old file goes last."""
    st = os.stat(name)
    with open(name, "rb") as f, gzip.open(name + ".gz", "wb") as g:
        shutil.copyfileobj(f, g)
    os.utime(name + ".gz", ns=(st.st_atime_ns, st.st_mtime_ns))
    os.unlink(name)


def main():
    log, lines, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    r = random.Random(seed)
    f = open(log, "ab", buffering=0)
    number = 0
    while number < lines:
        text = b""
        for _ in range(min(r.randrange(1, 400), lines - number)):
            number += 1
            text += b"Nov 25 10:00:00 host app[%d]: request %d done\n" % (1000 + number % 7, number)
        cut = r.randrange(len(text)) if r.random() < 0.3 else len(text)
        f.write(text[:cut])
        time.sleep(r.random() * 0.01)
        how = r.random()
        if how < 0.03:
            shift(log)
            os.rename(log, log + ".1")
            f.write(text[cut:])  # who still has it open ends its line
            f.close()
            f = open(log, "ab", buffering=0)
            cut = len(text)
        elif how < 0.06:
            f.write(text[cut:])
            cut = len(text)
            shift(log)
            shutil.copyfile(log, log + ".1")
            os.truncate(log, 0)
        elif how < 0.12:
            plain = [n for n in names(log).values() if not n.endswith(".gz")]
            if plain:
                compress(r.choice(plain))
        f.write(text[cut:])


main()
