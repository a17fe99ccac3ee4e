#!/usr/bin/env python3
"""Writes torch.pth beside it: what PyTorch makes of tensors of every kind that a checkpoint may hold.

usage: make_pth.py            write the file (made with PyTorch 1.13.1, Debian 12's)
       make_pth.py --check    compare what is in the stored file with what would be written
"""
import collections
import pathlib
import sys

import torch

FILE = pathlib.Path(__file__).resolve().parent / 'torch.pth'


def tensors():
    counted = torch.arange(24, dtype=torch.float32)
    base = counted.reshape(4, 6)
    small = torch.arange(-3, 5) / 4
    items = collections.OrderedDict()
    items['f32'] = base                                      # these share one storage
    items['rows'] = base[1:3]
    items['columns'] = base[:, 2:4]
    items['transposed'] = base.t()
    items['steps'] = counted[1::5]
    items['element'] = counted[7]
    items['expanded'] = counted[3:5].expand(2, 2)
    items['f16'] = small.half()
    items['bf16'] = small.bfloat16().reshape(1, 1, 8)
    items['f64'] = small.double()
    items['i64'] = torch.tensor([-1, 2**40])
    items['i32'] = torch.tensor([-2, 3], dtype=torch.int32)
    items['i16'] = torch.tensor([-300], dtype=torch.int16)
    items['i8'] = torch.tensor([-4, 4], dtype=torch.int8)
    items['u8'] = torch.tensor([200], dtype=torch.uint8)
    items['boolean'] = torch.tensor([True, False])
    items['parameter'] = torch.nn.Parameter(torch.tensor([[1.5, 2.5]]))
    items['scalar'] = torch.tensor(0.5)
    items['empty'] = torch.empty(0, 3)
    items['tail'] = torch.arange(8.)[8:]
    items['λ'] = torch.ones(1)
    items._metadata = collections.OrderedDict({'': {'version': 1}})
    return items


if __name__ == '__main__':
    if sys.argv[1:] not in ([], ['--check']):
        sys.exit(__doc__)
    if not sys.argv[1:]:
        torch.save(tensors(), FILE)
    stored = torch.load(FILE)
    for name, want in tensors().items():
        got = stored.pop(name)
        assert got.dtype == want.dtype and got.stride() == want.stride() and torch.equal(got, want), name
        assert got.storage_offset() == want.storage_offset(), name
    assert not stored, list(stored)
    print('torch.pth: as PyTorch', torch.__version__, 'reads it')
