"""Who may import whom. The files are read with `ast`; nothing is executed.

The rules are those that let an emitted file train with the compiler absent, the compiler run
with NumPy absent, and a reader take the stages one at a time.
"""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TREES = {"gradc.compiler": ROOT / "compiler", "gradc": ROOT / "runtime"}
VAGUE = {"utils", "util", "helpers", "helper", "common", "base", "core", "misc"}
# What the runtime may load beside NumPy and the standard library, where it is installed.
EXTRAS = {"pyarrow", "rich", "scipy", "threadpoolctl"}


def module_name(path: Path) -> str:
    """`gradc.compiler.ir.node` for compiler/ir/node.py."""
    for package, folder in TREES.items():
        if path.is_relative_to(folder):
            parts = list(path.relative_to(folder).with_suffix("").parts)
            if parts[-1] == "__init__":
                parts.pop()
            return ".".join([package, *parts])
    raise ValueError(path)


FILES = {
    module_name(path): path
    for folder in TREES.values()
    for path in sorted(folder.rglob("*.py"))
}


def resolved(module: str, statement: ast.stmt) -> list[tuple[str, bool]]:
    """The modules that an import statement names, and whether it is relative."""
    if isinstance(statement, ast.Import):
        return [(alias.name, False) for alias in statement.names]
    if not isinstance(statement, ast.ImportFrom):
        return []
    origin = statement.module or ""
    if statement.level:
        package = module.split(".")
        if FILES[module].name != "__init__.py":
            package = package[:-1]
        package = package[: len(package) - statement.level + 1]
        origin = ".".join([*package, origin] if origin else package)
    found = []
    for alias in statement.names:
        inner = f"{origin}.{alias.name}"
        found.append((inner if inner in FILES else origin, bool(statement.level)))
    return found


STATEMENTS = (ast.stmt, ast.excepthandler, ast.match_case)


@cache
def statements(module: str) -> list[tuple[ast.stmt, bool]]:
    """All statements of a module, at any depth; whether only the type checker reads them."""
    found: list[tuple[ast.stmt, bool]] = []
    left: list[tuple[ast.AST, bool]] = [
        (ast.parse(FILES[module].read_text(encoding="utf-8")), False)
    ]
    while left:
        node, typing = left.pop()
        if isinstance(node, ast.stmt):
            found.append((node, typing))
        body = []
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), body=body):
                pass
        left += [
            (child, typing or child in body)
            for child in ast.iter_child_nodes(node)
            if isinstance(child, STATEMENTS)
        ]
    return found


def imports(module: str, types: bool = True) -> list[tuple[int, str, bool]]:
    """Line, name and relativity of everything that a module imports, at any depth.

    Without `types`, what stands under `if TYPE_CHECKING:` is left out.
    """
    return [
        (node.lineno, name, relative)
        for node, typing in statements(module)
        if types or not typing
        for name, relative in resolved(module, node)
    ]


def below(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def is_compiler(name: str) -> bool:
    return below(name, "gradc.compiler")


def is_runtime(name: str) -> bool:
    return below(name, "gradc") and not is_compiler(name)


# How data classes are declared, in both halves: it knows neither of them.
SHARED = "gradc.records"


def may_meet_both(name: str) -> bool:
    """The command line and the face in Python, where the two halves meet."""
    return name == "gradc" or below(name, "gradc.cli")


def stage(name: str) -> str:
    """`autodiff` for gradc.compiler.autodiff.reverse."""
    parts = name.split(".")
    return parts[2] if is_compiler(name) and len(parts) > 2 else ""


def may_explain(module: str) -> bool:
    """The package itself, and the driver, which hands it what the stages made."""
    return stage(module) == "explain" or module == "gradc.compiler.driver"


FORBIDDEN_AMONG_STAGES = {
    "ir": {"ops", "frontend", "lowering", "autodiff", "passes", "backend"},
    # The derivative of a loop is that of its body: ops/loops runs the same sweep on it.
    "ops": {"frontend", "lowering", "passes", "backend"},
    "autodiff": {"frontend", "lowering", "passes", "backend"},
    "passes": {"frontend", "lowering", "autodiff", "backend"},
    "backend": {"frontend", "lowering", "autodiff", "passes"},
    # Text and tree know no graph; lowering may ask for derivatives (`grad`, rows).
    "frontend": {"ir", "ops", "lowering", "autodiff", "passes", "backend"},
    "lowering": {"passes", "backend"},
    # It reads what the stages hand on, and asks for derivatives; text it takes as it is.
    "explain": {"lowering"},
    # Messages show sizes, so they may read ir/dims.py.
    "errors": {"frontend", "lowering", "ops", "autodiff", "passes", "backend"},
    "source": {"errors", "frontend", "ir", "ops", "autodiff", "passes", "backend"},
}


def fault(module: str, name: str, relative: bool) -> str | None:
    """Why `module` may not import `name`; None where it may."""
    top = name.split(".")[0]
    if is_compiler(module):
        if stage(name) == "explain" and not may_explain(module):
            return "nothing that compiles needs what explains"
        if is_runtime(name) and name != SHARED:
            return "the compiler never imports the runtime"
        if top == "numpy":
            return "the compiler never imports numpy: shapes are symbolic"
        if stage(name) in FORBIDDEN_AMONG_STAGES.get(stage(module), set()):
            return "stages meet in the driver only"
        allowed = {"lark", "black"}
    else:
        if is_compiler(name) and not may_meet_both(module):
            return "what trains never imports what compiles"
        allowed = {"numpy", *EXTRAS} | ({"black"} if may_meet_both(module) else set())
    knows_order = may_meet_both(module) or module == "gradc.compiler"
    if name == "gradc.compiler.driver" and not knows_order:
        return "the order of the stages is decided once"
    if top == "gradc":
        crosses = is_compiler(name) != is_compiler(module)
        return None if relative or crosses else "imports inside a package are relative"
    if top in sys.stdlib_module_names or top in allowed:
        return None
    return f"{top} is no dependency"


@pytest.mark.parametrize("module", FILES)
def test_imports_follow_the_rules(module: str) -> None:
    faults = [
        f"{FILES[module].relative_to(ROOT)}:{line}: {name}: {why}"
        for line, name, relative in imports(module)
        if (why := fault(module, name, relative))
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("gradc.compiler.ir.node", "gradc.network"),
        ("gradc.compiler.ir.node", "numpy"),
        ("gradc.compiler.ir.node", "gradc.compiler.ops"),
        ("gradc.compiler.passes.patterns", "gradc.compiler.frontend.ast"),
        ("gradc.compiler.backend.guard", "gradc.compiler.autodiff.reverse"),
        ("gradc.compiler.frontend.parser", "gradc.compiler.driver"),
        ("gradc.compiler.backend.cost", "gradc.compiler.explain.costs"),
        ("gradc.compiler.explain.costs", "gradc.compiler.lowering.lower"),
        ("gradc.network", "gradc.compiler"),
        ("gradc.network", "gradc.compiler.driver"),
        ("gradc.network", "lark"),
        ("gradc.network", "torch"),
        ("gradc.records", "gradc.compiler.source"),
    ],
)
def test_the_rules_can_fail(module: str, name: str) -> None:
    assert fault(module, name, relative=True)


def test_no_vague_names() -> None:
    """A module is named for its concept; these are names for the lack of one."""
    assert not [name for name in FILES if name.split(".")[-1] in VAGUE]


def test_no_cycles() -> None:
    """Two modules that need each other to run are one module."""
    graph = {
        module: sorted(
            {name for _, name, _ in imports(module, types=False) if name in FILES}
            - {module}
        )
        for module in FILES
    }
    finished: set[str] = set()
    for start in sorted(graph):
        path: list[str] = []
        stack: list[tuple[str, bool]] = [(start, True)]
        while stack:
            module, entering = stack.pop()
            if not entering:
                path.pop()
                finished.add(module)
            elif module in path:
                cycle = [*path[path.index(module) :], module]
                pytest.fail(" → ".join(cycle))
            elif module not in finished:
                path.append(module)
                stack.append((module, False))
                stack.extend((name, True) for name in graph[module])
