"""The fast backend, `-O2`: the same schedule on planned buffers.

    text = emit(plan, options).text

`build.py` makes instructions of a schedule (`frame.py` what is common to all, `forms.py`,
`products.py`, `sums.py`, `gathers.py` and `loops.py` what each op becomes), `../memory.py`
gives them places, `variables.py` names, `emit.py` and `buffers.py` text.
"""

from .emit import Emission, emit
from .slices import least_rows
from .weights import turned

__all__ = ["Emission", "emit", "least_rows", "turned"]
