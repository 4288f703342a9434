"""The guard admits what the emitter writes and refuses everything else.

Honest modules are written here by hand in the emitter's style, one construct after the
other. Hostile ones are small and take one step each: every one of them would reach beyond
arithmetic, or would make Python compute without end, if the guard let it pass.
"""

from __future__ import annotations

import ast
import itertools
import re
import string

import numpy as np
import pytest
from calls import calls

from gradc.compiler.backend.guard import GuardError, check
from gradc.compiler.ops import REGISTRY

HONEST = '''\
"""Forward and backward passes of res.net. Notation: σ, ∂, "quoted", # all of this is text.

Sizes           N (from the data), width = 16
"""

import numpy as np

width = 16
rate = -1e-4
lowest = -np.inf
limits = (0.5, 2)

PARAMETERS = {
    "h.dense.W": (64, 16),
    "h[0].dense.W": (16, 16),
    "h[1].dense.W": (16, 16),
    "θ.W": ("D", "2 * D", 10),
    "b": (),
}


def erf(x):
    """A private piece of arithmetic; called below, from functions that follow it."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    return np.sign(x) * (1 - t * (0.254829592 + t * (-0.284496736)) * np.exp(-x * x))


def init(rng, D):
    """Return the parameters, filled as the fill expressions say."""
    q, r = np.linalg.qr(rng.standard_normal((16, 16)), mode="reduced")
    W = q * np.sign(np.diagonal(r))
    u = np.sqrt(6 / (D + 10)) * (2 * rng.random((D, 10)) - 1)
    return {"h.dense.W": W, "θ.W": u, "b": np.zeros(())}


def forward(params, x, digit):
    """Return the loss and what backward reads."""
    W_h, b = params["h.dense.W"], params["b"]
    N, D = x.shape
    rows = x.shape[0]

    # h = x |> dense(width, tanh)                                              σ.net:4
    h0 = np.tanh(x @ W_h + b)  # (N, width)
    h = h0
    layers = []
    for i in range(2):
        W = params[f"h[{i}].dense.W"]
        y = np.tanh(h @ W)
        layers.append((h, y, W))
        h = h + y
    for i in range(2):
        W = params[f"θ[{i + 1}].dense.W"]  # ∂
    shifted = h - h.max(axis=-1, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(axis=1, keepdims=True)
    with np.errstate(over="ignore", divide="ignore"):
        ratio = np.where(total > 0, e / total, 0.0)
    mixed = np.einsum("nhtd,nhsd->nhts", h, h)
    order = np.argsort(h, axis=-1, kind="stable")
    masked = ~(h > 0) & (h <= 1) | (h != 0) ^ (h == 2)
    part = h[..., 1:5] + h[:, None, ::-1] + h[-1] - h[:-1] + h[np.arange(N), digit]
    powers = h**5000 + h**1e30 + h**2 + h**0.5 + 2.0**h + h ** (-1) + h ** (1 / N) + 10**-3
    size = 2 * N // 3 % 5
    zeros = np.zeros(x.shape[:-1] + (size,))
    loss = (np.log(total[:, 0]) - shifted[np.arange(N), digit]).mean()
    return loss, (x, digit, h0, h, e, total, layers)


def backward(saved, d_loss=1.0):
    x, digit, h0, h, e, total, layers = saved
    N = x.shape[0]
    gradients = {}
    d_h = e / total
    d_h[np.arange(N), digit] -= 1
    d_h *= d_loss / N
    for i in reversed(range(2)):
        h, y, W = layers[i]
        d_z = d_h * (1 - y**2)
        gradients[f"h[{i}].dense.W"] = h.T @ d_z
        d_h = d_h + d_z @ W.T
    for (h, y, W), g in zip(layers, reversed(layers)):
        d_h += h
    d_E = np.zeros_like(W)
    np.add.at(d_E, digit, d_h)
    np.multiply(d_h, 2, out=d_h)
    d_E[...] = erf(d_h.transpose(1, 0)).reshape(-1, 16)
    gradients |= {"h.dense.W": x.T @ d_h, "b": d_h.sum()}
    return gradients


def buffers(N, dtype, gradients=None):
    a = np.empty(N * 128, dtype)
    zeros = np.zeros((N, 128), dtype=a.dtype)
    return {"forward": (a.reshape(N, 128), zeros), "gradients": gradients}
'''


def module(body: str) -> str:
    """A module whose function does `body`."""
    lines = "\n".join("    " + line for line in body.split("\n"))
    return f"import numpy as np\n\n\ndef forward(params, x, rng):\n{lines}\n"


# fmt: off
HOSTILE = {
    # reaching for another module
    "import-os": "import os\n",
    "import-from": "from os import system\n",
    "import-star": "from numpy import *\n",
    "import-numpy-plain": "import numpy\n",
    "import-other-name": "import numpy as os\n",
    "import-two": "import numpy as np, os\n",
    "import-submodule": "import numpy.ctypeslib as np\n",
    "import-inside": module("import os\nreturn 1"),
    "import-relative": "from . import np\n",
    "import-builtin": module("return __import__('os').system('true')"),
    # reaching for the interpreter
    "eval": module("return eval(params)"),
    "exec": module("exec(params)\nreturn 1"),
    "open": module("return open(params)"),
    "getattr": module("return getattr(np, params)"),
    "globals": module("return globals()"),
    "print": module("print(x)\nreturn 1"),
    "unknown-name": module("return secret"),
    "dunder-class": module("return x.__class__"),
    "dunder-globals": module("return forward.__globals__"),
    "private-attribute": module("return np._core"),
    "private-name": module("_x = 1\nreturn _x"),
    "dunder-builtins": module("return __builtins__"),
    "subclasses": module("return ().__class__.__base__.__subclasses__()"),
    "gi-frame": module("return x.gi_frame"),
    # NumPy beyond arithmetic
    "np-load": module("return np.load(x)"),
    "np-save": module("np.save(x, x)\nreturn 1"),
    "np-savetxt": module("np.savetxt(x, x)\nreturn 1"),
    "np-fromfile": module("return np.fromfile(x)"),
    "np-memmap": module("return np.memmap(x)"),
    "np-genfromtxt": module("return np.genfromtxt(x)"),
    "np-ctypeslib": module("return np.ctypeslib.load_library(x, x)"),
    "np-f2py": module("return np.f2py.compile(x)"),
    "np-testing": module("return np.testing.measure(x)"),
    "np-lib": module("return np.lib.format.open_memmap(x)"),
    "np-lib-os": module("return np.lib.npyio.os.system(x)"),
    "np-vectorize": module("return np.vectorize(x)"),
    "np-apply": module("return np.apply_along_axis(x, 0, x)"),
    "np-frompyfunc": module("return np.frompyfunc(x, 1, 1)"),
    "np-fromfunction": module("return np.fromfunction(x, (3,))"),
    "np-piecewise": module("return np.piecewise(x, x, x)"),
    "np-random": module("return np.random.default_rng()"),
    "np-as-strided": module("return np.lib.stride_tricks.as_strided(x)"),
    "np-frombuffer": module("return np.frombuffer(x)"),
    "np-set-printoptions": module("np.set_printoptions(x)\nreturn 1"),
    "np-seterrcall": module("np.seterrcall(x)\nreturn 1"),
    "np-alone": module("return np"),
    "np-aliased": module("m = np\nreturn m.load(x)"),
    "np-function-as-value": module("f = np.exp\nreturn f(x)"),
    "np-passed": module("return x.sum(np)"),
    "np-in-errstate": module("with np.errstate(call=x):\n    y = x\nreturn y"),
    "np-errstate-unknown": module("with np.errstate(over='call'):\n    y = x\nreturn y"),
    "np-constant-called": module("return np.inf(x)"),
    "np-datasource": module("return np.lib.npyio.DataSource(x)"),
    "np-exp-chain": module("return np.exp.reduce.__self__"),
    "np-before-import": "def f(x):\n    return np.exp(x)\n",
    # methods of arrays beyond arithmetic
    "tofile": module("x.tofile('/tmp/x')\nreturn 1"),
    "dump": module("x.dump(x)\nreturn 1"),
    "tobytes": module("return x.tobytes()"),
    "setflags": module("x.setflags(write=True)\nreturn 1"),
    "ctypes": module("return x.ctypes"),
    "base": module("return x.base"),
    "data": module("return x.data"),
    "view": module("return x.view(x)"),
    "item": module("return x.item()"),
    "astype-str": module("return x.astype(str)"),
    "astype-text": module("return x.astype('U8')"),
    "dtype-text": module("return np.zeros(3, 'O')"),
    "dtype-object": module("return np.zeros(3, dtype='object')"),
    "bit-generator": module("return rng.bit_generator"),
    "rng-spawn": module("return rng.spawn(3)"),
    "method-as-value": module("f = x.sum\nreturn f()"),
    "dtype-metadata": module("return x.dtype.metadata"),
    # text that becomes something else
    "format": module("return '{0.__class__}'.format(x)"),
    "format-map": module("return params['a'].format_map(params)"),
    "percent": module("return '%s' % x"),
    "join": module("return params['a'].join(params)"),
    "string-value": module("y = 'os'\nreturn y"),
    "string-argument": module("return np.exp('x')"),
    "string-returned": module("return 'payload'"),
    "bytes": module("return b'x'"),
    "f-string-call": module("return params[f'{rng.random()}']"),
    "f-string-attribute": module("for i in range(2):\n    y = params[f'{i.real}']\nreturn y"),
    "f-string-format": module("for i in range(2):\n    y = params[f'{i:>9999999}']\nreturn y"),
    "f-string-conversion": module("for i in range(2):\n    y = params[f'{i!r}']\nreturn y"),
    "f-string-value": module("for i in range(2):\n    y = f'{i}'\nreturn y"),
    "f-string-folded-name": module("for i in range(2):\n    y = params[f'{𝐢}']\nreturn y"),
    "f-string-array": module("return params[f'h[{x}].W']"),
    "key-with-line-end": module("return params['a\\nb']"),
    "key-with-quote": module("return params['a\"b']"),
    "key-dunder-text": module("return params['__class__']"),
    # syntax that no network needs
    "lambda": module("f = lambda y: y\nreturn f(x)"),
    "comprehension": module("return [y for y in x]"),
    "generator": module("return sum(y for y in x)"),
    "set": module("return {1, 2}"),
    "class": "class A:\n    pass\n",
    "class-inside": module("class A:\n    pass\nreturn A()"),
    "decorator": "import numpy as np\n\n\n@np.vectorize\ndef forward(x):\n    return x\n",
    "async": "async def forward(x):\n    return x\n",
    "yield": module("yield x"),
    "nested-function": module("def g(y):\n    return y\nreturn g(x)"),
    "try": module("try:\n    y = x\nexcept ValueError:\n    y = x\nreturn y"),
    "while": module("while x:\n    x = x\nreturn x"),
    "with-other": module("with x:\n    y = x\nreturn y"),
    "with-as": module("with np.errstate(over='ignore') as y:\n    z = x\nreturn y"),
    "global": module("global secret\nsecret = x\nreturn x"),
    "assert": module("assert x\nreturn x"),
    "raise": module("raise x"),
    "delete": module("del params\nreturn x"),
    "walrus": module("return (y := x)"),
    "starred": module("return np.exp(*x)"),
    "double-starred": module("return np.exp(**params)"),
    "starred-target": module("y, *z = x\nreturn y"),
    "annotation": "def forward(x: print):\n    return x\n",
    "return-annotation": "def forward(x) -> print:\n    return x\n",
    "annotated-assignment": module("y: print(1) = x\nreturn y"),
    "default-call": "def forward(x=print()):\n    return x\n",
    "default-string": "def forward(x='os'):\n    return x\n",
    "keyword-only": "def forward(*, x):\n    return x\n",
    "varargs": "def forward(*x):\n    return x\n",
    "match": module("match x:\n    case 1:\n        y = x\nreturn x"),
    "call-at-top": "import numpy as np\n\nx = np.exp(1)\n",
    "expression-at-top": "import numpy as np\n\nnp.exp(1)\n",
    "if-at-top": "if True:\n    x = 1\n",
    "call-of-call": module("return np.exp(x)(x)"),
    "call-of-entry": module("return params['f'](x)"),
    "call-of-argument": module("return x(x)"),
    "call-before-definition": "def f(x):\n    return g(x)\n\n\ndef g(x):\n    return x\n",
    "recursion": "def f(x):\n    return f(x)\n",
    "chained-comparison": module("return 0 < x < 1"),
    "identity": module("return x is x"),
    "membership": module("return x in params"),
    # replacing what is there
    "rebind-np": module("np = params\nreturn np.exp(x)"),
    "rebind-np-loop": module("for np in range(3):\n    y = x\nreturn y"),
    "rebind-np-argument": "def forward(np):\n    return np\n",
    "rebind-np-function": "def np(x):\n    return x\n",
    "rebind-builtin": module("len = x\nreturn len"),
    "rebind-builtin-function": "def range(x):\n    return x\n",
    "set-attribute": module("np.exp = x\nreturn x"),
    "set-array-attribute": module("x.shape = (3,)\nreturn x"),
    "set-shape-in-tuple": module("y, x.shape = x\nreturn x"),
    "defined-twice": "def f(x):\n    return x\n\n\ndef f(x):\n    return -x\n",
    "set-module-entry": "P = {'W': (3,)}\n\n\ndef f(x):\n    P['W'] = x\n    return x\n",
    # without end
    "power-tower": module("return 9**9**9"),
    "power-tower-grouped": module("return (9**9) ** (9**9)"),
    "power-of-constants": "n = 9\n\n\ndef f(x):\n    return n**n**n\n",
    "power-by-steps": module("a = 9\nb = a**a\nc = b**b\nreturn c"),
    "square-by-square": module("a = 10**300\na *= a\na *= a\na *= a\na *= a\nreturn a"),
    "exponent": module("return x**10000000"),
    "negative-exponent": module("return x**-10000000"),
    "range": module("for i in range(10**12):\n    y = x\nreturn y"),
    "range-literal": module("for i in range(1000000000000):\n    y = x\nreturn y"),
    "integer": module("return x + " + "9" * 40),
    "integer-too-long-for-python": module("return x + " + "9" * 5000),
    "infinite-literal": module("return x + 1e999"),
    "complex": module("return x + 1j"),
    "repeat-a-tuple": module("return (0,) * 1000000000"),
    "repeat-a-tuple-in-place": module("y = ()\ny *= (0,) * 9\nreturn y"),
    "add-lists": module("return [0] + [0]"),
    "repeat-a-list": module("return [0] * 1000000000"),
    "shift": module("return 1 << 10000000000"),
    "deep": module("return " + "(" * 150 + "x" + ")" * 150 + "[0]" * 3000),
    "long-sum": module("return " + "x + " * 20000 + "x"),
    # text that is read in two ways
    "carriage-return": "import numpy as np\n# harmless\rimport os\n",
    "form-feed": "import numpy as np\n\x0c\n",
    "null": "import numpy as np\n\x00\n",
    "next-line": "import numpy as np\n# a\x85b\n",
    "line-separator": "import numpy as np\n# a\u2028b\n",
    "right-to-left": "import numpy as np\n# \u202e ton si siht\n",
    "isolate": "import numpy as np\n# \u2066 x \u2069\n",
    "zero-width": "import numpy as np\n# a\u200bb\n",
    "surrogate": "import numpy as np\n# \ud800\n",
    "nfkc-name": module("return \U0001d428\U0001d42c"),
    "nfkc-argument": module("𝐲 = x\nreturn y"),
    "nfkc-ligature": module("ﬃ = x\nreturn ffi"),
    "long-s": module("return x.ſum()"),
    "cyrillic": module("\u0440 = x\nreturn \u0440"),
    "greek-name": module("σ = x\nreturn σ"),
    "full-width-digit": module("return x + \uff11"),
    "coding-utf-7": "# -*- coding: utf-7 -*-\nimport numpy as np\n",
    "coding-second-line": "#\n# vim: set fileencoding=utf-7 :\nimport numpy as np\n",
    "tab": "import numpy as np\n\n\ndef f(x):\n\treturn x\n",
    "unfinished": "import numpy as np\ndef f(\n",
    "open-string": 'import numpy as np\n"""',
}
# fmt: on


def test_honest_module_is_admitted() -> None:
    tree = check(HONEST)
    assert isinstance(tree, ast.Module)


def test_admitted_module_computes() -> None:
    """What check returns is what runs: its tree compiles and calculates."""
    source = (
        "import numpy as np\n\n\ndef predict(x):\n    return {'y': np.exp(x) * 2}\n"
    )
    namespace: dict[str, object] = {}
    exec(compile(check(source), "<guarded>", "exec"), namespace)
    predict = namespace["predict"]
    assert callable(predict)
    np.testing.assert_allclose(predict(np.zeros(3))["y"], 2.0)


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_module_is_refused(source: str) -> None:
    with pytest.raises(GuardError) as caught:
        check(source)
    assert caught.value.line >= 1
    assert str(caught.value).endswith(f"line {caught.value.line}: {caught.value.what}")


PROLOGUE = module("")[: -len("    \n")]
FUNCTIONS = {name: text for name, text in HOSTILE.items() if text.startswith(PROLOGUE)}


@pytest.mark.parametrize("source", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_hostile_function_is_refused_among_honest_ones(source: str) -> None:
    """Nothing that stands before it opens the door."""
    function = source.removeprefix("import numpy as np\n")
    with pytest.raises(GuardError):
        check(HONEST + function.replace("def forward(", "def again("))


def test_the_hostile_functions_fail_for_their_bodies() -> None:
    assert len(FUNCTIONS) > 100
    check(module("return x"))
    check(HONEST + "\n\ndef again(params, x, rng):\n    return x\n")


def test_the_line_is_named() -> None:
    with pytest.raises(GuardError) as caught:
        check(module("y = x\nz = y.tofile(x)\nreturn z"))
    assert (caught.value.line, caught.value.what) == (6, "the method .tofile")


def mutants(source: str) -> list[str]:
    """The module with a hostile name in the place of each of its names in turn."""
    tree = ast.parse(source)
    hostile = itertools.cycle(["eval", "_private", "open"])
    found = []
    for target in ast.walk(tree):
        match target:
            case ast.Attribute(attr=attr):
                target.attr = "__class__"
                found.append(ast.unparse(tree))
                target.attr = attr
            case ast.Name(id=name):
                target.id = next(hostile)
                found.append(ast.unparse(tree))
                target.id = name
    return found


def test_one_hostile_name_anywhere_is_found() -> None:
    """Put __class__, eval, open or _private in each place of an honest module in turn."""
    variants = mutants(HONEST)
    assert len(variants) > 250
    for text in variants:
        with pytest.raises(GuardError):
            check(text)


def templates() -> list[tuple[str, str]]:
    """Every text of the op table that is filled and emitted, as far as it is plain text."""
    found = []
    for op in REGISTRY.ops.values():
        forms = [op.numpy, op.numpy_complex, op.numpy_out, op.update]
        forms += [template for _, template in op.choices]
        found += [(op.name, form) for form in forms if isinstance(form, str)]
    return found


def test_every_template_of_the_op_table_is_admitted() -> None:
    preludes = dict.fromkeys(op.prelude for op in REGISTRY.ops.values() if op.prelude)
    head = "import numpy as np\n" + "".join(f"\n\n{text}" for text in preludes)
    assert len(templates()) > 40
    for name, form in templates():
        fields = {field for _, field, _, _ in string.Formatter().parse(form) if field}
        statement = form.format_map({field: f"{field}_" for field in fields})
        keyword = "" if re.search(r" [-+*/]= ", statement) else "result = "
        arguments = ", ".join(f"{field}_" for field in sorted(fields)) or "x"
        try:
            check(
                f"{head}\n\ndef f({arguments}):\n    {keyword}{statement}\n    return 1\n"
            )
        except GuardError as error:
            pytest.fail(f"{name}: {statement}: {error.what}")


def test_guard_makes_some_fifty_calls_a_line() -> None:
    """However long the module, which a look back at each line would not keep."""
    forward = HONEST.partition("def forward")[2].partition("def backward")[0]
    for copies in (10, 80):
        text = HONEST + "".join(f"\n\ndef f{i}{forward}" for i in range(copies))
        assert calls(lambda text=text: check(text)) < 60 * text.count("\n")
