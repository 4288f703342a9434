"""Data: files to the arrays that a program's functions take.

Between files and the training loop, in this order: `sources` says where values come from and
what may be opened; `delimited`, `arrays`, `text` read a kind of file each; `mapping` gives
columns to inputs; `reading` puts that together; `cells` judges, `transforms` fits and converts;
`tables` splits, shuffles and batches; `dataset` is the order of all that.

    data = load(signature, Settings.of(signature), folder)
    for arrays, rows in data.train.batches(names, epoch=0, seed=0, batch=settings.batch_of): …
"""

from .dataset import Dataset, load, needed_inputs
from .sources import File, Next, Source, Value, parse
from .tables import Part, Table, split
from .transforms import Transforms

__all__ = [
    "Dataset",
    "File",
    "Next",
    "Part",
    "Source",
    "Table",
    "Transforms",
    "Value",
    "load",
    "needed_inputs",
    "parse",
    "split",
]
