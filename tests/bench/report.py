"""Results as text: a table of medians for each part, and the aims."""

import os
import re
import statistics

from bench.aims import judge

BEGIN, END = "<!-- results: ./dev bench --publish writes what follows -->", "<!-- end of results -->"


def number(value):
    """Three digits that count, thousands apart."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        digits = max(0, len(str(int(abs(value)))) - 3)
        return f"{round(value, -digits):,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.1e}"


def shown(text):
    return text.replace(" us/", " µs/")


def table(head, rows):
    """Columns as wide as they must be; those of numbers to the right. It is a table of Markdown too."""
    cells = [head, *rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    right = [i > 0 and all(re.match(r"^[\d.,]*( .*)?$", row[i]) for row in rows) for i in range(len(head))]

    def line(row):
        return "| " + " | ".join(cell.rjust(width) if r else cell.ljust(width)
                                 for cell, width, r in zip(row, widths, right)) + " |"

    rule = "|" + "|".join("-" * (width + 1) + ":" if r else "-" * (width + 2) for width, r in zip(widths, right)) + "|"
    return "\n".join([line(head), rule, *map(line, rows)])


def metrics_of(rows):
    found = []
    for row in rows:
        found += [metric for metric in row["values"] if metric not in found]
    return found


def base_of(rows, row):
    """What a row is compared with: the first row of its case."""
    return next(other for other in rows if other["case"] == row["case"])


def part_table(part):
    """Medians; behind the first metric its ratio to the first row of the case."""
    rows = [row for row in part["rows"] if row["values"]]  # a run that was cut short has not come to all
    metrics = metrics_of(rows)
    head = ["", "", *[shown(m) for m in metrics]]
    head.insert(3, "ratio")
    head.append("")
    lines = []
    for row in rows:
        values = row["values"]
        cells = [number(statistics.median(values[m])) if values.get(m) else "" for m in metrics]
        base = base_of(rows, row)
        first = metrics[0]
        ratio = ""
        if base is not row and values.get(first) and base["values"].get(first) and statistics.median(base["values"][first]):
            ratio = f"{statistics.median(values[first]) / statistics.median(base['values'][first]):.2f}"
        cells.insert(1, ratio)
        marks = sum(1 for d in row["disturbed"] if d)
        cells.append(f"{marks} of {len(row['disturbed'])} runs disturbed" if marks else "")
        lines.append([row["case"], row["system"], *cells])
    if not any(line[-1] for line in lines):
        head, lines = head[:-1], [line[:-1] for line in lines]
    if not any(line[3] for line in lines):
        head, lines = head[:3] + head[4:], [line[:3] + line[4:] for line in lines]
    return table(head, lines)


def size_text(part):
    return ", ".join(f"{name.replace('_', ' ')}: {size:,}" for name, size in part["sizes"].items())


def body(document):
    """Without a headline of its own: what stands in the report and in the document."""
    machine = document["machine"]
    runs = document["runs"]
    out = [f"{document['date']}; {document['server']}; {machine['cores']} cores, {machine['cpu']}, "
           f"Linux {machine['kernel']}; {'the one run' if runs == 1 else f'medians of {runs} runs'} of each, "
           f"{document['took_s'] // 60} minutes in all."]
    if document["quick"]:
        out.append("With --quick: it shows that it works, the numbers say nothing.")
    aims = [[what, value.replace(" us", " µs"), aim, verdict] for what, value, aim, verdict in judge(document)]
    if aims:
        out.append("### Aims\n\n" + table(["", "measured", "aim", ""], aims))
    for part in document["parts"].values():
        if not any(row["values"] for row in part["rows"]):
            continue
        out.append(f"### {part['title']}\n\n{size_text(part)}\n\n{part_table(part)}")
    return "\n\n".join(out) + "\n"


def text(document):
    return "# twinlog beside MariaDB's own replication\n\n" + body(document)


def publish(document, path, picture):
    """Puts the results into the document between its two marks."""
    with open(path, encoding="utf-8") as f:
        old = f.read()
    before, found, rest = old.partition(BEGIN)
    _, found_end, after = rest.partition(END)
    if not (found and found_end):
        raise ValueError(f"{path} does not hold the two marks that results go between")
    new = f"{before}{BEGIN}\n\n![what was measured]({os.path.basename(picture)})\n\n{body(document)}\n{END}{after}"
    with open(path, "w", encoding="utf-8") as f:
        f.write(new)
