"""The expression DAG: sizes, the op record, interned nodes, and what a program is.

Nothing here knows a concrete op: ops register themselves (``compiler/ops``).
"""
