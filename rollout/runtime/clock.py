"""The one clock of the shell."""

import time


def now() -> float:
    """Epoch seconds."""
    return time.time()
