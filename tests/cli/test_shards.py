"""`gradc train -O2 --threads --shards`: the same bits for any threads; what cannot be cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

NET = """\
input x: [N, 300]
input y: int[N]
h = dense(x, 256, relu)
scores = dense(h, 4)
loss = cross_entropy(scores, y)
train {
  data = "f.npz"; optimizer = adam(lr = 0.01); batch = 600; steps = 4
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1500, 300))
    np.savez(tmp_path / "f.npz", x=x, y=(x[:, :4] > 0).argmax(1))
    (tmp_path / "wide.net").write_text(NET)
    return tmp_path


def weights(folder: Path, run: int) -> dict[str, Any]:
    (last,) = sorted((folder / "runs" / f"wide-{run}" / "ckpt").glob("*04.npz"))
    with np.load(last) as entries:
        return {name: entries[name] for name in entries.files}


def test_threads_change_no_bit(gradc: Any, folder: Path) -> None:
    for threads in ("1", "2"):
        done = gradc("train", "wide.net", "-O2", "--threads", threads)
        assert done.code == 0
        s = "s" if threads == "2" else ""
        assert f"       a batch in 2 shards, on {threads} thread{s}\n" in done.err
    one, two = weights(folder, 1), weights(folder, 2)
    assert one.keys() == two.keys()
    arrays = [name for name in one if not name.startswith("gradc/")]  # no times
    assert len(arrays) > 4
    for name in arrays:
        assert np.array_equal(one[name], two[name]), name


def test_shards_as_asked_for(gradc: Any, folder: Path) -> None:
    done = gradc("train", "wide.net", "-O2", "--shards", "8", "--threads", "2")
    assert done.code == 0 and "a batch in 8 shards, on 2 threads" in done.err
    done = gradc("train", "wide.net", "-O2", "--threads", "blas")
    assert done.code == 0 and "shards" not in done.err
    assert "BLAS threads as it likes" in done.err


def test_why_a_batch_stays_whole(gradc: Any, folder: Path) -> None:
    text = NET.replace("dense(x, 256, relu)", "dense(x, 8) |> batchnorm")
    (folder / "mixed.net").write_text(text)
    done = gradc("train", "mixed.net", "-O2", "-v")
    assert "       a batch in one piece: its rows mix at mixed.net:3\n" in done.err
    (folder / "small.net").write_text(NET.replace("256", "2"))
    done = gradc("train", "small.net", "-O2", "-v")
    assert "a batch in one piece: it is too small for shards" in done.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("-O2", "--shards", "3"), "3 is not 1, 2, 4, 8 or 16"),
        (("-O1", "--shards", "4"), "`--shards 4` needs -O2"),
        (("-O2", "--shards", "4", "--threads", "blas"), "`--threads blas` computes"),
        (("-O2", "--threads", "many"), "threads"),
    ],
)
def test_what_cannot_be(
    gradc: Any, folder: Path, words: tuple[str, ...], told: str
) -> None:
    done = gradc("train", "wide.net", *words)
    assert done.code == 2 and told in done.err


def test_rows_that_mix_cannot_be_cut(gradc: Any, folder: Path) -> None:
    (folder / "mixed.net").write_text(NET.replace("relu)", "relu) |> batchnorm"))
    done = gradc("train", "mixed.net", "-O2", "--shards", "4")
    assert done.code == 2 and "mixed.net:3 mixes the rows of a batch" in done.err
