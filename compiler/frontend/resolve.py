"""Names: is everything defined where it is used, once, and in its place?

In comes the AST of the root file, out comes a `Resolved`: the modules behind its `use`
lines, the constants with the command line's overrides, the checked settings, and the
certainty that every name in every body, called or not, stands for something. Whether shapes
fit, and whether a name was continued or replaced, is lowering's to say: that takes the DAG.

Two worlds: values (and sizes), and functions. In `f(…)`, `f` is looked up among functions
(and the arguments of the `fn` around it); elsewhere among values, then functions.

    >>> from .parser import parse
    >>> tree = parse(Source.from_text("a.net", "const n = 2\\ninput x: [N, n]\\noutput y = x^2"))
    >>> resolved = resolve(tree)
    >>> resolved.root.constants["n"].value
    2
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, Protocol

from gradc.records import record

from ..errors import names
from ..errors.form import Diagnostic, Reporter, did_you_mean
from ..source import Span
from . import ast
from .check import Check
from .constants import parse_override
from .includes import Loader
from .modules import Module, Value, standard_library
from .scan import Limits
from .settings import Settings


class ResolveOptions(Protocol):
    """What `resolve` reads of the options of a compilation."""

    @property
    def overrides(self) -> Mapping[str, str]: ...
    @property
    def include_dirs(self) -> tuple[Path, ...]: ...
    @property
    def folder(self) -> Path | None: ...
    @property
    def limits(self) -> Limits: ...


@record
class Plain:
    """Options by default, for tests and for texts that are no files."""

    overrides: Mapping[str, str] = field(default_factory=dict)
    include_dirs: tuple[Path, ...] = ()
    folder: Path | None = None
    limits: Limits = field(default_factory=Limits)


@record
class Resolved:
    """A program whose names are checked.

    `root.find(name)` is what a call means at top level; a function found is to be read in
    its own `module`. `train` has the keys that the program or the command line gives.
    """

    program: ast.Program
    root: Module
    modules: tuple[Module, ...]
    std: Module
    train: dict[str, Any]
    reporter: Reporter
    overrides: dict[str, str]
    sha256: str

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """Warnings and notes, those of later stages that share the reporter included."""
        return tuple(self.reporter.warnings)


def resolve(
    program: ast.Program,
    options: ResolveOptions | None = None,
    reporter: Reporter | None = None,
) -> Resolved:
    """Check all names of a program; raise `CompileError` if some are wrong."""
    options = options or Plain()
    reporter = reporter or Reporter()
    folder = options.folder.resolve() if options.folder is not None else None
    loader = Loader(folder, options.include_dirs, options.limits, reporter)
    loader.total = len(program.source.text)
    root = Module(program.source.name, program.source, program)
    if folder is not None:
        root.path = folder / Path(program.source.name).name
        loader.chain.append((root.path.resolve(), program.source.name))
    constants = {
        name: text
        for name, text in options.overrides.items()
        if name != "train" and not name.startswith("train.")
    }
    check = Check(root, loader, reporter, constants)
    check.program()
    _unknown_overrides(root, constants, reporter)
    train = _settings(program, check, options, reporter)
    reporter.raise_if_errors()
    modules = (root, *loader.modules.values())
    return Resolved(
        program,
        root,
        modules,
        standard_library(),
        train,
        reporter,
        dict(options.overrides),
        _digest(modules, options.overrides),
    )


def _digest(modules: Iterable[Module], overrides: Mapping[str, str]) -> str:
    """A digest of all texts and constants: what the program means depends on. How it is
    trained is another matter."""
    digest = hashlib.sha256()
    for module in modules:
        assert module.source is not None
        text = module.source.text.encode("utf-8", "surrogatepass")
        digest.update(f"{module.name}\0{len(text)}\0".encode())
        digest.update(text)
    for name in sorted(n for n in overrides if not n.startswith("train.")):
        digest.update(f"\0{name}={overrides[name]}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _unknown_overrides(
    root: Module, overrides: Mapping[str, str], reporter: Reporter
) -> None:
    for name, text in overrides.items():
        if name in root.constants:
            continue
        shown = [
            f"{constant.name} = {_shown(constant.value)} (line {constant.line})"
            for constant in root.constants.values()
        ]
        candidates = [*root.constants, "train"]
        meant = did_you_mean(name, candidates) or ""
        reporter.report(names.unknown_const(name, text, root.name, shown, meant))


def _shown(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:.12g}"


def _settings(
    program: ast.Program, check: Check, options: ResolveOptions, reporter: Reporter
) -> dict[str, Any]:
    def lookup(name: str) -> Value | None:
        constant = check.module.constant(name)
        return constant.value if constant is not None else None

    settings = Settings(
        reporter,
        lookup,
        tuple(check.inputs),
        tuple(check.uses.sizes),
    )
    span: Span | None = None
    for statement in program.statements:
        if isinstance(statement, ast.Train):
            if span is not None:
                reporter.report(names.second_train(statement.span, span.line))
                continue
            span = statement.span
            for setting in statement.settings:
                settings.take(setting)
    for name, text in options.overrides.items():
        if name == "train" or name.startswith("train."):
            value = parse_override(name, text, options.limits, reporter)
            if value is not None:
                settings.override(name[6:], text, value)
    return settings.finish(span)
