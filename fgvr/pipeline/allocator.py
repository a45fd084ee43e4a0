"""glibc's allocator, told to keep the memory that a training step frees for the next step."""

import ctypes
import os
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of glibc's malloc.h
_OWN_MAPPING = (2**30, 2**25)  # an old glibc takes no more than the second


def keep_freed_memory() -> bool:
    """Keep what is freed, for this process.

    A step on the CPU allocates and frees the same gigabytes as the step before. glibc returns them to the system in
    between, which then clears every page anew. The price is that the process stays as large as it was at its largest.
    Tensors of a gigabyte and more are returned as ever, and the user's own ``MALLOC_TRIM_THRESHOLD_`` and the like are
    left alone.

    Returns:
        Whether anything was changed: there is another allocator, or the user has settings, if not.
    """
    if not sys.platform.startswith("linux") or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    if "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is None:
        return False
    # in this order: either one switches off glibc's adapting of the other, and with the threshold of mappings left at
    # its 128 KB, each tensor would be returned at once
    return any(mallopt(_MMAP_THRESHOLD, size) for size in _OWN_MAPPING) and bool(mallopt(_TRIM_THRESHOLD, -1))
