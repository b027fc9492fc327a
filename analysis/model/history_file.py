"""History in a file, so that a model can be fitted where the metrics store is not.

A zip archive of one JSON header and plain numbers: nothing in it is a program, not even a literal of Python.
"""

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Sequence

import msgspec
import numpy as np

from analysis.errors import InvalidSpec
from analysis.evidence.special import FloatArray
from analysis.evidence.table import ArmTable, Table
from analysis.model.history import PIECES_MAX, Piece
from analysis.model.strict_json import read_json

SCHEMA = "coalmine.dev/history/v1"
MAX_BYTES = 256 * 1024 * 1024
MAX_UNPACKED_BYTES = 2 * 1024 * 1024 * 1024
_HEADER = "header.json"
_ENTRIES_MAX = 200_000
_NUMBER_BYTES = 8
# Archives bear a date; without one, equal histories are equal files.
_DATE = (1980, 1, 1, 0, 0, 0)


class _MetricHeader(msgspec.Struct, frozen=True, rename="camel"):
    """A table: seconds (pods, windows), then amounts (pods, windows, columns), little-endian doubles."""

    name: str
    interval_seconds: float
    pods: tuple[str, ...]
    windows: int
    columns: int
    bounds: tuple[float, ...] = ()


class _PieceHeader(msgspec.Struct, frozen=True, rename="camel"):
    began_at: float
    metrics: tuple[_MetricHeader, ...]


class _Header(msgspec.Struct, frozen=True, rename="camel"):
    schema: str
    pieces: tuple[_PieceHeader, ...]


def encode_history(pieces: Sequence[Piece]) -> bytes:
    """Return the archive; equal histories give equal bytes."""
    file = io.BytesIO()
    headers = []
    with zipfile.ZipFile(file, "w") as archive:
        for number, piece in enumerate(pieces):
            tables = sorted(piece.tables.items())
            headers.append(_PieceHeader(piece.began_at, tuple(_header(name, table) for name, table in tables)))
            for place, (_, table) in enumerate(tables):
                arrays = (table.stable.seconds, table.stable.amounts)
                _write(archive, f"{number}.{place}", b"".join(one.astype("<f8").tobytes() for one in arrays))
        _write(archive, _HEADER, msgspec.json.encode(_Header(SCHEMA, tuple(headers))))
    return file.getvalue()


def _header(name: str, table: Table) -> _MetricHeader:
    stable = table.stable
    return _MetricHeader(
        name, table.interval_seconds, stable.pods, table.windows, int(stable.amounts.shape[2]), table.bounds
    )


def _write(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, content)


def decode_history(data: bytes) -> tuple[Piece, ...]:
    """Return the pieces of a file that anybody may have written; raises InvalidSpec."""
    if len(data) > MAX_BYTES:
        raise InvalidSpec("history", f"has {len(data)} bytes", f"record fewer pieces; at most {MAX_BYTES} are read")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _decoded(archive)
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        OSError,
        ValueError,
        KeyError,
        EOFError,
        RuntimeError,
    ) as error:
        raise InvalidSpec("history", f"is no recorded history: {str(error)[:200]}", "record it again") from error


def _decoded(archive: zipfile.ZipFile) -> tuple[Piece, ...]:
    entries = archive.infolist()
    if len(entries) > _ENTRIES_MAX or sum(entry.file_size for entry in entries) > MAX_UNPACKED_BYTES:
        raise InvalidSpec("history", "is too large once unpacked", "record fewer pieces")
    header = msgspec.convert(read_json(archive.read(_HEADER), "history"), _Header)
    if header.schema != SCHEMA or len(header.pieces) > PIECES_MAX:
        raise InvalidSpec("history", f"is no {SCHEMA} of at most {PIECES_MAX} pieces", "record it again")
    return tuple(
        Piece(
            piece.began_at,
            {
                metric.name: _table(metric, archive.read(f"{number}.{place}"))
                for place, metric in enumerate(piece.metrics)
            },
        )
        for number, piece in enumerate(header.pieces)
    )


def _table(header: _MetricHeader, content: bytes) -> Table:
    shape = len(header.pods), header.windows, header.columns
    cells = shape[0] * shape[1]
    sound = (
        header.windows > 0
        and header.columns in ((len(header.bounds) + 1,) if header.bounds else (1, 2))
        and len(content) == _NUMBER_BYTES * cells * (1 + header.columns)
        and len(set(header.pods)) == len(header.pods)
        and 0 < header.interval_seconds < math.inf
        and list(header.bounds) == sorted(set(header.bounds))
    )
    numbers = np.frombuffer(content, dtype="<f8").astype(np.float64) if sound else np.zeros(0)
    seconds, amounts = numbers[:cells], numbers[cells:]
    if not sound or not np.isfinite(seconds).all() or np.isinf(amounts).any():
        raise InvalidSpec("history", f"the table of {header.name[:64]!r} has a wrong shape", "record it again")
    return _of_stable(header, seconds.reshape(shape[:2]), amounts.reshape(shape))


def _of_stable(header: _MetricHeader, seconds: FloatArray, amounts: FloatArray) -> Table:
    nobody = ArmTable((), np.zeros((0, header.windows)), np.zeros((0, header.windows, header.columns)))
    return Table(nobody, ArmTable(header.pods, seconds, amounts), 0, header.interval_seconds, header.bounds)
