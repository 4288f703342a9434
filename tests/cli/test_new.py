"""`gradc new`: what it guesses of a table, and that what it writes trains at once."""

from __future__ import annotations

import gzip
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from gradc.cli.columns import choose_target, read_table
from gradc.cli.exits import Failure


def classes(rows: int = 60) -> str:
    """A table of two clouds, with a column of words and one that numbers the rows."""
    draw = random.Random(1)
    lines = ["id,width,color,length,kind"]
    for i in range(rows):
        kind = i % 2
        width, length = draw.gauss(4 * kind, 1), draw.gauss(-3 * kind, 1)
        color = draw.choice(["red", "blue"])
        lines.append(f"{i},{width:.3f},{color},{length:.3f},{'ab'[kind]}")
    return "\n".join(lines) + "\n"


def quantities(rows: int = 80) -> str:
    """A table whose last column is a sum, far from 0."""
    draw = random.Random(2)
    lines = ["a,b,price"]
    for _ in range(rows):
        a, b = draw.random(), draw.random()
        lines.append(f"{a:.4f},{b:.4f},{1000 * (a + 2 * b) + 5000:.2f}")
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------------------- guesses


def test_words_are_classes(tmp_path: Path) -> None:
    (tmp_path / "k.csv").write_text(classes())
    table = read_table(str(tmp_path / "k.csv"))
    target = choose_target(table, None)
    assert (target.title, target.is_class, target.classes) == ("kind", True, 2)
    assert [c.reason for c in table.columns] == [
        "numbers the rows",
        "",
        "words",
        "",
        "words",
    ]
    assert table.rows == 60


@pytest.mark.parametrize(
    ("cells", "is_class", "count"),
    [
        (["0", "1", "2", "1"], True, 3),
        (["1", "3", "2", "1"], True, 4),  # taken as they are, never renumbered
        (["0.5", "1", "2", "1"], False, 0),
        (["-1", "1", "1", "-1"], False, 0),
        ([str(i) for i in range(50)], False, 0),
        (["yes", "no"], True, 2),
    ],
)
def test_whole_numbers_are_classes_where_there_are_few(
    tmp_path: Path, cells: list[str], is_class: bool, count: int
) -> None:
    (tmp_path / "t.csv").write_text("x,t\n" + "".join(f"0.5,{c}\n" for c in cells))
    target = choose_target(read_table(str(tmp_path / "t.csv")), None)
    assert target.is_class is is_class
    if is_class:
        assert target.classes == count


def test_a_telling_name_is_the_target_wherever_it_stands(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("Label,a,b\n0,1.5,2.5\n1,3.5,4.5\n")
    table = read_table(str(tmp_path / "t.csv"))
    assert choose_target(table, None).title == "Label"
    assert choose_target(table, "b").title == "b"
    with pytest.raises(Failure, match="no column `c`"):
        choose_target(table, "c")


def test_statistics(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("a\tb\n1\t2.5\n\t3.5\n5\tnan\n")
    a, b = read_table(str(tmp_path / "t.tsv")).columns
    assert (a.numbers.tolist(), a.missing, a.whole) == ([1.0, 5.0], 1, True)
    assert (b.numbers.tolist(), b.missing, b.whole) == ([2.5, 3.5], 1, False)
    assert a.deviation == 2.0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"a,b\n", "has a header and no rows"),
        (b"a,b\n1,2\n3\n", "t.csv:3: 1 cells, but the header has 2"),
        (b"a,a\n1,2\n", "two columns are called 'a'"),
        (b"a,b\n1,\xff\n", "t.csv:2: this is no UTF-8 text"),
        (b"a\n1\n", "has one column"),
        (b"a,b\n1,\n2,\n", "column `b` is empty"),
        (b"a,label\n1,0\n2,0\n", "has 1 classes"),
        (b"w,label\nred,0\nblue,1\n", "no column of numbers"),
    ],
)
def test_tables_that_cannot_be_learnt_from(
    gradc: Any, tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    done = gradc("new", "t", "--csv", "t.csv")
    assert done.code in (2, 4) and message in done.err
    assert not (tmp_path / "t.net").exists()


def test_a_header_cannot_write_code_or_lines_of_the_program(
    gradc: Any, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text(
        '"a\nparam W = 0",b\u202e,label\n1,2,0\n3,4,1\n5,6,0\n'
    )
    done = gradc("new", "t", "--csv", "t.csv")
    assert done.code == 0
    text = (tmp_path / "t.net").read_text()
    assert "aparam W = 0, b?" in text and "\nparam" not in text and "\u202e" not in text


# --------------------------------------------------------------------------- programs


def last_accuracy(err: str) -> float:
    return float(re.findall(r"accuracy (\d\.\d+)", err)[-1])


def test_the_toy_problem_trains_at_once(gradc: Any, tmp_path: Path) -> None:
    done = gradc("new", "moons")
    assert done.code == 0
    assert done.err == "wrote  moons.csv, moons.net\nnext   gradc train moons.net\n"
    assert gradc("fmt", "--check", "moons.net").code == 0
    trained = gradc("train", "moons.net")
    assert trained.code == 0, trained.err
    assert last_accuracy(trained.err) > 0.9
    again = gradc("new", "moons")
    assert again.code == 2 and "`moons.csv` exists" in again.err
    assert gradc("new", "moons", "--force").code == 0


def test_a_table_of_classes_trains_at_once(gradc: Any, tmp_path: Path) -> None:
    (tmp_path / "flowers.csv").write_text(classes())
    done = gradc("new", "flowers", "--csv", "flowers.csv")
    assert done.code == 0, done.err
    text = (tmp_path / "flowers.net").read_text()
    assert "# Left out: id (numbers the rows), color (words)." in text
    assert 'data x = "flowers.csv:width,length"' in text
    assert gradc("fmt", "--check", "flowers.net").code == 0
    trained = gradc("train", "flowers.net")
    assert trained.code == 0, trained.err
    assert last_accuracy(trained.err) > 0.9


def test_a_table_of_quantities_trains_at_once(gradc: Any, tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text(quantities())
    done = gradc("new", "prices", "--csv", "prices.csv")
    assert done.code == 0, done.err
    text = (tmp_path / "prices.net").read_text()
    assert 'data = "prices.csv"' in text and "mse" in text
    trained = gradc("train", "prices.net")
    assert trained.code == 0, trained.err
    assert float(re.findall(r"error (\d+\.?\d*)", trained.err)[-1]) < 300


def test_data_elsewhere_are_named_on_the_command_line(
    gradc: Any, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "nets").mkdir()
    with gzip.open(tmp_path / "data" / "k.csv.gz", "wt") as file:
        file.write(classes())
    done = gradc("new", "nets/k", "--csv", "data/k.csv.gz", "--json")
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert said["files"] == ["nets/k.net"]
    assert "data" not in (tmp_path / "nets" / "k.net").read_text().split("train {")[1]
    import shlex

    trained = gradc(*shlex.split(said["train"])[1:])
    assert trained.code == 0, trained.err


def test_a_file_without_a_header(gradc: Any, tmp_path: Path) -> None:
    rows = [line.split(",") for line in classes().splitlines()[1:]]
    text = "".join(f"{w},{length},{'ab'.index(k)}\n" for _, w, _, length, k in rows)
    (tmp_path / "bare.csv").write_text(text)
    done = gradc("new", "bare", "--csv", "bare.csv")
    assert done.code == 0, done.err
    trained = gradc("train", "bare.net")
    assert trained.code == 0, trained.err
