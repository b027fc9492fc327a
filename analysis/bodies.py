"""Reading the body of an HTTP answer, never more of it than wanted."""

import aiohttp

from analysis.errors import CoalmineError

_CHUNK_BYTES = 64 * 1024


class BodyTooLarge(CoalmineError):
    """An answer has more bytes than anybody wants to read."""


async def read_body(response: aiohttp.ClientResponse, bytes_max: int) -> bytes:
    """Return the whole body; raises BodyTooLarge once it has more than `bytes_max` bytes.

    `response.content.read(n)` would return what has arrived so far, which is not the whole of a large body.
    """
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        body += chunk
        if len(body) > bytes_max:
            raise BodyTooLarge(f"the answer has more than {bytes_max} bytes")
    return bytes(body)
