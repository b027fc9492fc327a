"""How much a value is once every alias in it is written out, as digests, caches and requests have it."""

from typing import Any

_NODE_BYTES = 16


def expanded_bytes(value: Any, enough: int) -> int:
    """About as many bytes as the value has in JSON; counting stops above `enough`, so a bomb costs no more than that.

    Args:
        value: JSON, in which parts may be shared.
        enough: the count is exact enough once it is passed.
    """
    total, rest = 0, [value]
    while rest and total <= enough:
        node = rest.pop()
        total += _NODE_BYTES
        match node:
            case dict():
                total += sum(map(len, node))
                rest.extend(node.values())
            case list():
                rest.extend(node)
            case str():
                total += len(node)
            case _:
                continue
    return total
