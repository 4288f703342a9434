"""A run on one page: report.html, self-contained, without scripts and without a network.

In: the events of a run's log, its settings, and what its best weights say of the part held out.
Out: the text of the page: curves, the confusion matrix or the residuals, the network's picture,
settings with who said each, the checkpoint.

    html = page(Report("digits-1", events, settings, …))
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import field
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .charts import Curve, lines, matrix, scatter
from .records import record

Event = Mapping[str, Any]


@record
class Confusion:
    """Rows are what it is, columns what was predicted."""

    name: str
    classes: tuple[str, ...]
    counts: NDArray[np.int64]


@record
class Residuals:
    """Values of a target, and what an output of the same shape says."""

    name: str
    target: str
    true: NDArray[Any]
    predicted: NDArray[Any]


@record
class Report:
    """What the page is made of. `facts` are shown at the top, `settings` are rows of name,
    value and who said so."""

    name: str
    events: Sequence[Event]
    facts: Mapping[str, str]
    settings: Sequence[tuple[str, str, str]]
    picture: str = ""
    program: str = ""
    confusion: Confusion | None = None
    residuals: Residuals | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


def page(report: Report) -> str:
    """The page's HTML."""
    epochs = [e for e in report.events if e.get("event") == "epoch"]
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(report.name)}</title><style>{STYLE}</style></head><body><main>",
        f"<h1>{escape(report.name)}</h1>",
        _definitions(report.facts),
        _curves(epochs),
    ]
    if report.confusion is not None:
        parts.append(_confusion(report.confusion))
    if report.residuals is not None:
        parts.append(_residuals(report.residuals))
    if report.picture:
        parts.append(
            f'<section><h2>The network</h2><div class="scroll">{report.picture}</div></section>'
        )
    if report.program:
        parts.append(
            f"<details><summary>Its text</summary><pre>{escape(report.program)}</pre></details>"
        )
    rows = "".join(
        f"<tr><th scope=row>{escape(name)}</th><td><code>{escape(value)}</code></td>"
        f"<td>{escape(who)}</td></tr>"
        for name, value, who in report.settings
    )
    parts.append(
        "<section><h2>Settings</h2><div class=scroll><table><thead><tr><th>setting</th>"
        f"<th>value</th><th>said by</th></tr></thead><tbody>{rows}</tbody></table></div></section>"
    )
    parts.append(
        f"<section><h2>Made with</h2>{_definitions(report.environment)}</section>"
    )
    parts.append(_happenings(report.events))
    return "".join([*parts, "</main></body></html>\n"])


def _definitions(facts: Mapping[str, str]) -> str:
    items = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(str(value))}</dd></div>"
        for name, value in facts.items()
    )
    return f"<dl>{items}</dl>" if items else ""


def _curves(epochs: Sequence[Event]) -> str:
    """The losses in one chart, each metric and the rate in one of their own."""
    if not epochs:
        return "<section><h2>Curves</h2><p>No epoch was finished.</p></section>"
    numbers = [float(e["epoch"]) for e in epochs]
    held = any(e.get("held_out") for e in epochs)
    losses = [Curve("training loss", numbers, [_number(e["loss"]) for e in epochs])]
    names = list(dict.fromkeys(n for e in epochs for n in e["figures"]))
    if "loss" in names:
        told = "loss held out" if held else "loss, evaluated"
        values = [_number(e["figures"].get("loss")) for e in epochs]
        losses.append(Curve(told, numbers, values))
    best = min(
        range(len(epochs)),
        key=lambda i: (_finite(losses[-1].values[i]), i),
    )
    charts = [lines("loss", losses, numbers[best])]
    for name in names:
        values = [_number(e["figures"].get(name)) for e in epochs]
        if name != "loss" and values != losses[-1].values:
            charts.append(lines(name, [Curve(name, numbers, values)], numbers[best]))
    rates = [_number(e.get("lr")) for e in epochs]
    if len(set(rates)) > 1:
        charts.append(lines("learning rate", [Curve("rate", numbers, rates)], None))
    return (
        f'<section><h2>Curves</h2><div class="charts">{"".join(charts)}</div></section>'
    )


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _finite(value: float) -> float:
    return value if math.isfinite(value) else math.inf


def _confusion(found: Confusion) -> str:
    total, right = int(found.counts.sum()), int(np.trace(found.counts))
    text = f"{right:,} of {total:,} are right ({100 * right / max(1, total):.1f} %)"
    return (
        f"<section><h2>Confusion of {escape(found.name)}</h2><p>{text}; a row is what it is, "
        f'a column what was predicted.</p><div class="scroll">'
        f"{matrix(found.classes, found.counts)}</div></section>"
    )


def _residuals(found: Residuals) -> str:
    true = found.true.astype(np.float64).reshape(-1)
    predicted = found.predicted.astype(np.float64).reshape(-1)
    off = predicted - true
    spread = float(((true - true.mean()) ** 2).sum())
    fit = 1 - float((off**2).sum()) / spread if spread else math.nan
    text = (
        f"mean {off.mean():.4g}, deviation {off.std():.4g}, largest "
        f"{np.abs(off).max():.4g}, R² {fit:.4f}"
    )
    return (
        f"<section><h2>Residuals of {escape(found.name)}</h2><p>{escape(text)}</p>"
        f'<div class="charts">{scatter(found.target, found.name, true, predicted)}'
        f"{scatter(found.target, 'residual', true, off, level=0.0)}</div></section>"
    )


def _happenings(events: Sequence[Event]) -> str:
    """What happened beside epochs: resumptions, dropped updates, the end."""
    told = []
    for event in events:
        kind = event.get("event")
        if kind in ("epoch", "checkpoint", "start"):
            continue
        rest = ", ".join(
            f"{k} {v}"
            for k, v in event.items()
            if k not in ("v", "event") and v is not None
        )
        told.append(f"<li><b>{escape(str(kind))}</b> {escape(rest)}</li>")
    return (
        f"<section><h2>What happened</h2><ul>{''.join(told)}</ul></section>"
        if told
        else ""
    )


STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#5b6470;--line:#d5dae1;--paper:#fff;
--card:#f6f8fa;--a:#0b66c3;--b:#c2410c;--c:#15803d}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9aa5b1;--line:#39424e;
--paper:#0e1217;--card:#171d25;--a:#6cb6ff;--b:#ff9d5c;--c:#57d38c}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,sans-serif}main{max-width:70rem;margin:0 auto;padding:1.5rem 1rem 4rem}
h1{font-size:1.6rem;margin:.2rem 0 1rem}h2{font-size:1.15rem;margin:2.2rem 0 .6rem}
dl{display:flex;flex-wrap:wrap;gap:.6rem 1.8rem;margin:0}dt{color:var(--soft);font-size:.8rem}
dd{margin:0;overflow-wrap:anywhere}.charts{display:grid;gap:1rem;
grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr))}
figure{margin:0;background:var(--card);border-radius:8px;padding:.7rem}
figcaption{font-weight:600}.legend{font-weight:400;color:var(--soft);font-size:.85rem}
.legend i{display:inline-block;width:.9em;height:.25em;margin:0 .35em .2em .9em;
background:currentColor}.s0{color:var(--a)}.s1{color:var(--b)}.s2{color:var(--c)}
svg{width:100%;height:auto;display:block;font:11px system-ui,sans-serif;fill:var(--soft)}
svg .grid{stroke:var(--line);stroke-width:1}svg .curve{fill:none;stroke:currentColor;
stroke-width:2;stroke-linejoin:round}svg .dot{fill:currentColor;opacity:.55}
svg .best{stroke:var(--soft);stroke-dasharray:3 3}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.92rem}
th,td{text-align:left;padding:.25rem .8rem .25rem 0;border-bottom:1px solid var(--line);
vertical-align:top}code,pre{font:13px/1.5 ui-monospace,monospace}pre{background:var(--card);
padding:.8rem;border-radius:8px;overflow-x:auto}summary{cursor:pointer;margin-top:.8rem}
.matrix td,.matrix th{padding:.3rem .55rem;text-align:right;border:0}
.matrix td{min-width:2.6rem;border-radius:4px}
.net{fill:var(--ink);font:11px ui-monospace,monospace}.net text{text-anchor:middle}
.net rect{fill:var(--card);stroke:var(--line)}.net .arrow{fill:none;stroke:var(--soft);
opacity:.6}.net .input rect{stroke:var(--a)}.net .param rect,.net .state rect,
.net .random rect{stroke:var(--c)}.net .loss rect,.net .metric rect,.net .output rect{
stroke:var(--b);stroke-width:1.6}
"""
