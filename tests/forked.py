"""The command `gradc`, many times, each time in a process of its own, without many start-ups.

A server imports everything once and forks for every command line; the fork gets limits of
memory and time, its own folder and its own streams. What a test sees is what a shell sees.

    with Server() as gradc:
        result = gradc("compile", "digits.net", "-o", "-", cwd=folder)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

SERVER = r"""
import json, os, resource, sys
from gradc.cli import main
import gradc.compiler.driver, gradc.network  # noqa: what a verb would import

for line in sys.stdin:
    request = json.loads(line)
    child = os.fork()
    if not child:
        seconds, size = request["seconds"], request["bytes"]
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
        os.chdir(request["cwd"])
        for stream, name in ((0, os.devnull), (1, request["out"]), (2, request["err"])):
            flags = os.O_RDONLY if stream == 0 else os.O_WRONLY
            os.dup2(os.open(name, flags), stream)
        sys.stdin = open(0, encoding="utf-8")
        try:
            code = main(request["arguments"])
            sys.stdout.flush()
        except SystemExit as leaving:
            code = leaving.code
        except BaseException:
            import traceback
            traceback.print_exc()
            code = 1
        sys.stderr.flush()
        os._exit(code or 0)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), file=sys.__stdout__, flush=True)
"""


@dataclass(frozen=True)
class Result:
    """How a command ended and what it said."""

    code: int  # negative: the signal that ended it
    stdout: str
    stderr: str


class Server:
    """Runs commands one after the other."""

    def __init__(self, seconds: int = 20, memory: int = 2 << 30) -> None:
        self.limits = {"seconds": seconds, "bytes": memory}

    def __enter__(self) -> Server:
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": "/nonexistent",
            "GRADC_CACHE": "off",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONUTF8": "1",
        }
        if "PYTHONPATH" in os.environ:
            environment["PYTHONPATH"] = os.environ["PYTHONPATH"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()

    def __call__(self, *arguments: str | Path, cwd: Path) -> Result:
        assert self.process.stdin and self.process.stdout
        with tempfile.TemporaryDirectory() as folder:
            out, err = Path(folder, "out"), Path(folder, "err")
            out.touch()
            err.touch()
            request = {
                **self.limits,
                "arguments": [str(argument) for argument in arguments],
                "cwd": str(cwd),
                "out": str(out),
                "err": str(err),
            }
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            code = int(self.process.stdout.readline())
            said = err.read_bytes().decode("utf-8", "replace")
            return Result(code, out.read_bytes().decode("utf-8"), said)
