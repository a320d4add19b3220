"""One SVG with a plot for each measurement: bars of medians, with a line from the least to the greatest run."""

import math
import statistics
from xml.sax.saxutils import escape

from bench.report import number, shown

# Part, metric, what the plot is called, whether its axis is logarithmic.
PLOTS = (
    ("catchup", "rows/s", "Catch-up: rows a second", False),
    ("catchup", "CPU us/row", "Catch-up: CPU a row, target and daemon, µs", False),
    ("large", "rows/s", "3 large transactions: rows a second", False),
    ("large", "CPU us/row", "3 large transactions: CPU a row, µs", False),
    ("lag", "lag p50 ms", "Live lag, median, ms (logarithmic)", True),
    ("lag", "lag p99 ms", "Live lag, 99th percentile, ms (logarithmic)", True),
    ("copy", "rows/s", "Initial copy: rows a second", False),
    ("skip", "tx/s", "Foreign transactions skipped a second", False),
    ("storm", "changes/s", "Conflict storm: changes a second", False),
    ("links", "daemon CPU us/tx", "Reading for 1 and 100 links: daemon's CPU a transaction, µs", False),
    ("resync", "statement p99 ms", "Applications beside a resync: statement, 99th percentile, ms", False),
    ("resync", "lag p99 ms", "Streams beside a resync: lag, 99th percentile, ms", False),
)

COLUMNS = 2
WIDTH = 640      # of a plot
LABEL = 260      # of it for the names
VALUE = 64       # and for the number behind the bar
BAR, GAP = 15, 5
TITLE = 34
GROUP = 22       # the line that names a case
MARGIN = 20

COLOURS = {"native": "#8aa4bf", "twinlog": "#d9772b", "other": "#a9a38f"}


def colour(system):
    return next((c for word, c in COLOURS.items() if system.startswith(word)), COLOURS["other"])


def runs_text(runs):
    return "one run of each" if runs == 1 else f"medians of {runs} runs"


class Scale:
    """From a value to a length."""

    def __init__(self, values, length, logarithmic):
        self.logarithmic = logarithmic
        self.length = length
        self.high = max(values) or 1
        self.low = 0.0
        if logarithmic:
            least = min(v for v in values if v > 0) if any(v > 0 for v in values) else 1
            self.low = math.floor(math.log10(least))
            self.high = max(math.log10(self.high), self.low + 1)

    def __call__(self, value):
        if self.logarithmic:
            if value <= 0:
                return 0
            return max(0.0, (math.log10(value) - self.low) / (self.high - self.low)) * self.length
        return value / self.high * self.length

    def ticks(self):
        if self.logarithmic:
            return [10.0 ** n for n in range(int(self.low), int(math.floor(self.high)) + 1)]
        step = 10 ** math.floor(math.log10(self.high))
        step = next(s for s in (step / 5, step / 2, step, 2 * step, 5 * step) if self.high / s <= 5)
        return [n * step for n in range(int(self.high / step) + 1)]


class Drawing:
    def __init__(self):
        self.parts = []

    def text(self, x, y, text, size=12, anchor="start", weight="normal", fill="#222"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
                          f'font-weight="{weight}" fill="{fill}">{escape(text)}</text>')

    def box(self, x, y, width, height, fill):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" fill="{fill}"/>')

    def line(self, x1, y1, x2, y2, stroke="#ddd", width=1.0):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" '
                          f'stroke-width="{width}"/>')


def groups(rows):
    """Rows by case, in their order."""
    found = {}
    for row in rows:
        found.setdefault(row["case"], []).append(row)
    return found


def height_of(rows):
    return TITLE + sum(GROUP + len(group) * (BAR + GAP) for group in groups(rows).values()) + 30


def draw_plot(d, x, y, title, rows, metric, logarithmic):
    d.text(x, y + 18, title, 15, weight="bold")
    values = [v for row in rows for v in row["values"][metric]]
    scale = Scale(values, WIDTH - LABEL - VALUE, logarithmic)
    left, top, bottom = x + LABEL, y + TITLE, y + height_of(rows) - 30
    for tick in scale.ticks():
        at = left + scale(tick)
        d.line(at, top, at, bottom)
        d.text(at, bottom + 14, number(tick), 10, "middle", fill="#666")
    at_y = top
    for case, group in groups(rows).items():
        d.text(x, at_y + 15, case, 12, weight="bold", fill="#444")
        at_y += GROUP
        for row in group:
            found = row["values"][metric]
            median = statistics.median(found)
            d.text(left - 6, at_y + 12, row["system"], 12, "end")
            d.box(left, at_y, scale(median), BAR, colour(case if case in COLOURS else row["system"]))
            if min(found) < max(found):
                d.line(left + scale(min(found)), at_y + BAR / 2, left + scale(max(found)), at_y + BAR / 2, "#333", 1.5)
            d.text(left + scale(max(found)) + 5, at_y + 12, number(median), 11)
            at_y += BAR + GAP
    d.line(left, top, left, bottom, "#888")


def memory(document):
    """Peak memory of the daemon in each part, as rows of one plot."""
    found = {}
    for part in document["parts"].values():
        for row in part["rows"]:
            if row["values"].get("peak MiB"):
                case = row["system"].replace("twinlog, ", "")
                key = part["title"] + (f", {case}" if case != "twinlog" else "")
                found.setdefault(key, []).extend(row["values"]["peak MiB"])
    return [{"case": "twinlog", "system": name, "values": {"peak MiB": values}} for name, values in found.items()]


def svg(document):
    """The picture, or None if nothing was measured that has a plot."""
    plots = []
    for name, metric, title, logarithmic in PLOTS:
        part = document["parts"].get(name)
        rows = [row for row in part["rows"] if row["values"].get(metric)] if part else []
        if rows:
            plots.append((title, rows, metric, logarithmic))
    if memory(document):
        plots.append(("Peak memory of the daemon, MiB", memory(document), "peak MiB", False))
    if not plots:
        return None
    d = Drawing()
    heading = f"twinlog beside MariaDB's own replication, {document['date']}: {runs_text(document['runs'])}" + \
        ("; --quick, the numbers say nothing" if document["quick"] else "")
    d.text(MARGIN, MARGIN + 14, heading, 18, weight="bold")
    y = MARGIN + 40
    for n in range(0, len(plots), COLUMNS):
        row = plots[n:n + COLUMNS]
        for i, (title, rows, metric, logarithmic) in enumerate(row):
            draw_plot(d, MARGIN + i * (WIDTH + MARGIN), y, shown(title), rows, metric, logarithmic)
        y += max(height_of(rows) for _, rows, _, _ in row) + MARGIN
    width = MARGIN + COLUMNS * (WIDTH + MARGIN)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" viewBox="0 0 {width} {y}" '
            f'font-family="DejaVu Sans, Verdana, sans-serif">\n<title>{escape(heading)}</title>\n'
            f'<rect width="{width}" height="{y}" fill="#fff"/>\n' + "\n".join(d.parts) + "\n</svg>\n")
