"""The gradient, seen: what came of a line, and the mathematics of a derivative.

In: what the stages handed on (a `Program`, a `Joint`, a plan). Out: data, and text for
people. Nothing in here is needed to compile, and nothing in here knows NumPy: numbers come
from a program of its own (`probe.py`) that is compiled and executed like any other.

    formula.py, reading.py          one expression tree; a DAG read as it
    text.py, latex.py               the tree as text that can be read back, and as LaTeX
    derivation.py, closed_form.py   the chain of local derivatives; a scalar in one formula
    paths.py                        how many ways lead to the loss, and each of them
    provenance.py                   line -> equations -> nodes -> adjoints -> emitted lines
    drawing.py, svg.py              the graph as a drawing
    costs.py                        operations, bytes, what is kept
"""
