"""Which kernel is named to OpenBLAS, and that what is in the environment stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gradc import blas

CORE = """processor	: 0
vendor_id	: {vendor}
cpu family	: {family}
model name	: some
flags		: fpu {flags}

processor	: 1
vendor_id	: other
"""
WIDE = " ".join(sorted(blas.AVX_512))


@pytest.mark.parametrize(
    ("vendor", "family", "flags", "expected"),
    [
        ("AuthenticAMD", "26", WIDE, "SkylakeX"),
        ("AuthenticAMD", "27", WIDE + " avx512_bf16", "SkylakeX"),
        ("AuthenticAMD", "25", WIDE, None),  # Zen 4, which OpenBLAS knows
        ("AuthenticAMD", "26", "avx2", None),  # taken away by a virtual machine
        ("AuthenticAMD", "26", WIDE.replace("avx512vl", ""), None),
        ("GenuineIntel", "26", WIDE, None),
        ("AuthenticAMD", "", WIDE, None),
    ],
)
def test_a_kernel_is_named_where_openblas_takes_another(
    vendor: str, family: str, flags: str, expected: str | None, tmp_path: Path
) -> None:
    description = tmp_path / "cpuinfo"
    description.write_text(CORE.format(vendor=vendor, family=family, flags=flags))
    assert blas.kernel(description) == expected


def test_another_system_has_no_description(tmp_path: Path) -> None:
    assert blas.kernel(tmp_path / "none") is None
    (tmp_path / "bytes").write_bytes(b"\xff\xfe: \x80")
    assert blas.kernel(tmp_path / "bytes") is None


def test_what_is_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blas, "kernel", lambda: "SkylakeX")
    for name in blas.THREADS:
        monkeypatch.setenv(name, "3")
    monkeypatch.setenv(blas.KERNEL, "Haswell")
    blas.prepare_blas("blas")
    assert blas.kernel_of_blas() == "Haswell" and blas.threads_of_blas() == "3"
    monkeypatch.delenv(blas.KERNEL)
    blas.prepare_blas()
    assert os.environ[blas.KERNEL] == "SkylakeX" and blas.threads_of_blas() == "1"
