"""`train { }` and `--set train.…` to the settings that the runtime is given.

In come `Setting` nodes and overrides, out comes a dict of plain values with the keys that the
program gives and no others: defaults are the runtime's. Names, types and ranges are checked
here, so that training never fails for a word in the file. The command line wins over the file,
reaches inside (`--set train.optimizer.lr=0.1`) and has the same grammar.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from pathlib import PurePosixPath
from typing import Any

from gradc.records import record

from ..errors import settings as prose
from ..errors.form import Reporter, did_you_mean
from ..source import Span
from . import ast
from .constants import NotConstant, evaluate
from .modules import Value
from .signatures import OPTIMIZERS, RANGES, SCHEDULES, Optimizer

KEYS = (
    "accumulate batch clip data dtype ema epochs min_delta missing optimizer patience scale "
    "schedule seed steps valid window"
).split()
"""All keys, in the order in which messages show them."""

DTYPES = ("float32", "float64")
MISSING = ("drop", "mean")
SCALES = ("standard", "unit")

_CALLS = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES}
_ARTICLES = {"optimizer": "an", "schedule": "a"}
_TARGETS = {"batch": "size", "data": "input", "scale": "input", "window": "size"}


@record(frozen=False)
class Settings:
    """Checks settings one by one and collects their values."""

    reporter: Reporter
    lookup: Callable[[str], Value | None]
    inputs: tuple[str, ...]
    sizes: tuple[str, ...]
    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[tuple[str, str | None], int] = field(default_factory=dict)

    def take(self, setting: ast.Setting) -> None:
        """Check one setting of the file."""
        key = setting.key.text
        target = setting.target.text if setting.target is not None else None
        if key not in KEYS:
            meant = did_you_mean(key, KEYS) or ""
            self.reporter.report(
                prose.unknown_setting(setting.key.span, "", KEYS, meant)
            )
            return
        place = (key, target)
        if place in self.lines:
            shown = key if target is None else f"{key} {target}"
            self.reporter.report(
                prose.repeated_setting(setting.key.span, shown, self.lines[place])
            )
            return
        self.lines[place] = setting.span.line
        One(self, key, target, setting.value, "", setting).check()

    def override(self, path: str, text: str, value: ast.Expr) -> None:
        """Check `--set train.path=text`."""
        option = f"--set train.{path}={text}"
        key, _, rest = path.partition(".")
        if key not in KEYS:
            meant = did_you_mean(key, KEYS) or ""
            self.reporter.report(prose.unknown_setting(None, option, KEYS, meant))
            return
        if key in _CALLS and rest:
            One(self, key, None, value, option).argument(rest)
            return
        One(self, key, rest or None, value, option).check()

    def finish(self, span: Span | None) -> dict[str, Any]:
        """Return the values, after the checks that look at several."""
        if "steps" in self.values and "epochs" in self.values:
            self.reporter.report(prose.steps_and_epochs(span, "--set train"))
        return {key: self.values[key] for key in KEYS if key in self.values}

    def end(self, key: str) -> None:
        """`steps` on the command line replaces `epochs` of the file, and vice versa."""
        self.values.pop({"steps": "epochs", "epochs": "steps"}[key], None)

    def put(self, key: str, target: str | None, value: Any) -> None:
        """Set the value for one target; a later one of the same target replaces it."""
        entries = [entry for entry in self.values.get(key, []) if entry[0] != target]
        self.values[key] = [*entries, [target, value]]


@record(frozen=False)
class One:
    """One setting while it is checked: `option` is "" in a file."""

    all: Settings
    key: str
    target: str | None
    value: ast.Expr
    option: str
    node: ast.Setting | None = None

    @property
    def span(self) -> Span | None:
        return None if self.option else self.value.span

    def at(self, node: ast.Node) -> Span | None:
        """The place of a part of the value; a command line has none."""
        return None if self.option else node.span

    def check(self) -> None:
        """Check target and value by the key."""
        if not self._target():
            return
        match self.key:
            case "epochs" | "steps":
                number = self._whole(1)
                if number is not None:
                    if self.option:
                        self.all.end(self.key)
                    self.all.values[self.key] = number
            case "seed":
                number = self._whole(0)
                if number is not None:
                    self.all.values["seed"] = number
            case "accumulate" | "patience":
                number = self._whole(1)
                if number is not None:
                    self.all.values[self.key] = number
            case "ema" | "min_delta":
                self._share()
            case "batch" | "window":
                number = self._whole(1)
                if number is not None:
                    self.all.put(self.key, self.target, number)
            case "dtype":
                self._word(DTYPES)
            case "missing":
                self._word(MISSING)
            case "scale":
                self._word(SCALES)
            case "clip":
                self._clip()
            case "valid":
                self._valid()
            case "data":
                self._data()
            case "optimizer" | "schedule":
                self._call()

    # ------------------------------------------------------------------------ parts

    def _target(self) -> bool:
        kind = _TARGETS.get(self.key)
        place = self.span
        if self.node is not None and self.node.target is not None:
            place = self.node.target.span
        if kind is None:
            if self.target is not None:
                form = f"{self.key} = …"
                self.all.reporter.report(
                    prose.setting_target(place, self.option, self.key, form)
                )
                return False
            return True
        if self.target is None:
            if self.key == "window":
                if self.node is not None:
                    place = self.node.key.span
                self.all.reporter.report(
                    prose.setting_without_target(
                        place, self.option, "window", "window T = 64"
                    )
                )
                return False
            return True
        known = self.all.inputs if kind == "input" else self.all.sizes
        if self.target not in known:
            meant = did_you_mean(self.target, known) or ""
            self.all.reporter.report(
                prose.unknown_target(
                    place, self.option, self.key, self.target, kind, meant
                )
            )
            return False
        return True

    def _number(self, expr: ast.Expr) -> Value | None:
        """The value of a constant expression; reports and returns None if it is none."""
        try:
            return evaluate(expr, self.all.lookup)
        except NotConstant as error:
            if self.option:
                self._wrong("a number")
            else:
                self.all.reporter.report(error.diagnostic)
            return None

    def _whole(self, least: int) -> int | None:
        value = self._number(self.value)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            self._wrong("a whole number")
            return None
        if value < least or value >= 1 << 63:
            wanted = f"at least {least}" if value < least else "below 2^63"
            self.all.reporter.report(
                prose.setting_range(self.span, self.option, f"`{self.key}`", wanted)
            )
            return None
        return value

    def _wrong(self, wanted: str) -> None:
        self.all.reporter.report(
            prose.setting_value(
                self.span, self.option, self.key, wanted, _EXAMPLES[self.key]
            )
        )

    def _word(self, words: tuple[str, ...]) -> None:
        given = self.value.text if isinstance(self.value, ast.Name) else ""
        if given not in words:
            meant = did_you_mean(given, words) or ""
            self.all.reporter.report(
                prose.setting_word(self.span, self.option, self.key, words, meant)
            )
        elif self.key == "scale":
            self.all.put("scale", self.target, given)
        else:
            self.all.values[self.key] = given

    def _positive(self, expr: ast.Expr) -> float | None:
        value = self._number(expr)
        if value is None:
            return None
        if isinstance(value, bool):
            self._wrong("a number")
            return None
        if not 0 < value < float("inf"):
            self.all.reporter.report(
                prose.setting_range(
                    self.at(expr), self.option, f"`{self.key}`", "positive and finite"
                )
            )
            return None
        return float(value)

    def _share(self) -> None:
        """A number from 0: `ema` below 1."""
        value = self._number(self.value)
        if value is None:
            return
        high = 1.0 if self.key == "ema" else float("inf")
        if isinstance(value, bool):
            self._wrong("a number")
        elif not 0 <= value < high:
            wanted = "at least 0 and below 1" if high == 1 else "at least 0, and finite"
            self.all.reporter.report(
                prose.setting_range(self.span, self.option, f"`{self.key}`", wanted)
            )
        else:
            self.all.values[self.key] = float(value)

    def _clip(self) -> None:
        match self.value:
            case ast.Call(
                name=ast.Name(text="norm" | "value" as way),
                args=(ast.Arg(name=None, value=inner),),
            ):
                bound = self._positive(inner)
            case ast.Call():
                self._wrong("a number, `norm(c)` or `value(c)`")
                return
            case _:
                way, bound = "norm", self._positive(self.value)
        if bound is not None:
            self.all.values["clip"] = {way: bound}

    def _valid(self) -> None:
        if isinstance(self.value, ast.String):
            source = self._path(self.value)
            if source is not None and source["entry"] is not None:
                self._wrong("a share of the rows, or a file in quotes")
            elif source is not None:
                self.all.values["valid"] = {"path": source["path"]}
            return
        share = self._positive(self.value)
        if share is None:
            return
        if share >= 1:
            self.all.reporter.report(
                prose.setting_range(
                    self.span, self.option, "`valid`", "between 0 and 1, or a file"
                )
            )
            return
        self.all.values["valid"] = share

    def _data(self) -> None:
        match self.value:
            case ast.String():
                source = self._path(self.value)
                if source is not None:
                    self.all.put("data", self.target, source)
            case ast.Call(
                name=ast.Name(text="next"),
                args=(ast.Arg(name=None, value=ast.Name(text=other) as name),),
            ) if (
                self.target is not None
            ):
                if other not in self.all.inputs or other == self.target:
                    known = [n for n in self.all.inputs if n != self.target]
                    meant = did_you_mean(other, known) or ""
                    self.all.reporter.report(
                        prose.unknown_target(
                            self.at(name), self.option, "next", other, "input", meant
                        )
                    )
                    return
                self.all.put("data", self.target, {"next": other})
            case ast.Call():
                self._wrong("a file in quotes, a number, or `next(input)`")
            case _ if self.target is None:
                self._wrong("a file in quotes")
            case _:
                value = self._number(self.value)
                if value is not None:
                    self.all.put("data", self.target, {"value": value})

    def _path(self, string: ast.String) -> dict[str, Any] | None:
        path, colon, entry = string.value.partition(":")
        parts = PurePosixPath(path)
        if not path or (colon and not entry):
            self._wrong("a file in quotes, with `:entry` behind it if need be")
            return None
        # What the command line names is the user's own choice: any path.
        if not self.option and (
            parts.is_absolute() or ".." in parts.parts or path.startswith("~")
        ):
            self.all.reporter.report(prose.data_outside(string.span, path))
            return None
        return {"path": path, "entry": entry or None}

    # ------------------------------------------------------- optimizers and schedules

    def _call(self) -> None:
        match self.value:
            case ast.Call(name=name, args=args):
                pass
            case ast.Name() as name:
                args = ()
            case _:
                self._wrong(f"{_ARTICLES[self.key]} {self.key}")
                return
        table = _CALLS[self.key]
        called = table.get(name.text)
        if called is None:
            meant = did_you_mean(name.text, table) or ""
            self.all.reporter.report(
                prose.unknown_call(
                    self.at(name), self.option, self.key, name.text, list(table), meant
                )
            )
            return
        given: dict[str, Any] = {}
        for arg in args:
            if arg.name is None or arg.name.text in given:
                self.all.reporter.report(
                    prose.call_form(
                        self.at(arg), self.option, self.key, called.name, called.text
                    )
                )
                continue
            value = self._argument(called, arg.name, arg.value)
            if value is not None:
                given[arg.name.text] = value
        self.all.values[self.key] = {
            "name": called.name,
            "args": given,
            "line": 0 if self.option else self.value.span.line,
        }

    def _argument(
        self, optimizer: Optimizer, name: ast.Name, expr: ast.Expr
    ) -> Value | str | list[int] | None:
        defaults = dict(optimizer.args)
        if name.text not in defaults:
            meant = did_you_mean(name.text, defaults) or ""
            self.all.reporter.report(
                prose.call_argument(
                    self.at(name),
                    self.option,
                    self.key,
                    optimizer.name,
                    name.text,
                    optimizer.text,
                    meant,
                )
            )
            return None
        what = f"`{name.text}` of `{optimizer.name}`"
        match defaults[name.text]:
            case str():
                if isinstance(expr, ast.String) and expr.value.strip():
                    return expr.value
                self._unfit(expr, what, 'a pattern of paths: "*.W"')
                return None
            case tuple():
                return self._milestones(expr, what)
        value = self._number(expr)
        if value is None:
            return None
        if isinstance(defaults[name.text], bool) or isinstance(value, bool):
            if type(value) is type(defaults[name.text]):
                return value
            wanted = (
                "`true` or `false`"
                if isinstance(defaults[name.text], bool)
                else "a number"
            )
            self.all.reporter.report(
                prose.setting_range(self.at(expr), self.option, what, wanted)
            )
            return None
        whole = isinstance(defaults[name.text], int)
        if whole and not isinstance(value, int):
            self.all.reporter.report(
                prose.setting_range(self.at(expr), self.option, what, "a whole number")
            )
            return None
        low, high = RANGES[name.text]
        fits = low <= value < (high if high is not None else float("inf"))
        if not fits:
            wanted = f"at least {low:g}"
            wanted += f" and below {high:g}" if high is not None else ", and finite"
            self.all.reporter.report(
                prose.setting_range(self.at(expr), self.option, what, wanted)
            )
            return None
        return value if whole else float(value)

    def _unfit(self, expr: ast.Expr, what: str, wanted: str) -> None:
        self.all.reporter.report(
            prose.setting_range(self.at(expr), self.option, what, wanted)
        )

    def _milestones(self, expr: ast.Expr, what: str) -> list[int] | None:
        """A list of steps, each later than the one before."""
        wanted = "a list of steps that grow: [1000, 2000]"
        if not isinstance(expr, ast.Array) or not expr.items:
            self._unfit(expr, what, wanted)
            return None
        steps: list[int] = []
        for item in expr.items:
            value = self._number(item)
            if value is None:
                return None
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not whole or not (steps[-1] if steps else 0) < value < 1 << 63:
                self._unfit(item, what, wanted)
                return None
            steps.append(int(value))
        return steps

    def argument(self, name: str) -> None:
        """Check `--set train.optimizer.name=…`: one argument of what the file chose."""
        default = {"optimizer": "adam", "schedule": "constant"}[self.key]
        chosen = self.all.values.setdefault(
            self.key, {"name": default, "args": {}, "line": 0}
        )
        optimizer = _CALLS[self.key][chosen["name"]]
        value = self._argument(
            optimizer, ast.Name(name, span=self.value.span), self.value
        )
        if value is not None:
            chosen["args"] = {**chosen["args"], name: value}


_EXAMPLES = {
    "accumulate": "accumulate = 4",
    "batch": "batch = 64",
    "clip": "clip = 5.0",
    "data": 'data = "train.csv"',
    "ema": "ema = 0.999",
    "epochs": "epochs = 20",
    "min_delta": "min_delta = 1e-4",
    "optimizer": "optimizer = adam(lr = 1e-3)",
    "patience": "patience = 10",
    "schedule": "schedule = cosine(warmup = 100, min = 1e-4)",
    "seed": "seed = 1",
    "steps": "steps = 5000",
    "valid": "valid = 0.2",
    "window": "window T = 64",
}
