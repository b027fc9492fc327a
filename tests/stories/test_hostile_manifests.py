"""Files in Git that nobody can mean: each is named, and what runs keeps running."""

from collections.abc import Callable
from pathlib import Path

from rollout.kube.resources import APPLICATIONS
from rollout.sandbox.demo.person import Person
from tests.stories.stage import Stage, manifests

PATH = "apps/web"
FIVE_MEGABYTES = 5 * 1024 * 1024
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\n"


def writes(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def bomb() -> bytes:
    """Ten anchors, each ten times the one before: a page that means ten thousand million words."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    return (CONFIG + "\n".join(lines) + "\n").encode()


# What is in the file, its name, how it is made, and words of the message.
HOSTILE: tuple[tuple[str, str, Callable[[Path], object], str], ...] = (
    ("no YAML", "torn.yaml", writes(b"kind: [ConfigMap\n"), "not YAML"),
    ("no UTF-8", "latin.yaml", writes(CONFIG.encode() + b"data: {word: caf\xe9}\n"), "not UTF-8 at byte"),
    ("5 MB", "large.yaml", writes(CONFIG.encode() + b"# " + b"x" * FIVE_MEGABYTES), "the limit is"),
    ("no kind", "nameless.yaml", writes(b"apiVersion: v1\nmetadata: {name: extra}\n"), "has no kind"),
    ("a way out", "link.yaml", lambda path: path.symlink_to("/etc/passwd"), "a symbolic link out of the repository"),
    ("a way up", "up.yaml", lambda path: path.symlink_to("../../../x.yaml"), "a symbolic link out of the repository"),
    ("a bomb", "bomb.yaml", writes(bomb()), "an alias bomb"),
    ("a text", "text.yaml", writes(b"hello\n"), "not an object"),
)


def release(stage: Stage, version: int) -> str:
    return manifests(stage, f"sane:{version}", replicas=2, steps="[]")


def replaced(stage: Stage, person: Person, old: str, new: str, make: Callable[[Path], object]) -> str:
    """Push one bad file in place of another, with a good release beside it; returns the commit."""
    folder = person.clone / PATH
    (folder / old).unlink(missing_ok=True)
    make(folder / new)
    return person.push(f"Release 2, with {new}", {f"{PATH}/all.yaml": release(stage, 2)})


def test_a_file_that_nobody_can_mean_is_named_and_what_runs_keeps_running(stage: Stage) -> None:
    async def story() -> None:
        stage.image("sane:1")
        stage.image("sane:2")
        person = await stage.repository(write=False)
        person.push("Deploy 1", {f"{PATH}/all.yaml": release(stage, 1)})
        await stage.application()
        await stage.until_healthy("sane:1")
        await stage.clients()
        operator = stage.box.parts["operator"].process
        pods = {pod["metadata"]["uid"] for pod in await stage.pods()}

        former = "none.yaml"
        for what, name, make, words in HOSTILE:
            commit = replaced(stage, person, former, name, make)
            former = name

            async def told(commit: str = commit) -> str | None:
                condition = await stage.condition(APPLICATIONS, "web", "Synced")
                message = str(condition.get("message", ""))
                return message if message.startswith(commit[:7]) and condition["reason"] == "RenderFailed" else None

            message = await stage.until(f"{what} is told", told)
            assert f"{PATH}/{name}" in message
            assert words in message
            assert len(message) < 600
            assert {pod["metadata"]["uid"] for pod in await stage.pods()} == pods

        (person.clone / PATH / former).unlink()
        person.push("Release 2, without it", {})
        await stage.until_healthy("sane:2")
        await stage.until_condition(APPLICATIONS, "web", "Synced", "True")
        assert stage.box.parts["operator"].process is operator
        assert operator is not None
        assert operator.returncode is None
        assert stage.unanswered() == 0

    stage.play(story())
