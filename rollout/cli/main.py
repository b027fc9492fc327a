"""The entry point of `coalmine` and `kubectl coalmine`."""

import os
import sys
from pathlib import Path

from rollout import __version__
from rollout.cli import analysis, app, get, model, run, sandbox, status, steer
from rollout.cli.arguments import FAILED, USAGE, Parser, UsageError, Verbs, add_target_flags
from rollout.cli.screen import harmless
from rollout.errors import CoalmineError

INTERRUPTED = 130


def parser(prog: str = "coalmine") -> Parser:
    """The whole command line."""
    root = Parser(
        prog=prog,
        description="Progressive delivery that takes back in Git what failed in the cluster.",
        epilog=f"example: {prog} get rollouts -A",
    )
    add_target_flags(root)
    commands: Verbs = root.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    run.add(commands)
    get.add(commands)
    status.add(commands)
    steer.add(commands)
    app.add(commands)
    analysis.add(commands)
    model.add(commands)
    sandbox.add(commands)
    version = commands.add_parser("version", help="print the version", epilog=f"example: {prog} version")
    version.set_defaults(handler=_version)
    return root


def _version(_: object) -> int:
    print(f"coalmine {__version__}")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    prog = "kubectl coalmine" if Path(sys.argv[0]).name == "kubectl-coalmine" else "coalmine"
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # A terminal that knows only ASCII still gets its answer.
    arguments = parser(prog).parse_args(argv)
    failed = int(getattr(arguments, "failed", FAILED))
    try:
        code = int(arguments.handler(arguments))
        sys.stdout.flush()
    except UsageError as error:
        return _told(prog, error, USAGE)
    except CoalmineError as error:
        return _told(prog, error, failed)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has seen enough, as `head` does; the interpreter must not complain at its end either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return failed
    return code


def _told(prog: str, error: Exception, code: int) -> int:
    """One line for people, whatever the error has in it."""
    print(harmless(f"{prog}: {' '.join(str(error).split())}"), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
