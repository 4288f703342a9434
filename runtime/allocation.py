"""Memory that is used again: what a training asks of the C library's allocator.

A step makes arrays and drops them. glibc hands a large block that is dropped back to the
system, and the next step's array is paged in anew, page by page: for a network whose arrays are
of a megabyte or two, that is two thirds of the time of a step. Other C libraries are left alone.

    keep_freed()        # for a whole process: `gradc train` calls it, a library should not
"""

from __future__ import annotations

import ctypes
import sys

# From <malloc.h>: at which free top of the heap it is given back, and how many blocks may be
# mapped from the system one by one.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def keep_freed() -> bool:
    """Let the process keep what it frees; whether the allocator is one that can be told."""
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False  # musl has neither the habit nor the function
    never = -1  # as size_t: the largest
    return bool(
        library.mallopt(M_TRIM_THRESHOLD, never) and library.mallopt(M_MMAP_MAX, 0)
    )
