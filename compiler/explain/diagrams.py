"""A drawing as text for programs that place and draw it: Graphviz and Mermaid.

print(dot(drawing))
"""

from __future__ import annotations

import re

from .boxes import COLORS, Drawing


def dot(drawing: Drawing) -> str:
    """For Graphviz."""
    lines = [f"digraph {_quoted(drawing.name)} {{"]
    lines.append('  node [shape=box, style="rounded,filled", fontname="Helvetica"];')
    lines.append('  edge [fontname="Helvetica", fontsize=10];')
    for b in drawing.boxes:
        fill, line = COLORS[b.kind]
        label = "\\n".join(_escaped(t) for t in (b.title, *b.lines, b.value) if t)
        lines.append(f'  {b.id} [label="{label}", fillcolor="{fill}", color="{line}"];')
    for a in drawing.arrows:
        attributes = []
        if a.label:
            attributes.append(f'label="{_escaped(a.label)}"')
        if a.local:
            attributes.append("style=dashed, constraint=false, arrowhead=none")
        shown = f" [{', '.join(attributes)}]" if attributes else ""
        lines.append(f"  {a.tail} -> {a.head}{shown};")
    return "\n".join([*lines, "}"]) + "\n"


def _escaped(words: str) -> str:
    return words.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _quoted(words: str) -> str:
    return f'"{_escaped(words)}"'


def mermaid(drawing: Drawing) -> str:
    """For Mermaid: a flowchart, as Markdown pages render it."""
    lines = ["flowchart TB"]
    for b in drawing.boxes:
        label = "<br>".join(_entities(t) for t in (b.title, *b.lines, b.value) if t)
        lines.append(f'  {b.id}["{label}"]:::{b.kind}')
    for a in drawing.arrows:
        if a.local:
            lines.append(f"  {a.tail} -.- {a.head}")
        elif a.label:
            lines.append(f'  {a.tail} -->|"{_entities(a.label)}"| {a.head}')
        else:
            lines.append(f"  {a.tail} --> {a.head}")
    for kind in dict.fromkeys(b.kind for b in drawing.boxes):
        fill, line = COLORS[kind]
        lines.append(f"  classDef {kind} fill:{fill},stroke:{line},color:#222")
    return "\n".join(lines) + "\n"


def _entities(words: str) -> str:
    table = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "#": "#35;"}
    shown = re.sub(r"[&<>\"#]", lambda m: table[m[0]], words)
    return shown.replace("\n", "<br>")
