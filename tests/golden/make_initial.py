#!/usr/bin/env python3
"""Makes initial_values.safetensors: what linearised Transformers begin with; see README.md."""
import json
import math
import pathlib
import sys

import numpy as np

from golden_tools import fnv1a64, main

HERE = pathlib.Path(__file__).resolve().parent
H, N, LAYERS = 3, 6, 5
D = H * N
STEP = 0x9E3779B97F4A7C15
FACTORS = [(0, 'blocks.1.att.w2', 32, 40), (7, 'blocks.1.att.w2', 5, 12), (7, 'tall', 12, 5), (2**64 - 1, 'square', 7, 7)]


def mix(z):
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
    return z ^ z >> 31


def normals(seed, name, count):
    start = fnv1a64(name) ^ mix((seed + STEP) % 2**64)
    u = [((mix((start + (i + 1) * STEP) % 2**64) >> 12) + 0.5) * 2.0**-52 for i in range(count + 1)]
    pairs = ((math.sqrt(-2 * math.log(u[i])), 2 * math.pi * u[i + 1]) for i in range(0, count, 2))
    return np.array([x for radius, angle in pairs for x in (radius * math.cos(angle), radius * math.sin(angle))][:count])


def factor(seed, name, rows, columns):
    """By Householder's QR decomposition, each column of Q with the sign that makes R's diagonal positive."""
    count, length = sorted((rows, columns))
    q, r = np.linalg.qr(normals(seed, name, count * length).reshape(count, length).T)
    q = q * np.sign(np.diag(r))
    return 0.1 * max(1.0, math.sqrt(rows / columns)) * (q if rows > columns else q.T)


def vectors(target, layer):
    ratio = layer / (LAYERS - 1)
    for n in range(D):
        zigzag = (n % N - (N - 1) / 2) / ((N - 1) / 2)
        zigzag = zigzag * abs(zigzag)
        linear = n / (D - 1) - 0.5
        if target == 'cxa076':
            yield -7 + 5 * (n / (D - 1)) ** (0.85 + ratio ** 0.5) + 0.5, 0.0
        else:
            speed = -6 + 6 * (n / (D - 1)) ** (1 + ratio ** 0.3)
            yield speed + 0.5 + zigzag * 2.5, -0.19 + zigzag * 0.3 + linear * 0.4


def golden_file():
    tensors = {}
    for target in ('cxa076', 'cxa079'):
        for layer in (0, 2, LAYERS - 1):
            w0, a0 = np.array(list(vectors(target, layer))).T
            tensors[f'{target}/{layer}/w0'], tensors[f'{target}/{layer}/a0'] = w0, a0
    tensors['normal'] = normals(42, 'stream', 9)
    for i, entry in enumerate(FACTORS):
        tensors[f'factor/{i}'] = factor(*entry)
    names = ('seed', 'name', 'rows', 'columns')
    metadata = dict(sizes=dict(H=H, N=N, layers=LAYERS), factors=[dict(zip(names, entry)) for entry in FACTORS])
    return tensors, {name: json.dumps(entry) for name, entry in metadata.items()}


if __name__ == '__main__':
    sys.exit(main(__doc__, HERE, [('initial_values.safetensors', *golden_file())]))
