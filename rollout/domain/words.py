"""Words of others, made fit for conditions, events and logs."""


def printable(text: str) -> str:
    """The text on one line, without what a terminal would obey: hosts and repositories choose their words freely."""
    return "".join(ch if ch.isprintable() else " " for ch in text)
