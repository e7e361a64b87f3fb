"""What the machine did not do - disk, memory, another process - said the same wherever it comes out."""

from frbias.core.foundation.files import OUT_OF_MEMORY, is_disk_full, is_out_of_memory, os_error_sentence
from frbias.core.foundation.group import what_was_lost


def failure_of_the_machine(error: Exception) -> str:
    """An error that is no fault of frbias in one sentence that says what to do; empty for all others."""
    if isinstance(error, OSError):
        return os_error_sentence(error)
    if is_disk_full(error):
        return "The disk is full; free some space and run the command again."
    return what_was_lost(error) or (OUT_OF_MEMORY if is_out_of_memory(error) else "")
