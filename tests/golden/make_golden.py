#!/usr/bin/env python3
"""Float64 NumPy implementation of RWKV-7 (x070) and generator of the golden files beside it.

usage: make_golden.py                     write the golden files and print the fault table
       make_golden.py --check             recompute and compare with the stored files
       make_golden.py --check --oracle D  also compare with the class X070 and the function wkv7 of D/x070.py

A state S is indexed [value][key]. See README.md for the formula of the inputs and the layout of the files.
"""
import dataclasses
import json
import math
import pathlib
import sys

import numpy as np

from golden_tools import (LEAST_CHANGE, Pattern, decay_factor, difference, load_oracle, main, recurrence, relative,
                          sigmoid, u24)

HERE = pathlib.Path(__file__).resolve().parent
LN_EPS = 1e-5
GROUP_NORM_EPS = 64e-5
L2_EPS = 1e-12
GREEDY_TOKENS = 24


# ---------------------------------------------------------------------------------------------- recurrence cases
@dataclasses.dataclass
class WkvCase:
    name: str
    N: int
    H: int
    H_kv: int = 0                         # 0: as many as H
    B: int = 1
    T: int = 0
    lengths: tuple = ()                   # of the packed sequences; none: dense
    slots: tuple = ()                     # the pool entry of each packed sequence
    pool: int = 0
    prefix: str = ''                      # of the names in the formula; empty: the name of the case
    read: str = 'after'
    decay: str = 'logit'
    decay_offset: str = 'half'
    w: tuple = (-4, 8)                    # offset, scale
    S0: tuple = None                      # offset, scale; None: zero

    def __post_init__(self):
        self.H_kv = self.H_kv or self.H
        self.prefix = self.prefix or self.name
        self.T = self.T or sum(self.lengths)
        self.pool = self.pool or self.B

    def inputs(self):
        per_head, grouped = (self.B, self.T, self.H, self.N), (self.B, self.T, self.H_kv, self.N)
        table = dict(r=(per_head, 0, 1), w=(per_head, *self.w), k=(grouped, 0, 1), v=(grouped, 0, 1))
        if self.name.startswith('wkv7/'):
            table.update(a=(per_head, 0, math.sqrt(3 / self.N)), eta=(per_head, 0.5, 0.5))
        if self.read == 'before_bonus':
            table.update(u=((self.H, self.N), 0.5, 0.5))
        if self.S0:
            table.update(S0=((self.pool, self.H, self.N, self.N), *self.S0))
        return {name: Pattern(f'{self.prefix}/{name}', *rest) for name, rest in table.items()}

    def describe(self):
        keys = ('N', 'H', 'H_kv', 'B', 'T', 'lengths', 'slots', 'pool', 'read', 'decay', 'decay_offset')
        text = dict(op=self.name.split('/')[0], **{key: getattr(self, key) for key in keys})
        return json.dumps(dict(text, inputs={name: p.describe() for name, p in self.inputs().items()}))

    def operands(self):
        """The arguments of `recurrence` in float64, decay as factors, and the initial states of the pool."""
        x = {name: pattern.values() for name, pattern in self.inputs().items()}
        if 'eta' in x:
            x['b'] = -(x['a'] * x.pop('eta'))
        x = {name: array.astype(np.float64) for name, array in x.items()}
        x['w'] = decay_factor(x['w'], self.decay, self.decay_offset)
        pool = x.pop('S0', np.zeros((self.pool, self.H, self.N, self.N)))
        return x, pool

    def run(self):
        x, pool = self.operands()
        if not self.lengths:
            y, pool = recurrence(S=pool, read=self.read, **x)
            return {f'{self.name}/y': y, f'{self.name}/S': pool}
        y, begin = np.empty_like(x['r']), 0
        for length, slot in zip(self.lengths, self.slots):
            part = {name: array[:, begin:begin + length] for name, array in x.items()}
            y[:, begin:begin + length], pool[slot:slot + 1] = recurrence(S=pool[slot:slot + 1], **part)
            begin += length
        return {f'{self.name}/y': y, f'{self.name}/S': pool}


def wkv_cases():
    decays = dict(factor=(0.77, 0.22), log=(-0.305, 0.3), loglog=(-4, 3.5), logit=(-4, 8))
    forms = [WkvCase(f'wkv7/decay_{form}', N=16, H=2, T=20, prefix='wkv7/decay', decay=form, w=w, S0=(0, 1))
             for form, w in decays.items()]
    reads = [WkvCase(f'wkv/{read}', N=32, H=2, H_kv=1, T=20, prefix='wkv/read', read=read, decay='loglog',
                     w=(-4, 3.5), S0=(0, 1)) for read in ('after', 'before', 'before_bonus')]
    return [
        WkvCase('wkv7/n64', N=64, H=4, T=33),
        WkvCase('wkv7/n96', N=96, H=2, T=17, S0=(0, 1)),
        WkvCase('wkv7/n128', N=128, H=2, T=17),
        WkvCase('wkv7/n16_kv1', N=16, H=3, H_kv=1, T=33, S0=(0, 1)),
        WkvCase('wkv7/n33', N=33, H=2, T=19, S0=(0, 1)),
        WkvCase('wkv7/grouped', N=64, H=4, H_kv=2, T=17),
        WkvCase('wkv7/batch', N=32, H=2, B=3, T=18, S0=(0, 1)),
        WkvCase('wkv7/packed', N=16, H=2, H_kv=1, lengths=(0, 1, 2, 15, 16, 17, 65), slots=(4, 7, 0, 8, 2, 5, 1),
                pool=9, S0=(0, 1)),
        WkvCase('wkv7/large_state', N=64, H=1, T=33, S0=(0, 90)),
        WkvCase('wkv7/slow', N=64, H=1, T=65, w=(-13, 3)),
        WkvCase('wkv7/floor', N=64, H=1, T=40, w=(30, 0), S0=(0, 1)),
        *forms,
        WkvCase('wkv7/decay_logit_six_tenths', N=16, H=2, T=20, prefix='wkv7/decay', decay_offset='six_tenths',
                S0=(0, 1)),
        *reads,
    ]


def wkv_file():
    cases = wkv_cases()
    tensors = {'formula/example': Pattern('formula/example', (8,), 0.25, 1.5).values().astype(np.float64)}
    for case in cases:
        tensors.update(case.run())
    return tensors, {case.name: case.describe() for case in cases}


# --------------------------------------------------------------------------------------------------------- model
@dataclasses.dataclass(frozen=True)
class Rules:
    """What a time-mix block computes: five switches of the variant, then what only a planted fault changes."""
    token_shift: bool = True
    value_residual: bool = True
    group_norm: bool = True
    bonus: bool = True
    gate: bool = True
    group_norm_eps: float = GROUP_NORM_EPS
    mixing: str = 'rwkvag'                # whose x_ each of r w k v a g uses; '0' stands for zeros
    tanh: bool = True
    decay: str = 'logit'
    l2_eps_inside: float = 0.0            # not zero: kk = q / sqrt(sum(q^2) + this)
    swap_a_b: bool = False
    transpose_carried_state: bool = False


SWITCHES = ('token_shift', 'value_residual', 'group_norm', 'bonus', 'gate')

FAULTS = {
    'a_b_swapped': Rules(swap_a_b=True),
    'no_bonus': Rules(bonus=False),
    'group_norm_eps_1e-5': Rules(group_norm_eps=1e-5),
    'v_first_ignored': Rules(value_residual=False),
    'state_transposed': Rules(transpose_carried_state=True),
    'decay_loglog': Rules(decay='loglog'),
    'x_w_zero': Rules(mixing='r0kvag'),
    'x_w_x_a_swapped': Rules(mixing='rakvwg'),
    'no_tanh': Rules(tanh=False),
    'l2_eps_inside_root': Rules(l2_eps_inside=1e-6),
}


@dataclasses.dataclass
class Config:
    name: str
    C: int
    H: int
    N: int
    layers: int
    F: int
    V: int
    ranks: dict
    B: int
    T: int
    H_kv: int = 0                         # 0: as many as H
    seed: str = ''                        # prefix of the names in the formula; empty: the name of the model
    value_mix_in_block_0: bool = False    # block 0 also has v0 v1 v2, which nothing may use
    rules: Rules = Rules()

    def __post_init__(self):
        self.H_kv = self.H_kv or self.H
        self.seed = self.seed or self.name

    def describe(self):
        keys = ('name', 'seed', 'C', 'H', 'H_kv', 'N', 'F', 'V', 'layers', 'ranks', 'B', 'T')
        return dict({key: getattr(self, key) for key in keys}, D=self.H * self.N, ln_eps=LN_EPS,
                    group_norm_eps=GROUP_NORM_EPS, l2_eps=L2_EPS,
                    variant={switch: getattr(self.rules, switch) for switch in SWITCHES})

    def weights(self):
        """Every weight under its RWKV-LM name, in ranges that let each of them matter."""
        C, F, V, D, D_kv, N = self.C, self.F, self.V, self.H * self.N, self.H_kv * self.N, self.N

        def vector(name, size, offset, scale, patches=()):
            return Pattern(name, (1, 1, size), offset, scale, patches)

        def linear(name, rows, columns, gain=1.0, patches=()):
            return Pattern(name, (rows, columns), 0, gain * math.sqrt(3 / columns), patches)

        def low_rank(prefix, letter, width, inner, outer_gain):
            rank = self.ranks[letter]
            return [Pattern(f'{prefix}{letter}1', (C, rank), 0, inner * math.sqrt(3 / C)),
                    Pattern(f'{prefix}{letter}2', (rank, width), 0, outer_gain * math.sqrt(3 / rank))]

        def norm(name, size):
            return [Pattern(f'{name}.weight', (size,), 1, 0.3), Pattern(f'{name}.bias', (size,), 0, 0.2)]

        def time_mix(block, at):
            on = self.rules
            small_values = (2 % self.H_kv * N * C, N * C, 0, 0.0015 * math.sqrt(3 / C))
            small_keys = (N, N, 8e-5, 3e-5)
            mixing = 'rwkvag' if on.gate else 'rwkva'
            items = [vector(f'{at}x_{c}', C, 0.5, 0.6) for c in mixing] if on.token_shift else []
            items += [vector(at + 'w0', D, -3, 5), *low_rank(at, 'w', D, 1.5, 2.0)]
            items += [vector(at + 'a0', D, 0, 1), *low_rank(at, 'a', D, 1.0, 1.5)]
            if on.value_residual and (block > 0 or self.value_mix_in_block_0):
                items += [vector(at + 'v0', D_kv, 0, 1), *low_rank(at, 'v', D_kv, 1.0, 1.5)]
            items += low_rank(at, 'g', D, 1.0, 2.0) if on.gate else []
            items += [vector(at + 'k_k', D_kv, 0.8, 0.3, (small_keys,)), vector(at + 'k_a', D, 1, 0.4)]
            items += [Pattern(at + 'r_k', (self.H, N), 0, 0.3)] if on.bonus else []
            items += [linear(at + 'receptance.weight', D, C), linear(at + 'key.weight', D_kv, C),
                      linear(at + 'value.weight', D_kv, C, patches=(small_values,)),
                      linear(at + 'output.weight', C, D)]
            return items + (norm(at + 'ln_x', D) if on.group_norm else [])

        items = [Pattern('emb.weight', (V, C), 0, 1), *norm('blocks.0.ln0', C)]
        for block in range(self.layers):
            at = f'blocks.{block}.'
            items += [*norm(at + 'ln1', C), *norm(at + 'ln2', C), *time_mix(block, at + 'att.'),
                      vector(at + 'ffn.x_k', C, 0.5, 0.6), linear(at + 'ffn.key.weight', F, C),
                      linear(at + 'ffn.value.weight', C, F)]
        return items + [*norm('ln_out', C), linear('head.weight', V, C, 2.0)]

    def tokens(self):
        return (u24(f'{self.seed}/tokens', self.B * self.T) % np.uint64(self.V)).astype(np.int64).reshape(self.B, -1)


def layer_norm(x, weight, bias):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt(np.square(centred).mean(-1, keepdims=True) + LN_EPS) * weight + bias


@dataclasses.dataclass
class LayerState:
    att: np.ndarray                       # [B,C], the last input of the time-mix
    ffn: np.ndarray                       # [B,C], the last input of the channel-mix
    S: np.ndarray                         # [B,H,N,N]


class Model:
    def __init__(self, config, rules=None):
        self.config = config
        self.rules = rules or config.rules
        self.weights = {p.name: p.values(config.seed + '/') for p in config.weights()}

    def parameters(self, prefix):
        """The weights below `prefix` in float64, vectors of shape (1,1,n) as (n)."""
        return {name[len(prefix):]: (w.reshape(-1) if w.ndim == 3 else w).astype(np.float64)
                for name, w in self.weights.items() if name.startswith(prefix)}

    def empty_state(self, B):
        c = self.config
        return [LayerState(np.zeros((B, c.C)), np.zeros((B, c.C)), np.zeros((B, c.H, c.N, c.N)))
                for _ in range(c.layers)]

    def time_mix(self, block, h, state, v_first):
        c, rules, p = self.config, self.rules, self.parameters(f'blocks.{block}.att.')

        def split(x):
            return x.reshape(*x.shape[:2], -1, c.N)

        def by_head(x):
            return np.repeat(x, c.H // x.shape[2], axis=2)

        def low_rank(letter, x, activation=lambda x: x):
            return activation(x @ p[letter + '1']) @ p[letter + '2']

        mixed = dict.fromkeys('rwkvag', h)
        if rules.token_shift:
            previous = np.concatenate([state.att[:, None], h[:, :-1]], axis=1)
            mixed = {to: h + (previous - h) * p.get('x_' + of, 0.0) for to, of in zip('rwkvag', rules.mixing)}
            state.att = h[:, -1]

        r = split(mixed['r'] @ p['receptance.weight'].T)
        k_group = split(mixed['k'] @ p['key.weight'].T)
        v = mixed['v'] @ p['value.weight'].T
        w = split(decay_factor(p['w0'] + low_rank('w', mixed['w'], np.tanh if rules.tanh else np.copy), rules.decay))
        eta = split(sigmoid(p['a0'] + low_rank('a', mixed['a'])))
        if block == 0:
            v_first = v
        elif rules.value_residual:
            v = v + (v_first - v) * sigmoid(p['v0'] + low_rank('v', mixed['v']))
        v = split(v)

        q = k_group * p['k_k'].reshape(-1, c.N)
        squares = np.square(q).sum(-1, keepdims=True)
        inside = rules.l2_eps_inside
        kk = by_head(q / (np.sqrt(squares + inside) if inside else np.maximum(np.sqrt(squares), L2_EPS)))
        k = by_head(k_group) * (1 + (eta - 1) * p['k_a'].reshape(-1, c.N))
        a, b = -kk, kk * eta
        if rules.swap_a_b:
            a, b = b, a
        y, state.S = recurrence(r, w, k, v, state.S, a, b)

        if rules.group_norm:
            centred = y - y.mean(-1, keepdims=True)
            y = centred / np.sqrt(np.square(centred).mean(-1, keepdims=True) + rules.group_norm_eps)
            y = y * p['ln_x.weight'].reshape(-1, c.N) + p['ln_x.bias'].reshape(-1, c.N)
        if rules.bonus:
            y = y + (r * k * p['r_k']).sum(-1, keepdims=True) * by_head(v)
        out = y.reshape(*h.shape[:2], -1)
        if rules.gate:
            out = out * low_rank('g', mixed['g'], sigmoid)
        return out @ p['output.weight'].T, v_first

    def channel_mix(self, block, h, state):
        p = self.parameters(f'blocks.{block}.ffn.')
        previous = np.concatenate([state.ffn[:, None], h[:, :-1]], axis=1)
        state.ffn = h[:, -1]
        hidden = (h + (previous - h) * p['x_k']) @ p['key.weight'].T
        return np.square(np.maximum(hidden, 0)) @ p['value.weight'].T

    def forward(self, tokens, state):
        """Logits [B,T,V] of tokens [B,T]; `state` is carried forward in place."""
        p = self.parameters('')

        def norm(x, name):
            return layer_norm(x, p[name + '.weight'], p[name + '.bias'])

        x, v_first = norm(p['emb.weight'][tokens], 'blocks.0.ln0'), None
        for block, layer in enumerate(state):
            if self.rules.transpose_carried_state:
                layer.S = layer.S.swapaxes(-1, -2)
            change, v_first = self.time_mix(block, norm(x, f'blocks.{block}.ln1'), layer, v_first)
            x = x + change
            x = x + self.channel_mix(block, norm(x, f'blocks.{block}.ln2'), layer)
        return norm(x, 'ln_out') @ p['head.weight'].T

    def run(self, tokens, calls=1):
        """Logits and final state from an empty state, the tokens fed in `calls` calls."""
        state = self.empty_state(len(tokens))
        return np.concatenate([self.forward(part, state) for part in np.array_split(tokens, calls, axis=1)], 1), state

    def greedy(self, logits, state, count):
        """The `count` likeliest tokens one after the other, and the least lead of a winner over the runner-up."""
        found, lead = [], math.inf
        while True:
            second, first = np.partition(logits[0, -1], -2)[-2:]
            found.append(int(logits[0, -1].argmax()))
            lead = min(lead, first - second)
            if len(found) == count:
                return np.array(found), lead
            logits = self.forward(np.array([found[-1:]]), state)


def run_first(model, calls):
    """Logits of the first sequence of the model's tokens, its greedy continuation and the lead of that."""
    logits, state = model.run(model.config.tokens()[:1], calls)
    found, lead = model.greedy(logits, state, GREEDY_TOKENS)
    return logits, found, lead


# --------------------------------------------------------------------------------------------------- model files
def model_configs():
    n16 = Config('n16', C=48, H=3, N=16, layers=2, F=72, V=61, ranks=dict(w=7, a=5, v=3, g=11), B=2, T=21)
    without = [dataclasses.replace(n16, name=f'n16_no_{switch}', seed='n16', rules=Rules(**{switch: False}))
               for switch in SWITCHES]
    return [
        Config('h4n64', C=256, H=4, N=64, layers=3, F=512, V=96, ranks=dict(w=24, a=16, v=8, g=40), B=2, T=33),
        Config('n96', C=192, H=2, N=96, layers=2, F=288, V=64, ranks=dict(w=16, a=12, v=8, g=24), B=1, T=17,
               value_mix_in_block_0=True),
        Config('n128', C=256, H=2, N=128, layers=2, F=384, V=64, ranks=dict(w=16, a=16, v=16, g=32), B=1, T=17),
        n16,
        *without,
        Config('n16_d_ne_c', C=48, H=4, H_kv=2, N=16, layers=2, F=72, V=61, ranks=dict(w=7, a=5, v=3, g=11), B=2,
               T=23),
    ]


def weakest_weight(model, logits):
    """The least relative change of the logits when one weight is zeroed, and which. Block 0 uses no v0 v1 v2."""
    changes = {}
    for name, weight in model.weights.items():
        if not name.startswith('blocks.0.att.v') or name.endswith('value.weight'):
            model.weights[name] = np.zeros_like(weight)
            changes[name] = relative(model.run(model.config.tokens())[0], logits)
            model.weights[name] = weight
    weakest = min(changes, key=changes.get)
    if changes[weakest] < LEAST_CHANGE:
        sys.exit(f'{model.config.name}: {weakest} matters too little')
    return changes[weakest], weakest


def fault_results(config):
    """Logits of the last prompt token and greedy tokens of the first sequence under every fault, and a report."""
    logits, greedy, _ = run_first(Model(config), 2)
    tensors = {}
    print(f'{"fault in " + config.name:28}{"logits":>10}{"last row":>10}  first different greedy token')
    for name, rules in FAULTS.items():
        wrong_logits, wrong_greedy, _ = run_first(Model(config, rules), 2)
        tensors[f'fault/{name}/logits_last'] = wrong_logits[0, -1]
        tensors[f'fault/{name}/greedy'] = wrong_greedy
        everywhere, last = relative(wrong_logits, logits), relative(wrong_logits[0, -1], logits[0, -1])
        differs = np.flatnonzero(wrong_greedy != greedy)
        print(f'{name:28}{everywhere:10.2e}{last:10.2e}  {differs[0] if differs.size else "none"}')
        if min(everywhere, last) < LEAST_CHANGE or not differs.size:
            sys.exit(f'fault {name} shows too little')
    return tensors


def model_file(config):
    model = Model(config)
    tokens = config.tokens()
    logits, state = model.run(tokens)
    _, greedy, lead = run_first(model, 1)
    print('{}: the weakest weight moves the logits by {:.1e} ({})'.format(config.name, *weakest_weight(model, logits)))
    tensors = dict(tokens=tokens, logits=logits, greedy=greedy)
    for layer in sorted({0, config.layers - 1}):
        tensors[f'state/{layer}'] = state[layer].S
    if config.rules.token_shift:
        tensors['shift/att'] = np.stack([layer.att for layer in state])
    tensors['shift/ffn'] = np.stack([layer.ffn for layer in state])
    metadata = dict(model=dict(config.describe(), greedy_lead=lead), weights=[p.describe() for p in config.weights()])
    return tensors, {name: json.dumps(entry) for name, entry in metadata.items()}


def golden_files():
    yield 'wkv7.safetensors', *wkv_file()
    for config in model_configs():
        tensors, metadata = model_file(config)
        if config.name == 'h4n64':
            tensors.update(fault_results(config))
            metadata['faults'] = json.dumps(list(FAULTS))
        yield f'model_{config.name}.safetensors', tensors, metadata


# ------------------------------------------------------------------------------------------------------ checking
def check_oracle(folder):
    """Largest difference from an independent implementation, over everything that it can compute."""
    oracle = load_oracle(folder)
    for case in wkv_cases():
        if case.lengths or not case.name.startswith('wkv7/'):
            continue
        x, S = case.operands()
        expected = case.run()
        k, v = (np.repeat(x[name], case.H // case.H_kv, axis=2) for name in 'kv')
        y = oracle.wkv7(x['r'], x['w'], k, v, x['a'], x['b'], S)
        yield case.name, max(difference(expected[case.name + '/y'], y), difference(expected[case.name + '/S'], S))
    for config in model_configs():
        if config.rules != Rules() or config.H * config.N != config.C:
            continue
        model = Model(config)
        logits, state = model.run(config.tokens())
        other_logits, other_state = oracle.X070(model.weights).forward(config.tokens())
        worst = difference(logits, other_logits)
        for mine, other in zip(state, other_state):
            worst = max(worst, *(difference(getattr(mine, part), other[part]) for part in ('att', 'ffn', 'S')))
        yield config.name, worst


if __name__ == '__main__':
    sys.exit(main(__doc__, HERE, golden_files(), check_oracle, ('greedy_lead',)))
