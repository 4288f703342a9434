"""`use a, b from "lib.net"`: which file that is, and whether it may be read.

A library lies in the folder of the root file, or in a folder that the user named with `-I`,
after symbolic links were followed; its path is relative to the file that uses it. What a
stranger's program names elsewhere (an absolute path, `..` out of the folder, a link, a
device) is refused before anything is opened.
"""

from __future__ import annotations

import stat
from dataclasses import field
from pathlib import Path, PurePosixPath

from gradc.records import record

from ..errors import names
from ..errors.form import Reporter
from ..source import Source
from . import ast
from .modules import Module
from .scan import Limits


@record(frozen=False)
class Loader:
    """Finds and reads the libraries of one compilation; each file once."""

    folder: Path | None
    include_dirs: tuple[Path, ...]
    limits: Limits
    reporter: Reporter
    total: int = 0
    modules: dict[Path, Module] = field(default_factory=dict)
    chain: list[tuple[Path, str]] = field(default_factory=list)

    def locate(self, use: ast.Use, user: Module) -> Path | None:
        """Return the real path of the file that a `use` names, or report why not."""
        span, text = use.path.span, use.path.value
        roots = [root for root in (self.folder, *self.include_dirs) if root is not None]
        if not roots:
            self.reporter.report(names.use_without_folder(span))
            return None
        if not text or PurePosixPath(text).is_absolute() or text.startswith("~"):
            self.reporter.report(names.use_not_relative(span, text))
            return None
        if not text.endswith(".net"):
            self.reporter.report(names.use_no_net(span, text))
            return None
        first = user.path.parent if user.path is not None else self.folder
        bases = [first] if first is not None else []
        bases += self.include_dirs
        allowed = [root.resolve() for root in roots]
        outside = False
        for base in bases:
            try:
                real = (base / text).resolve()
                inside = any(real.is_relative_to(root) for root in allowed)
                if not inside:
                    # Nothing is asked of the file: whether it exists is no one's business.
                    outside = True
                    continue
                mode = real.stat().st_mode
            except (OSError, RuntimeError, ValueError):
                continue
            if not stat.S_ISREG(mode):
                self.reporter.report(names.use_no_file(span, text))
                return None
            return real
        if outside:
            self.reporter.report(names.use_outside(span, text))
        else:
            self.reporter.report(names.use_not_found(span, text))
        return None

    def read(self, use: ast.Use, path: Path) -> Source | None:
        """Return the text of a library, within the limits."""
        span, text = use.path.span, use.path.value
        limits = self.limits
        if len(self.modules) >= limits.includes:
            self.reporter.report(names.too_many_files(span, limits.includes))
            return None
        if len(self.chain) > limits.include_depth:
            self.reporter.report(names.used_too_deeply(span, limits.include_depth))
            return None
        try:
            with path.open("rb") as file:
                data = file.read(limits.file_bytes + 1)
        except OSError:
            self.reporter.report(names.use_not_found(span, text))
            return None
        self.total += len(data)
        if len(data) > limits.file_bytes or self.total > limits.total_bytes:
            self.reporter.report(names.files_too_large(span, limits.total_bytes))
            return None
        try:
            decoded = data.decode("utf-8")
        except UnicodeDecodeError:
            self.reporter.report(names.use_not_text(span, text))
            return None
        return Source.from_text(self.shown(path), decoded)

    def shown(self, path: Path) -> str:
        """A library's name in messages: its path from the root file's folder."""
        for root in (self.folder, *self.include_dirs):
            if root is not None and path.is_relative_to(root.resolve()):
                return path.relative_to(root.resolve()).as_posix()
        return path.name

    def is_cycle(self, use: ast.Use, path: Path) -> bool:
        """Whether a file is being read already; reports the chain if it is."""
        for i, (open_path, _) in enumerate(self.chain):
            if open_path == path:
                shown = [name for _, name in self.chain[i:]] + [self.chain[i][1]]
                self.reporter.report(names.use_cycle(use.path.span, shown))
                return True
        return False
