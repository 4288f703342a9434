"""Lowering: from a checked AST to the DAG. The last place that knows .net syntax.

`lower.lower(resolved) -> Program`. A file a concept: values and sizes as the language sees
them, expressions, calls and who owns what, operators and broadcasting, indexing, the
primitive functions, loops, draws, and what is known of a whole program (`facts`).
"""
