"""Long lines against black itself, on random statements of the Python that is emitted."""

from __future__ import annotations

import random

import black
import pytest

from gradc.compiler.backend.layout import broken
from gradc.compiler.backend.pyast import WIDTH

SIGNS = ("+", "-", "*", "/", "@", "&", "<=", "**", "%", "==")


class Speaker:
    """Draws source in one line, as black would have it if lines had no end."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)

    def name(self) -> str:
        return "".join(self.draw.choices("abcdexyz_", k=self.draw.randint(1, 14))) + "n"

    def expression(self, depth: int) -> str:
        if depth <= 0:
            return self.draw.choice([self.name(), "0", "1.5e-05", '"h.W"', "None"])
        deeper = depth - self.draw.randint(1, 2)
        match self.draw.randint(0, 9):
            case 0 | 1 | 2:
                sign = self.draw.choice(SIGNS)
                left, right = self.expression(deeper), self.expression(deeper)
                return (
                    f"({left}) {sign} {right}"
                    if self.half()
                    else f"{left} {sign} ({right})"
                )
            case 3 | 4:
                return f"np.{self.name()}({self.arguments(deeper)})"
            case 5:
                return f"{self.name()}.{self.name()}({self.arguments(deeper)})"
            case 6:
                chain = f"{self.name()}[{self.expression(0)}, :]"
                for _ in range(self.draw.randint(1, 3)):
                    chain += f".{self.name()}({self.arguments(deeper)})"
                return chain + (".T" if self.half() else "")
            case 7:
                return f"({self.expression(deeper)}, {self.expression(deeper)})"
            case 8:
                return f"-{self.name()}"
            case _:
                sign = self.draw.choice(SIGNS[:5])
                parts = [self.expression(0) for _ in range(self.draw.randint(2, 6))]
                return f" {sign} ".join(parts)

    def half(self) -> bool:
        return self.draw.random() < 0.5

    def arguments(self, depth: int) -> str:
        found = [self.expression(depth) for _ in range(self.draw.randint(0, 4))]
        if self.half():
            found.append(f"out={self.name()}")
        return ", ".join(found)

    def statement(self) -> str:
        depth = self.draw.randint(1, 5)
        value = self.expression(depth)
        names = ", ".join(self.name() for _ in range(self.draw.randint(2, 9)))
        match self.draw.randint(0, 9):
            case 0:
                return f"{self.name()}[{self.expression(1)}] = {value}"
            case 1:
                return f"{self.name()} += {value}"
            case 2:
                return f"return {value}"
            case 3:
                return f"return {self.name()}, ({names})"
            case 4:
                return f"{names} = {self.name()}"
            case 5:
                return f"for {names} in zip({self.arguments(depth)}):\n    pass"
            case 6:
                return f"np.{self.name()}({self.arguments(depth)})"
            case 7:
                return f"{names} = {names}"
        return f"{self.name()} = {value}"


@pytest.mark.parametrize("seed", range(3))
def test_lines_are_broken_as_black_breaks_them(seed: int) -> None:
    speaker, compared = Speaker(seed), 0
    wide, narrow = black.Mode(line_length=10_000), black.Mode()
    for _ in range(120):
        text = f"def {speaker.name()}(x):\n    {speaker.statement()}\n".replace(
            "\n    pass", "\n        pass"
        )
        one = black.format_str(text, mode=wide)
        if len(one.split("\n")[1]) <= WIDTH:
            continue
        compared += 1
        assert broken(one) == black.format_str(one, mode=narrow)
    assert compared >= 40


def test_heads_entries_and_what_stays() -> None:
    names = [f"argument_{i}" for i in range(12)]
    text = (
        f"def forward({', '.join(names)}):\n"
        '    """A docstring, (of a line that is long enough to be broken, if it were not one '
        'of words."""\n'
        f"    # A comment (that is long: {', '.join(names)}\n"
        "    table = {\n"
        f'        "{"a" * 90}": {names[0]},\n'
        f'        "W": (np.float64({" * ".join(names[:4])}), {" + ".join(names[4:])}),\n'
        "    }\n"
        f"    return {' @ '.join(names)}\n"
    )
    assert broken(text) == black.format_str(text, mode=black.Mode())


def preludes() -> list[str]:
    """Functions that the emitters write as they stand."""
    from gradc.compiler.backend.fast import gathers, windows
    from gradc.compiler.ir.op import REGISTRY

    found = [p for op in REGISTRY.ops.values() for p in (op.prelude, op.prelude_out)]
    for module in (gathers, windows):
        found += [t for t in vars(module).values() if isinstance(t, str)]
    return [text for text in found if text and text.startswith("def ")]


def test_fixed_functions_are_in_blacks_form() -> None:
    assert len(preludes()) > 8
    for text in preludes():
        assert black.format_str(text, mode=black.Mode()) == text
