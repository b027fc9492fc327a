"""Images of the sandbox: content-addressed files that say how the demo service behaves.

`<folder>/<repository>/<tag>.json` is the image `<repository>:<tag>`; its id is the sha256 of the file. Any other
reference is ErrImagePull.
"""

import hashlib
import json
import re
from dataclasses import asdict
from pathlib import Path

from rollout.sandbox.node.behaviour import Behaviour

_REFERENCE = re.compile(r"^(?P<repository>[a-z0-9][a-z0-9._/-]*)(?::(?P<tag>[\w][\w.-]{0,127}))?$")


DEMO_IMAGES = {
    "demo:1": Behaviour("1"),
    "demo:2": Behaviour("2"),
    "demo:3": Behaviour("3"),
    "demo:errors": Behaviour("errors", error_rate=0.3),
    "demo:slow": Behaviour("slow", latency_seconds=0.5),
    "demo:crash": Behaviour("crash", crash_after_seconds=5.0),
    "demo:stuck": Behaviour("stuck", ready_after_seconds=-1.0),
}
"""What a new sandbox has to offer; a file more in its folder is an image more."""


def add_demo_images(folder: Path) -> None:
    """Make the images of a new sandbox, but leave alone what somebody has made or changed there."""
    for reference, behaviour in DEMO_IMAGES.items():
        if find_image(folder, reference) is None:
            add_image(folder, reference, behaviour)


def add_image(folder: Path, reference: str, behaviour: Behaviour) -> str:
    """Make an image; returns its id."""
    path = _path(folder, reference)
    if path is None:
        raise ValueError(f"{reference!r} is no image reference")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(behaviour), indent=1, sort_keys=True) + "\n")
    return image_id(path)


def find_image(folder: Path, reference: str) -> Path | None:
    """The file of an image; None where there is none. The reference is hostile: it cannot leave the folder."""
    path = _path(folder, reference)
    return path if path is not None and path.is_file() else None


def image_id(path: Path) -> str:
    """sha256 of the file, as container runtimes write it."""
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def _path(folder: Path, reference: str) -> Path | None:
    match = _REFERENCE.match(reference)
    if match is None or ".." in reference:
        return None
    return folder / match["repository"] / f"{match['tag'] or 'latest'}.json"
