"""History in a file, so that a model can be fitted where the metrics store is not: arrays and JSON, never pickle."""

import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence

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
_HEADER = "header"
_ARRAYS_MAX = 200_000


class _MetricHeader(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    interval_seconds: float
    pods: tuple[str, ...]
    bounds: tuple[float, ...] = ()


class _PieceHeader(msgspec.Struct, frozen=True, rename="camel"):
    began_at: float
    metrics: tuple[_MetricHeader, ...]


class _Header(msgspec.Struct, frozen=True, rename="camel"):
    schema: str
    pieces: tuple[_PieceHeader, ...]


def encode_history(pieces: Sequence[Piece]) -> bytes:
    """Return a compressed npz archive with a JSON header."""
    arrays: dict[str, np.ndarray] = {}
    headers = []
    for number, piece in enumerate(pieces):
        metrics = []
        for place, (name, table) in enumerate(sorted(piece.tables.items())):
            metrics.append(_MetricHeader(name, table.interval_seconds, table.stable.pods, table.bounds))
            arrays[f"{number}.{place}.seconds"] = table.stable.seconds
            arrays[f"{number}.{place}.amounts"] = table.stable.amounts
        headers.append(_PieceHeader(piece.began_at, tuple(metrics)))
    header = msgspec.json.encode(_Header(SCHEMA, tuple(headers)))
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **{_HEADER: np.frombuffer(header, dtype=np.uint8)}, **arrays)
    return file.getvalue()


def decode_history(data: bytes) -> tuple[Piece, ...]:
    """Return the pieces of a file that anybody may have written; raises InvalidSpec."""
    _check_size(data)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            header = msgspec.convert(read_json(arrays[_HEADER].tobytes(), "history"), _Header)
            if header.schema != SCHEMA or len(header.pieces) > PIECES_MAX:
                raise InvalidSpec("history", f"is no {SCHEMA} of at most {PIECES_MAX} pieces", "record it again")
            return tuple(_piece(number, piece, arrays) for number, piece in enumerate(header.pieces))
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise InvalidSpec("history", f"is no recorded history: {str(error)[:200]}", "record it again") from error


def _check_size(data: bytes) -> None:
    if len(data) > MAX_BYTES:
        raise InvalidSpec("history", f"has {len(data)} bytes", f"record fewer pieces; at most {MAX_BYTES} are read")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError) as error:
        raise InvalidSpec("history", f"is no recorded history: {str(error)[:200]}", "record it again") from error
    if len(entries) > _ARRAYS_MAX or sum(entry.file_size for entry in entries) > MAX_UNPACKED_BYTES:
        raise InvalidSpec("history", "is too large once unpacked", "record fewer pieces")


def _piece(number: int, header: _PieceHeader, arrays: Mapping[str, FloatArray]) -> Piece:
    return Piece(
        header.began_at,
        {
            metric.name: _table(metric, arrays[f"{number}.{place}.seconds"], arrays[f"{number}.{place}.amounts"])
            for place, metric in enumerate(header.metrics)
        },
    )


def _table(header: _MetricHeader, seconds: FloatArray, amounts: FloatArray) -> Table:
    columns = len(header.bounds) + 1 if header.bounds else amounts.shape[-1]
    fits = (
        seconds.dtype == amounts.dtype == np.float64
        and seconds.ndim == 2
        and amounts.shape == (*seconds.shape, columns)
        and len(header.pods) == len(set(header.pods)) == seconds.shape[0]
        and header.interval_seconds > 0
        and list(header.bounds) == sorted(set(header.bounds))
        and np.isfinite(seconds).all()
        and not np.isinf(amounts).any()
    )
    if not fits:
        raise InvalidSpec("history", f"the table of {header.name[:64]!r} has a wrong shape", "record it again")
    stable = ArmTable(header.pods, seconds, amounts)
    nobody = ArmTable((), np.zeros((0, seconds.shape[1])), np.zeros((0, *amounts.shape[1:])))
    return Table(nobody, stable, 0, header.interval_seconds, header.bounds)
