"""How a network does: measures of its values and adjoints, and what they say is wrong.

In: for each site of a program (a layer, an activation, a softmax, …) the arrays of one or
several batches, by role. Out: `Finding`s: an id, the site, the figures that show it, what to try.
Everything here is a function of arrays: where they come from, and in which line of the program a
site stands, is the command line's knowledge (`cli/looking.py`).

    look = measured(site_kind, batches)            # measures.py: what is counted
    for finding in judge(seen): ...                # judging.py: what it means

Read in this order: `thresholds.py` (every number with its reason and source), `measures.py`,
`judging.py`, `page.py`.
"""
