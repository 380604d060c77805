"""The table of dispositions, its overrides, and what the campaign hears of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ari_gateway.ari import events as ev
from ari_gateway.sessions.disposition import (
    DEFAULT_ROWS,
    DialEnd,
    Disposition,
    DispositionTable,
)
from ari_gateway.sessions.endings import CallFailed
from ari_gateway.sessions.live import Listeners, LiveCall
from ari_gateway.sessions.overrides import table_with
from ari_gateway.sessions.saved import SavedCall
from ari_gateway.settings import GatewaySettings
from gateway_support.asterisk import FarEnd
from gateway_support.house import house, plan_of
from salehi.calls.v1 import calls_pb2
from servicekit.errors import StartupError
from servicekit.settings import load_settings


def ended(
    cause: int = 0,
    sip: int = 0,
    dial: str = "NOANSWER",
    *,
    trunk: str = "trunk1",
    heard: bool = True,
) -> DialEnd:
    """Tell how a dialing ended that the far end refused."""
    return DialEnd(trunk, cause, sip, dial, heard)


@pytest.mark.parametrize(
    ("end", "disposition"),
    [
        (ended(1, 404), "invalid_number"),
        (ended(2), "congestion"),
        (ended(3), "invalid_number"),
        (ended(16, dial="CANCEL"), "cancelled"),
        (ended(17, 486, "BUSY"), "busy"),
        (ended(17, 600, "BUSY"), "busy"),
        (ended(18, 408), "no_answer"),
        (ended(19, 480), "no_answer"),
        (ended(19, 480, dial=""), "no_answer"),
        (ended(20), "unreachable"),
        (ended(21, 603), "rejected"),
        (ended(21, 403), "rejected"),
        (ended(22, 410), "invalid_number"),
        (ended(27, 502), "unreachable"),
        (ended(28, 484), "invalid_number"),
        (ended(34, 503, "CONGESTION"), "congestion"),
        (ended(38, 500), "congestion"),
        (ended(41, 409), "congestion"),
        (ended(42), "congestion"),
        (ended(44), "congestion"),
        (ended(47), "congestion"),
        (ended(102, 504), "congestion"),
        # The cause says too little, the status more.
        (ended(127, 429), "congestion"),
        (ended(127, 433), "rejected"),
        (ended(19, 483), "congestion"),
        (ended(127, 607), "rejected"),
        (ended(127, 608), "rejected"),
        # A Reason header made the cause: the network's word goes before what the status usually is.
        (ended(20, 480), "unreachable"),
        (ended(17, 503, "CONGESTION"), "busy"),
        # An Asterisk that tells neither cause nor status.
        (ended(0, dial="BUSY"), "busy"),
        (ended(0, dial="CONGESTION"), "congestion"),
        (ended(0, dial="CHANUNAVAIL"), "congestion"),
        (ended(0, dial=""), "no_answer"),
        (ended(0), "unknown"),
        (ended(127, 487), "unknown"),
        (ended(58, 488), "unknown"),
        # Nobody was ever heard of: the trunk is dead, and no phone rang.
        (ended(19, 480, "", heard=False), "congestion"),
        (ended(18, 408, "", heard=False), "congestion"),
        (ended(0, 0, "", heard=False), "congestion"),
    ],
)
def test_each_end_has_its_disposition(end: DialEnd, disposition: str) -> None:
    """What Asterisk tells of a dialing gives exactly this disposition."""
    assert DispositionTable().disposition_of(end) is Disposition(disposition)


def test_no_default_row_says_the_same_as_another() -> None:
    """Every default row has conditions of its own, so which one wins is never left to chance."""
    conditions = [row.conditions for row in DEFAULT_ROWS]
    assert len(set(conditions)) == len(conditions)


@pytest.mark.parametrize(
    ("entries", "end", "disposition"),
    [
        (["trunk1/cause:38=busy"], ended(38, 500), "busy"),
        (["trunk1/sip:480=unreachable"], ended(19, 480), "unreachable"),
        (["trunk1/dial:busy=rejected"], ended(0, dial="BUSY"), "rejected"),
        (["*/cause:21=congestion"], ended(21, 603), "congestion"),
        (["trunk1/cause:38=invalid"], ended(38), "invalid_number"),
        (["trunk1/cause:38=invalid_number"], ended(38), "invalid_number"),
        (["trunk1/cause:127=no_answer"], ended(127), "no_answer"),
        (["trunk1/cause:16=rejected"], ended(16), "rejected"),
        # Another trunk's rows are not this one's.
        (["trunk2/cause:38=busy"], ended(38), "congestion"),
        (["trunk1/cause:38=busy"], ended(38, trunk=""), "congestion"),
        (["*/cause:38=busy"], ended(38, trunk=""), "busy"),
        # The trunk's own before every trunk's, even where that one names more.
        (["*/cause:38+sip:500=no_answer", "trunk1/cause:38=busy"], ended(38, 500), "busy"),
        (["*/cause:38=busy", "trunk1/cause:21=congestion"], ended(38), "busy"),
        # Of one level: what names more; then status, cause, dial status; the order does not matter.
        (["trunk1/sip:500=rejected", "trunk1/cause:38+sip:500=busy"], ended(38, 500), "busy"),
        (["trunk1/cause:38+sip:500=busy", "trunk1/sip:500=rejected"], ended(38, 500), "busy"),
        (["trunk1/cause:38=busy", "trunk1/sip:500=unreachable"], ended(38, 500), "unreachable"),
        (["trunk1/cause:38=busy", "trunk1/sip:500=unreachable"], ended(38, 503), "busy"),
        (["trunk1/dial:CONGESTION=busy", "trunk1/cause:34=rejected"],
         ended(34, dial="CONGESTION"), "rejected"),
        (["trunk1/cause:21+sip:403=congestion"], ended(21, 603), "rejected"),
        (["trunk1/sip:500=rejected", "trunk1/cause:38+dial:noanswer=busy"],
         ended(38, 500), "busy"),
        (["trunk1/cause:21+sip:403+dial:noanswer=congestion"], ended(21, 403), "congestion"),
        # 480 after our own ring timeout is Asterisk's word, not the trunk's.
        (["trunk1/sip:480=unreachable"], ended(19, 480, dial=""), "no_answer"),
        # A trunk that told nothing told nothing.
        (["trunk1/cause:19=busy"], ended(19, 480, "", heard=False), "congestion"),
    ],
)  # fmt: skip
def test_overrides_go_before_the_default(
    entries: list[str], end: DialEnd, disposition: str
) -> None:
    """An override holds for its trunk and condition, by the stated precedence, and no further."""
    assert table_with(entries).disposition_of(end) is Disposition(disposition)


@pytest.mark.parametrize(
    "entry",
    [
        "cause:38=busy",
        "trunk1/cause:38",
        "trunk1/cause:38=",
        "trunk1/cause:38=engaged",
        "trunk1/cause:38=cancelled",
        "trunk1/cause:38=answered",
        "trunk1/cause:0=busy",
        "trunk1/cause:128=busy",
        "trunk1/cause:many=busy",
        "trunk1/cause:١٧=busy",
        "trunk1/sip:200=busy",
        "trunk1/sip:700=busy",
        "trunk1/dial:ANSWER=busy",
        "trunk1/isdn:38=busy",
        "trunk1/cause:38+cause:17=busy",
        "trunk1/cause:38+=busy",
        "tr unk/cause:38=busy",
        "*/cause:38=busy=busy",
    ],
)
def test_nonsense_is_refused_at_start(
    entry: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A malformed entry stops the start with one line that names setting and entry."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARI_PASSWORD", "secret")
    monkeypatch.setenv("DISPOSITIONS", f"*/sip:480=unreachable,{entry}")
    with pytest.raises(StartupError) as refusal:
        load_settings(GatewaySettings)
    message = str(refusal.value)
    assert message.startswith("DISPOSITIONS=")
    assert f"({entry}: " in message
    assert "\n" not in message


@pytest.mark.parametrize("again", ["trunk1/cause:38=busy", "trunk1/cause:38=invalid"])
def test_saying_the_same_twice_is_refused(again: str) -> None:
    """Two entries for one condition of one trunk are refused, whatever they say."""
    with pytest.raises(ValueError, match="said twice for trunk1"):
        table_with(["trunk1/cause:38=rejected", again])


def test_the_settings_give_the_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """DISPOSITIONS from the environment is the table that calls are named by."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARI_PASSWORD", "secret")
    monkeypatch.setenv(
        "DISPOSITIONS", "trunk1/cause:38=busy, trunk1/sip:480=unreachable,*/cause:21=congestion"
    )
    table = load_settings(GatewaySettings).disposition_table
    assert table.disposition_of(ended(38)) is Disposition.BUSY
    assert table.disposition_of(ended(19, 480)) is Disposition.UNREACHABLE
    assert table.disposition_of(ended(21, trunk="another")) is Disposition.CONGESTION


@pytest.mark.parametrize(
    ("entry", "far_end", "result", "reason"),
    [
        ("trunk/cause:38=busy", FarEnd(refuses=38), "MISSED", "busy"),
        ("trunk/cause:38=invalid", FarEnd(refuses=38), "FAILED", "invalid_number"),
        ("trunk/cause:21=congestion", FarEnd(refuses=21), "FAILED", "congestion"),
        (
            "trunk/sip:480=unreachable",
            FarEnd(refuses=19, sip_status=480, dial_status="NOANSWER"),
            "MISSED",
            "unreachable",
        ),
        (
            "trunk/sip:480=unreachable",
            FarEnd(rings_s=None, sip_status=480),
            "MISSED",
            "no_answer",
        ),
        (
            "trunk/dial:chanunavail=unreachable",
            FarEnd(refuses=0, dial_status="CHANUNAVAIL"),
            "MISSED",
            "unreachable",
        ),
    ],
)
async def test_what_follows_from_an_overridden_disposition(
    entry: str, far_end: FarEnd, result: str, reason: str
) -> None:
    """Result, reason and being technical (congestion alone) follow from the disposition."""
    async with house(far_end, dispositions=table_with([entry])) as here:
        outcome = (await here.call()).outcome
        assert outcome.result == calls_pb2.Result.Value(f"RESULT_{result}")
        assert outcome.reason == reason
        assert outcome.technical is (reason == "congestion")


async def test_a_call_we_hung_up_is_cancelled() -> None:
    """A leg ended by us is `cancelled` even where the trunk's table renames that cause."""
    unheard = Listeners(lambda _: None, lambda _: None)
    live = LiveCall(SavedCall(plan_of("a")), unheard, table_with(["*/cause:16=busy"]))
    live.end(CallFailed("hung_up_by_request", technical=False))
    live.apply(ev.ChannelDestroyed("a", 16, 0, "Ringing"))
    assert live.record.disposition is Disposition.CANCELLED
    assert live.record.cause == 16
