"""A DynamoDB that gives the same answer at once: `python -m benchmarks.stub`; prints its address."""

import asyncio
from typing import Any

import uvloop

_ITEM = (
    b'{"Item":{"pk":{"S":"1"}},"ConsumedCapacity":{"TableName":"T","CapacityUnits":0.5,'
    b'"Table":{"CapacityUnits":0.5}}}'
)
_TABLE = (
    b'{"Table":{"TableName":"T","TableStatus":"ACTIVE",'
    b'"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}]}}'
)


def _answer(body: bytes) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\nx-amz-crc32: 1\r\n"
        b"x-amzn-requestid: A\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    )


_ANSWERS = {True: _answer(_TABLE), False: _answer(_ITEM)}


class _Stub(asyncio.Protocol):
    """Answers each request once its body is there."""

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].lower()
            _, _, length = head.partition(b"content-length:")
            whole = end + 4 + int(length.split(b"\r", 1)[0] or 0)
            if len(self._received) < whole:
                return
            self._received = self._received[whole:]
            self._transport.write(_ANSWERS[b"describetable" in head])


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Stub, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve())
