"""Recording without a proxy: through botocore's public events, in the process of the application."""

import atexit
import logging
import random
import threading
import time
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Self

import orjson

from perfkit import __version__
from perfkit.errors import ConfigError
from perfkit.traffic.consumed import COUNTED, asked_for, cut
from perfkit.traffic.exchange import Exchange, Observer
from perfkit.traffic.schemas import Schema, read_schema
from perfkit.traffic.shapes import fingerprint_of
from perfkit.traffic.trace_file import SLOT_S, TraceWriter

__all__ = ["Attached", "attach"]

_PREFIX = "DynamoDB_20120810."
_ASKED = "perfkit_asked"
_MOST_WAITING = 10_000
_OF_INDEXES = ("Table", "LocalSecondaryIndexes", "GlobalSecondaryIndexes")

_log = logging.getLogger("perfkit.record")


def attach(
    to: Any,
    path: str | Path,
    *,
    sample: float = 1.0,
    keep_values: bool = False,
    max_size_mb: float = 256,
) -> "Attached":
    """
    Record what a boto3 or botocore client, or all clients made of a session from now on, ask.

        with perfkit.traffic.attach(client, "app.trace"):
            ...

    Args:
        to: A client of the service `dynamodb`, a resource, or a session.
        path: The trace; must not be there yet.
        sample: Share of the time that is recorded, in whole stretches of ten seconds, so that
            what belongs together stays together; 0.1 for production.
        keep_values: Keep requests with all values; only for test data.
        max_size_mb: Size of the trace beyond which details are thinned out.

    Returns:
        What ends the recording: `close()`, the end of a `with`, or of the program.

    Raises:
        ConfigError: There is such a file, or *to* is none of these.
    """
    if not 0 < sample <= 1:
        msg = f"sample={sample}: give a share above 0, up to 1"
        raise ConfigError(msg)
    return Attached(
        _events(to),
        to,
        Path(path),
        sample=sample,
        keep_values=keep_values,
        most_bytes=round(max_size_mb * 1e6),
    )


class Attached:
    """
    A recording of clients in this process; `attach` makes it.

    Attributes:
        path: The trace.
        unread: Requests that could not be recorded.
    """

    def __init__(
        self,
        events: Any,
        to: Any,
        path: Path,
        *,
        sample: float,
        keep_values: bool,
        most_bytes: int,
    ) -> None:
        self.unread = 0
        self._events = events
        self._to = to
        self._sample = sample
        self._seed = random.SystemRandom().random()
        self._schemas: dict[str, Schema] = {}
        self._asked: set[str] = set()
        self._observer = Observer(self._schemas, keep_values=keep_values)
        self._began_s = time.perf_counter()
        self._threads: dict[int, int] = {}
        self._local = threading.local()
        self._url = ""
        self._waiting: SimpleQueue[tuple[Exchange, str] | None] = SimpleQueue()
        self._writer = TraceWriter(
            path,
            {
                "perfkit": __version__,
                "target": {"kind": "attached"},
                "keeps_values": keep_values,
                "complete": False,
                "sample": sample,
            },
            most_bytes=most_bytes,
            warn=_log.warning,
        )
        self._worker = threading.Thread(target=self._work, name="perfkit-record", daemon=True)
        self._worker.start()
        # where another handler answers in the place of the network, nobody after it is called
        events.register_first("provide-client-params.dynamodb", self._ask)
        events.register_first("before-send.dynamodb", self._sent)
        events.register("response-received.dynamodb", self._received)
        atexit.register(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the recording; nothing happens the second time."""
        atexit.unregister(self.close)
        if not self._worker.is_alive():
            return
        for event, handler in (
            ("provide-client-params.dynamodb", self._ask),
            ("before-send.dynamodb", self._sent),
            ("response-received.dynamodb", self._received),
        ):
            self._events.unregister(event, handler)
        duration_s = time.perf_counter() - self._began_s
        self._waiting.put(None)
        self._worker.join()
        self._writer.note(
            complete=True,
            duration_s=duration_s,
            observed_s=self._observed_s(duration_s),
            unread=self.unread,
        )
        self._writer.close()

    # ---- in the application's threads; what they raise would reach the application

    def _ask(self, params: dict[str, Any], model: Any, context: Any, **_: Any) -> Any:
        """Ask for consumed capacity, unless this stretch of time is left out."""
        if getattr(self._local, "own", False) or not self._is_sampled(time.perf_counter()):
            return None
        context[_ASKED] = asked_for(params)
        if model.name not in COUNTED or context[_ASKED] not in {"NONE", "TOTAL"}:
            return None
        return params | {"ReturnConsumedCapacity": "INDEXES"}

    def _sent(self, request: Any, **_: Any) -> None:
        self._local.sent = (time.perf_counter(), request)

    def _received(self, response_dict: Any, parsed_response: Any, context: Any, **_: Any) -> None:
        if _ASKED not in (context or {}):
            return
        asked = context[_ASKED]
        if isinstance(parsed_response, dict) and asked in {"NONE", "TOTAL"}:
            _reduce(parsed_response, asked)
        try:
            sent_s, request = self._local.sent
            self._put(sent_s, request, response_dict, asked)
        except Exception:  # noqa: BLE001 - the application must not notice
            self._give_up()

    def _put(self, sent_s: float, request: Any, response: Any, asked: str) -> None:
        if self._waiting.qsize() >= _MOST_WAITING:
            # recording comes after the application
            self._give_up()
            return
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        body = request.body if isinstance(request.body, bytes) else str(request.body).encode()
        thread = threading.get_ident()
        self._url = request.url
        connection = self._threads.setdefault(thread, len(self._threads) + 1)
        status = response["status_code"] if response else 0
        content = bytes(response["body"]) if response else b""
        exchange = Exchange(
            operation=headers.get("x-amz-target", "").removeprefix(_PREFIX),
            request={},
            body=body,
            at_s=sent_s - self._began_s,
            duration_s=time.perf_counter() - sent_s,
            status=status,
            answer=content,
            consumed=(),
            connection=connection,
            headers=headers,
            failure="" if response else "no answer",
        )
        self._waiting.put((exchange, asked))

    def _give_up(self) -> None:
        if not self.unread:
            _log.warning("a request could not be recorded", exc_info=True)
        self.unread += 1

    def _is_sampled(self, now_s: float) -> bool:
        return self._is_kept(int((now_s - self._began_s) // SLOT_S))

    def _is_kept(self, slot: int) -> bool:
        if self._sample >= 1:
            return True
        return random.Random(f"{self._seed} {slot}").random() < self._sample  # noqa: S311

    def _observed_s(self, duration_s: float) -> float:
        slots = int(duration_s // SLOT_S)
        whole = sum(map(self._is_kept, range(slots))) * SLOT_S
        return whole + (duration_s - slots * SLOT_S) * self._is_kept(slots)

    # ---- in a thread of its own

    def _work(self) -> None:
        slot = -1
        while (found := self._waiting.get()) is not None:
            exchange, asked = found
            try:
                self._record(exchange, asked)
            except Exception:  # noqa: BLE001 - the application must not notice
                self._give_up()
            now = int(exchange.at_s // SLOT_S)
            if now != slot:
                slot = now
                self._writer.note(observed_s=self._observed_s((now + 1) * SLOT_S))

    def _record(self, exchange: Exchange, asked: str) -> None:
        exchange.request = orjson.loads(exchange.body)
        if exchange.operation in COUNTED and exchange.status == 200:
            found = cut(exchange.answer, asked)
            exchange.answer, exchange.consumed = found.body, found.consumed
            for table in fingerprint_of(exchange.operation, exchange.request).tables:
                self._describe(table)
        self._writer.add(self._observer.observe(exchange))

    def _describe(self, table: str) -> None:
        """Ask for the keys of a table that is seen for the first time."""
        if table in self._asked:
            return
        self._asked.add(table)
        self._local.own = True
        try:
            description = self._client().describe_table(TableName=table)["Table"]
        except Exception as error:  # noqa: BLE001 - without the right to, keys stay unknown
            _log.debug("cannot describe %s: %s", table, error)
            return
        schema = read_schema(description)
        if schema is not None:
            self._schemas[table] = schema
            self._writer.describe(table, description)

    def _client(self) -> Any:
        if hasattr(self._to, "describe_table"):
            return self._to
        if hasattr(self._to, "meta"):
            return self._to.meta.client
        make = getattr(self._to, "client", None) or self._to.create_client
        return make("dynamodb", endpoint_url=self._url.rstrip("/"))


def _events(to: Any) -> Any:
    """
    Return where handlers are registered.

    Raises:
        ConfigError: *to* is neither client nor resource nor session.
    """
    if hasattr(to, "get_component"):
        return to.get_component("event_emitter")
    if hasattr(to, "events"):
        return to.events
    meta = getattr(to, "meta", None)
    found = getattr(getattr(meta, "client", to), "meta", None)
    events = getattr(found, "events", None)
    if events is None:
        msg = f"cannot attach to {type(to).__name__}; give a boto3 client, resource or session"
        raise ConfigError(msg)
    return events


def _reduce(parsed: dict[str, Any], asked: str) -> None:
    """Leave of the consumed capacity in an answer what the application asked for."""
    if asked == "NONE":
        parsed.pop("ConsumedCapacity", None)
        return
    consumed: Any = parsed.get("ConsumedCapacity")
    for each in consumed if isinstance(consumed, list) else [consumed]:
        for name in _OF_INDEXES if isinstance(each, dict) else ():
            each.pop(name, None)


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
