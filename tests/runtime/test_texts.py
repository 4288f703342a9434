"""Text: windows of characters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handwritten import LOGISTIC
from loading import TEXT, TEXT_TRAIN, N, error, language, read

from gradc.data import load
from gradc.errors import DataError
from gradc.settings import Settings


def test_text_is_windows_and_their_successors(tmp_path: Path) -> None:
    sig = language()
    data = read(tmp_path, sig, TEXT, "f.txt", **TEXT_TRAIN)
    characters = data.transforms.vocabulary["text"]
    assert characters == "".join(sorted(set(TEXT)))
    steps = list(data.train.batches(["text", "target"], 0, 0, lambda _: 8))
    assert sum(rows for _, rows in steps) == len(TEXT) // 16
    for (text, target), _ in steps:
        assert np.array_equal(text[:, 1:], target[:, :-1])
        assert "".join(characters[i] for i in text[0]) in TEXT
    assert data.sizes == {"T": 16}
    # every start may be drawn
    assert data.train.tables["N"].rows == len(TEXT) - 16
    assert data.bindings == {"text": "f.txt", "target": "next(text)"}


def test_the_end_of_a_text_is_held_out_in_consecutive_windows(tmp_path: Path) -> None:
    data = read(tmp_path, language(), TEXT, "f.txt", valid=0.1, **TEXT_TRAIN)
    characters = data.transforms.vocabulary["text"]
    text, target = data.valid.arrays(["text", "target"])
    end = TEXT[-90:]
    assert text.shape == (5, 16)
    assert "".join(characters[i] for i in text.reshape(-1)) == end[:80]
    assert "".join(characters[i] for i in target.reshape(-1)) == end[1:81]
    # what is trained on ends before it
    assert data.train.tables["N"].rows == 810 - 16
    # without a held-out end, figures are those of the whole text in consecutive windows
    whole = read(tmp_path, language(), TEXT, "f.txt", **TEXT_TRAIN).held_out
    assert whole.arrays(["text"])[0].shape == ((900 - 1) // 16, 16)


def test_in_prediction_a_text_is_one_window(tmp_path: Path) -> None:
    sig = language()
    fitted = read(tmp_path, sig, TEXT, "f.txt", **TEXT_TRAIN)
    (tmp_path / "g.txt").write_text("the fox")
    sig["train"] = TEXT_TRAIN
    settings = Settings.of(sig, data=[str(tmp_path / "g.txt")])
    data = load(sig, settings, tmp_path, "predict", fitted.transforms)
    assert data.train.arrays(["text"])[0].shape == (1, 7)
    (tmp_path / "g.txt").write_text("the fox\nhas 2 heads")
    with pytest.raises(
        DataError, match=r"g.txt:1:8: the character '\\n' is not among the 28"
    ):
        load(sig, settings, tmp_path, "predict", fitted.transforms)


def test_texts_that_do_not_fit(tmp_path: Path) -> None:
    sig = language()
    lines = error(tmp_path, sig, "abc", "f.txt", **TEXT_TRAIN)
    assert lines[0].startswith("f.txt has 3 characters, too few for one window of 16")
    no_window = {**TEXT_TRAIN, "window": []}
    assert error(tmp_path, sig, TEXT, "f.txt", **no_window)[1].startswith(
        "say:  train { window T = 64 }"
    )
    wide = "".join(chr(200 + i) for i in range(60))
    assert error(tmp_path, sig, wide, "f.txt", **TEXT_TRAIN)[0].startswith(
        "f.txt has 60 different characters, and text is used as an index from 0 to 39"
    )
    lines = error(tmp_path, LOGISTIC, TEXT, "f.txt")
    assert lines[0] == "f.txt is a text by its name, and x is [N, D]"


def running() -> dict[str, Any]:
    """A program that reads a text as it runs: text and target are int[N]."""
    sig = language()
    for entry in sig["inputs"]:
        entry["shape"] = [N]
    del sig["sizes"]["T"]
    return sig


RUNNING = {"data": TEXT_TRAIN["data"], "batch": [[None, 25]]}


def test_the_rows_of_a_running_text_are_its_characters_in_order(
    tmp_path: Path,
) -> None:
    data = read(tmp_path, running(), TEXT, "f.txt", valid=0.1, **RUNNING)
    characters = data.transforms.vocabulary["text"]
    assert data.train.rows == {"N": 809} and data.valid.rows == {"N": 89}
    for epoch in range(2):
        steps = list(data.train.batches(["text", "target"], epoch, 3, lambda _: 25))
        assert [rows for _, rows in steps] == [25] * 32 + [9]
        pieces = [np.concatenate([arrays[i] for arrays, _ in steps]) for i in (0, 1)]
        assert "".join(characters[i] for i in pieces[0]) == TEXT[:809]
        assert "".join(characters[i] for i in pieces[1]) == TEXT[1:810]
    text, target = data.held_out.arrays(["text", "target"])
    assert "".join(characters[i] for i in text) == TEXT[810:899]
    assert "".join(characters[i] for i in target) == TEXT[811:900]
    chunks = list(data.held_out.chunks(["target"], "N", 50))
    assert [len(arrays[0]) for arrays, _ in chunks] == [50, 39]
    assert data.summary[0].endswith("900 characters → 809 in order / 89 valid")


def test_without_a_part_held_out_figures_are_those_of_the_whole_text(
    tmp_path: Path,
) -> None:
    data = read(tmp_path, running(), TEXT, "f.txt", **RUNNING)
    assert data.held_out.rows == {"N": 899}
    sig = running()
    (tmp_path / "g.txt").write_text("the fox")
    sig["train"] = RUNNING
    settings = Settings.of(sig, data=[str(tmp_path / "g.txt")])
    prompt = load(sig, settings, tmp_path, "predict", data.transforms)
    assert prompt.train.arrays(["text"])[0].shape == (7,)


def test_running_texts_that_do_not_fit(tmp_path: Path) -> None:
    lines = error(tmp_path, running(), "a", "f.txt", **RUNNING)
    assert lines[0] == "f.txt is too short: no character has another one behind it"
    mixed = running()
    mixed["inputs"][0]["shape"] = language()["inputs"][0]["shape"]
    mixed["sizes"] = language()["sizes"]
    lines = error(tmp_path, mixed, TEXT, "f.txt", **TEXT_TRAIN)
    assert lines[0].endswith("a row of a text is a window or a character, not both")
