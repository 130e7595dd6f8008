"""Responses whose body is JSON already."""

from fastapi.responses import Response

__all__ = ["JSONBytes"]


class JSONBytes(Response):
    """Bytes that go out as they are: nothing is decoded, checked or encoded again."""

    media_type = "application/json"
