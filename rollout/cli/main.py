"""The entry point of `coalmine` and `kubectl coalmine`."""

import argparse
import sys

from rollout import __version__
from rollout.cli import run, sandbox
from rollout.errors import CoalmineError

USAGE = 3


class _Parser(argparse.ArgumentParser):
    """Wrong usage exits with 3, so that CI tells it from a failed rollout."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    root = _Parser(
        prog="coalmine", description="Progressive delivery that takes back in Git what failed in the cluster."
    )
    root.add_argument("--kubeconfig", help="default: $KUBECONFIG, then ~/.kube/config")
    root.add_argument("--context", help="context of the kubeconfig")
    commands: argparse._SubParsersAction[argparse.ArgumentParser] = root.add_subparsers(
        metavar="COMMAND", required=True, parser_class=_Parser
    )
    run.add(commands)
    sandbox.add(commands)
    version = commands.add_parser("version", help="print the version")
    version.set_defaults(handler=_version)
    return root


def _version(_: argparse.Namespace) -> int:
    print(f"coalmine {__version__}")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    arguments = parser().parse_args(argv)
    try:
        return int(arguments.handler(arguments))
    except CoalmineError as error:
        print(f"coalmine: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
