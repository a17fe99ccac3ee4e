"""What the generators of golden files share: the formula of the inputs, safetensors, the recurrence, comparison, the
command line."""
import argparse
import dataclasses
import importlib.util
import json
import math
import pathlib
import struct

import numpy as np

TOLERANCE = 1e-12                         # of a recomputed value
LEAST_CHANGE = 1e-3                       # of the logits, under any fault and without any weight


# ------------------------------------------------------------------------------------------------------- formula
def fnv1a64(name):
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = (h ^ byte) * 0x100000001B3 % 2**64
    return h


def u24(name, count):
    """The first `count` 24-bit integers of the stream called `name`."""
    step = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = step + np.uint64(fnv1a64(name))
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))) >> np.uint64(40)


@dataclasses.dataclass
class Pattern:
    """A tensor given by name, shape and range; `patches` replace the range of runs of flat indices."""
    name: str
    shape: tuple
    offset: float
    scale: float
    patches: tuple = ()

    def __post_init__(self):
        self.offset, self.scale = single(self.offset), single(self.scale)
        self.patches = [(begin, count, single(offset), single(scale)) for begin, count, offset, scale in self.patches]

    def values(self, prefix=''):
        """The float32 values."""
        size = math.prod(self.shape)
        offset, scale = np.full(size, self.offset), np.full(size, self.scale)
        for begin, count, patch_offset, patch_scale in self.patches:
            offset[begin:begin + count], scale[begin:begin + count] = patch_offset, patch_scale
        unit = u24(prefix + self.name, size).astype(np.float64) * 2.0**-23 - 1.0
        return (offset + scale * unit).astype(np.float32).reshape(self.shape)

    def describe(self):
        patches = [dict(zip(('begin', 'count', 'offset', 'scale'), patch)) for patch in self.patches]
        return dict(name=self.name, shape=list(self.shape), offset=self.offset, scale=self.scale, patches=patches)


def single(x):
    return float(np.float32(x))


# --------------------------------------------------------------------------------------------------- safetensors
DTYPES = {'F64': '<f8', 'I64': '<i8'}


def write_safetensors(path, tensors, metadata):
    header, blobs, end = {'__metadata__': metadata}, [], 0
    for name, array in tensors.items():
        dtype = 'I64' if array.dtype.kind == 'i' else 'F64'
        blobs.append(np.ascontiguousarray(array, DTYPES[dtype]).tobytes())
        begin, end = end, end + len(blobs[-1])
        header[name] = dict(dtype=dtype, shape=list(array.shape), data_offsets=[begin, end])
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    path.write_bytes(struct.pack('<Q', len(text)) + text + b''.join(blobs))


def read_safetensors(path):
    raw = path.read_bytes()
    start = 8 + struct.unpack_from('<Q', raw)[0]
    header = json.loads(raw[8:start])
    metadata = header.pop('__metadata__')
    tensors = {}
    for name, entry in header.items():
        begin, end = entry['data_offsets']
        tensors[name] = np.frombuffer(raw[start + begin:start + end], DTYPES[entry['dtype']]).reshape(entry['shape'])
    return tensors, metadata


# ---------------------------------------------------------------------------------------------------- recurrence
def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def decay_factor(x, form, offset='half'):
    """The factor in (0, 1) that multiplies a state column, from each form in which a decay is written."""
    if form == 'factor':
        return x
    if form == 'log':
        return np.exp(x)
    if form == 'loglog':
        return np.exp(-np.exp(x))
    return np.exp(-math.exp({'half': -0.5, 'six_tenths': -0.6}[offset]) * sigmoid(x))


def state_times(S, vector):
    return (S @ vector[..., None])[..., 0]


def outer(column, row):
    return column[..., :, None] * row[..., None, :]


def recurrence(r, w, k, v, S, a=None, b=None, read='after', u=None):
    """S_t = S_{t-1} diag(w) + (S_{t-1} a) b^T + v k^T; returns all y_t and the last S.

    r, w, a, b are [B,T,H,N]; k and v may have fewer heads; S is [B,H,N,N]; w holds factors; u is [H,N].
    y_t = S_t r_t ('after'), S_{t-1} r_t ('before'), or the latter plus v_t (u k_t)·r_t ('before_bonus').
    """
    H = r.shape[2]
    k, v = (np.repeat(x, H // x.shape[2], axis=2) for x in (k, v))
    y = np.empty_like(r)
    for t in range(r.shape[1]):
        before = S
        S = before * w[:, t, :, None, :] + outer(v[:, t], k[:, t])
        if a is not None:
            S += outer(state_times(before, a[:, t]), b[:, t])
        y[:, t] = state_times(S if read == 'after' else before, r[:, t])
    if read == 'before_bonus':
        y += v * (u * k * r).sum(-1, keepdims=True)
    return y, S


# ------------------------------------------------------------------------------------------------------ checking
def relative(x, reference):
    return float(np.linalg.norm(x - reference) / np.linalg.norm(reference))


def difference(stored, computed):
    """The largest difference, relative to the largest stored magnitude where that exceeds one."""
    if stored.shape != computed.shape:
        return math.inf
    return float(np.abs(stored - computed).max(initial=0) / max(1.0, np.abs(stored).max(initial=0)))


def exact_part(text, computed):
    """A metadata entry without the computed real numbers called `computed`."""
    entry = json.loads(text)
    return {key: entry[key] for key in entry if key not in computed} if isinstance(entry, dict) else entry


def check_stored(path, tensors, metadata, computed=()):
    """The largest difference of any tensor from the stored file; infinite where names or metadata differ."""
    stored, stored_metadata = read_safetensors(path)
    if stored_metadata.keys() != metadata.keys() or stored.keys() != tensors.keys():
        return math.inf
    if any(exact_part(stored_metadata[key], computed) != exact_part(metadata[key], computed) for key in metadata):
        return math.inf
    return max(difference(stored[key], tensors[key]) for key in tensors)


def load_oracle(folder):
    """The module x070 of `folder`: an independent implementation."""
    spec = importlib.util.spec_from_file_location('x070', pathlib.Path(folder) / 'x070.py')
    oracle = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(oracle)
    return oracle


# -------------------------------------------------------------------------------------------------- command line
def main(usage, folder, files, check_oracle=None, computed=()):
    """Writes golden files to `folder`, or compares with those there, as the command line says. Returns the exit status.

    files yields name, tensors and metadata of each; check_oracle(folder of an oracle), where there is one, what was compared
    and the largest difference; `computed` as in exact_part.
    """
    parser = argparse.ArgumentParser(description=usage.splitlines()[0])
    parser.add_argument('--check', action='store_true', help='compare with the stored files instead of writing')
    if check_oracle:
        parser.add_argument('--oracle', metavar='DIR', help='also compare with DIR/x070.py')
    options = parser.parse_args()
    worst = 0.0
    for name, tensors, metadata in files:
        if options.check:
            off = check_stored(folder / name, tensors, metadata, computed)
            worst = max(worst, off)
            print(f'{name}: largest difference {off:.1e}')
        else:
            write_safetensors(folder / name, tensors, metadata)
            print(f'{name}: {(folder / name).stat().st_size} bytes')
    for name, off in check_oracle(options.oracle) if check_oracle and options.oracle else ():
        worst = max(worst, off)
        print(f'{name} against {options.oracle}: largest difference {off:.1e}')
    return int(worst > TOLERANCE)
