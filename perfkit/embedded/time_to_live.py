"""Time to live: choosing the attribute, and removing what has expired."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from perfkit.embedded.errors import validation
from perfkit.embedded.expirations import due, forget, forget_table, note_all
from perfkit.embedded.metering import Meter
from perfkit.embedded.storage import BusyError, Storage
from perfkit.embedded.tables import find_described
from perfkit.embedded.writes import change_item, load
from perfkit.errors import StorageFullError

__all__ = ["describe_time_to_live", "remove_expired", "update_time_to_live"]

_STEP_ITEMS = 1_000
"""Items that one look removes at the most: about 0.02 s of writing, which others wait for."""


def describe_time_to_live(storage: Storage, request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer DescribeTimeToLive."""
    with storage.read() as transaction:
        attribute = find_described(transaction, request).ttl_attribute
    described = {"TimeToLiveStatus": "DISABLED" if attribute is None else "ENABLED"}
    if attribute is not None:
        described["AttributeName"] = attribute
    return {"TimeToLiveDescription": described}


def update_time_to_live(storage: Storage, request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer UpdateTimeToLive; it holds at once, and may be turned on and off at will."""
    given = request["TimeToLiveSpecification"]
    enabled, attribute = given["Enabled"], given["AttributeName"]
    with storage.write() as transaction:
        table = find_described(transaction, request)
        current = table.ttl_attribute
        if current is None and not enabled:
            msg = "TimeToLive is already disabled"
            raise validation(msg)
        if current is not None and current != attribute:
            raise validation(
                "TimeToLive is active on a different AttributeName: current AttributeName is"
                f" {current}"
            )
        if current is not None and enabled:
            msg = "TimeToLive is already enabled"
            raise validation(msg)
        table = replace(table, ttl_attribute=attribute if enabled else None)
        transaction.save(table)
        if enabled:
            note_all(transaction, table)
        else:
            forget_table(transaction, table)
    return {"TimeToLiveSpecification": {"Enabled": enabled, "AttributeName": attribute}}


def remove_expired(storage: Storage, now_s: float) -> None:
    """
    Remove items whose time has passed, from their tables and all indexes, without units.

    On a full disk they stay until there is room, and while another writes, until a later look.

    Args:
        now_s: Seconds since 1970.
    """
    with storage.read() as transaction:
        if not due(transaction, now_s, 1):
            return
    with suppress(StorageFullError, BusyError), storage.write(wait=False) as transaction:
        for name, key in due(transaction, now_s, _STEP_ITEMS):
            table = transaction.table(name)
            stored = None if table is None else load(transaction, table, key)
            if table is not None and stored is not None:
                change_item(transaction, table, key, stored, None, Meter(name))
            else:
                # its table was removed by a version without time to live
                forget(transaction, name, key)
