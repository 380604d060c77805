"""The stream of news: nothing is missed by who resumes, and nothing is told twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from ari_gateway.sessions.feed import CallFeed
from salehi.calls.v1 import calls_pb2


def call(name: str) -> calls_pb2.Call:
    """Make a call."""
    return calls_pb2.Call(attempt_id=name)


async def take(
    news: AsyncIterator[calls_pb2.WatchCallsResponse], count: int
) -> list[calls_pb2.WatchCallsResponse]:
    """Take the next messages."""
    return [await anext(news) for _ in range(count)]


async def test_a_fresh_watcher_gets_a_snapshot_first() -> None:
    """The first message is the live calls; every change follows, numbered by one."""
    feed = CallFeed(lambda: [call("live")])
    await feed.publish(call("before"))
    news = feed.watch("", 0)
    (first,) = await take(news, 1)
    await feed.publish(call("after"))
    (second,) = await take(news, 1)
    assert [found.attempt_id for found in first.snapshot.calls] == ["live"]
    assert (first.sequence, second.sequence) == (1, 2)
    assert second.changed.attempt_id == "after"


async def test_who_resumes_gets_what_was_missed() -> None:
    """A watcher that comes back gets exactly the changes after its last one, and no snapshot."""
    feed = CallFeed(list)
    (first,) = await take(feed.watch("", 0), 1)
    for name in ("a", "b", "c"):
        await feed.publish(call(name))
    resumed = feed.watch(first.epoch, 1)
    assert [news.changed.attempt_id for news in await take(resumed, 2)] == ["b", "c"]


async def test_another_run_begins_with_a_snapshot() -> None:
    """A watcher of an earlier run of the gateway gets a snapshot, whatever its number says."""
    feed = CallFeed(list)
    await feed.publish(call("a"))
    (first,) = await take(feed.watch("another epoch", 1), 1)
    assert first.HasField("snapshot")


async def test_closing_ends_every_watch() -> None:
    """When the feed closes, watchers end instead of hanging."""
    feed = CallFeed(list)
    watcher = asyncio.create_task(_all(feed))
    await asyncio.sleep(0)
    await feed.close()
    assert len(await watcher) == 1


async def _all(feed: CallFeed) -> list[calls_pb2.WatchCallsResponse]:
    return [news async for news in feed.watch("", 0)]
