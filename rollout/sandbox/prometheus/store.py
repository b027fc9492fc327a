"""Samples in memory and on disk: a line a scrape, so that a sandbox that comes back remembers."""

import json
import time
from pathlib import Path
from typing import Any

from prombed import InMemoryStorage, PrombedError, Sample, parse_exposition

from rollout.sandbox.prometheus.past import Past

RETENTION_SECONDS = 7200
SEGMENT_BYTES_MAX = 64 * 1024 * 1024
SERIES_MAX = 20_000
SAMPLES_A_SERIES_MAX = 10_000


class Store:
    """The storage of PromQL, with a journal of two segments beside it, and a past that was imported.

    Args:
        folder: where the segments lie.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._current, self._former = folder / "scrapes.jsonl", folder / "scrapes.1.jsonl"
        self.storage: Any = InMemoryStorage(
            retention_ms=RETENTION_SECONDS * 1000, max_series=SERIES_MAX, max_samples_per_series=SAMPLES_A_SERIES_MAX
        )
        self.past = Past(folder)
        for segment in (self._former, self._current):
            self._replay(segment)
        self._journal = self._current.open("a", encoding="utf-8")

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    def take(self, at_ms: int, labels: dict[str, str], text: str) -> bool:
        """Keep what one scrape gave; False where the text is no exposition, or nothing fits any more."""
        if not self._append(at_ms, labels, text):
            return False
        self._journal.write(json.dumps({"t": at_ms, "labels": labels, "text": text}) + "\n")
        self._journal.flush()
        if self._journal.tell() > SEGMENT_BYTES_MAX:
            self._journal.close()
            self._current.replace(self._former)
            self._journal = self._current.open("a", encoding="utf-8")
        return True

    def _append(self, at_ms: int, labels: dict[str, str], text: str) -> bool:
        appender = self.storage.appender(at_ms)
        try:
            for sample in parse_exposition(text).samples:
                series = {**sample.labels, **labels, "__name__": sample.name}
                appender.append(series, Sample(at_ms, sample.value))
            appender.commit()
        except (PrombedError, ValueError):
            appender.rollback()
            return False
        return True

    def _replay(self, segment: Path) -> None:
        """Read a segment; a torn last line is the end of it."""
        if not segment.exists():
            return
        oldest = (time.time() - RETENTION_SECONDS) * 1000
        with segment.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                try:
                    scrape = json.loads(line)
                except ValueError:
                    return
                if scrape["t"] >= oldest:
                    self._append(scrape["t"], scrape["labels"], scrape["text"])
