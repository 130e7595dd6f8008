"""
What the server does in one step: lend out a fill, store what it brought, forget.

Three keys belong to an entry: a hash of its values, one for each variant; a hash of the leases
on them; and a mark that it was invalidated a moment ago.

A filler holds a lease, a random token, from before it reads the database until it stores. An
invalidation removes values and leases in one step, so a fill that began before it has no lease
any more and its value is refused. A lease that expired or was evicted refuses as well: whatever
is lost, nothing old can be stored.
"""

from typing import Any

from perfkit.cache.connection import Command

__all__ = ["BUSY", "DONE", "acquire", "invalidate", "release", "store"]

BUSY = 0
"""The reply of `acquire` while another has the lease."""

DONE = 1
"""The reply of the others when they did what they should."""

_ACQUIRE = """
local value = redis.call('HGET', KEYS[1], ARGV[1])
if value then return value end
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = redis.call('HGET', KEYS[2], ARGV[1])
if lease and tonumber(string.match(lease, '^%d+')) > now_ms then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], string.format('%.0f %s', now_ms + ARGV[3], ARGV[2]))
redis.call('PEXPIRE', KEYS[2], ARGV[3])
local lag_ms = redis.call('PTTL', KEYS[3])
if lag_ms > 0 then return lag_ms end
return -1
"""

_STORE = """
local lease = redis.call('HGET', KEYS[2], ARGV[1])
if not lease or string.match(lease, ' (.*)') ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
local left_ms = redis.call('PTTL', KEYS[1])
if left_ms < 0 or left_ms > tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return 1
"""

_RELEASE = """
local lease = redis.call('HGET', KEYS[1], ARGV[1])
if lease and string.match(lease, ' (.*)') == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
return 1
"""

_INVALIDATE = """
redis.call('DEL', KEYS[1], KEYS[2])
if tonumber(ARGV[1]) > 0 then redis.pcall('SET', KEYS[3], '', 'PX', ARGV[1]) end
return 1
"""


def acquire(key: str, variant: bytes, token: str, lease_ms: int) -> Command:
    """
    Return the command that asks for the value, or else for the lease to fill it.

    Its reply is the value in bytes; or `BUSY`; or, with the lease granted, how many milliseconds
    the value may be kept, -1 for any number.
    """
    return _eval(_ACQUIRE, (key, _lease(key), _mark(key)), variant, token, lease_ms)


def store(key: str, variant: bytes, token: str, value: bytes, ttl_ms: int) -> Command:
    """Return the command that stores a value; its reply is `DONE`, or 0 if the lease is gone."""
    return _eval(_STORE, (key, _lease(key)), variant, token, value, ttl_ms)


def release(key: str, variant: bytes, token: str) -> Command:
    """Return the command that gives a lease back without a value."""
    return _eval(_RELEASE, (_lease(key),), variant, token)


def invalidate(key: str, lag_ms: int) -> Command:
    """
    Return the command that forgets all values of *key* and all leases on them.

    Args:
        key: The entry.
        lag_ms: For how long from now what is read may still be old, and is kept no longer.
    """
    return _eval(_INVALIDATE, (key, _lease(key), _mark(key)), lag_ms)


def _eval(script: str, keys: tuple[str, ...], *arguments: Any) -> Command:
    # the server compiles a script once and knows it again by its text
    return ("EVAL", script, len(keys), *keys, *arguments)


# the braces keep the keys of an entry together on one node of a cluster
def _lease(key: str) -> str:
    return f"lease:{{{key}}}"


def _mark(key: str) -> str:
    return f"changed:{{{key}}}"
