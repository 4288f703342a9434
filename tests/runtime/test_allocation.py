"""A process that keeps what it frees pages nothing in anew. In processes of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import resource
import numpy as np
from gradc.allocation import keep_freed

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        kept = [np.ones(200_000) for _ in range(5)]
        del kept
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

told = {told}
faults()
print(told, faults())
"""


def faults(told: str) -> tuple[str, int]:
    """What the call said, and the pages that 160 MB of arrays of 1.6 MB needed."""
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(told=told)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    said, count = result.stdout.split()
    return said, int(count)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs glibc")
def test_memory_is_paged_in_once() -> None:
    said, kept = faults("keep_freed()")
    if said == "False":  # another C library: nothing was changed, nothing is promised
        return
    _, given_back = faults("None")
    assert given_back > 5_000  # else this test shows nothing
    assert kept < 500


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from gradc.allocation import keep_freed

    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed() is False
