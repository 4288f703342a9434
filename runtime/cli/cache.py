"""Compiled modules, kept between commands: a program is compiled once for a text.

In: a program and the compiler's options. Out: what the compiler makes of it,
from the cache where that has it.

    compiled = compiled_once(source, options)

The key is the SHA-256 of all that the result depends on: the text with the libraries that it
uses, the options, and the compiler itself. An entry is one file, a digest and what it is the
digest of; a file that is damaged, or that anything but this module has written, is taken for
none and replaced. What comes from here is trusted no more than any other text: the guard
reads a module before it is executed. Where the folder cannot be written, nothing is kept, and
nothing is said.

`GRADC_CACHE` names the folder (by default `gradc` in `$XDG_CACHE_HOME` or `~/.cache`); `off`,
or nothing, is none at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradc.compiler import Compiled, Diagnostic, Options, Source

MOST_ENTRIES = 256
"""Beyond, the half that was used the longest ago goes."""

LARGEST_ENTRY = 2**26  # bytes


def compiled_once(source: Source, options: Options) -> Compiled:
    """What the compiler makes of a program, or made of it once; `CompileError`s."""
    from gradc.compiler import compile_source

    folder = folder_of(os.environ)
    if folder is None:
        return compile_source(source, options)
    entry = folder / f"{key_of(source, options)}.json"
    known = read(entry, source)
    if known is not None:
        return known
    compiled = compile_source(source, options)
    write(entry, compiled, source)
    return compiled


def folder_of(environment: Mapping[str, str]) -> Path | None:
    """The folder of the cache; None where there is none."""
    named = environment.get("GRADC_CACHE")
    if named is not None:
        return None if named in ("", "off") else Path(named)
    base = environment.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):  # a relative one is to be ignored, the specification says
        return Path(base, "gradc")
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return home / ".cache" / "gradc" if home.is_dir() else None


# ------------------------------------------------------------------------------- keys


def key_of(source: Source, options: Options) -> str:
    """The digest of all that a compilation depends on."""
    parts = {
        "compiler": compiler_digest(),
        "name": source.name,
        "text": source.text,
        "libraries": libraries(source, options),
        # where libraries lie counts by what they say
        "options": {**asdict(options), "include_dirs": (), "folder": None},
    }
    text = json.dumps(parts, sort_keys=True, default=repr)
    return digest(text.encode())


def libraries(source: Source, options: Options) -> dict[str, str]:
    """The files that a program uses, by name: found by the compiler's own rules.

    A text without the word uses none; names are resolved where it stands in a text.
    """
    if not re.search(r"\buse\b", source.text):
        return {}
    from gradc.compiler.driver import build

    resolved = build(source, options, until="names").value
    return {m.name: m.source.text for m in resolved.modules if m.source is not None}


def compiler_digest() -> str:
    """The version of gradc, and which sources of the compiler are there.

    Of each file its size and when it was written: enough to tell an edit, and read at once.
    """
    import gradc.compiler

    facts: list[tuple[str, int, int]] = []
    pending = [Path(gradc.compiler.__file__).parent]
    while pending:
        folder = pending.pop()
        with os.scandir(folder) as found:
            for file in found:
                if file.name == "__pycache__":
                    continue
                if file.is_dir():
                    pending.append(Path(file.path))
                elif not file.name.startswith("."):
                    stat = file.stat()
                    facts.append((file.path, stat.st_size, stat.st_mtime_ns))
    return digest(json.dumps([gradc.compiler.__version__, sorted(facts)]).encode())


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# ---------------------------------------------------------------------------- entries


def read(entry: Path, source: Source) -> Compiled | None:
    """The content of an entry; None where there is none that is whole."""
    try:
        with entry.open("rb") as file:
            data = file.read(LARGEST_ENTRY)
        head, _, body = data.partition(b"\n")
        if head.decode("ascii") != digest(body):
            return None
        compiled = from_json(json.loads(body), source)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    with suppress(OSError):
        os.utime(entry)  # used now
    return compiled


def write(entry: Path, compiled: Compiled, source: Source) -> None:
    """Keep what was compiled, whole or not at all; where that is impossible, let it be."""
    document = as_json(compiled, source)
    body = json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")
    if len(body) > LARGEST_ENTRY // 2 or json.loads(body) != document:
        return
    try:
        entry.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(".tmp", entry.stem[:16], entry.parent)
    except OSError:
        return
    temporary = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(digest(body).encode() + b"\n" + body)
        os.replace(temporary, entry)
        prune(entry.parent)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def prune(folder: Path) -> None:
    """Keep the cache small: of too many entries, those that were used last stay."""
    entries = list(folder.glob("*.json"))
    if len(entries) <= MOST_ENTRIES:
        return
    used = []
    for entry in entries:
        with suppress(OSError):  # another process is faster
            used.append((entry.stat().st_mtime_ns, entry.name))
    for _, name in sorted(used)[: -MOST_ENTRIES // 2]:
        with suppress(OSError):
            (folder / name).unlink()


# -------------------------------------------------------------------------------- JSON


def as_json(compiled: Compiled, source: Source) -> dict[str, Any]:
    """A compilation as plain data. Texts that warnings point into are kept with them."""
    found = (w.span.source for w in compiled.warnings if w.span is not None)
    texts = list(dict.fromkeys([source, *found]))
    return {
        "source": compiled.source,
        "signature": compiled.signature,
        "stats": compiled.stats,
        "libraries": compiled.libraries,
        "texts": [[text.name, text.text] for text in texts[1:]],
        "warnings": [warning_json(w, texts) for w in compiled.warnings],
    }


def warning_json(warning: Diagnostic, texts: list[Source]) -> dict[str, Any]:
    """A warning; its place is the number of a text, from, and to."""
    span = warning.span
    place = None
    if span is not None:
        place = [texts.index(span.source), span.start, span.end]
    return {
        "id": warning.id,
        "place": place,
        "message": warning.message,
        "label": warning.label,
        "notes": [list(note) for note in warning.notes],
        "level": warning.level,
    }


def from_json(document: dict[str, Any], source: Source) -> Compiled:
    """A compilation from what `as_json` made of it."""
    from gradc.compiler import Compiled, Diagnostic, Source

    texts = [source]
    texts += [Source.from_text(name, text) for name, text in document["texts"]]

    def warning(entry: dict[str, Any]) -> Diagnostic:
        span = None
        if entry["place"] is not None:
            number, start, end = entry["place"]
            span = texts[number].span(start, end)
        return Diagnostic(
            entry["id"],
            span,
            entry["message"],
            entry["label"],
            tuple((kind, text) for kind, text in entry["notes"]),
            entry["level"],
        )

    return Compiled(
        source=document["source"],
        signature=document["signature"],
        warnings=tuple(warning(entry) for entry in document["warnings"]),
        stats=document["stats"],
        libraries=document["libraries"],
    )
