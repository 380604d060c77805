from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from dialer.claim import Rules
from dialer.contacts import NewContact
from dialer.limits import Line, LineLimits, Pace
from dialer.pauses import PauseKind
from dialer.retries import RetryPolicy
from dialer.tables import Source
from dialer.windows import CallWindow
from dialer_support.campaign import TEHRAN, number
from servicekit.storage import Storage
from simulation.calls import (
    DECLINED,
    ENDS,
    LONGEST_ADOPTION_MS,
    LONGEST_JOURNEY_MS,
    End,
    Errand,
    Fate,
)
from simulation.database import Fault, Faults, empty_database, open_copy
from simulation.running import ids_by
from simulation.settings import Setting
from simulation.world import World

LINES = (Line("1001", LineLimits(2, 3, 5)), Line("1002", LineLimits(1, 4, 20)))
MIDNIGHT = datetime(2026, 5, 4, tzinfo=TEHRAN)
REPLICAS = 3
PEOPLE = 8

replicas = st.integers(0, REPLICAS - 1)
people = st.integers(0, PEOPLE - 1)
kinds = st.sampled_from(PauseKind)
trials = st.integers(0, 2)
durations_ms = st.sampled_from((1, 99, 1000, 1001, 3000, 10_000, 59_000, 3_600_000))
pauses_ms = st.sampled_from((1, 110, 1000, 1100, 2100, 9000))
errands = st.builds(
    Errand,
    st.sampled_from(Fate),
    journey_ms=st.integers(0, LONGEST_JOURNEY_MS),
    originate_ms=st.sampled_from((0, 50, 800)),
    appear_ms=st.integers(0, 50),
    answer_ms=st.integers(0, 6000),
)


class CampaignMachine(RuleBasedStateMachine):
    """Everything that can befall a campaign, in any order; the simulation's judge watches."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.ids = ids_by(random.Random(0))
        self.ids.__enter__()
        self.faults = Faults()
        self.engine = open_copy(empty_database(), self.faults)
        self.batches = 0
        self.is_sound = True

    def do(self, step: Coroutine[Any, Any, Any]) -> None:
        """Do a step; after a broken promise there is nothing more to check."""
        try:
            self.runner.run(step)
        except BaseException:
            self.is_sound = False
            raise

    @initialize(
        window=st.sampled_from(("00:00-24:00", "09:00-21:00", "23:00-24:00")),
        before_edge_ms=st.sampled_from((500, 1500, 30_000, 7_200_000)),
        edge=st.sampled_from(("opens", "closes", "midnight")),
        spacing_ms=st.sampled_from((0, 1000)),
        max_total=st.sampled_from((None, 2)),
        min_gap_ms=st.sampled_from((0, 60_000)),
        crowd=st.sampled_from((2, PEOPLE)),
    )
    def begin(
        self,
        *,
        window: str,
        before_edge_ms: int,
        edge: str,
        spacing_ms: int,
        max_total: int | None,
        min_gap_ms: int,
        crowd: int,
    ) -> None:
        """Begin shortly before the day or the window changes."""
        hours = CallWindow.parse(window, TEHRAN)
        minutes = {"opens": hours.opens_minute, "closes": hours.closes_minute, "midnight": 24 * 60}
        starts = MIDNIGHT + timedelta(minutes=minutes[edge], milliseconds=-before_edge_ms)
        rules = Rules(LINES, Pace(spacing_ms, max_total), hours, min_gap_ms)
        policy = RetryPolicy.parse(("busy:2/3", "no_answer:1/60"))
        setting = Setting(rules, policy, starts, REPLICAS)
        self.world = World(setting, lambda: Storage(self.engine))
        for source in Source:
            self.bring(source, list(range(crowd)))

    @rule(source=st.sampled_from(Source), who=st.lists(people, min_size=1, max_size=4))
    def bring(self, source: Source, who: list[int]) -> None:
        """Contacts come, often the same people again."""
        self.batches += 1
        batch = f"b{self.batches}"
        panel: dict[str, Any] = {}
        if source is Source.PANEL:
            panel = {"panel_batch_id": batch, "expires_at_ms": self.world.now_ms + 30_000}
        new = [
            NewContact(source, f"{batch}:{i}", number(who[i]), "test", panel_number_id=i, **panel)
            for i in range(len(who))
        ]
        self.do(self.world.add(new))

    @rule(replica=replicas, errand=errands, stall_ms=st.sampled_from((0, 0, 0, 899, 900, 11_000)))
    def claim(self, replica: int, errand: Errand, stall_ms: int) -> None:
        """A dialer claims, and asks for the call sooner or later."""
        self.do(self.world.claim(replica, errand, stall_ms))

    @rule(end=st.none() | st.sampled_from(ENDS), pause_ms=pauses_ms, slow=st.booleans())
    def dial(self, end: End | None, pause_ms: int, slow: bool) -> None:  # noqa: FBT001 - drawn
        """Dialing goes on for a while, by one dialer after another; calls may end meanwhile."""
        errand = Errand(originate_ms=50, appear_ms=50) if slow else Errand(appear_ms=0)
        for turn in range(6):
            self.do(self.world.claim(turn % REPLICAS, errand))
            self.do(self.world.pass_time(pause_ms))
            if end is not None:
                for call in self.world.network.on_trunk()[1:]:
                    self.world.network.end(call, end)
            self.do(self.world.tell(turn % REPLICAS))

    @rule(kinds=st.lists(kinds, min_size=1, unique=True), pause_ms=pauses_ms, trials=trials)
    def stop_for_a_while(self, kinds: list[PauseKind], pause_ms: int, trials: int) -> None:
        """Dialing is stopped, tried nevertheless, and resumed."""
        for kind in kinds:
            self.do(self.world.stop(kind))
        if trials:
            self.do(self.world.grant(trials))
        self.dial(DECLINED, pause_ms, slow=False)
        for kind in kinds:
            self.do(self.world.resume(kind))

    @rule(duration_ms=durations_ms)
    def pass_time(self, duration_ms: int) -> None:
        """Time passes."""
        self.do(self.world.pass_time(duration_ms))

    @rule(replica=replicas, again=st.integers(0, 3))
    def tell(self, replica: int, again: int) -> None:
        """A dialer hears of changes, some of them known."""
        self.do(self.world.tell(replica, again=again))

    @rule(replica=replicas, times=st.sampled_from((1, 1, 6)))
    def look(self, replica: int, times: int) -> None:
        """A dialer compares, perhaps time and again."""
        for _ in range(times):
            self.do(self.world.look(replica))
            self.do(self.world.pass_time(2000))

    @precondition(lambda self: self.world.network.on_trunk())
    @rule(which=st.integers(0, 5), end=st.sampled_from(ENDS), heard_by=st.none() | replicas)
    def end(self, which: int, end: End, heard_by: int | None) -> None:
        """A call ends, and somebody hears of it, or nobody."""
        calls = self.world.network.on_trunk()
        self.world.network.end(calls[which % len(calls)], end)
        if heard_by is None:
            self.world.network.lose_news()
        else:
            self.do(self.world.tell(heard_by))

    @rule(line=st.sampled_from(LINES), person=people)
    def ring_in(self, line: Line, person: int) -> None:
        """Somebody calls in."""
        self.world.network.ring_in(line.number, number(person))
        self.do(self.world.tell(0))

    @rule(
        trouble=st.sampled_from(("gateway", "Asterisk", "dialer", *Fault)),
        figure=st.integers(0, 20),
    )
    def trouble(self, trouble: str | Fault, figure: int) -> None:
        """Something dies, now or a few database steps later."""
        if isinstance(trouble, Fault):
            self.faults.arm(trouble, figure)
        elif trouble == "gateway":
            adoption_ms = min(LONGEST_ADOPTION_MS, 900 * figure)
            self.do(self.world.restart_gateway(50 * figure, adoption_ms))
            self.do(self.world.pass_time(50 * figure))
            self.do(self.world.look(0))
        elif trouble == "Asterisk":
            self.world.network.restart_asterisk()
        else:
            self.do(self.world.kill(figure % REPLICAS))

    @rule(line=st.sampled_from(LINES), person=people, replica=replicas)
    def restart_during_an_inbound_call(self, line: Line, person: int, replica: int) -> None:
        """The gateway comes back, and takes a moment to find the caller we know of."""
        self.ring_in(line, person)
        self.do(self.world.restart_gateway(100, LONGEST_ADOPTION_MS))
        self.do(self.world.pass_time(200))
        self.do(self.world.look(replica))
        self.dial(None, 110, slow=False)

    @rule(person=people, again=st.booleans())
    def list_number(self, person: int, again: bool) -> None:  # noqa: FBT001 - drawn
        """Somebody must not be called any more, or may be called again."""
        change = self.world.unlist_number if again else self.world.list_number
        self.do(change(number(person)))

    def teardown(self) -> None:
        """Let everything end, and compare what is on record with what happened."""
        self.faults.disarm()
        try:
            if hasattr(self, "world"):
                if self.is_sound:
                    self.runner.run(self.world.finish())
                self.runner.run(self.world.close())
            self.runner.run(self.engine.dispose())
        finally:
            self.ids.__exit__(None, None, None)
            self.runner.close()


CampaignMachine.TestCase.settings = settings(
    max_examples=200,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    phases=(Phase.generate, Phase.shrink),
    report_multiple_bugs=False,
    database=None,
    suppress_health_check=list(HealthCheck),
)


class TestCampaign(CampaignMachine.TestCase):  # type: ignore[misc, valid-type]
    """Whatever happens in whatever order, no promise is broken."""
