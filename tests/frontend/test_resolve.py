from __future__ import annotations

from pathlib import Path

import pytest

from gradc.compiler.errors import CompileError
from gradc.compiler.frontend import ast
from gradc.compiler.frontend.modules import Found, standard_library
from gradc.compiler.frontend.parser import parse
from gradc.compiler.frontend.resolve import Plain, Resolved, resolve
from gradc.compiler.frontend.signatures import PRIMITIVES, Primitive
from gradc.compiler.source import Source


def resolved(text: str, **overrides: str) -> Resolved:
    given = {name.replace("__", "."): value for name, value in overrides.items()}
    return resolve(parse(Source.from_text("a.net", text)), Plain(given))


def refused(text: str, **overrides: str) -> list[tuple[str, int]]:
    with pytest.raises(CompileError) as caught:
        resolved(text, **overrides)
    return [(d.id, d.span.line if d.span else 0) for d in caught.value.diagnostics]


ACCEPTED = [
    # Two worlds: a value may have the name of a function.
    "input x: [N]\nmean = mean(x)\noutput y = mean",
    # A function passed as a value, to a function's own argument.
    "fn twice(f, x) = f(f(x))\ninput x: [N]\noutput y = twice(exp, x)",
    # Blocks see what is around them and continue it.
    "input x: [N]\nh = x\nrepeat 2 { g = exp(h); h = g }\noutput h",
    # Sequences that a loop collects are known behind it.
    "input x: [N, T]\nfor t in T { y[:, t] = exp(x[:, t]) }\noutput y",
    "input x: [N, T]\nlayer f(x: [n, k]) {\n  for t in k { y[:, t] = x[:, t] }\n  return y\n}\n",
    # Functions see what is defined above them, and may have names of their own.
    "param w = 0\nfn f(x) { w2 = w; h = x * w2; return h }\nh = 3\noutput y = f(h)",
    "input x: [N]\nfn f(x: [N]) = x\noutput y = f(x)",
    # A fn inside a layer uses the layer's parameters.
    "layer f(x: [..., d]) {\n  param w: [d] = 0\n  fn g(z) = z @ w\n  return g(x)\n}",
    # An equation in a function makes a name of the function's own.
    "input x: [N]\nparam b = 0\nfn f(v) { b = v; return b }\noutput y = f(x)",
    # Arguments may be continued.
    "fn f(x) { x = x + 1; return x }",
    # The values of losses, metrics and outputs are values.
    "input x\nloss fit = x\nmetric m = fit\noutput p = fit + m\noutput q = p",
    # A size of an argument may have the name of a size outside: it is another.
    "input x: [N, d]\nlayer f(x: [..., d]) {\n  param w: [d] = 0\n  return x @ w\n}",
    "const k = 3\nfn f(x: [n, k]) = x",
    "input x\nσ = σ(x)\noutput y = σ + pi + π - inf + (if training then 1 else 0)",
    "param w: [3] = normal(0, 1)\nfn f(init = he()) { param w: [3] = init; return w }\n"
    "output y = f(init = uniform(0, 1))",
    "input x: [N]\na, b = split(x, 2)\nc, d = x |> split(2)\noutput a",
    "input x\nlayer f(x) = x\nloss l over f = f(x)",
]


@pytest.mark.parametrize("text", ACCEPTED)
def test_accepted(text: str) -> None:
    assert resolved(text).root.program is not None


REFUSED = [
    ("fn f(x) = g(x)\nfn g(x) = x", [("unknown-function", 1)]),
    ("fn f(x) { fn g(y) = f(y)\n return g(x) }", [("recursion", 1)]),
    ("input x\nrepeat 2 { g = x }\ny = g", [("unknown-name", 3)]),
    ("fn f(x) { y = x\n return y }\nz = y", [("unknown-name", 3)]),
    ("fn f(x: [n]) = x\ny = n", [("unknown-name", 2)]),
    ("input x\nrepeat 2 { x = x + 1 }", [("reassigned", 2)]),
    ("input x\nloss fit = x\nfit = 3", [("reassigned", 3)]),
    ("input x\ny = x\nloss y = x", [("already-defined", 3)]),
    ("training = true", [("reassigned", 1)]),
    ("input pi", [("reassigned", 1)]),
    ("const n = 3\nconst n = 4", [("already-defined", 2)]),
    ("input x: [N]\ninput N", [("already-defined", 2)]),
    ("fn f(x) { param w: [q] = 0\n return w }", [("unknown-size", 1)]),
    ("y: [q] = 3", [("unknown-size", 1)]),
    ("fn f(x, n = m) = x", [("unknown-name", 1)]),
    ("repeat q { h = 1 }", [("unknown-name", 1)]),
    ("fn f() { repeat 2 { h = 1 } }", [("missing-return", 1)]),
    ("fn f() { h = 1 }", [("missing-return", 1)]),
    ("fn f() { train { epochs = 3 }\n return 1 }", [("top-level-only", 1)]),
    ("input x\ny = he() + x", [("fill-outside", 2)]),
    ("input x\ny = x[lost:, 0]", [("unknown-name", 2)]),
    ("input x\ny = f(x) + f(x)\nz = f(x)", [("unknown-function", 2)]),
    ("input x\nloss l over nothing = x", [("unknown-name", 2)]),
    ("const n = training", [("not-constant", 1)]),
]


@pytest.mark.parametrize(("text", "expected"), REFUSED)
def test_refused(text: str, expected: list[tuple[str, int]]) -> None:
    assert refused(text) == expected


# ---------------------------------------------------------------------------- constants


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2^10", 1024), ("-3 + 2 * 4", 5), ("6 / 2", 3), ("7 / 2", 3.5), ("2^-1", 0.5),
        ("0.01 / pi", 0.01 / 3.141592653589793), ("not (1 < 2 and 2 >= 3)", True),
        ("if 1 == 1.0 then 5 else 6", 5), ("sqrt(2)", 2**0.5), ("max(3, 4)", 4),
        ("2^62", 2**62), ("-2^62 - 2^62", -(2**63)), ("1 or 2", None), ("1 @ 2", None),
        ("2^63", None),
        ("9223372036854775808", None), ("(-8)^0.5", None), ("0^-1", None),
        ("1e308 * 10", float("inf")),
        ("inf - inf", None), ("exp(x = 1)", None), ("[1]", None), ('"a"', None),
    ],
)  # fmt: skip
def test_constants(text: str, value: float | None) -> None:
    program = f"const a = {text}"
    if value is None or value == -(2**63):
        assert len(refused(program)) == 1
    elif value == float("inf"):
        assert resolved(program).root.constants["a"].value == value
    else:
        found = resolved(program).root.constants["a"].value
        assert found == value and type(found) is type(value)


def test_overrides() -> None:
    text = "const n = 2\nconst m = 3 * n\nconst deep = true\n"
    constants = resolved(text, n="2 * 5", deep="false").root.constants
    assert {name: c.value for name, c in constants.items()} == {
        "n": 10, "m": 30, "deep": False,
    }  # fmt: skip
    assert constants["n"].overridden == "2 * 5" and constants["n"].line == 1
    assert resolved(text, m="n + 1").root.constants["m"].value == 3
    assert refused(text, n="1; x = 3") == [("bad-override", 0)]
    assert refused(text, n="1\nx = 3") == [("bad-override", 0)]
    assert refused(text, n="") == [("bad-override", 0)]
    assert refused(text, n="q") == [("bad-override", 0)]
    assert refused(text, x="3") == [("unknown-const", 0)]


def test_digest_depends_on_text_and_overrides() -> None:
    text = "const n = 2\n"
    same, again = resolved(text), resolved(text)
    assert same.sha256 == again.sha256
    assert (
        len({same.sha256, resolved(text + " ").sha256, resolved(text, n="3").sha256})
        == 3
    )


# ------------------------------------------------------------------------------ modules


def test_find() -> None:
    found = resolved("fn softplus(x) = x\nlayer own(x) = x\n")
    own = found.root.find("own")
    assert isinstance(own, Found) and own.function.kind == "layer"
    assert isinstance(found.root.find("exp"), Primitive)
    assert found.root.find("σ") == PRIMITIVES["sigmoid"]
    assert found.root.find("nothing") is None
    replaced = found.root.find("softplus")
    assert isinstance(replaced, Found) and replaced.module is found.root
    assert found.std.find("softplus") == PRIMITIVES["softplus"]
    assert [warning.id for warning in found.warnings] == ["std-name"]


def test_standard_library_is_checked_and_lazy() -> None:
    library = standard_library()
    for name in library.names():
        function = library.function(name)
        assert isinstance(function, ast.Function) and function.name.text == name


def test_standard_library_files_pass_the_checks() -> None:
    folder = Path(standard_library.__wrapped__.__code__.co_filename).parents[1] / "std"
    for path in sorted(folder.glob("*.net")):
        text = path.read_text(encoding="utf-8")
        found = resolve(parse(Source.from_text(path.name, text)))
        assert all(warning.id == "std-name" for warning in found.warnings)


def test_no_primitive_has_two_defaults() -> None:
    for name, primitive in PRIMITIVES.items():
        assert primitive.name == name
        names = [parameter.name for parameter in primitive.parameters]
        assert len(names) == len(set(names))
