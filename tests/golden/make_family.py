#!/usr/bin/env python3
"""Float64 NumPy implementation of the linearised Transformers and generator of family_*.safetensors beside it.

usage: make_family.py                     write the golden files and print what every switch changes
       make_family.py --check             recompute and compare with the stored files
       make_family.py --check --oracle D  also compare with the class X070 and the function wkv7 of D/x070.py

A state S is indexed [value][key]. See README.md for the layout of the files. Where the published training and inference
programs differ, this is what the inference program computes; each such place has a comment.
"""
import dataclasses
import json
import math
import pathlib
import sys

import numpy as np

from golden_tools import LEAST_CHANGE, Pattern, difference, load_oracle, main, recurrence, relative, sigmoid, u24

HERE = pathlib.Path(__file__).resolve().parent
L2_EPS = 1e-12
ADDED_VALUE_SCALE = 0.2


# ------------------------------------------------------------------------------------------------------ variants
@dataclasses.dataclass(frozen=True)
class Variant:
    """What a time-mix block computes."""
    token_shift: bool = False
    decay: str = 'half'                   # c in omega = -softplus(-logit) - c
    qk_norm: bool = True
    rope: bool = True
    value_residual: str = 'none'
    key_residual: bool = False            # of keys after norm and rotation, before they are repeated
    kk: str = 'plain'
    key: str = 'one_minus_omega_plus_eta'
    norm: str = 'scale'
    bonus: bool = True
    gate: str = 'sigmoid'
    added_value: bool = False


CHOICES = dict(
    token_shift=(False, True), decay=('half', 'six_tenths'), qk_norm=(False, True), rope=(False, True),
    value_residual=('none', 'after_repeat', 'before_repeat'), key_residual=(False, True), kk=('scaled', 'plain'),
    key=('k_a', 'one_minus_omega_plus_eta', 'one_minus_decay_plus_eta'), norm=('none', 'group_norm', 'scale'),
    bonus=(False, True), gate=('none', 'sigmoid', 'one_plus_sigmoid'), added_value=(False, True))

# 0.6 in cxa073 is what it was trained with; of the published inference paths one agrees.
CXA073 = Variant(decay='six_tenths', qk_norm=False, rope=False, value_residual='after_repeat', kk='scaled', key='k_a',
                 norm='group_norm', gate='none')
CXA075 = dataclasses.replace(CXA073, decay='half', norm='none', gate='one_plus_sigmoid')
CXA076 = Variant(qk_norm=False, rope=False, value_residual='after_repeat')
CXA076R = dataclasses.replace(CXA076, qk_norm=True)
CXA077 = CXA078 = dataclasses.replace(CXA076R, rope=True)
CXA079 = dataclasses.replace(CXA078, value_residual='before_repeat', key_residual=True)
HXA07A = Variant(bonus=False)
HXA07B = dataclasses.replace(HXA07A, added_value=True)
HXA07C = dataclasses.replace(HXA07B, key='one_minus_decay_plus_eta')
ARWKV = Variant(token_shift=True, qk_norm=False, rope=False, value_residual='before_repeat', kk='scaled', key='k_a',
                norm='group_norm')
# Its paper interpolates values towards 1 - nu; this is its program, which agrees with x070.
RAD_RWKV7 = Variant(qk_norm=False, value_residual='after_repeat', key='one_minus_decay_plus_eta', bonus=False)


# --------------------------------------------------------------------------------------------------------- cases
@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    based_on: str                         # the published name
    variant: Variant
    C: int
    H: int
    H_kv: int
    N: int
    B: int = 0                            # dense: B sequences of T tokens, sequence b in slot b
    T: int = 0
    lengths: tuple = ()                   # packed: the sequences one after the other, each in its slot
    slots: tuple = ()
    positions: tuple = (0, 0)             # of every slot, before the call
    placement: tuple = ()                 # the attention layers
    attention_qk_norm: bool = False
    attention_rope: bool = False
    window: int = 0                       # keys that a query sees, itself included; 0: all
    cached: int = 0                       # keys of each slot given to attention layers, up to its position
    biases: str = ''                      # of which of r k v o, in layers of both kinds
    tied: bool = False
    first_layer: str = 'executed'         # whose v and k the residuals lean to; or 'absolute': layer 0's, if any
    rope_theta: float = 1e4
    rms_eps: float = 1e-6                 # of ln1, ln2, ln_out
    qk_norm_eps: float = 1e-6
    group_norm_eps: float = 64e-5
    F: int = 40
    V: int = 29
    layers: int = 3
    unused_residual: bool = False         # the first layer, too, has v0 v1 v2 (k0 k1 k2), which nothing may use
    state_stride: int = 1                 # rows 0, s, 2 s, … of each head of a final state are stored

    ranks = dict(w=7, a=5, v=3, k=4, g=6)

    def __post_init__(self):
        if self.placement and self.cached < (self.window - 1 if self.window else max(self.positions)):
            sys.exit(f'{self.name}: too few cached keys')

    def sequences(self):
        """First token and length in the flat list of tokens, and slot, of each sequence."""
        lengths, slots = (self.lengths, self.slots) if self.lengths else ((self.T,) * self.B, range(self.B))
        return [(sum(lengths[:i]), length, slot) for i, (length, slot) in enumerate(zip(lengths, slots))]

    def tokens(self):
        count = sum(self.lengths) or self.B * self.T
        values = (u24(f'{self.name}/tokens', count) % np.uint64(self.V)).astype(np.int64)
        return values.reshape((1, -1) if self.lengths else (self.B, self.T))

    def first_layers(self):
        """The layer that has no residual under each meaning of `first_layer`."""
        executed = min(set(range(self.layers)) - set(self.placement))
        return dict(executed=executed, absolute=0)

    def describe(self):
        keys = [field.name for field in dataclasses.fields(self) if field.name not in ('variant', 'lengths', 'B', 'T')]
        layout = dict(lengths=self.lengths) if self.lengths else dict(B=self.B, T=self.T)
        return dict({key: getattr(self, key) for key in keys}, **layout, D=self.H * self.N, ranks=self.ranks,
                    l2_eps=L2_EPS, variant=dataclasses.asdict(self.variant))

    def weights(self):
        """Every weight under its name in published .pth files, in ranges that let each of them matter."""
        C, F, N, D, D_kv, on = self.C, self.F, self.N, self.H * self.N, self.H_kv * self.N, self.variant

        def vector(name, size, offset, scale):
            return Pattern(name, (1, 1, size), offset, scale)

        def norm(name, size, spread=0.3):
            return Pattern(name + '.weight', (size,), 1, spread)

        def matrix(name, rows, columns, gain=1.0):
            return Pattern(name + '.weight', (rows, columns), 0, gain * math.sqrt(3 / columns))

        def linear(name, rows, columns, letter):
            bias = [Pattern(name + '.bias', (rows,), 0, 0.5)] if letter in self.biases else []
            return [matrix(name, rows, columns), *bias]

        def low_rank(at, letter, width, inner=1.0, outer=1.5):
            rank = self.ranks[letter]
            return [Pattern(f'{at}{letter}1', (C, rank), 0, inner * math.sqrt(3 / C)),
                    Pattern(f'{at}{letter}2', (rank, width), 0, outer * math.sqrt(3 / rank))]

        def time_mix(layer, at):
            mixing = 'rwkva' + 'g' * (on.gate != 'none')
            items = [vector(f'{at}x_{c}', C, 0.5, 0.6) for c in mixing] if on.token_shift else []
            items += [vector(at + 'w0', D, -2, 4), *low_rank(at, 'w', D, 1.5, 2.0)]
            items += [vector(at + 'a0', D, 0, 1), *low_rank(at, 'a', D)]
            if self.unused_residual or layer != min(self.first_layers().values()):
                if on.value_residual != 'none':
                    width = D if on.value_residual == 'after_repeat' else D_kv
                    items += [vector(at + 'v0', width, 0, 1), *low_rank(at, 'v', width)]
                if on.key_residual:
                    items += [vector(at + 'k0', D_kv, 0, 1), *low_rank(at, 'k', D_kv)]
            items += low_rank(at, 'v', D, 1.0, 4.0) if on.added_value else []
            items += low_rank(at, 'g', D, 1.0, 2.0) if on.gate != 'none' else []
            items += [vector(at + 'k_k', D, 0.8, 0.5)] if on.kk == 'scaled' else []
            items += [vector(at + 'k_a', D, 1, 0.4)] if on.key == 'k_a' else []
            items += [Pattern(at + 'r_k', (self.H, N), 0, 0.4)] if on.bonus else []
            items += [norm(at + 'ln_r', N, 0.4), norm(at + 'ln_k', N, 0.4)] if on.qk_norm else []
            items += [norm(at + 'ln_x', D), Pattern(at + 'ln_x.bias', (D,), 0, 0.2)] if on.norm == 'group_norm' else []
            return items + [*linear(at + 'receptance', D, C, 'r'), *linear(at + 'key', D_kv, C, 'k'),
                            *linear(at + 'value', D_kv, C, 'v'), *linear(at + 'output', C, D, 'o')]

        def attention(at):
            norms = [norm(at + 'ln_r', N, 0.4), norm(at + 'ln_k', N, 0.4)] if self.attention_qk_norm else []
            return norms + [*linear(at + 'q_proj', D, C, 'r'), *linear(at + 'k_proj', D_kv, C, 'k'),
                            *linear(at + 'v_proj', D_kv, C, 'v'), *linear(at + 'o_proj', C, D, 'o')]

        items = [Pattern('emb.weight', (self.V, C), 0, 1)]
        for layer in range(self.layers):
            at = f'blocks.{layer}.'
            items += [norm(at + 'ln1', C), norm(at + 'ln2', C)]
            items += attention(at + 'att.') if layer in self.placement else time_mix(layer, at + 'att.')
            items += [matrix(at + 'ffn.gate', F, C, 1.5), matrix(at + 'ffn.up', F, C), matrix(at + 'ffn.down', C, F)]
        return items + [norm('ln_out', C)] + ([] if self.tied else [matrix('head', self.V, C, 2.0)])

    def initial(self):
        """What layers carry into the call. Of k and v the last row is the newest; rows before position 0 are void."""
        slots, items = len(self.positions), []
        for layer in range(self.layers):
            if layer in self.placement:
                shape = (slots, self.cached, self.H_kv, self.N)
                items += [Pattern(f'state/{layer}/k', shape, 0, 1.5), Pattern(f'state/{layer}/v', shape, 0, 1.5)]
                continue
            items += [Pattern(f'state/{layer}', (slots, self.H, self.N, self.N), 0, 0.7)]
            items += [Pattern(f'shift/{layer}', (slots, self.C), 0, 1.5)] if self.variant.token_shift else []
        return items


# --------------------------------------------------------------------------------------------------------- model
def rms_norm(x, weight, eps):
    return x / np.sqrt(np.square(x).mean(-1, keepdims=True) + eps) * weight


def rotate(x, positions, theta):
    """Heads [T,H,N], channel i turned with channel i + N/2 by position · theta^(-2 i / N)."""
    half = x.shape[-1] // 2
    angle = np.outer(positions, theta ** (-np.arange(half) / half))[:, None, :]
    low, high = x[..., :half], x[..., half:]
    return np.concatenate([low * np.cos(angle) - high * np.sin(angle), high * np.cos(angle) + low * np.sin(angle)], -1)


class Model:
    """One case, sequence after sequence: x is [T,C] and heads are [T,H,N] throughout."""

    def __init__(self, case, recur=recurrence):
        self.case, self.recur = case, recur
        self.weights = {p.name: p.values(case.name + '/').astype(np.float64) for p in case.weights()}

    def below(self, prefix):
        """The weights whose names begin with `prefix`, vectors of shape (1,1,n) as (n)."""
        return {name[len(prefix):]: w.reshape(-1) if w.ndim == 3 else w
                for name, w in self.weights.items() if name.startswith(prefix)}

    def heads(self, x):
        return x.reshape(len(x), -1, self.case.N)

    def repeat(self, x):
        """Every key or value head for each of the query heads that share it: head h has head h / (H / H_kv)."""
        return np.repeat(x, self.case.H // self.case.H_kv, axis=1)

    def time_mix(self, layer, h, carried, positions, first):
        case, on, p = self.case, self.case.variant, self.below(f'blocks.{layer}.att.')
        heads, repeat = self.heads, self.repeat

        def project(name, x):
            return x @ p[name + '.weight'].T + p.get(name + '.bias', 0)

        def low_rank(letter, x, activation=lambda x: x):
            return activation(x @ p[letter + '1']) @ p[letter + '2']

        def lean(x, letter):
            """x towards that of the first layer, which is the one that finds none."""
            if letter not in first:
                first[letter] = x
            if layer == case.first_layers()[case.first_layer]:
                return x
            return x + (first[letter] - x) * heads(sigmoid(p[letter + '0'] + low_rank(letter, mixed[letter])))

        mixed = dict.fromkeys('rwkvag', h)
        if on.token_shift:
            seen = np.concatenate([carried[f'shift/{layer}'][None], h])
            carried[f'shift/{layer}'] = seen[-1]
            mixed = {c: h + (seen[:-1] - h) * p['x_' + c] for c in mixed if 'x_' + c in p}

        r, k, v = (heads(project(name, mixed[name[0]])) for name in ('receptance', 'key', 'value'))
        if on.qk_norm:
            r, k = rms_norm(r, p['ln_r.weight'], case.qk_norm_eps), rms_norm(k, p['ln_k.weight'], case.qk_norm_eps)
        if on.rope:
            r, k = rotate(r, positions, case.rope_theta), rotate(k, positions, case.rope_theta)
        k = repeat(lean(k, 'k') if on.key_residual else k)
        if on.value_residual == 'before_repeat':
            v = lean(v, 'v')
        v = repeat(v)
        if on.value_residual == 'after_repeat':
            v = lean(v, 'v')
        if on.added_value:
            v = v + ADDED_VALUE_SCALE * heads(low_rank('v', mixed['v']))

        logit = p['w0'] + low_rank('w', mixed['w'], np.tanh)
        omega = heads(-np.logaddexp(0, -logit) - dict(half=0.5, six_tenths=0.6)[on.decay])
        w = np.exp(-np.exp(omega))
        eta = heads(sigmoid(p['a0'] + low_rank('a', mixed['a'])))
        # k_k has D entries, one for every repeated key. hxa07a, b and c add 1e-12 to the norm: less than rounding.
        q = k * heads(p['k_k'][None]) if on.kk == 'scaled' else k
        kk = q / np.maximum(np.sqrt(np.square(q).sum(-1, keepdims=True)), L2_EPS)
        if on.key == 'k_a':
            k = k * (1 + (eta - 1) * heads(p['k_a'][None]))
        else:
            k = k * (1 - (omega if on.key == 'one_minus_omega_plus_eta' else w) + eta)

        operands = (x[None] for x in (r, w, k, v))
        y, S = self.recur(*operands, carried[f'state/{layer}'][None], -kk[None], (kk * eta)[None])
        y, carried[f'state/{layer}'] = y[0], S[0]

        if on.norm == 'group_norm':
            centred = y - y.mean(-1, keepdims=True)
            y = centred / np.sqrt(np.square(centred).mean(-1, keepdims=True) + case.group_norm_eps)
            y = y * heads(p['ln_x.weight'][None]) + heads(p['ln_x.bias'][None])
        elif on.norm == 'scale':
            y = y * case.N ** -0.5
        if on.bonus:
            y = y + (r * k * p['r_k']).sum(-1, keepdims=True) * v
        y = y.reshape(len(h), -1)
        if on.gate != 'none':
            y = y * ((on.gate == 'one_plus_sigmoid') + low_rank('g', mixed['g'], sigmoid))
        # The published inference program leaves out a bias here; training adds it, and so does this.
        return project('output', y)

    def attention(self, layer, h, carried, positions):
        case, p = self.case, self.below(f'blocks.{layer}.att.')
        q, k, v = (self.heads(h @ p[f'{c}_proj.weight'].T + p.get(f'{c}_proj.bias', 0)) for c in 'qkv')
        if case.attention_qk_norm:
            q, k = rms_norm(q, p['ln_r.weight'], case.qk_norm_eps), rms_norm(k, p['ln_k.weight'], case.qk_norm_eps)
        if case.attention_rope:
            q, k = rotate(q, positions, case.rope_theta), rotate(k, positions, case.rope_theta)
        past_k, past_v = carried[f'state/{layer}/k'], carried[f'state/{layer}/v']
        k, v = (self.repeat(np.concatenate(pair)) for pair in ((past_k, k), (past_v, v)))
        at = np.concatenate([positions[:1] - len(past_k) + np.arange(len(past_k)), positions])
        visible = (at >= 0) & (at <= positions[:, None])
        if case.window:
            visible &= at > positions[:, None] - case.window
        scores = np.einsum('thn,shn->hts', q, k) * case.N ** -0.5
        scores = np.where(visible, scores, -np.inf)
        share = np.exp(scores - scores.max(-1, keepdims=True))
        y = np.einsum('hts,shn->thn', share / share.sum(-1, keepdims=True), v).reshape(len(h), -1)
        return y @ p['o_proj.weight'].T + p.get('o_proj.bias', 0)

    def forward(self, tokens, carried, position):
        """What one sequence gives, by name, each [T,…]; `carried` is carried forward in place."""
        case, p, found = self.case, self.below(''), {}
        positions = position + np.arange(len(tokens))
        first = {}
        if case.first_layer == 'absolute' and 0 in case.placement:      # the buffer that nothing wrote
            first = {c: np.zeros((len(tokens), heads, case.N)) for c, heads in
                     (('v', case.H if case.variant.value_residual == 'after_repeat' else case.H_kv), ('k', case.H_kv))}
        x = p['emb.weight'][tokens]
        for layer in range(case.layers):
            at = f'blocks.{layer}.'
            h = rms_norm(x, p[at + 'ln1.weight'], case.rms_eps)
            if not len(tokens):
                change = h
            elif layer in case.placement:
                change = self.attention(layer, h, carried, positions)
            else:
                change = self.time_mix(layer, h, carried, positions, first)
            found[f'normed/{layer}'], found[f'mix/{layer}'] = h, change
            x = x + change
            h = rms_norm(x, p[at + 'ln2.weight'], case.rms_eps)
            gate = h @ p[at + 'ffn.gate.weight'].T
            x = x + (gate * sigmoid(gate) * (h @ p[at + 'ffn.up.weight'].T)) @ p[at + 'ffn.down.weight'].T
        head = p['emb.weight' if case.tied else 'head.weight']
        found['logits'] = rms_norm(x, p['ln_out.weight'], case.rms_eps) @ head.T
        return dict(found, **{f'{c}_first': value for c, value in first.items()})

    def run(self):
        """Every output of the whole case: those of tokens [B,T,…] or [1,tokens,…], those of slots [slots,…]."""
        case, tokens = self.case, self.case.tokens()
        pool = {p.name: p.values(case.name + '/').astype(np.float64) for p in case.initial()}
        positions = np.array(case.positions, np.int64)
        parts = []
        for begin, length, slot in case.sequences():
            carried = {name: array[slot] for name, array in pool.items()}
            part = self.forward(tokens.reshape(-1)[begin:begin + length], carried, positions[slot])
            parts += [part] if length else []
            positions[slot] += length
            for name in carried:
                if not name.endswith(('/k', '/v')):
                    pool[name][slot] = carried[name]
        found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        found = {name: array.reshape(*tokens.shape, *array.shape[1:]) for name, array in found.items()}
        for name, array in pool.items():
            if name.startswith('shift'):
                found[name] = array
            elif not name.endswith(('/k', '/v')):
                found[name] = array[:, :, ::case.state_stride]
        return dict(tokens=tokens, **found, positions=positions)


# --------------------------------------------------------------------------------------------------------- files
def family_cases():
    square = dict(C=32, H=2, H_kv=1, N=16)                   # D = C
    wide = dict(C=24, H=4, H_kv=2, N=16)                     # D = 64
    dense = dict(B=2, T=6, positions=(203, 57))
    packed = dict(lengths=(4, 0, 7), slots=(2, 0, 1), positions=(40, 310, 9))
    arwkv = dict(C=32, H=2, H_kv=2, N=16)
    return [
        Case('cxa073', 'cxa073', CXA073, C=64, H=4, H_kv=2, N=16, **dense, biases='rkvo', unused_residual=True,
             state_stride=3),
        Case('cxa075', 'cxa075', CXA075, **square, **packed, biases='rkv'),
        Case('cxa076', 'cxa076', CXA076, **square, **dense, biases='rkv'),
        Case('cxa076r', 'cxa076r', CXA076R, **wide, **packed, state_stride=3),
        Case('cxa077', 'cxa077', CXA077, C=24, H=2, H_kv=1, N=64, **dense, biases='rkv', rope_theta=1e6,
             state_stride=8),
        Case('hxa078', 'cxa078', CXA078, **wide, B=2, T=6, positions=(4, 1), placement=(2,), cached=4,
             attention_qk_norm=True, attention_rope=True, biases='rkv'),
        Case('cxa079', 'cxa079', CXA079, **wide, **packed, rms_eps=0.02, qk_norm_eps=0.05, unused_residual=True),
        Case('hxa079_layer_0', 'cxa079', dataclasses.replace(CXA079, qk_norm=False), **wide, B=2, T=6,
             positions=(5, 2), placement=(0,), cached=5, biases='rkvo', state_stride=3),
        Case('hxa079_window', 'cxa079', dataclasses.replace(CXA079, qk_norm=False), C=48, H=2, H_kv=1, N=96,
             **dict(packed, positions=(40, 310, 2)), placement=(1,), window=6, cached=5, tied=True,
             rope_theta=8e6, rms_eps=1e-5, state_stride=32),
        Case('hxa07a', 'hxa07a', dataclasses.replace(HXA07A, qk_norm=False), C=24, H=2, H_kv=1, N=128, B=2, T=6,
             positions=(3, 0), placement=(1,), cached=3, biases='rkv', rope_theta=1e6, state_stride=32),
        Case('hxa07b', 'hxa07b', HXA07B, **wide, lengths=(4, 0, 7), slots=(2, 0, 1), positions=(2, 7, 3),
             placement=(2,), cached=7, attention_qk_norm=True, state_stride=3),
        Case('hxa07c', 'hxa07c', HXA07C, **wide, **dense, state_stride=3),
        Case('arwkv', 'arwkv', ARWKV, **arwkv, **packed),
        Case('arwkv_7b', 'arwkv', dataclasses.replace(ARWKV, gate='none', norm='none'), **arwkv, **dense),
        Case('arwkv_one_plus', 'arwkv', dataclasses.replace(ARWKV, gate='one_plus_sigmoid', norm='none'), **arwkv,
             **dense),
        Case('arwkv_no_gate', 'arwkv', dataclasses.replace(ARWKV, gate='none'), **arwkv, **packed,
             group_norm_eps=0.05, state_stride=3),
        Case('rad_rwkv7', 'rad_rwkv7', RAD_RWKV7, C=64, H=4, H_kv=2, N=16, **packed, biases='rkv', rope_theta=1e6,
             state_stride=3),
    ]


def other(case, **changed):
    return dataclasses.replace(case, variant=dataclasses.replace(case.variant, **changed))


def other_variants(case):
    """Every case that differs in one switch, as (switch, its value, the case)."""
    for switch, values in CHOICES.items():
        for value in set(values) - {getattr(case.variant, switch)}:
            changed = other(case, **{switch: value})
            on = changed.variant
            if on.added_value and on.value_residual != 'none':
                continue                                     # both are called v1 and v2
            if case.H == case.H_kv and {value, getattr(case.variant, switch)} == {'after_repeat', 'before_repeat'}:
                continue                                     # nothing is repeated
            yield switch, value, changed


def other_settings(case):
    """The same for what is no switch of the variant. Not every setting matters in every case."""
    replace = dataclasses.replace
    yield 'placement', 'none', replace(case, placement=())
    yield 'attention_qk_norm', 'other', replace(case, attention_qk_norm=not case.attention_qk_norm)
    yield 'attention_rope', 'other', replace(case, attention_rope=not case.attention_rope)
    yield 'window', 'one less', replace(case, window=max(0, case.window - 1))
    yield 'biases', 'none', replace(case, biases='')
    yield 'tied', 'other', replace(case, tied=not case.tied)
    yield 'first_layer', 'absolute', replace(case, first_layer='absolute')
    yield 'rope_theta', '10 times', replace(case, rope_theta=10 * case.rope_theta)
    yield 'rms_eps', '1e-6', replace(case, rms_eps=1e-6)
    yield 'qk_norm_eps', '1e-6', replace(case, qk_norm_eps=1e-6)
    yield 'group_norm_eps', '64e-5', replace(case, group_norm_eps=64e-5)
    yield 'positions', 'one less', replace(case, positions=tuple(max(0, x - 1) for x in case.positions))


def weakest_weight(case, expected):
    """The least relative change of the logits when one weight is zeroed, and which. What a first layer does not use
    counts where another meaning of `first_layer` uses it."""
    changes = {}
    for convention, logits in expected.items():
        model = Model(dataclasses.replace(case, first_layer=convention))
        unused = tuple(f'blocks.{case.first_layers()[convention]}.att.{c}{i}' for c in 'vk' for i in '012')
        for name, weight in model.weights.items():
            if not name.endswith(unused) or case.variant.added_value:
                model.weights[name] = np.zeros_like(weight)
                change = relative(model.run()['logits'], logits)
                changes[name] = max(changes.get(name, 0), change)
                model.weights[name] = weight
    weakest = min(changes, key=changes.get)
    if changes[weakest] < LEAST_CHANGE:
        sys.exit(f'{case.name}: {weakest} matters too little ({changes[weakest]:.1e})')
    return changes[weakest], weakest


def family_file(case, report):
    """Tensors and metadata of a case; what each switch and setting changes is added to `report`."""
    tensors = Model(case).run()
    expected = dict(executed=tensors['logits'])
    if 0 in case.placement:
        absolute = Model(dataclasses.replace(case, first_layer='absolute')).run()
        expected['absolute'] = absolute['logits']
        tensors.update({f'absolute/{name}': array for name, array in absolute.items()
                        if name == 'logits' or name.startswith(('mix', 'normed', 'state'))})
    change, name = weakest_weight(case, expected)
    print(f'{case.name}: the weakest weight moves the logits by {change:.1e} ({name})')
    for table, others in ((report['switch'], other_variants(case)), (report['setting'], other_settings(case))):
        for switch, value, changed in others:
            change = relative(Model(changed).run()['logits'], tensors['logits'])
            table.setdefault(switch, []).append((change, case.name, str(value)))
    metadata = dict(model=case.describe(), weights=[p.describe() for p in case.weights()],
                    initial=[p.describe() for p in case.initial()])
    return tensors, {name: json.dumps(entry) for name, entry in metadata.items()}


def print_report(report):
    """How much each switch changes the logits at least, each setting at most, by which value in which case. A switch
    must show in every case and with every other value, a setting in one case."""
    for kind, pick in (('switch', min), ('setting', max)):
        for name, changes in report[kind].items():
            change, case, value = pick(changes)
            print(f'{kind} {name:18} {change:.1e} ({value} in {case})')
            if change < LEAST_CHANGE:
                sys.exit(f'{name} shows too little')


def golden_files():
    report = dict(switch={}, setting={})
    for case in family_cases():
        yield f'family_{case.name}.safetensors', *family_file(case, report)
    print_report(report)


# ------------------------------------------------------------------------------------------------------ checking
def check_oracle(folder):
    """Largest difference when another recurrence is put in, and from another time-mix where that exists."""
    oracle = load_oracle(folder)

    def recur(r, w, k, v, S, a, b):
        S = S.copy()
        return oracle.wkv7(r, w, k, v, a, b, S), S

    for case in family_cases():
        mine, other_run = Model(case).run(), Model(case, recur).run()
        yield case.name + ', recurrence', max(difference(mine[name], other_run[name]) for name in mine)
        if case.name == 'arwkv':
            yield case.name + ', time-mix', check_time_mix(oracle, case, mine)


def check_time_mix(oracle, case, mine):
    model, worst = Model(case), 0.0
    theirs = oracle.X070(model.weights)
    pool = {p.name: p.values(case.name + '/').astype(np.float64) for p in case.initial()}
    for begin, length, slot in case.sequences():
        tokens, v_first = slice(begin, begin + length), None
        for layer in range(case.layers) if length else ():
            state = dict(att=pool[f'shift/{layer}'][slot:slot + 1], S=pool[f'state/{layer}'][slot:slot + 1])
            y, v_first = theirs.tmix(layer, mine[f'normed/{layer}'][:, tokens], v_first, state)
            worst = max(worst, difference(mine[f'mix/{layer}'][:, tokens], y),
                        difference(mine[f'state/{layer}'][slot], state['S'][0]),
                        difference(mine[f'shift/{layer}'][slot], state['att'][0]))
    return worst


if __name__ == '__main__':
    sys.exit(main(__doc__, HERE, golden_files(), check_oracle))
