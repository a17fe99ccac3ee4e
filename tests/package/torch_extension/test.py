# SPDX-License-Identifier: MIT
"""python3 test.py BUILD: the operator against a plain recurrence in float64, and against the program without PyTorch."""
import math
import os
import struct
import subprocess
import sys
import tempfile

import torch

build = sys.argv[1]
torch.ops.load_library(os.path.join(build, "extension", "rwkv7_torch.so"))
wkv7 = torch.ops.rwkv7.wkv7
torch.manual_seed(7)
torch.set_grad_enabled(False)

DECAYS = {
    "factor": lambda w: w,
    "log": torch.exp,
    "loglog": lambda w: torch.exp(-torch.exp(w)),
    "logit": lambda w: torch.exp(-math.exp(-0.5) * torch.sigmoid(w)),
}


def operands(B, T, H, N, decay):
    r, k, v = (torch.randn(B, T, H, N) for _ in range(3))
    kk = torch.nn.functional.normalize(torch.randn(B, T, H, N), dim=-1)
    w = {"factor": torch.rand(B, T, H, N), "log": -torch.rand(B, T, H, N), "loglog": torch.randn(B, T, H, N) - 2,
         "logit": torch.randn(B, T, H, N)}[decay]
    return r, w, k, v, -kk, kk * torch.rand(B, T, H, N)


def recurrence(r, w, k, v, a, b, S, decay):
    """The formula, token after token, in float64."""
    r, w, k, v, a, b, S = (x.double() for x in (r, w, k, v, a, b, S))
    w = DECAYS[decay](w)
    y = torch.empty_like(r)
    for t in range(r.shape[1]):
        Sa = torch.einsum("bhij,bhj->bhi", S, a[:, t])
        S = S * w[:, t].unsqueeze(-2) + Sa.unsqueeze(-1) * b[:, t].unsqueeze(-2)
        S = S + v[:, t].unsqueeze(-1) * k[:, t].unsqueeze(-2)
        y[:, t] = torch.einsum("bhij,bhj->bhi", S, r[:, t])
    return y, S


def distance(got, want):
    return float((got.double() - want).norm() / want.norm())


def refuses(words, *args, **kwargs):
    try:
        wkv7(*args, **kwargs)
    except ValueError as e:
        assert words in str(e), f"got {e}, want {words}"
    else:
        raise AssertionError(f"nothing was refused, want {words}")


# Every form of the decay, every kind of length, with a state that is carried on in place.
worst = 0.0
for decay in DECAYS:
    for B, T, H, N in ((1, 1, 1, 64), (2, 33, 3, 64), (3, 7, 2, 16), (1, 200, 2, 128), (2, 0, 1, 8)):
        x = operands(B, T, H, N, decay)
        S = torch.randn(B, H, N, N)
        want_y, want_S = recurrence(*x, S, decay)
        y = wkv7(*x, S, decay=decay)
        assert y.shape == want_y.shape and y.is_contiguous()
        if T:
            worst = max(worst, distance(y, want_y))
        worst = max(worst, distance(S, want_S))
assert worst < 1e-6, worst

# The bits of the library without PyTorch, for any number of PyTorch's threads, also from strided tensors.
B, T, H, N = 2, 64, 8, 64
x = operands(B, T, H, N, "logit")
S0 = torch.randn(B, H, N, N)
with tempfile.TemporaryDirectory() as folder:
    given, found = os.path.join(folder, "in"), os.path.join(folder, "out")
    with open(given, "wb") as file:
        file.write(struct.pack("4q", B, T, H, N))
        for tensor in (*x, S0):
            file.write(tensor.contiguous().numpy().tobytes())
    subprocess.run([os.path.join(build, "without_torch"), given, found], check=True)
    with open(found, "rb") as file:
        want = file.read()
for threads in (1, 2, 5):
    torch.set_num_threads(threads)
    for strided in (False, True):
        given = [t.transpose(1, 2).contiguous().transpose(1, 2) for t in x] if strided else x
        S = S0.clone()
        y = wkv7(*given, S, decay="logit")
        assert y.numpy().tobytes() + S.numpy().tobytes() == want, (threads, strided)

# Shapes without data, mutation in the schema.
meta = wkv7(*(t.to("meta") for t in x), S0.to("meta"), decay="logit")
assert meta.shape == x[0].shape and meta.device.type == "meta"
schema = torch._C._get_schema("rwkv7::wkv7", "")
assert schema.arguments[6].alias_info.is_write and not schema.arguments[0].alias_info

# Mistakes are refused in the library's words, and nothing is written.
before = S0.clone()
refuses("torch tensor: got elements of type Double, want Float", x[0].double(), *x[1:], S0, decay="logit")
refuses("rwkv7::wkv7: k axis T: got 32, want 64", x[0], x[1], x[2][:, :32], *x[3:], S0, decay="logit")
refuses("decay: got 'ratio', want factor, log, loglog or logit", *x, S0, decay="ratio")
refuses("stride 0 cannot be written", *x, S0[:1].expand(B, H, N, N), decay="logit")
refuses("got stride", *x[:5], x[5].transpose(-1, -2).contiguous().transpose(-1, -2), S0, decay="logit")
assert torch.equal(before, S0)

# A backward pass is not there, and says so.
with torch.enable_grad():
    y = wkv7(x[0].clone().requires_grad_(), *x[1:], S0.clone(), decay="logit")
    try:
        y.sum().backward()
    except RuntimeError as e:
        assert "rwkv7::wkv7" in str(e) and "not implemented" in str(e), e
    else:
        raise AssertionError("a gradient came out of nothing")

print(f"torch {torch.__version__}: within {worst:.1e} of float64, bitwise equal to the program without PyTorch")
