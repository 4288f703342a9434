"""Writes the tables of the examples from scikit-learn's copies, and the texts from char-rnn's.

    pip download --no-deps scikit-learn && python examples/prepare.py scikit_learn-*.whl
    git clone https://github.com/karpathy/char-rnn
    python examples/prepare.py char-rnn/data/tinyshakespeare/input.txt

What changes on the way is listed in LICENSES.md, with the SHA-256 of every result: the same
file gives the same bytes, for gzip is told neither time nor name.
"""

from __future__ import annotations

import csv
import gzip
import io
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
IRIS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
SPECIES = ["setosa", "versicolor", "virginica"]
WINE = """
    alcohol malic_acid ash alcalinity_of_ash magnesium total_phenols flavanoids
    nonflavanoid_phenols proanthocyanins color_intensity hue od280_od315 proline
    """.split()
CELLS = """
    radius texture perimeter area smoothness compactness concavity concave_points
    symmetry fractal_dimension
    """.split()

Rows = list[list[str]]


def read(wheel: zipfile.ZipFile, name: str) -> Rows:
    """The rows of one of scikit-learn's files, as they are written there."""
    content = wheel.read(f"sklearn/datasets/data/{name}")
    if name.endswith(".gz"):
        content = gzip.decompress(content)
    return list(csv.reader(io.StringIO(content.decode("ascii"))))


def write(name: str, header: list[str], rows: Rows) -> None:
    """A CSV with a header row and line feeds, gzipped where the name says so."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    content = text.getvalue().encode("ascii")
    keep(name, content)


def keep(name: str, content: bytes) -> None:
    """A file, gzipped where the name says so."""
    if name.endswith(".gz"):
        content = gzip.compress(content, compresslevel=9, mtime=0)
    (HERE / name).write_bytes(content)


def texts(path: str) -> None:
    """The whole of a text for one example, its beginning for the other."""
    content = Path(path).read_bytes()
    keep("gpt/shakespeare.txt.gz", content)
    keep("char_rnn/shakespeare.txt", content[:100_000])


def tables(path: str) -> None:
    with zipfile.ZipFile(path) as wheel:
        digits = read(wheel, "digits.csv.gz")
        iris = read(wheel, "iris.csv")[1:]
        wine = read(wheel, "wine_data.csv")[1:]
        cancer = read(wheel, "breast_cancer.csv")[1:]

    header = [f"p{i}" for i in range(64)] + ["digit"]
    write("digits/digits.csv.gz", header, digits)

    named = [[*row[:4], SPECIES[int(row[4])]] for row in iris]
    write("iris/iris.csv", [*IRIS, "species"], named)

    write("relu_mlp/wine.csv", [*WINE, "cultivar"], wine)

    header = [f"{kind}_{cell}" for kind in ("mean", "error", "worst") for cell in CELLS]
    # There 0 is malignant; a column that is named for what 1 means needs no legend.
    turned = [[*row[:30], str(1 - int(row[30]))] for row in cancer]
    write("logistic/breast_cancer.csv", [*header, "malignant"], turned)


if __name__ == "__main__":
    texts(sys.argv[1]) if sys.argv[1].endswith(".txt") else tables(sys.argv[1])
