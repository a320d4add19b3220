"""A strict reader of the Prometheus text format, version 0.0.4: what it takes, every scraper takes.

Stricter than the format where that makes sense for one program's own output: each metric has a HELP and a
TYPE before its samples, counters end in _total and gauges do not, nothing has a timestamp.
"""

import dataclasses
import math
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL_NAME = r"[a-zA-Z_][a-zA-Z0-9_]*"
TYPES = ("counter", "gauge", "histogram")
PARTS = ("_bucket", "_sum", "_count")  # of a histogram


class FormatError(Exception):
    pass


@dataclasses.dataclass
class Metric:
    name: str
    help: str
    type: str = ""
    samples: dict = dataclasses.field(default_factory=dict)  # (name, sorted labels) -> number

    def value(self, part="", **labels):
        """The only sample with these labels, among others perhaps; None if there is none."""
        found = [v for (name, has), v in self.samples.items()
                 if name == self.name + part and set(labels.items()) <= set(has)]
        if len(found) > 1:
            raise KeyError(f"{self.name}{part} {labels}: {len(found)} samples")
        return found[0] if found else None

    def label_names(self):
        return {name for _, labels in self.samples for name, _ in labels}


def parse(text):
    """Metrics by name. FormatError names the line."""
    metrics = {}
    current = None
    if not text.endswith("\n"):
        raise FormatError("the last line has no end")
    for number, line in enumerate(text.splitlines(), 1):
        try:
            current = _line(line, metrics, current)
        except FormatError as e:
            raise FormatError(f"line {number}: {e}: {line!r}") from None
    for metric in metrics.values():
        try:
            _check(metric)
        except FormatError as e:
            raise FormatError(f"{metric.name}: {e}") from None
    return metrics


def _line(line, metrics, current):
    if line.startswith("#"):
        match = re.fullmatch(rf"# (HELP|TYPE) ({NAME}) (.+)", line)
        if not match:
            raise FormatError("a comment that is neither HELP nor TYPE")
        return _comment(*match.groups(), metrics, current)
    if current is None or not current.type:
        raise FormatError("a sample before its HELP and TYPE")
    match = re.fullmatch(rf"({NAME})(?:\{{(.*)\}})? (\S+)", line)
    if not match:
        raise FormatError("no sample")
    name, labels, value = match.groups()
    allowed = [current.name + part for part in PARTS] if current.type == "histogram" else [current.name]
    if name not in allowed:
        raise FormatError(f"a sample of another metric than {current.name}, which stands above")
    key = (name, tuple(sorted(_labels(labels).items())) if labels is not None else ())
    if key in current.samples:
        raise FormatError("the same series twice")
    current.samples[key] = _number(value)
    return current


def _comment(kind, name, text, metrics, current):
    if kind == "HELP":
        if name in metrics:
            raise FormatError("a second HELP, or samples that do not stand together")
        if re.search(r"\\(?![\\n])", text):
            raise FormatError("a backslash that escapes nothing")
        metrics[name] = Metric(name, text)
        return metrics[name]
    if current is None or current.name != name or current.type:
        raise FormatError("a TYPE that does not follow its HELP")
    if text not in TYPES:
        raise FormatError("an unknown type")
    current.type = text
    return current


def _labels(text):
    labels, at = {}, 0
    one = re.compile(rf'({LABEL_NAME})="((?:[^"\\\n]|\\["\\n])*)"')
    while at < len(text):
        match = one.match(text, at)
        if not match:
            raise FormatError(f"no label at {text[at:]!r}")
        if match.group(1) in labels:
            raise FormatError(f"label {match.group(1)} twice")
        if match.group(1).startswith("__"):
            raise FormatError("a label that is reserved")
        labels[match.group(1)] = re.sub(r"\\(.)", lambda m: "\n" if m.group(1) == "n" else m.group(1), match.group(2))
        at = match.end()
        if at < len(text):
            if text[at] != "," or at + 1 == len(text):
                raise FormatError(f"no comma, or one too many, at {text[at:]!r}")
            at += 1
    return labels


def _number(text):
    if text in ("+Inf", "-Inf", "NaN"):
        return float(text)
    if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?", text):
        raise FormatError(f"{text} is no number")
    return float(text)


def _check(metric):
    if not metric.type:
        raise FormatError("HELP without TYPE")
    if (metric.type == "counter") != metric.name.endswith("_total"):
        raise FormatError(f"a {metric.type} of that name: counters, and only they, end in _total")
    if metric.type == "counter" and any(v < 0 or math.isnan(v) for v in metric.samples.values()):
        raise FormatError("a counter below 0")
    if metric.type == "histogram":
        _check_histogram(metric)
    elif len({frozenset(name for name, _ in labels) for _, labels in metric.samples}) > 1:
        raise FormatError("series of different label names")


def _check_histogram(metric):
    series = {}
    for (name, labels), value in metric.samples.items():
        rest = tuple(label for label in labels if label[0] != "le")
        one = series.setdefault(rest, {"_bucket": []})
        part = name[len(metric.name):]
        if part == "_bucket":
            bound = dict(labels).get("le")
            if bound is None:
                raise FormatError("a bucket without le")
            one[part].append((float("inf") if bound == "+Inf" else _number(bound), value))
        elif len(rest) < len(labels):
            raise FormatError("le at a sample that is no bucket")
        else:
            one[part] = value
    for labels, one in series.items():
        buckets = one["_bucket"]
        if not buckets or buckets[-1][0] != float("inf") or "_sum" not in one or "_count" not in one:
            raise FormatError(f"{labels}: a bucket up to +Inf, _sum or _count is missing")
        if buckets != sorted(buckets) or len({bound for bound, _ in buckets}) < len(buckets):
            raise FormatError(f"{labels}: buckets in disorder, or not cumulative: {buckets}")
        if [n for _, n in buckets] != sorted(n for _, n in buckets):
            raise FormatError(f"{labels}: buckets are not cumulative: {buckets}")
        if buckets[-1][1] != one["_count"]:
            raise FormatError(f"{labels}: +Inf is {buckets[-1][1]}, _count {one['_count']}")
