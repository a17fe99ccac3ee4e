#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turns a result of rwkv7_bench into one self-contained page.

    rwkv7_bench --benchmark_out=result.json
    python3 bench/report/report.py result.json benchmarks.html

Every row of the result is in a table of the page, with its error beside its speed. Every number carries the value of
the file in data-value; what is shown is that value to three digits. Needs nothing but Python 3.
"""
import html
import json
import math
import sys
from collections import namedtuple

# What a row name such as "wkv7/forward/cpu/f32/B:1/T:128/H:12/N:64/threads:1/real_time" says.
Row = namedtuple("Row", "name operation shape threads seconds values error")

UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
FIRST = ["model prefill", "model decode", "wkv7", "linear"]  # operations; the others follow, the machine comes last
OWN_COLUMNS = {"max_err", "max_logit_diff", "tokens/s", "flop/s", "bytes/s"}
PLAIN_LOOPS = {"scalar", "reference"}  # rivals that everybody can beat come last
DESCRIPTION = {
    "llama.cpp": "Its prebuilt CPU libraries in the same process, with as many threads.",
    "eigen": "Eigen's matrix product in the same build, on one thread.",
    "scalar": "The formula as a plain C++ loop in the same build, on one thread.",
    "reference": "Our own reference executor: plain loops that accumulate in double.",
}


def read_rows(result):
    """The rows of a result: of repeated ones the medians, of all others everything."""
    entries = [b for b in result["benchmarks"] if b.get("run_type") != "aggregate"]
    medians = [b for b in result["benchmarks"] if b.get("aggregate_name") == "median"]
    repeated = {b["run_name"] for b in medians}
    rows = []
    for b in [e for e in entries if e.get("run_name", e["name"]) not in repeated] + medians:
        name = b.get("run_name", b["name"])
        parts = [p for p in name.split("/") if p not in ("forward", "cpu", "real_time")]
        operation = parts.pop(0)
        if operation in ("model", "machine"):
            operation += " " + parts.pop(0)
        pairs = [p.split(":", 1) for p in parts]
        threads = next((int(p[1]) for p in pairs if p[0] == "threads"), 1)
        shape = ", ".join("\u00a0".join(p) for p in pairs if p[0] != "threads")  # lines break at the commas
        error = b.get("error_message", "failed") if b.get("error_occurred") else None
        seconds = None if error else b["real_time"] * UNITS[b["time_unit"]]
        values = {k: v for k, v in b.items()
                  if isinstance(v, (int, float)) and (k in OWN_COLUMNS or k.startswith("x_") or k.endswith("_err"))}
        rows.append(Row(name, operation, shape, threads, seconds, values, error))
    return sorted(rows, key=lambda r: FIRST.index(r.operation) if r.operation in FIRST else
                  len(FIRST) + r.operation.startswith("machine"))


def rivals_of(rows):
    """Names of the rivals, the interesting ones first."""
    names = []
    for row in rows:
        for key in row.values:
            if key.startswith("x_") and not key.endswith(("_low", "_high")) and key[2:] not in names:
                names.append(key[2:])
    return sorted(names, key=lambda n: (n in PLAIN_LOOPS, n != "llama.cpp", n))


# ---- numbers -------------------------------------------------------------------------------------------------------

def digits(x, count=3):
    """x to `count` significant digits, without an exponent."""
    if x == 0 or not math.isfinite(x):
        return str(x)
    rounded = float(f"{x:.{count - 1}e}")
    return f"{rounded:.{max(0, count - 1 - math.floor(math.log10(abs(rounded))))}f}"


def scaled(x, steps, unit):
    """x in the largest of the steps (factor, prefix) that leaves 1 or more before the point."""
    if not math.isfinite(x):
        return str(x)
    for factor, prefix in steps:
        if abs(x) >= factor * 0.9995 or factor == steps[-1][0]:
            return f"{digits(x / factor)} {prefix}{unit}"


def show_time(seconds):
    return scaled(seconds, [(1, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n")], "s")


def show_rate(x, unit):
    return scaled(x, [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1, "")], unit)


def show_error(x):
    return f"{x:.1e}".replace("e-0", "e-") if math.isfinite(x) else str(x)


def escape(text):
    return html.escape(str(text), quote=True)


# ---- limits --------------------------------------------------------------------------------------------------------

class Limits:
    """What the machine rows of the same result say, by threads."""

    def __init__(self, rows, context):
        self.flops, self.bytes = {}, {}
        for row in rows:
            if row.operation == "machine multiply_add" and "flop/s" in row.values:
                self.flops[row.threads] = row.values["flop/s"]
            if row.operation == "machine read" and "bytes/s" in row.values:
                self.bytes.setdefault(row.threads, {})[row.shape.split(",")[0]] = row.values["bytes/s"]
        self.caches = {f"L{c['level']}": (c["size"], c.get("num_sharing", 1)) for c in context.get("caches", [])
                       if c.get("type") != "Instruction"}

    def level_of(self, size, threads):
        """Where so many bytes stay from run to run."""
        for level, (capacity, sharing) in sorted(self.caches.items()):
            if size <= capacity * max(1, threads // sharing):
                return level
        return "DRAM"

    def share(self, row):
        """Part of the limit that a row reaches, and which limit that is; None where it was not measured."""
        flops, rates = self.flops.get(row.threads), self.bytes.get(row.threads, {})
        if row.operation.startswith("machine") or not flops or "flop/s" not in row.values:
            return None
        level = self.level_of(round(row.values["bytes/s"] * row.seconds), row.threads)
        if level not in rates:
            return None
        return max((row.values["flop/s"] / flops, "multiply-add"), (row.values["bytes/s"] / rates[level], level))


# ---- pieces of the page --------------------------------------------------------------------------------------------

def number(value, shown, extra=""):
    return f'<td class="n{extra}" data-value="{value!r}">{escape(shown)}</td>'


def verdict(row, rival):
    """faster, slower, or even where the quartiles lie on both sides of 1."""
    x = row.values["x_" + rival]
    low, high = row.values.get(f"x_{rival}_low", x), row.values.get(f"x_{rival}_high", x)
    return "faster" if low > 1 else "slower" if high < 1 else "even"


MARK = {"faster": "▲", "slower": "▼", "even": "≈"}


def header(context):
    def caches():
        return ", ".join(f"L{c['level']} {c['size'] // 1024} KiB" for c in context.get("caches", [])
                         if c.get("type") != "Instruction")
    items = [("machine", context.get("cpu")), ("caches", caches()), ("instruction set", context.get("architecture")),
             ("date", context.get("date")), ("command", context.get("command")), ("rwkv7", context.get("rwkv7")),
             ("llama.cpp", context.get("llama.cpp", "not part of this run")), ("Eigen", context.get("eigen")),
             ("xsimd", context.get("xsimd")), ("compiler", context.get("compiler")),
             ("load average at start", ", ".join(f"{x:.2f}" for x in context.get("load_avg", [])))]
    return "<dl>" + "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in items if v) + "</dl>"


def bars(rows, rival):
    """One bar a row on a logarithmic axis: to the right ours is faster, to the left the rival."""
    key = "x_" + rival
    rows = [r for r in rows if key in r.values and r.values[key] > 0]
    counts = {v: sum(verdict(r, rival) == v for r in rows) for v in MARK}
    # Nine of ten bars end within the axis; one that does not ends in an arrow, and its number tells how far it goes.
    ratios = sorted(max(r.values[key], 1 / r.values[key]) for r in rows)
    reach = next((s for s in (1.5, 2, 3, 5, 10, 20, 50) if ratios[len(ratios) * 9 // 10] <= s), 100)

    def at(x):
        return 50 + 50 * max(-1.0, min(1.0, math.log(x) / math.log(reach)))

    out = [f'<p><b class="faster">▲ ours is faster</b> in {counts["faster"]} rows, '
           f'<b class="slower">▼ {escape(rival)} is faster</b> in {counts["slower"]}, '
           f'<b>≈ even</b> (the quartiles lie on both sides of 1) in {counts["even"]}.</p>',
           '<div class="bars">',
           f'<div class="axis"><span></span><svg height="16" aria-hidden="true"><text x="0">{1 / reach:.2g}</text>'
           f'<text x="50%" text-anchor="middle">1</text><text x="100%" text-anchor="end">{reach:g}</text></svg>'
           '<span>×</span></div>']
    operation = None
    for r in rows:
        if r.operation != operation:
            operation = r.operation
            out.append(f"<h3>{escape(operation)}</h3>")
        x = r.values[key]
        low, high = r.values.get(key + "_low", x), r.values.get(key + "_high", x)
        left, right = sorted((50, at(x)))
        arrow = ('<text class="beyond" x="100%" y="12" text-anchor="end">»</text>' if x > reach else
                 '<text class="beyond" x="0" y="12">«</text>' if x < 1 / reach else "")
        kind = verdict(r, rival)
        label = f"{r.shape}, {r.threads} thread{'s' * (r.threads > 1)}"
        out.append(
            f'<div class="bar {kind}"><span>{escape(label)}</span>'
            f'<svg height="16" role="img" aria-label="{escape(digits(x))} times, quartiles {escape(digits(low))} to '
            f'{escape(digits(high))}"><rect class="fill" x="{left:.2f}%" y="3" width="{right - left:.2f}%" '
            f'height="10"/><line class="one" x1="50%" x2="50%" y1="0" y2="16"/>'
            f'<line class="spread" x1="{at(low):.2f}%" x2="{at(high):.2f}%" y1="8" y2="8"/>{arrow}</svg>'
            f'<b data-value="{x!r}">{MARK[kind]} {escape(digits(x))}</b></div>')
    out.append("</div>")
    return "\n".join(out)


def roofline(rows, limits, threads):
    """Rate of computing over flops for each byte, under the measured limits."""
    points = [r for r in rows if r.threads == threads and not r.operation.startswith("machine") and not r.error
              and r.values.get("flop/s", 0) > 0 and r.values.get("bytes/s", 0) > 0]
    peak, rates = limits.flops.get(threads), limits.bytes.get(threads, {})
    if not points or not peak or not rates:
        return ""
    width, height, left, bottom, top, right = 440, 360, 58, 40, 12, 16
    intensity = [r.values["flop/s"] / r.values["bytes/s"] for r in points]
    rivals = [r.values["flop/s"] / r.values["x_llama.cpp"] for r in points if "x_llama.cpp" in r.values]
    x0, x1 = math.floor(math.log10(min(intensity))), math.ceil(math.log10(max(max(intensity), peak / min(rates.values()))))
    y0 = math.floor(math.log10(min([r.values["flop/s"] for r in points] + rivals)))
    y1 = math.ceil(math.log10(max(peak, max(r.values["flop/s"] for r in points))))

    def px(x):
        return left + (math.log10(x) - x0) / (x1 - x0) * (width - left - right)

    def py(y):
        return height - bottom - (math.log10(y) - y0) / (y1 - y0) * (height - bottom - top)

    out = [f'<figure><figcaption>{threads} thread{"s" * (threads > 1)}</figcaption>'
           f'<svg class="roofline" viewBox="0 0 {width} {height}" role="img" aria-label="roofline, {threads} threads">']
    for e in range(x0, x1 + 1):
        out.append(f'<line class="grid" x1="{px(10 ** e):.1f}" x2="{px(10 ** e):.1f}" y1="{top}" y2="{height - bottom}"/>'
                   f'<text x="{px(10 ** e):.1f}" y="{height - bottom + 14}" text-anchor="middle">{10.0 ** e:g}</text>')
    for e in range(y0, y1 + 1):
        shown = f"{10 ** (e % 3)} {' kMGTP'[e // 3]}"
        out.append(f'<line class="grid" x1="{left}" x2="{width - right}" y1="{py(10 ** e):.1f}" y2="{py(10 ** e):.1f}"/>'
                   f'<text x="{left - 4}" y="{py(10 ** e) + 4:.1f}" text-anchor="end">{shown}</text>')
    out.append(f'<text x="{(left + width - right) / 2}" y="{height - 6}" text-anchor="middle">flop / byte</text>'
               f'<text x="12" y="{(height - bottom + top) / 2}" text-anchor="middle" '
               f'transform="rotate(-90 12 {(height - bottom + top) / 2})">flop/s</text>')
    for i, (level, rate) in enumerate(sorted(rates.items(), key=lambda r: -r[1])):
        ridge, start = peak / rate, max(10.0 ** x0, 10.0 ** y0 / rate)
        # The lines are parallel: their names descend, so that they do not meet.
        label = 10 ** (math.log10(ridge) - (0.2 + 0.15 * i) * (math.log10(peak) - y0))
        label = max(label, start)
        out.append(f'<line class="roof" x1="{px(start):.1f}" y1="{py(start * rate):.1f}" x2="{px(ridge):.1f}" '
                   f'y2="{py(peak):.1f}"/><text class="roof-name" x="{px(label) - 3:.1f}" y="{py(label * rate) - 2:.1f}" '
                   f'text-anchor="end">{escape(level)}</text>')
    first_ridge = peak / max(rates.values())
    out.append(f'<line class="roof" x1="{px(first_ridge):.1f}" x2="{width - right}" y1="{py(peak):.1f}" y2="{py(peak):.1f}"/>'
               f'<text class="roof-name" x="{width - right}" y="{py(peak) - 4:.1f}" text-anchor="end">multiply-add</text>')

    def mark(kind, x, y, css, title):
        title = f"<title>{escape(title)}</title>"
        if kind == "wkv7":
            return f'<circle class="{css}" cx="{x:.1f}" cy="{y:.1f}" r="4.5">{title}</circle>'
        if kind == "linear":
            return f'<rect class="{css}" x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8">{title}</rect>'
        if kind.startswith("model"):
            return f'<path class="{css}" d="M{x:.1f} {y - 5.5:.1f}l5 9h-10z">{title}</path>'
        return f'<path class="{css} small" d="M{x:.1f} {y - 3.5:.1f}l3.5 3.5-3.5 3.5-3.5-3.5z">{title}</path>'

    for r, x in zip(points, intensity):
        rate, what = r.values["flop/s"], f"{r.operation} {r.shape}"
        if "x_llama.cpp" in r.values:
            theirs = rate / r.values["x_llama.cpp"]
            out.append(mark(r.operation, px(x), py(theirs), "theirs", f"llama.cpp, {what}: {show_rate(theirs, 'flop/s')}"))
        out.append(mark(r.operation, px(x), py(rate), "ours", f"ours, {what}: {show_rate(rate, 'flop/s')}"))
    out.append("</svg></figure>")
    return "\n".join(out)


def table(operation, rows, limits):
    rivals = rivals_of(rows)
    has = {key: any(key in r.values for r in rows) for key in OWN_COLUMNS}
    shares = {r.name: limits.share(r) for r in rows if not r.error}
    head = ["<th scope=col>shape</th><th scope=col>threads</th><th scope=col>time</th>"]
    if has["max_err"]:
        head.append("<th scope=col>error</th>")
    for rival in rivals:
        head.append(f"<th scope=col>× {escape(rival)}</th><th scope=col>its error</th>")
    if has["max_logit_diff"]:
        head.append("<th scope=col>logits apart</th>")
    if any(shares.values()):
        head.append("<th scope=col>of the limit</th>")
    for key in ("tokens/s", "flop/s", "bytes/s"):
        if has[key]:
            head.append(f"<th scope=col>{key}</th>")
    body = []
    for r in rows:
        cells = [f'<th scope=row>{escape(r.shape)}</th>{number(r.threads, r.threads)}']
        if r.error:
            body.append(f'<tr data-name="{escape(r.name)}">{cells[0]}<td colspan="{2 * len(rivals) + 7}">{escape(r.error)}</td></tr>')
            continue
        cells.append(number(r.seconds, show_time(r.seconds)))

        def cell(key, shown, extra=""):
            if key in r.values:
                return number(r.values[key], shown(r.values[key]), extra)
            return "<td></td>"
        if has["max_err"]:
            cells.append(cell("max_err", show_error))
        for rival in rivals:
            key = "x_" + rival
            if key not in r.values:
                cells.append("<td></td><td></td>")
                continue
            kind = verdict(r, rival)
            spread = ""
            if key + "_low" in r.values:
                low, high = r.values[key + "_low"], r.values[key + "_high"]
                spread = (f' <small><span data-value="{low!r}">{digits(low)}</span>–'
                          f'<span data-value="{high!r}">{digits(high)}</span></small>')
            cells.append(f'<td class="n {kind}"><b data-value="{r.values[key]!r}">{MARK[kind]} {digits(r.values[key])}</b>'
                         f"{spread}</td>")
            cells.append(cell(rival + "_err", show_error))
        if has["max_logit_diff"]:
            cells.append(cell("max_logit_diff", show_error))
        if any(shares.values()):
            share = shares[r.name]
            cells.append(f'<td class="n">{100 * share[0]:.0f} % <small>{share[1]}</small></td>' if share else "<td></td>")
        for key, unit in (("tokens/s", ""), ("flop/s", "flop/s"), ("bytes/s", "B/s")):
            if has[key]:
                cells.append(cell(key, lambda v, u=unit: show_rate(v, u).strip()))
        body.append(f'<tr data-name="{escape(r.name)}">{"".join(cells)}</tr>')
    return (f'<h3>{escape(operation)}</h3><div class="scroll" tabindex="0" role="region" aria-label="{escape(operation)}">'
            f'<table><thead><tr>{"".join(head)}</tr></thead><tbody>\n' + "\n".join(body) + "\n</tbody></table></div>")


STYLE = """
:root { color-scheme: light dark; --page: #ffffff; --text: #1c2126; --quiet: #59636e; --line: #d3d9df; --soft: #f3f5f7;
  --faster: #0a5ca8; --slower: #b04a00; --roof: #59636e; }
@media (prefers-color-scheme: dark) { :root { --page: #14181c; --text: #e4e8ec; --quiet: #9aa6b2; --line: #363e46;
  --soft: #1d2329; --faster: #72b7f5; --slower: #f3a35c; --roof: #9aa6b2; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1rem; background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { margin: .5rem 0; } h2 { margin: 2.5rem 0 .5rem; border-bottom: 1px solid var(--line); } h3 { margin: 1.5rem 0 .4rem; }
p { max-width: 46rem; }
dl { margin: 1rem 0; font-size: .9rem; } dl div { display: grid; grid-template-columns: 10rem minmax(0, 1fr); gap: .2rem 1rem; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
.faster, .faster b { color: var(--faster); } .slower, .slower b { color: var(--slower); }
.bars h3 { font-size: 1rem; margin: 1rem 0 .2rem; }
.bar, .axis { display: grid; grid-template-columns: 23rem minmax(0, 1fr) 5.5rem; gap: 0 .8rem; align-items: center; font-size: .85rem; }
.bar:nth-child(odd) { background: var(--soft); }
.bar > span { color: var(--text); } .bar b { text-align: right; font-variant-numeric: tabular-nums; }
.bar svg, .axis svg { display: block; width: 100%; overflow: visible; }
.axis { position: sticky; top: 0; background: var(--page); padding: .3rem 0; } .axis span { text-align: right; }
.axis text { fill: var(--quiet); font-size: 12px; dominant-baseline: hanging; }
.fill { fill: var(--quiet); } .faster .fill { fill: var(--faster); } .slower .fill { fill: var(--slower); }
.beyond { fill: var(--page); font-size: 14px; font-weight: bold; }
.one { stroke: var(--text); } .spread { stroke: var(--text); stroke-width: 2; }
.rooflines { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { color: var(--quiet); }
.roofline { display: block; width: 100%; height: auto; font-size: 11px; }
.roofline text { fill: var(--quiet); } .roofline .roof-name { fill: var(--text); paint-order: stroke; stroke: var(--page); stroke-width: 3px; }
.grid { stroke: var(--line); stroke-width: .7; } .roof { stroke: var(--roof); stroke-width: 1.5; }
.ours { fill: var(--faster); fill-opacity: .75; } .ours.small { fill-opacity: .45; }
.theirs { fill: none; stroke: var(--slower); stroke-width: 1.5; }
.key { display: inline-block; width: .8em; height: .8em; vertical-align: -.05em; }
.key.ours { background: var(--faster); } .key.theirs { border: 2px solid var(--slower); }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 4px; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: .3rem .5rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
thead th { background: var(--soft); } tbody tr:last-child > * { border-bottom: 0; }
th:first-child { position: sticky; left: 0; background: var(--soft); text-align: left; font-weight: normal; }
small { color: var(--quiet); }
@media (max-width: 46rem) {
  .bar, .axis { grid-template-columns: minmax(0, 1fr) 4.5rem; } .bar { padding: .2rem 0; }
  .bar > span { grid-column: 1 / -1; } .axis > span:first-child { display: none; }
  dl div { grid-template-columns: 1fr; gap: 0; margin-bottom: .4rem; }
  tbody th { white-space: normal; min-width: 7.5rem; }
}
"""


def page(result):
    rows = read_rows(result)
    context = result.get("context", {})
    limits = Limits(rows, context)
    measured = [r for r in rows if not r.error]
    out = ["<!DOCTYPE html>", '<html lang="en"><head><meta charset="utf-8">',
           '<meta name="viewport" content="width=device-width, initial-scale=1"><title>rwkv7 benchmarks</title>',
           f"<style>{STYLE}</style></head><body>", "<h1>rwkv7 benchmarks</h1>",
           "<p>× is the time of a rival over ours: both ran the same data in turn in one process; shown are the median of "
           "the pairs and their quartiles. Above 1 ours is faster, below 1 the rival is. Errors are the largest difference "
           "from the same computation in double, over the largest value.</p>", header(context)]
    for rival in rivals_of(measured):
        out.append(f"<h2>Against {escape(rival)}</h2><p>{escape(DESCRIPTION.get(rival, ''))}</p>{bars(measured, rival)}")
    plots = [roofline(measured, limits, n) for n in sorted({r.threads for r in measured})]
    if any(plots):
        theirs = ('; <span class="key theirs"></span> llama.cpp at the same work'
                  if any("x_llama.cpp" in r.values for r in measured) else "")
        out.append("<h2>Under the machine's limits</h2><p>The lines are what this machine reached in the same run: "
                   "multiply-adds on registers, and reading from each level of memory. "
                   f'<span class="key ours"></span> ours{theirs}. Circles: wkv7; squares: linear; triangles: '
                   "whole models; diamonds: everything else. Work is counted by the formula (five multiply-adds for each "
                   "element of the state, every operand once), so that a kernel that needs less can pass a line. A point on "
                   "a small shape lies under the line of the cache that holds it.</p>"
                   f'<div class="rooflines">{"".join(plots)}</div>')
    out.append("<h2>Every row</h2><p><b>Of the limit</b>: the larger of flop/s over the measured multiply-adds and bytes/s "
               "over the measured reading speed of the level that holds the row's data; beside it, which of the two.</p>")
    for operation in dict.fromkeys(r.operation for r in rows):
        out.append(table(operation, [r for r in rows if r.operation == operation], limits))
    out.append("</body></html>\n")
    return "\n".join(out)


def main(arguments):
    if len(arguments) != 2:
        sys.exit("usage: report.py RESULT.json PAGE.html")
    try:
        with open(arguments[0], encoding="utf-8") as file:
            result = json.load(file)
        result["benchmarks"]
    except (OSError, ValueError, KeyError, TypeError) as problem:
        sys.exit(f"report.py: {arguments[0]}: not a result of rwkv7_bench --benchmark_out: {problem!r}")
    text = page(result)
    with open(arguments[1], "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    main(sys.argv[1:])
