"""How the process holds on to memory."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8  # of mallopt(3)
_NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let glibc keep freed memory for the next allocation, instead of handing it back to the system at once.

    Every layer of a network makes and frees tensors of megabytes. Handed back each time, every page of them is
    faulted in and zeroed anew, which on a virtual machine can take as long as the arithmetic. What has once been used
    stays with the process until it ends. All threads share one heap, so that one can use what another has freed.

    The program ``frbias`` does this at its start. In a process of your own it is for you to decide: call it before
    large arrays are made.

    Returns:
        Whether anything was changed: Linux with glibc only.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return all([mallopt(_ARENA_MAX, 1), mallopt(_MMAP_MAX, 0), mallopt(_TRIM_THRESHOLD, _NEVER)])
