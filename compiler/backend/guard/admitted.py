"""What the guard admits: the tables of its allow-list, and its limits.

Each table is what networks need and no more; what is missing here is refused, whatever it
means. `walk.py` is the walk that looks things up in them.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import re

# NumPy functions: each is pure arithmetic on arrays, takes no callable, touches no file.
NP_FUNCTIONS = frozenset("""
    abs absolute add all any arange arccos arccosh arcsin arcsinh arctan arctan2 arctanh
    argmax argmin argsort array atleast_1d broadcast_to ceil clip concatenate copysign
    copyto cos
    cosh cumprod cumsum diag diagonal divide dot einsum empty empty_like equal exp exp2
    expand_dims expm1 eye fabs flip float64 floor floor_divide full full_like greater
    greater_equal hypot identity inner isfinite isinf isnan less less_equal log log10
    log1p log2 logaddexp logical_and logical_not logical_or logical_xor matmul max maximum
    mean min minimum mod moveaxis multiply ndindex negative not_equal ones ones_like outer
    pad positive power prod put_along_axis ravel real reciprocal remainder repeat reshape
    result_type roll
    rint round sign sin sinh sort split sqrt square squeeze stack subtract sum swapaxes
    take take_along_axis tan tanh tensordot tile trace transpose tril triu true_divide
    trunc vdot where zeros zeros_like
    add.accumulate add.at add.reduce add.reduceat maximum.accumulate maximum.reduce
    minimum.accumulate minimum.reduce multiply.accumulate multiply.reduce linalg.cholesky
    linalg.inv linalg.qr linalg.slogdet linalg.solve
    lib.stride_tricks.sliding_window_view
    """.split())

NP_CONSTANTS = frozenset(
    """bool_ complex128 e euler_gamma float64 inf intp nan newaxis pi""".split()
)

# Of arrays, of the generator that `init` and `draw` receive, and `append` of a list.
METHODS = frozenset("""
    all any append argmax argmin argsort astype clip copy cumprod cumsum diagonal dot fill
    max mean min prod ravel repeat reshape sort squeeze standard_normal random sum
    swapaxes take trace transpose
    """.split())

ATTRIBUTES = frozenset({"T", "dtype", "ndim", "shape", "size"})

BUILTINS = frozenset(
    {"abs", "enumerate", "float", "len", "list", "max", "range", "reversed", "zip"}
)

KEYWORDS = frozenset("""
    axis axis1 axis2 axes constant_values dtype k keepdims kind initial mode out where
    """.split())

# Strings that choose a variant, by keyword; a dict key is checked by KEY instead.
OPTIONS = {
    "kind": frozenset({"stable"}),
    "mode": frozenset({"clip", "constant", "reduced", "complete"}),
}

ERRSTATE = frozenset({"all", "divide", "invalid", "over", "under"})

OPERATORS = (
    ast.Add,
    ast.Sub,
    ast.Mult,
    ast.Div,
    ast.FloorDiv,
    ast.Mod,
    ast.Pow,
    ast.MatMult,
    ast.BitAnd,
    ast.BitOr,
    ast.BitXor,
)
COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)
UNARY = (ast.USub, ast.UAdd, ast.Invert, ast.Not)

LARGEST_INTEGER = 2**63 - 1  # what an array index or a size can hold
RANGE_BITS = 24  # up to 16 million steps that the text itself fixes
EXPONENT_BITS = 20  # up to a million; an integer, for floats overflow at once
MOST_BITS = 4096  # of an integer that Python itself computes
LONGEST_NAME = 160  # 64 from the .net, spelt-out Greek, prefixes and numbers
LONGEST_KEY = 2000
MOST_LINES = 200_000
LONGEST_LINE = 2**20  # as long as a whole .net may be

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
# Parameter paths, names of inputs and outputs: `h[3].attention.q.dense.W`
KEY = re.compile(r"[A-Za-z\u0391-\u03c9][A-Za-z0-9_\u0391-\u03c9.\[\]]*\Z")
PATH_PIECE = re.compile(r"[A-Za-z0-9_\u0391-\u03c9.\[\]]*\Z")
FOLDED = re.compile(r"[\x20-\x7e\u0391-\u03c9]*\Z")  # NFKC leaves all of these alone
# A size as text in PARAMETERS: `D`, `2 * D`, `D / 2 + 1`
SIZE = re.compile(r"[A-Za-z0-9_\u0391-\u03c9 +*/()-]+\Z")
EINSUM = re.compile(r"[A-Za-z]*(,[A-Za-z]*)*->[A-Za-z]*\Z")
CODING = re.compile(r"[ \t\f]*#.*?coding[:=]")

FORBIDDEN_NAMES = frozenset(dir(builtins)) | frozenset(keyword.kwlist) | {"np", "numpy"}
# Marks of writing direction, zero-width letters and other format characters: an editor
# may show another text than the one that runs.
INVISIBLE = re.compile(
    "[\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
