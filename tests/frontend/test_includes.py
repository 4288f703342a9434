"""`use`: what is found, and what is not even looked at."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gradc.compiler.errors import CompileError
from gradc.compiler.frontend.modules import Found
from gradc.compiler.frontend.parser import Limits, parse
from gradc.compiler.frontend.resolve import Plain, Resolved, resolve
from gradc.compiler.source import Source


def compiled(folder: Path | None, text: str, *dirs: Path, **limits: int) -> Resolved:
    options = Plain({}, dirs, folder, Limits(**limits))
    return resolve(parse(Source.from_text("root.net", text)), options)


def refused(folder: Path | None, text: str, *dirs: Path, **limits: int) -> list[str]:
    with pytest.raises(CompileError) as caught:
        compiled(folder, text, *dirs, **limits)
    return [diagnostic.id for diagnostic in caught.value.diagnostics]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_found_relative_to_the_using_file(tmp_path: Path) -> None:
    write(
        tmp_path / "lib/a.net",
        'use g from "deep/b.net"\nconst k = 2\nfn f(x) = g(x) * k\n',
    )
    write(tmp_path / "lib/deep/b.net", 'use h from "../../c.net"\nfn g(x) = h(x)\n')
    write(tmp_path / "c.net", "fn h(x) = x\n")
    found = compiled(
        tmp_path, 'use f, k from "lib/a.net"\ninput x: [k]\noutput y = f(x)\n'
    )
    assert [module.name for module in found.modules] == [
        "root.net", "lib/a.net", "lib/deep/b.net", "c.net",
    ]  # fmt: skip
    f = found.root.find("f")
    assert isinstance(f, Found) and f.module.name == "lib/a.net"
    g = f.module.find("g")
    assert isinstance(g, Found) and g.module.name == "lib/deep/b.net"
    assert found.root.find("g") is None and f.module.constant("k") is not None


def test_read_once_and_passed_on(tmp_path: Path) -> None:
    write(tmp_path / "a.net", "fn f(x) = x\n")
    write(tmp_path / "b.net", 'use f from "a.net"\n')
    write(tmp_path / "c.net", 'use f from "./a.net"\nfn g(x) = f(x)\n')
    found = compiled(tmp_path, 'use f from "b.net"\nuse g from "c.net"\ny = g(f(1))\n')
    assert len(found.modules) == 4


def test_named_folders(tmp_path: Path) -> None:
    write(tmp_path / "shared/lib/a.net", "fn f(x) = x\n")
    (tmp_path / "here").mkdir()
    text = 'use f from "lib/a.net"\ny = f(1)\n'
    assert refused(tmp_path / "here", text) == ["use-not-found"]
    assert compiled(tmp_path / "here", text, tmp_path / "shared")
    assert compiled(None, text, tmp_path / "shared")
    assert refused(None, text) == ["use-folder"]  # names.use_without_folder


def test_nothing_outside(tmp_path: Path) -> None:
    write(tmp_path / "secret.net", "fn f(x) = x\n")
    inside = tmp_path / "inside"
    write(inside / "lib/a.net", "fn g(x) = x\n")
    os.symlink(tmp_path / "secret.net", inside / "link.net")
    os.symlink(tmp_path, inside / "lib/up")
    for path, ids in [
        ("../secret.net", "use-outside"),
        ("lib/../../secret.net", "use-outside"),
        ("link.net", "use-outside"),
        ("lib/up/secret.net", "use-outside"),
        ("../nothing_here.net", "use-outside"),  # does not tell whether it exists
        (str(tmp_path / "secret.net"), "use-relative"),
        ("~/secret.net", "use-relative"),
        ("", "use-relative"),
        ("/dev/stdin.net", "use-relative"),
        ("lib", "use-suffix"),
        ("lib/missing.net", "use-not-found"),
        ("a" * 5000 + ".net", "use-not-found"),
    ]:
        assert refused(inside, f'use f from "{path}"\n') == [ids], path
    os.symlink(inside / "lib/a.net", inside / "good.net")
    assert compiled(inside, 'use g from "good.net"\n')


def test_devices_and_pipes_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.net")  # opening it would wait for ever
    (tmp_path / "folder.net").mkdir()
    for name in ("pipe", "folder"):  # names.use_no_file
        assert refused(tmp_path, f'use f from "{name}.net"\n') == ["use-no-file"]


def test_cycles(tmp_path: Path) -> None:
    write(tmp_path / "a.net", 'use g from "b.net"\nfn f(x) = x\n')
    write(tmp_path / "b.net", 'use f from "a.net"\nfn g(x) = x\n')
    write(tmp_path / "self.net", 'use f from "self.net"\nfn f(x) = x\n')
    write(tmp_path / "root.net", "")
    assert refused(tmp_path, 'use f from "a.net"\n') == ["use-cycle"]
    assert "use-cycle" in refused(tmp_path, 'use f from "self.net"\n')
    assert "use-cycle" in refused(tmp_path, 'use f from "root.net"\n')


def test_limits(tmp_path: Path) -> None:
    for i in range(6):
        use = f'use f{i + 1} from "m{i + 1}.net"\n' if i < 5 else ""
        write(tmp_path / f"m{i}.net", use + f"fn f{i}(x) = x\n")
    deep = 'use f0 from "m0.net"\n'
    assert compiled(tmp_path, deep)
    assert refused(tmp_path, deep, include_depth=3) == [
        "use-depth"
    ]  # names.used_too_deeply
    flat = "".join(f'use f{i} from "m{i}.net"\n' for i in (5, 4, 3))
    assert refused(tmp_path, flat, includes=2) == [
        "too-many-files"
    ]  # names.too_many_files
    write(tmp_path / "big.net", "#" * 2000)
    large = refused(tmp_path, 'use f from "big.net"\n', file_bytes=1000)
    assert large == ["files-too-large"]  # names.files_too_large
    assert refused(tmp_path, deep, total_bytes=60) == ["files-too-large"]


def test_a_library_is_checked_even_where_nothing_is_used(tmp_path: Path) -> None:
    write(tmp_path / "a.net", "fn f(x) = x\nfn never(x) = lost\n")
    with pytest.raises(CompileError) as caught:
        compiled(tmp_path, 'use f from "a.net"\n')
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.span is not None and str(diagnostic.span) == "a.net:2:15"


def test_text_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.net").write_bytes(b"\xff\xfe")
    assert refused(tmp_path, 'use f from "a.net"\n') == ["use-not-text"]
