"""What `gradc diagnose` prints: tables of layers and activations, and the findings.

In: what was looked at and what was seen. Out: text, Markdown, or what JSON has. A finding is
printed in the form of a diagnostic: place, line, figures, what to try.

    print(report(subject, looked, "text", color=False))
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .terminal import columns, figure

if TYPE_CHECKING:
    from gradc.compiler import Source
    from gradc.compiler.errors import Diagnostic
    from gradc.compiler.explain.watching import Site
    from gradc.compiler.source import Span

    from ..health.findings import Finding
    from ..health.measures import Spread
    from .looking import Looked
    from .subjects import Subject

BARS = " ▁▂▃▄▅▆▇█"


def findings_of(subject: Subject, looked: Looked) -> list[Finding]:
    """The findings; where a step is not finite, that comes first.

    Copies of a line (of a `repeat`, of a function that is called twice) have one, the first's.
    """
    from ..health.judging import judge

    found = [] if looked.broken is None else [_broken(looked)]
    merged: dict[tuple[object, ...], Finding] = {}
    for f in [*found, *judge(looked.seen)]:
        span = span_of(subject, looked, f)
        place = (
            (f.id, f.subject) if span is None else (f.id, span.source.name, span.start)
        )
        if f.subject[0] != "site":
            place = (*place, f.subject[1])
        known = merged.get(place)
        merged[place] = f if known is None else replace(known, copies=known.copies + 1)
    return list(merged.values())


def _broken(looked: Looked) -> Finding:
    from ..health.findings import Finding

    assert looked.broken is not None
    return Finding(
        "non-finite",
        ("place", looked.broken.place),
        looked.broken.what,
        looked.broken.lines,
        "keep a logarithm, root or quotient away from 0 (`log(p + 1e-7)`), use the forms that "
        "are stable (`cross_entropy`, `bce`, `logsumexp`), smaller weights where `exp` overflows",
    )


# ------------------------------------------------------------------------------- places
def span_of(subject: Subject, looked: Looked, finding: Finding) -> Span | None:
    """Where in the text the subject of a finding stands."""
    kind, key = finding.subject
    program = subject.trace.program
    source = subject.trace.source
    if kind == "site":
        return _span(subject, looked.sites[int(key)])
    if kind == "place":
        name, _, line = str(key).rpartition(":")
        if name == source.name and line.isdigit():
            return _line(source, int(line))
        return None
    if kind == "optimizer":
        said = re.search(
            r"^[^#\n]*?\b(optimizer\s*=[^;}#\n]*)", source.text, re.MULTILINE
        )
        if said:
            return source.span(said.start(1), said.start(1) + len(said[1].rstrip()))
        kind = "parameter"
    if kind == "parameter":
        p = next(p for p in program.params if p.path == key)
        span: Span | None = p.node.origin.span
        return span if hasattr(span, "source") else _line(source, p.line)
    i = next(i for i in program.inputs if i.name == key)
    return _line(source, i.line)


def _span(subject: Subject, site: Site) -> Span | None:
    span: Span | None = site.node.origin.span
    if hasattr(span, "source"):
        return span
    k = site.node.origin.equation
    equations = subject.trace.program.equations
    return (
        _line(subject.trace.source, equations[k].line)
        if 0 <= k < len(equations)
        else None
    )


def _line(source: Source, line: int) -> Span | None:
    """All of a line."""
    if not 1 <= line <= source.line_count:
        return None
    text = source.line_text(line)
    start = source.starts[line - 1] + len(text) - len(text.lstrip())
    return source.span(start, start + len(text.strip()))


def _equation(subject: Subject, site: Site) -> str:
    """The equation of the program that a site is part of, where it stands on another line."""
    k = site.node.origin.equation
    equations = subject.trace.program.equations
    span = _span(subject, site)
    if not 0 <= k < len(equations) or span is None or not equations[k].line:
        return ""
    e = equations[k]
    copies = f", copy {', '.join(str(c + 1) for c in e.copy)}" if e.copy else ""
    if (
        e.line == span.line
        and (e.file or subject.trace.source.name) == span.source.name
    ):
        return copies.lstrip(", ")
    return f"in `{_short(e.text)}`  {e.file or subject.trace.program.name}:{e.line}{copies}"


def _short(text: str, most: int = 60) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


def diagnostic(subject: Subject, looked: Looked, finding: Finding) -> Diagnostic:
    """A finding in the form of the compiler's own."""
    from gradc.compiler.errors import Diagnostic

    notes = [("", text) for text in finding.figures]
    if finding.copies > 1:
        notes.append(("", f"so it is in {finding.copies:,} copies of the line"))
    if finding.subject[0] == "site":
        where = _equation(subject, looked.sites[int(finding.subject[1])])
        if where:
            notes.append(("", where))
    for k in finding.others:
        span = _span(subject, looked.sites[k])
        if span is not None:
            notes.append(
                (
                    "",
                    f"compared with `{_short(looked.seen.spots[k].name)}`  {_at(span)}",
                )
            )
    notes.append(("help", finding.advice))
    return Diagnostic(
        finding.id,
        span_of(subject, looked, finding),
        finding.message,
        notes=tuple(notes),
        level="warning",
    )


def _at(span: Span) -> str:
    return f"{span.source.name}:{span.line}"


# ------------------------------------------------------------------------------ documents
def document(subject: Subject, looked: Looked) -> dict[str, Any]:
    """All of it, in what JSON has."""
    findings = []
    for f in findings_of(subject, looked):
        span = span_of(subject, looked, f)
        findings.append(
            {
                "id": f.id,
                "file": span.source.name if span is not None else "",
                "line": span.line if span is not None else 0,
                "column": span.col if span is not None else 0,
                "text": span.source.line_text(span.line).strip() if span else "",
                "subject": f.subject[1] if f.subject[0] != "site" else _name(looked, f),
                "message": f.message,
                "figures": list(f.figures),
                "copies": f.copies,
                "help": f.advice,
            }
        )
    return {
        "version": 1,
        "net": subject.trace.program.name,
        "looked_at": subject.described,
        "trained": subject.trained,
        "batches": looked.batches,
        "rows": looked.rows,
        "layers": [
            _layer_json(subject, looked, k) for k in _kind(looked, "layer", "table")
        ],
        "activations": [
            _activation_json(subject, looked, k) for k in _kind(looked, "activation")
        ],
        "findings": findings,
    }


def _name(looked: Looked, finding: Finding) -> str:
    return looked.seen.spots[int(finding.subject[1])].name


def _kind(looked: Looked, *kinds: str) -> list[int]:
    return [k for k, s in enumerate(looked.seen.spots) if s.kind in kinds]


def _where(subject: Subject, looked: Looked, k: int) -> dict[str, Any]:
    site = looked.sites[k]
    span = _span(subject, site)
    return {
        "file": span.source.name if span else "",
        "line": span.line if span else 0,
        "name": looked.seen.spots[k].name,
        "path": site.path,
        "copy": [c + 1 for c in site.node.origin.copy],
    }


def _layer_json(subject: Subject, looked: Looked, k: int) -> dict[str, Any]:
    from ..health.flow import ratio_of

    numbers = looked.seen.spots[k].numbers
    return {
        **_where(subject, looked, k),
        "rms": numbers.value.rms,
        "delta": numbers.delta.norm,
        "ratio": ratio_of(looked.seen, k),
        "values": _histogram(numbers.value),
        "deltas": _histogram(numbers.delta, True),
    }


def _activation_json(subject: Subject, looked: Looked, k: int) -> dict[str, Any]:
    a = looked.seen.spots[k].numbers
    return {
        **_where(subject, looked, k),
        "kind": a.shape.kind,
        "units": a.units,
        "rows": a.rows,
        "flat": a.share(a.flat),
        "stuck": int(a.stuck.sum()),
        "slope": a.mean_slope,
        "values": _histogram(a.value),
    }


def _histogram(spread: Spread, logarithmic: bool = False) -> dict[str, Any]:
    counts, low, high = spread.histogram(logarithmic)
    return {"counts": counts, "from": low, "to": high}


# ------------------------------------------------------------------------------ text, md
def report(subject: Subject, looked: Looked, form: str, color: bool) -> str:
    """The tables and the findings, for people."""
    from gradc.compiler.errors import render

    name = subject.trace.program.name
    head = (
        f"{name}, {subject.described}, {looked.batches:,} batch"
        f"{'' if looked.batches == 1 else 'es'} of "
        f"{'drawn data' if subject.data is None else 'the training data'}, "
        f"{looked.rows:,} rows"
    )
    tables = [_layers(subject, looked), _activations(subject, looked)]
    found = findings_of(subject, looked)
    count = (
        f"{len(found)} finding{'' if len(found) == 1 else 's'}"
        if found
        else "no findings"
    )
    told = [
        render(diagnostic(subject, looked, f), color and form == "text") for f in found
    ]
    if form == "md":
        parts = [f"# {name}", head]
        parts += [_markdown(rows) for rows in tables if len(rows) > 1]
        parts.append(f"## {count}")
        for f, text in zip(found, told, strict=True):
            parts += [f"### {f.id}", f"```text\n{text}\n```"]
        return "\n\n".join(parts)
    parts = [head]
    parts += [columns(rows, right=range(2, 5)) for rows in tables if len(rows) > 1]
    return "\n\n".join([*parts, *told, count])


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows]
    lines.insert(1, " | ".join("---" for _ in rows[0]))
    return "\n".join(f"| {line} |" for line in lines)


def _layers(subject: Subject, looked: Looked) -> list[list[str]]:
    from ..health.flow import ratio_of

    rows = [["line", "layer", "rms z", "‖δ‖", "of last", "z", "log₁₀ |δ|"]]
    for k in _kind(looked, "layer", "table"):
        numbers = looked.seen.spots[k].numbers
        ratio = ratio_of(looked.seen, k)
        rows.append(
            [
                _place(subject, looked, k),
                _title(looked, k),
                figure(numbers.value.rms),
                f"{numbers.delta.norm:.1e}",
                "" if ratio is None else f"{ratio:.2g}",
                bars(numbers.value),
                bars(numbers.delta, True),
            ]
        )
    return rows


def _activations(subject: Subject, looked: Looked) -> list[list[str]]:
    rows = [["line", "activation", "flat", "stuck", "slope", "values"]]
    for k in _kind(looked, "activation"):
        a = looked.seen.spots[k].numbers
        rows.append(
            [
                _place(subject, looked, k),
                _title(looked, k),
                f"{100 * a.share(a.flat):.3g} %",
                f"{int(a.stuck.sum()):,} of {a.units:,}",
                f"{a.mean_slope:.2f}",
                bars(a.value),
            ]
        )
    return rows


def _place(subject: Subject, looked: Looked, k: int) -> str:
    span = _span(subject, looked.sites[k])
    return _at(span) if span is not None else ""


def _title(looked: Looked, k: int) -> str:
    copy = looked.sites[k].node.origin.copy
    behind = f" [{', '.join(str(c + 1) for c in copy)}]" if copy else ""
    return re.sub(r"\s+", " ", looked.seen.spots[k].name) + behind


def bars(spread: Spread, logarithmic: bool = False) -> str:
    """A histogram on one line, with its ends."""
    counts, low, high = spread.histogram(logarithmic)
    if not counts:
        return ""
    most = max(counts)
    drawn = "".join(
        BARS[0 if not c else 1 + (len(BARS) - 2) * c // most] for c in counts
    )
    return f"{low:.2g} {drawn} {high:.2g}"
