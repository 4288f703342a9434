"""Run folders: everything of one training, enough to evaluate, predict and resume.

    runs/digits-1/
      digits.net        the program's text, with its libraries beside it
      signature.json    what the compiler said of it
      digits_net.py     the emitted source, to be read; it is never imported from here
      run.json          settings, sizes, where the data were
      log.jsonl         one event a line
      report.html       the run on one page
      ckpt/             step-000001215.npz; LATEST and BEST hold a name each

In: a network and what is to be kept. Out: a folder, or a run that is opened again. Every
checkpoint has the program and the settings in it too, so that one file is enough.

    run = RunFolder.create(Path("runs"), network, text, settings, folder)
    run.log({"event": "epoch", "loss": 0.1})
    RunFolder.open(Path("runs/digits-1")).weights("best")
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from . import checkpoint
from .errors import CheckpointError
from .network import Network
from .records import record
from .settings import Settings
from .weights import Snapshot, Weights, read_weights

VERSION = 1
LONGEST_JSON = 2**26
_STEP = re.compile(r"step-(\d{9,})\.npz")


@record(frozen=False)
class RunFolder:
    """A folder under `runs/`. `info` is what run.json holds, `libraries` the texts of the
    files that the program uses, by their path from the program."""

    path: Path
    info: dict[str, Any] = field(default_factory=dict)
    signature: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    libraries: dict[str, str] = field(default_factory=dict)

    @classmethod
    def create(
        cls,
        parent: Path,
        network: Network,
        text: str,
        settings: Settings,
        folder: Path,
        facts: Mapping[str, Any] | None = None,
        libraries: Mapping[str, str] | None = None,
    ) -> RunFolder:
        """A new folder NAME-1, NAME-2, …: the first that does not exist.

        `folder` is the program's, `facts` are whatever else is to be known later, such as
        the overrides that the program was compiled with.
        """
        stem = _stem(network.name)
        parent.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            path = parent / f"{stem}-{number}"
            try:
                path.mkdir()
                break
            except FileExistsError:
                number += 1
        (path / "ckpt").mkdir()
        info = {
            "version": VERSION,
            "net": network.name,
            "folder": os.path.abspath(folder),
            "settings": settings.to_json(),
            **(facts or {}),
        }
        signature = dict(network.signature)
        (path / f"{stem}.net").write_text(text, encoding="utf-8", newline="\n")
        (path / f"{stem}_net.py").write_text(network.source, encoding="utf-8")
        (path / "signature.json").write_text(json.dumps(signature, indent=1) + "\n")
        (path / "run.json").write_text(json.dumps(info, indent=1) + "\n")
        made = cls(path, info, signature, text, dict(libraries or {}))
        for name, library in made.libraries.items():
            place = path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(library, encoding="utf-8", newline="\n")
        return made

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """An existing run; `CheckpointError` where it is none, or of a newer version."""
        info = _read_json(path / "run.json")
        if not isinstance(info, dict) or not isinstance(info.get("net"), str):
            raise CheckpointError(f"{path} is no run folder: run.json is damaged")
        version = info.get("version", 0)
        if not isinstance(version, int) or version > VERSION:
            raise CheckpointError(
                f"{path} was written by a newer gradc (version {version} of the "
                f"folder; this one reads up to {VERSION})"
            )
        signature = _read_json(path / "signature.json")
        try:
            text = (path / f"{_stem(info['net'])}.net").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CheckpointError(
                f"{path}: the program cannot be read: {error}"
            ) from None
        return cls(path, info, signature, text)

    @classmethod
    def of(cls, weights: Weights) -> RunFolder:
        """The run that a checkpoint is of, as the checkpoint itself tells it."""
        program, run = weights.program, weights.state.get("run")
        if program is None or not isinstance(run, dict):
            raise CheckpointError(
                f"{weights.path} has no program in it (format 1): use its run folder"
            )
        info = {"version": VERSION, "net": program["name"], **run}
        info |= {"overrides": program["overrides"], "level": program.get("level", 1)}
        return cls(
            weights.path.parent.parent, info, {}, program["text"], program["libraries"]
        )

    @property
    def settings(self) -> Settings:
        """The settings of the run."""
        try:
            return Settings.from_json(self.info["settings"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(f"{self.path}/run.json is damaged: {error}") from None

    @property
    def folder(self) -> Path:
        """The folder that the program's data are relative to."""
        return Path(self.info["folder"])

    @property
    def program(self) -> dict[str, Any]:
        """The program with all that it was compiled from."""
        return {
            "name": self.info["net"],
            "text": self.text,
            "libraries": dict(self.libraries),
            "overrides": dict(self.info.get("overrides", {})),
            "level": self.info.get("level", 1),
        }

    def update(self, settings: Settings) -> None:
        """Write settings that a resumption changed. `OSError` where that fails."""
        self.info = {**self.info, "settings": settings.to_json()}
        text = json.dumps(self.info, indent=1) + "\n"
        checkpoint.write_atomically(self.path / "run.json", text.encode())

    # ----------------------------------------------------------------------- the log

    def log(self, event: Mapping[str, Any]) -> None:
        """Append an event to log.jsonl. `OSError` where that is not possible."""
        with open(self.path / "log.jsonl", "ab+") as file:
            line = json.dumps({"v": 1, **event}) + "\n"
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # a process that was killed in the midst
                    line = "\n" + line
            file.write(line.encode())

    def events(self, upto: int | None = None) -> list[dict[str, Any]]:
        """The log as it counts, up to a step: what a run that was killed had done after the
        checkpoint that it was resumed from is left out."""
        events: list[dict[str, Any]] = []
        try:
            lines = (self.path / "log.jsonl").read_bytes().splitlines()
        except OSError:
            return []
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:  # cut off
                continue
            if not isinstance(event, dict):
                continue
            if event.get("event") == "resume":
                step = event.get("step", 0)
                events = [e for e in events if e.get("step", 0) <= step]
            events.append(event)
        return [e for e in events if upto is None or e.get("step", 0) <= upto]

    # ------------------------------------------------------------------ checkpoints

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "ckpt"

    def save(
        self,
        network: Network,
        snapshot: Snapshot,
        names: tuple[str, ...] = ("LATEST",),
    ) -> Path:
        """Write `ckpt/step-….npz`, with the program in it, and point `names` at it."""
        run = {
            key: value
            for key, value in self.info.items()
            if key not in ("version", "net", "overrides", "level")
        }
        state = {"program": self.program, "run": run, **snapshot.state}
        path = self.checkpoints / f"step-{state['step']:09d}.npz"
        checkpoint.save(path, snapshot.arrays(network), state)
        for name in names:
            self.point(name, path)
        return path

    def point(self, name: str, path: Path) -> None:
        """Let LATEST or BEST name a checkpoint."""
        checkpoint.write_atomically(self.checkpoints / name, f"{path.name}\n".encode())

    def steps(self) -> Iterator[tuple[int, Path]]:
        """The checkpoints that are there with their steps, the newest first."""
        found = []
        for path in self.checkpoints.glob("step-*.npz"):
            if match := _STEP.fullmatch(path.name):
                found.append((int(match[1]), path))
        yield from sorted(found, reverse=True)

    def tidy(self) -> None:
        """Remove what writes that were cut off have left behind."""
        for folder in (self.path, self.checkpoints):
            for path in folder.glob("*.tmp.*"):
                with contextlib.suppress(OSError):
                    path.unlink()

    def prune(self, keep: set[int]) -> None:
        """Remove the checkpoints of all other steps; one that resists may stay."""
        for step, path in self.steps():
            if step not in keep:
                with contextlib.suppress(OSError):
                    path.unlink()

    def weights(self, which: str = "best") -> Weights:
        """The weights called `best`, `latest` or `last`, of a step (`1215`), or of a file.

        Where LATEST is missing or names a damaged file, the newest one that is whole.
        """
        if which.isdigit():
            return read_weights(self.checkpoints / f"step-{int(which):09d}.npz")
        if which not in ("best", "last", "latest"):
            return read_weights(Path(which))
        pointer = self.checkpoints / ("BEST" if which == "best" else "LATEST")
        problem: CheckpointError
        try:
            name = pointer.read_text(encoding="utf-8").strip()
            if os.path.basename(name) != name or not name.endswith(".npz"):
                raise CheckpointError(f"{pointer} names no checkpoint: {name[:60]!r}")
            return read_weights(self.checkpoints / name)
        except (OSError, UnicodeDecodeError) as error:
            problem = CheckpointError(f"{pointer} cannot be read: {error}")
        except CheckpointError as error:
            problem = error
        if which != "best":
            for _, path in self.steps():
                try:
                    found = read_weights(path)
                except CheckpointError:
                    continue
                if found.resumable or found.slots:
                    return replace(found, note=f"{problem.message}; took {path.name}")
        raise problem


def newest(parent: Path, name: str) -> Path | None:
    """The run folder of a program that was begun last: NAME-12 rather than NAME-9."""
    stem, found = _stem(name), []
    for path in parent.glob(f"{stem}-*"):
        number = path.name[len(stem) + 1 :]
        if number.isdigit() and (path / "run.json").is_file():
            found.append((int(number), path))
    return max(found)[1] if found else None


def _stem(name: str) -> str:
    stem = os.path.basename(name).removesuffix(".net")
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in stem) or "net"


def _read_json(path: Path) -> Any:
    try:
        if path.stat().st_size > LONGEST_JSON:
            raise CheckpointError(f"{path} is too long")
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} cannot be read: {error}") from None
