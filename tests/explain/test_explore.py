"""The explorer page: what it links, and that no text of a program gets out of its place."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

from gradc.cli.explore import page
from gradc.compiler.driver import trace
from gradc.compiler.explain.explorer import explorer, nodes_of
from gradc.compiler.source import Source

MLP = """input x: [N, 3]
input y: [N]
h = x |> dense(4, tanh)
p = h |> dense(1)
loss C = mean((p[:, 0] - y)^2)
"""
HOSTILE = """# </script><script>alert(1)</script> <img src=x onerror="alert(2)"> {{script}} & '
input x: [N]
param w: [] = 1  # "</style>" <!-- ]]>
loss C = mean((w * x - 1)^2)
"""


class Read(HTMLParser):
    """The elements of a page, and the text of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {}
        self.open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.open = tag

    def handle_endtag(self, tag: str) -> None:
        self.open = ""

    def handle_data(self, data: str) -> None:
        self.inside.setdefault(self.open, []).append(data)


def page_of(text: str, name: str = "a.net") -> tuple[Read, dict[str, Any]]:
    made = trace(Source.from_text(name, text))
    read = Read(page(explorer(made, dict.fromkeys(made.program.symbols, 8))))
    document = json.loads(read.inside["script"][0])
    return read, document


def test_a_value_leads_to_its_line_its_statements_and_its_adjoint() -> None:
    made = trace(Source.from_text("mlp.net", MLP))
    document = explorer(made, {"N": 8}).document
    emitted = made.written.text.split("\n")
    by_title = {item["title"]: item for item in document["items"]}
    z = by_title["z"]
    assert z["lines"] == [3]
    computed = [emitted[k - 1].split("#")[0].strip() for k in z["forward"]]
    assert computed == ["z = x @ W_h + b_h"] * 2  # in `forward` and in `evaluate`
    (back,) = z["adjoint"]["backward"]
    assert emitted[back - 1].strip().startswith("d_z = ")
    product = next(
        i
        for i in document["items"]
        if i["forward"] == z["forward"] and i["what"] == "einsum2"
    )
    assert product["flops"] == 2 * 8 * 3 * 4


def test_every_link_ends_at_an_element_of_the_page() -> None:
    read, document = page_of(MLP)
    ids = [a["id"] for _, a in read.elements if a.get("id")]
    assert len(ids) == len(set(ids))
    for k, item in enumerate(document["items"]):
        assert f"v{k}" in ids
        assert all(f"t{n}" in ids for n in item["lines"])
        assert all(f"f{n}" in ids for n in item["forward"])
        adjoint = item.get("adjoint")
        assert adjoint is None or f"a{k}" in ids
        assert all(f"b{n}" in ids for n in (adjoint or {}).get("backward", []))


def test_text_of_a_program_is_text() -> None:
    read, _ = page_of(HOSTILE, "<b onload='x'>.net")
    plain, _ = page_of(MLP)
    assert {t for t, _ in read.elements} <= {t for t, _ in plain.elements}
    assert sum(t == "script" for t, _ in read.elements) == 2
    assert not any(k.startswith("on") for _, a in read.elements for k in a)


def test_the_policy_lets_only_the_pages_own_script_and_style_run() -> None:
    read, _ = page_of(HOSTILE)
    policy = next(a["content"] for t, a in read.elements if "http-equiv" in a) or ""
    for tag, text in (
        ("script-src", read.inside["script"][-1]),
        ("style-src", read.inside["style"][0]),
    ):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag} 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert not any(k in ("src", "href", "style") for _, a in read.elements for k in a)
    assert not re.search(r"innerHTML|fetch\(|eval\(", read.inside["script"][-1])


def test_the_values_are_those_of_the_point() -> None:
    text = "input x: []\nparam w: [] = 2\nloss C = (w * x)^2\n"
    made = trace(Source.from_text("c.net", text))
    nodes = nodes_of(made)
    values = {n: f"value of {k}" for k, n in enumerate(nodes)}
    items = explorer(made, {}, values).document["items"]
    assert all(item["value"] for item in items)
    assert {i["title"]: i for i in items}["w"]["adjoint"]["value"].startswith("value")
