"""The training text as token ids, for the trainers on a GPU."""

import os
import subprocess

import numpy as np

# How often each group is drawn in plain training.
SHARES = {"c": 0.43, "docs": 0.16, "man": 0.12, "logs": 0.19, "code": 0.10}


def read_documents(folder, group, bos):
    """The documents of a group as rows of ids, each behind a BOS."""
    docs, path = [], os.path.join(folder, "corpus/train", group)
    for name in sorted(os.listdir(path)):
        command = ["ttt-train", "tokenize", "-t", os.path.join(folder, "tokenizer.json"), os.path.join(path, name)]
        ids = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.split()
        docs.append(np.array([bos, *map(int, ids)], np.int16))
    return docs
