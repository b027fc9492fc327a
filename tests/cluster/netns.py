"""`python -m tests.cluster.netns COMMAND ...`: run a command in a network namespace of its own.

EndpointSlices refuse loopback addresses, so pods need others; they must not be seen outside of a test. In the namespace
there is nothing but `lo`, and every address of 10.64.0.0/10 is local.
"""

import os
import subprocess
import sys
from typing import NoReturn

PODS = "10.64.0.0/10"
_INSIDE = "--inside"


def main(arguments: list[str]) -> NoReturn:
    """Enter, set up, and become the command."""
    if not arguments:
        raise SystemExit(__doc__)
    if arguments[0] != _INSIDE:
        rights = [] if os.geteuid() == 0 else ["--map-root-user"]
        again = [sys.executable, "-m", "tests.cluster.netns", _INSIDE, *arguments]
        os.execvp("unshare", ["unshare", "--net", *rights, "--", *again])  # noqa: S606  no shell is wanted
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "route", "add", "local", PODS, "dev", "lo"], check=True)
    os.execvp(arguments[1], arguments[1:])  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
