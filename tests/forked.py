"""The command `gradc`, many times, each time in a process of its own, without many start-ups.

A server imports everything once and forks for every command line; the fork gets limits of
memory and time, and its caller's folder, environment and streams. What a test sees is what a
shell sees. A shell may call it too: `install` writes a `gradc` that hands its words on.

    with Server() as gradc:
        result = gradc("compile", "digits.net", "-o", "-", cwd=folder)
        gradc.install(folder / "bin")
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

# A request is a line of JSON with the three streams beside it; the answer is a line with the
# exit code, negative for a signal. A process waits for each command, since those of a pipe
# run at the same time.
SERVER = r"""
import json, os, resource, socket, sys
from gradc.cli import main
import gradc.compiler.driver, gradc.network  # noqa: what a verb would import


def serve(connection):
    text, streams, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    while not text.endswith(b"\n"):
        text += connection.recv(1 << 20)
    request = json.loads(text)
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
        os._exit(0)
    connection.close()
    for name, most in (("RLIMIT_CPU", "seconds"), ("RLIMIT_AS", "bytes")):
        if request[most]:
            resource.setrlimit(getattr(resource, name), (request[most],) * 2)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8")
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8")
    sys.stderr = sys.__stderr__ = open(2, "w", 1, "utf-8", "backslashreplace")
    sys.argv = ["gradc", *request["arguments"]]
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


listener = socket.socket(fileno=int(sys.argv[1]))
waiting = set()
while True:
    connection, _ = listener.accept()
    waiting -= {child for child in waiting if os.waitpid(child, os.WNOHANG)[0]}
    child = os.fork()
    if not child:
        listener.close()
        serve(connection)
    waiting.add(child)
    connection.close()
"""

CLIENT = """#!{python} -IS
import os, sys
sys.path.append({folder!r})
from forked import ask

code = ask({address!r}, sys.argv[1:], os.getcwd(), os.environ, (0, 1, 2), {limits!r})
sys.exit(code if code >= 0 else 128 - code)
"""


def ask(
    address: str,
    arguments: Sequence[str],
    folder: str,
    environment: Mapping[str, str],
    streams: Sequence[int],
    limits: Mapping[str, int],
) -> int:
    """Have a server run one command; its exit code, negative for a signal."""
    request = {
        **limits,
        "arguments": arguments,
        "cwd": folder,
        "environment": dict(environment),
    }
    text = json.dumps(request).encode() + b"\n"
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(address)
        sent = socket.send_fds(server, [text], streams)
        server.sendall(text[sent:])
        return int(server.makefile().readline())


class Result(NamedTuple):
    """How a command ended and what it said."""

    code: int  # negative: the signal that ended it
    stdout: str
    stderr: str


class Server:
    """Runs commands, each in a fork of a process that has everything imported."""

    def __init__(
        self,
        environment: Mapping[str, str] | None = None,
        seconds: int = 60,
        memory: int = 0,
    ) -> None:
        """`environment`: instead of that of the tests; `memory`: in bytes, 0 for any."""
        given = os.environ if environment is None else environment
        self.environment = {**given, "GRADC_CACHE": "off", "OPENBLAS_NUM_THREADS": "1"}
        self.limits = {"seconds": seconds, "bytes": memory}

    def __enter__(self) -> Server:
        self.folder = tempfile.TemporaryDirectory()
        self.address = f"{self.folder.name}/gradc"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.address)
            listener.listen()
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVER, str(listener.fileno())],
                pass_fds=[listener.fileno()],
                env=self.environment,
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()
        self.folder.cleanup()

    def install(self, folder: Path) -> None:
        """Write a `gradc` for shells into a folder."""
        words = {"python": sys.executable, "folder": str(Path(__file__).parent)}
        path = folder / "gradc"
        text = CLIENT.format(**words, address=self.address, limits=self.limits)
        path.write_text(text)
        path.chmod(0o755)

    def __call__(self, *arguments: str | Path, cwd: Path) -> Result:
        with (
            open(os.devnull) as nothing,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
        ):
            code = ask(
                self.address,
                [str(argument) for argument in arguments],
                str(cwd),
                self.environment,
                [stream.fileno() for stream in (nothing, out, err)],
                self.limits,
            )
            texts = []
            for stream in out, err:
                stream.seek(0)
                texts.append(stream.read().decode("utf-8", "replace"))
            return Result(code, *texts)
