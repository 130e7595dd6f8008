"""What is stored of a value: a marker, then the bytes as they are or compressed."""

import asyncio
import zlib

from perfkit.cache.connection import CacheError

__all__ = ["decode", "encode"]

_RAW = b"="
_COMPRESSED = b"z"


class _UnreadableValueError(CacheError):
    """What is stored is nothing that `encode` made."""


async def encode(body: bytes, compress_over_bytes: int) -> bytes:
    """Return what to store for *body*, compressed if it is large and gets smaller by it."""
    if len(body) > compress_over_bytes:
        # the lock of the interpreter is released meanwhile, so other requests go on
        compressed = await asyncio.to_thread(zlib.compress, body, 1)
        if len(compressed) < len(body):
            return _COMPRESSED + compressed
    return _RAW + body


async def decode(stored: bytes, largest_bytes: int) -> bytes:
    """
    Return the value of which *stored* was made.

    Args:
        stored: What `encode` returned.
        largest_bytes: Give up beyond, so that damage cannot fill the memory.

    Raises:
        UnreadableValueError: It was made by something else, or is damaged.
    """
    marker = stored[:1]
    if marker == _RAW:
        return stored[1:]
    if marker == _COMPRESSED:
        return await asyncio.to_thread(_decompress, stored[1:], largest_bytes)
    msg = f"expected a value with the marker of a cached one, got {stored[:20]!r}"
    raise _UnreadableValueError(msg)


def _decompress(compressed: bytes, largest_bytes: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        body = stream.decompress(compressed, largest_bytes)
    except zlib.error as error:
        msg = f"a compressed value is damaged: {error}"
        raise _UnreadableValueError(msg) from error
    if not stream.eof or stream.unused_data:
        msg = f"a compressed value is cut short, has a tail, or is over {largest_bytes} bytes"
        raise _UnreadableValueError(msg)
    return body
