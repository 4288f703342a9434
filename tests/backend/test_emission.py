"""The emitted source: right, readable in black's layout, in one precision, deterministic."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from decimal import Decimal, getcontext
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import black
import numpy as np
import pytest
from backend.executing import Emitted, joint_of
from backend.programs import PROGRAMS, READ

from gradc.compiler import Source, compile_source

HERE = Path(__file__).parent
LEVELS = (0, 1)
cases = pytest.mark.parametrize("name", PROGRAMS)
levels = pytest.mark.parametrize("level", LEVELS)


@cache
def emitted(name: str, level: int) -> Emitted:
    return Emitted(joint_of(PROGRAMS[name]), level)


@levels
@cases
def test_agrees_with_the_reference_and_the_complex_step(name: str, level: int) -> None:
    emitted(name, level).agrees()


@levels
@cases
def test_is_left_unchanged_by_black(name: str, level: int) -> None:
    text = emitted(name, level).text
    assert black.format_str(text, mode=black.Mode()) == text


@levels
@cases
def test_stays_in_single_precision(name: str, level: int) -> None:
    emitted(name, level).stays_single()


@levels
@cases
def test_has_no_name_that_nobody_reads(name: str, level: int) -> None:
    tree = ast.parse(emitted(name, level).text)
    for function in tree.body:
        if not isinstance(function, ast.FunctionDef):
            continue
        names = [n for n in ast.walk(function) if isinstance(n, ast.Name)]
        read = {n.id for n in names if isinstance(n.ctx, ast.Load)}
        written = {n.id for n in names if isinstance(n.ctx, ast.Store)}
        arguments = {a.arg for a in function.args.args} - {"params", "rng"}
        unread = (written | arguments) - read - {"d_loss"}
        assert not unread, f"{function.name}: {sorted(unread)}"


@levels
@cases
def test_imports_numpy_alone(name: str, level: int) -> None:
    tree = ast.parse(emitted(name, level).text)
    found = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(n) for n in found] == ["import numpy as np"]


@pytest.mark.parametrize("name", READ)
def test_reads_as_before(name: str, golden: Callable[[Path, str], None]) -> None:
    golden(HERE / "golden" / f"{name}.py.txt", emitted(name, 1).text)


def test_bytes_do_not_depend_on_the_hash_seed() -> None:
    """Sets of strings are iterated in another order by every process; not in the output."""
    program = (
        "from backend.programs import PROGRAMS\n"
        "from gradc.compiler import Options, Source, compile_file, compile_source\n"
        "for level in 0, 1, 2:\n"
        "    given = Options(level=level)\n"
        "    print(compile_file('examples/digits/digits.net', given).source)\n"
        "    for name in 'residual', 'repeat_of_two', 'attention':\n"
        "        source = Source.from_text(name, PROGRAMS[name])\n"
        "        print(compile_source(source, given).source)\n"
    )
    root = HERE.parent.parent
    found = set()
    for seed in ("0", "1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": f"{root}/tests"}
        run = subprocess.run(
            [sys.executable, "-c", program],
            cwd=root,
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
        found.add(run.stdout)
    assert len(found) == 1 and run.stdout.count("\ndef backward(") == 12


def test_parameters_are_the_shapes_that_init_makes() -> None:
    for name in PROGRAMS:
        module = emitted(name, 1).module
        if "init" not in module:
            continue
        code = module["init"].__code__
        sizes = code.co_varnames[1 : code.co_argcount]
        at = dict.fromkeys(sizes, 5)
        made = module["init"](np.random.default_rng(0), *at.values())
        assert list(made) == list(module["PARAMETERS"])
        for path, shape in module["PARAMETERS"].items():
            wanted = tuple(eval(d, {}, at) if isinstance(d, str) else d for d in shape)
            assert made[path].shape == wanted, (name, path)


# ------------------------------------------------------------------ other arithmetic
def over(table: dict[str, Any], make: Callable[[float], Any]) -> dict[str, Any]:
    return {
        k: (
            np.array([make(float(x)) for x in v.ravel()], dtype=object).reshape(v.shape)
            if v.dtype == float
            else v
        )
        for k, v in table.items()
    }


class Exact:
    """A number of 50 digits: what the source must be satisfied with of an element."""

    def __init__(self, value: Any) -> None:
        match value:
            case Exact():
                self.value = value.value
            case bool() | np.bool_() | np.integer():
                self.value = Decimal(int(value))
            case _:
                self.value = Decimal(value)

    def exp(self) -> Exact:
        return Exact(self.value.exp())

    def log(self) -> Exact:
        return Exact(self.value.ln())

    def tanh(self) -> Exact:
        twice = (2 * self.value).exp()
        return Exact((twice - 1) / (twice + 1))

    def __neg__(self) -> Exact:
        return Exact(-self.value)

    def __float__(self) -> float:
        raise TypeError("the source asked for a float")

    def __lt__(self, other: Any) -> bool:
        return self.value < Exact(other).value

    def __le__(self, other: Any) -> bool:
        return self.value <= Exact(other).value

    def __gt__(self, other: Any) -> bool:
        return self.value > Exact(other).value

    def __ge__(self, other: Any) -> bool:
        return self.value >= Exact(other).value


def _arithmetic() -> None:
    for word in ("add", "sub", "mul", "truediv", "pow"):

        def plain(self: Exact, other: Any, word: str = word) -> Any:
            if isinstance(other, np.ndarray):
                return NotImplemented
            return Exact(getattr(self.value, f"__{word}__")(Exact(other).value))

        def turned(self: Exact, other: Any, word: str = word) -> Any:
            return Exact(getattr(Exact(other).value, f"__{word}__")(self.value))

        setattr(Exact, f"__{word}__", plain)
        setattr(Exact, f"__r{word}__", turned)


_arithmetic()


@pytest.mark.parametrize("name", ("mlp", "decay", "residual"))
def test_runs_on_numbers_of_fifty_digits(name: str) -> None:
    getcontext().prec = 50
    m = emitted(name, 1)
    loss, saved = m.call("forward", over(m.params, Exact), over(m.inputs, Exact))
    plain, _ = m.call("forward")
    assert abs(float(loss.value) - plain) < 1e-13
    exact = m.module["backward"](saved)
    near = m.module["backward"](m.call("forward")[1])
    for path, g in near.items():
        for a, b in zip(np.ravel(exact[path]), np.ravel(g), strict=True):
            assert abs(float(a.value) - b) < 1e-12


def test_runs_on_fractions() -> None:
    """A polynomial program is proved exactly: no rounding at all."""
    m = Emitted(
        joint_of(
            "input x: [N, 3]\ninput y: [N]\nparam w: [3] = 1\nparam b = 0\n"
            "p = x @ w + b\nloss = mean((p - y)^2)\n"
        )
    )
    half = over(m.params, lambda v: Fraction(v).limit_denominator(50))
    data = over(m.inputs, lambda v: Fraction(v).limit_denominator(50))
    loss, saved = m.call("forward", half, data)
    g = m.module["backward"](saved, Fraction(1))
    step = Fraction(1, 7)
    for sign in (1, -1):
        moved = {k: v.copy() for k, v in half.items()}
        moved["w"][1] += sign * step
        there, _ = m.call("forward", moved, data)
        second = sum(row[1] ** 2 for row in data["x"]) / len(data["x"])
        assert there == loss + sign * step * g["w"][1] + step**2 * second


def test_an_infinite_slope_under_a_mask_is_no_nan() -> None:
    m = emitted("masks", 1)
    inputs = {k: v.copy() for k, v in m.inputs.items()}
    inputs["x"][0] = 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loss, saved = m.call("forward", inputs=inputs)
        assert np.isfinite(loss)
        for path, g in m.module["backward"](saved).items():
            assert np.all(np.isfinite(g)), path


def test_numbers_alone_need_no_array_to_take_a_type_from() -> None:
    text = (
        "const h = 0.5\nconst n = 4\noutput y = sin(h) + n\n"
        "output q = one_hot(2, n)\noutput v = [1, 2] * h\n"
    )
    compiled = compile_source(Source.from_text("numbers.net", text))
    module = Emitted.load(compiled.source)
    made = module["predict"]()
    assert made["y"] == np.sin(0.5) + 4
    assert made["q"].tolist() == [0, 0, 1, 0] and made["v"].tolist() == [0.5, 1]


@levels
@cases
def test_an_adjoint_is_called_after_an_input_only_where_it_is_its(
    name: str, level: int
) -> None:
    """A broadcast or reshaped parameter is nobody's value: no `d_x` for it."""
    module = emitted(name, level)
    inputs = {f"d_{i.name}" for i in module.joint.program.inputs}
    inputs -= {f"d_{b.name}" for b in module.joint.program.training.bindings}
    tree = ast.parse(module.text)
    written = {
        n.id
        for function in tree.body
        if isinstance(function, ast.FunctionDef) and function.name == "backward"
        for n in ast.walk(function)
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    assert not written & inputs


def test_one_entry_along_an_axis_is_an_index() -> None:
    """Not a slice of one element, out of which its axis is taken."""
    text = """
    input x: [N, 4]
    output second = 2 * x[:, 1]
    output last = 2 * x[-1]
    output inner = 2 * x[1:, 2]
    output corner = 2 * x[0, -1]
    """
    source = compile_source(Source.from_text("entries.net", text)).source
    for written in ("x[:, 1]", "x[-1]", "x[1:, 2]", "x[0, 3]"):
        assert written in source
    module: dict[str, Any] = {}
    exec(source, module)
    x = np.arange(12.0).reshape(3, 4)
    found = module["predict"](x)
    assert found["second"].tolist() == (2 * x[:, 1]).tolist()
    assert found["last"].tolist() == (2 * x[-1]).tolist()
    assert found["inner"].tolist() == (2 * x[1:, 2]).tolist()
    assert found["corner"] == 2 * x[0, 3]
