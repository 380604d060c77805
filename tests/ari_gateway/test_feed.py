"""The stream of news: nothing is missed by who resumes, and nothing is told twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from ari_gateway.sessions.feed import CallFeed
from salehi.calls.v1 import calls_pb2
from support.timing import running


def call(name: str) -> calls_pb2.Call:
    """Make a call."""
    return calls_pb2.Call(attempt_id=name)


async def tell(feed: CallFeed, *calls: calls_pb2.Call) -> None:
    """Publish changes, and have them handed on."""
    for changed in calls:
        feed.publish(changed)
    async with running(feed.run()):
        await asyncio.sleep(1)


async def take(
    news: AsyncIterator[calls_pb2.WatchCallsResponse], count: int
) -> list[calls_pb2.WatchCallsResponse]:
    """Take the next messages."""
    return [await anext(news) for _ in range(count)]


async def test_a_fresh_watcher_gets_a_snapshot_first() -> None:
    """The first message is the live calls; every change follows, numbered by one."""
    feed = CallFeed(lambda: [call("live")])
    await tell(feed, call("before"))
    news = feed.watch("", 0)
    (first,) = await take(news, 1)
    await tell(feed, call("after"))
    (second,) = await take(news, 1)
    assert [found.attempt_id for found in first.snapshot.calls] == ["live"]
    assert (first.sequence, second.sequence) == (1, 2)
    assert second.changed.attempt_id == "after"


async def test_who_resumes_gets_what_was_missed() -> None:
    """A watcher that comes back gets exactly the changes after its last one, and no snapshot."""
    feed = CallFeed(list)
    (first,) = await take(feed.watch("", 0), 1)
    await tell(feed, call("a"), call("b"), call("c"))
    resumed = feed.watch(first.epoch, 1)
    assert [news.changed.attempt_id for news in await take(resumed, 2)] == ["b", "c"]


async def test_another_run_begins_with_a_snapshot() -> None:
    """A watcher of an earlier run of the gateway gets a snapshot, whatever its number says."""
    feed = CallFeed(list)
    await tell(feed, call("a"))
    (first,) = await take(feed.watch("another epoch", 1), 1)
    assert first.HasField("snapshot")


async def test_what_follows_at_once_is_one_change() -> None:
    """A watcher hears of a call as it stands after several changes in a moment, once."""
    feed = CallFeed(list)
    news = feed.watch("", 0)
    await take(news, 1)
    rings = calls_pb2.Call(attempt_id="a", state=calls_pb2.CALL_STATE_RINGING)
    await tell(feed, call("a"), call("b"), rings)
    told = [change.changed for change in await take(news, 2)]
    assert told == [rings, call("b")]
    assert (await take(feed.watch("", 0), 1))[0].sequence == 2


async def test_the_last_changes_are_told_at_the_end() -> None:
    """What was published just before the gateway ends still reaches who watches."""
    feed = CallFeed(list)
    handing_on = asyncio.create_task(feed.run())
    await asyncio.sleep(1)
    feed.publish(call("last"))
    handing_on.cancel()
    await asyncio.wait({handing_on})
    await feed.close()
    assert (await take(feed.watch("", 0), 1))[0].sequence == 1


async def test_closing_ends_every_watch() -> None:
    """When the feed closes, watchers end instead of hanging."""
    feed = CallFeed(list)
    watcher = asyncio.create_task(_all(feed))
    await asyncio.sleep(0)
    await feed.close()
    assert len(await watcher) == 1


async def _all(feed: CallFeed) -> list[calls_pb2.WatchCallsResponse]:
    return [news async for news in feed.watch("", 0)]
