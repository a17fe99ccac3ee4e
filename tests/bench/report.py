# SPDX-License-Identifier: MIT
"""report.py SCRIPT RESULT: the page holds every row of the result, every number as it is in the file, and says as
clearly where a rival is faster as where we are."""
import html.parser
import json
import math
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT, RESULT = sys.argv[1:3]
UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0,
         "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
VOID = {"meta", "br"}


class Page(html.parser.HTMLParser):
    """What stands where: table rows by name, and every element that carries a value with its text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.rows, self.values, self.text = [], {}, [], text
        self.row = None
        self.feed(text)
        assert not self.open, f"left open: {self.open}"

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_starttag(self, tag, attributes):
        if tag in VOID:
            return
        attributes = dict(attributes)
        if "data-name" in attributes:
            name = attributes["data-name"]
            assert name not in self.rows, f"twice: {name}"
            self.row = self.rows[name] = {"values": [], "text": ""}
        value = attributes.get("data-value")
        self.open.append((tag, value, []))
        if value is not None and self.row is not None:
            self.row["values"].append(float(value))

    def handle_data(self, data):
        for element in self.open:
            element[2].append(data)
        if self.row is not None:
            self.row["text"] += data + " "

    def handle_endtag(self, tag):
        top, value, text = self.open.pop()
        assert top == tag, f"</{tag}> closes <{top}>"
        if value is not None:
            self.values.append((float(value), "".join(text)))
        if tag == "tr":
            self.row = None


def make(path):
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "page.html"
        run = subprocess.run([sys.executable, SCRIPT, str(path), str(out)], capture_output=True, text=True)
        return run, out.read_text(encoding="utf-8") if out.exists() else None


def shown_number(text):
    """The number that a cell shows, or None where it shows none."""
    found = re.match(r"^[▲▼≈]?\s*(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*([a-zµA-Z]*)", text.strip())
    if not found:
        return None
    unit = re.sub(r"(flop/s|flop|B|B/s)$", "", found[2])
    return float(found[1]) * UNITS.get(unit, 1.0)


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        run, text = make(RESULT)
        assert run.returncode == 0, run.stderr
        assert run.stderr == "" and run.stdout == ""
        cls.page = Page(text)
        cls.rows = json.loads(Path(RESULT).read_text(encoding="utf-8"))["benchmarks"]

    def test_every_row_of_the_result_is_in_a_table_once(self):
        self.assertEqual(sorted(self.page.rows), sorted(r["name"] for r in self.rows))

    def test_every_number_of_a_row_is_there_unaltered(self):
        for r in self.rows:
            if r.get("error_occurred"):
                self.assertIn(r["error_message"], self.page.rows[r["name"]]["text"])
                continue
            scale = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}[r["time_unit"]]
            want = [r["real_time"] * scale, float(re.search(r"threads:(\d+)", r["name"])[1])]
            want += [v for k, v in r.items() if re.search(r"^x_|_err$|/s$|^max_logit_diff$", k)]
            got = self.page.rows[r["name"]]["values"]
            nan = [sum(map(math.isnan, v)) for v in (got, want)]
            self.assertEqual(nan[0], nan[1], r["name"])
            self.assertEqual(sorted(v for v in got if v == v), sorted(v for v in want if v == v), r["name"])

    def test_what_is_shown_is_the_value_rounded(self):
        self.assertGreater(len(self.page.values), 50)
        for value, text in self.page.values:
            if not math.isfinite(value):
                self.assertIn(str(value), text)
                continue
            shown = shown_number(text)
            self.assertIsNotNone(shown, text)
            digits = 0.06 if "e" in text else 0.0051
            self.assertLessEqual(abs(shown - value), digits * abs(value), f"{text!r} for {value!r}")

    def test_slower_faster_and_even_are_told_in_bars_and_in_tables(self):
        text = self.page.text
        section = text[text.index("Against llama.cpp"):text.index("Against eigen")]
        kinds = {"faster": 0, "slower": 0, "even": 0}
        marks = {"faster": "▲", "slower": "▼", "even": "≈"}
        for r in self.rows:
            if "x_llama.cpp" not in r:
                continue
            low, high = r["x_llama.cpp_low"], r["x_llama.cpp_high"]
            kind = "faster" if low > 1 else "slower" if high < 1 else "even"
            kinds[kind] += 1
            self.assertIn(marks[kind], self.page.rows[r["name"]]["text"])
        self.assertTrue(all(kinds.values()), "the sample must have all three")
        for kind, count in kinds.items():
            self.assertEqual(section.count(f'class="bar {kind}"'), count)
        self.assertRegex(section, rf"ours is faster</b> in {kinds['faster']} rows")
        self.assertRegex(section, rf"llama.cpp is faster</b> in {kinds['slower']},")

    def test_the_share_of_the_limit_is_that_of_the_level_that_holds_the_data(self):
        def row(name, nanoseconds, **more):
            return {"name": name + "/threads:1", "real_time": nanoseconds, "time_unit": "ns", **more}
        result = {"context": {"caches": [{"type": "Data", "level": 1, "size": 1000, "num_sharing": 1},
                                         {"type": "Unified", "level": 2, "size": 9000, "num_sharing": 1}]},
                  "benchmarks": [
                      row("machine/multiply_add/f32", 1, **{"flop/s": 100e9}),
                      row("machine/read/L1/bytes:500", 1, **{"bytes/s": 80e9}),
                      row("machine/read/L2/bytes:5000", 1, **{"bytes/s": 40e9}),
                      row("a/T:1", 50, **{"flop/s": 1e9, "bytes/s": 20e9}),     # 1000 bytes: L1
                      row("a/T:2", 100, **{"flop/s": 1e9, "bytes/s": 20e9}),    # 2000 bytes: L2
                      row("a/T:3", 100, **{"flop/s": 60e9, "bytes/s": 20e9}),
                      row("a/T:4", 1000, **{"flop/s": 1e9, "bytes/s": 20e9})]}  # 20000 bytes: not measured
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(result, file)
            file.flush()
            _, text = make(file.name)
        rows = Page(text).rows
        for T, share in ((1, "25 %  L1"), (2, "50 %  L2"), (3, "60 %  multiply-add")):
            self.assertIn(share, rows[f"a/T:{T}/threads:1"]["text"])
        self.assertNotIn("%", rows["a/T:4/threads:1"]["text"])

    def test_machine_date_command_and_versions_are_told(self):
        context = json.loads(Path(RESULT).read_text(encoding="utf-8"))["context"]
        plain = html.unescape(self.page.text)
        for key in ("cpu", "date", "command", "rwkv7", "llama.cpp", "eigen", "xsimd", "compiler", "architecture"):
            self.assertIn(context[key], plain, key)
        self.assertNotIn(context["host_name"], plain)

    def test_the_page_needs_nothing_else(self):
        for outside in ("http", "src=", "<script", "<link", "@import", "url("):
            self.assertNotIn(outside, self.page.text)

    def test_names_are_text_not_markup(self):
        self.assertIn("<h3>&lt;b&gt;</h3>", self.page.text)
        self.assertIn("did not run &amp; says why", self.page.text)

    def test_a_result_without_rivals_or_limits_makes_a_page_too(self):
        bare = {"context": {}, "benchmarks": [
            {"name": "a/f32/T:1/threads:1", "real_time": 2.0, "time_unit": "ns", "flop/s": 1e9, "bytes/s": 1e9}]}
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(bare, file)
            file.flush()
            run, text = make(file.name)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(list(Page(text).rows), ["a/f32/T:1/threads:1"])

    def test_of_repeated_rows_the_median_is_shown(self):
        def row(**more):
            return {"name": "a/T:1/threads:1", "run_name": "a/T:1/threads:1", "time_unit": "ns", **more}
        repeated = {"context": {}, "benchmarks": [
            row(run_type="iteration", real_time=5.0), row(run_type="iteration", real_time=1.0),
            row(run_type="iteration", real_time=2.0), row(run_type="aggregate", aggregate_name="mean", real_time=2.7),
            row(run_type="aggregate", aggregate_name="median", real_time=2.0)]}
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(repeated, file)
            file.flush()
            _, text = make(file.name)
        self.assertEqual(Page(text).rows["a/T:1/threads:1"]["values"][1], 2.0e-9)

    def test_what_is_no_result_is_refused_in_one_line(self):
        for content in ("", "[]", "{}", "no json"):
            with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
                file.write(content)
                file.flush()
                run, text = make(file.name)
            self.assertEqual(run.returncode, 1)
            self.assertIsNone(text)
            self.assertEqual(run.stderr.count("\n"), 1, run.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
