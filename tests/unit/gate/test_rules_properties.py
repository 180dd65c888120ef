"""The gate against worlds that know the truth: it never runs without an increment, and never skips one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from flows.gate.facts import Action, Probe, SourceFacts, SourceMode, TargetFacts, UpstreamFacts, UpstreamState
from flows.gate.rules import decide
from metadata_sync.loads import Watermark
from metadata_sync.rows.vocabulary import ChildPolicy, Trigger

START = datetime(2013, 1, 1, tzinfo=UTC)
LOOKBACK = 10
NOW = 1_000
"""Minutes since START; rows beyond it lie in the future."""


def bound(minute: int) -> str:
    return (START + timedelta(minutes=minute)).replace(tzinfo=None).isoformat(" ", "microseconds")


@dataclass
class Feed:
    """A source and one reader. Rows are minutes; those that come late come within the lookback, as users promise."""

    rows: list[int] = field(default_factory=list)
    read_count: int = 0
    end: int | None = None
    band: int = 0

    def land(self, offset: int) -> None:
        floor = 0 if self.end is None else self.end - LOOKBACK
        self.rows.append(max(0, floor) + offset)

    @property
    def accepted(self) -> list[int]:
        return [row for row in self.rows if row <= NOW]

    @property
    def has_increment(self) -> bool:
        """The truth, known without any watermark."""
        return len(self.accepted) != self.read_count

    def facts(self) -> SourceFacts:
        newest = max(self.accepted, default=None)
        watermark = None if self.end is None else Watermark(bound(self.end), self.band)
        probe = Probe(
            has_rows=newest is not None,
            newest=None if newest is None else bound(newest),
            band_count=None if self.end is None else self._band(self.end),
            future_count=len(self.rows) - len(self.accepted),
        )
        return SourceFacts("lake.feed", SourceMode.KEYED, watermark, probe)

    def load(self) -> None:
        self.end = max(self.accepted)
        self.band = self._band(self.end)
        self.read_count = len(self.accepted)

    def _band(self, end: int) -> int:
        return sum(end - LOOKBACK <= row <= end for row in self.rows)


@given(st.lists(st.lists(st.integers(0, 40) | st.just(NOW * 2), max_size=4), max_size=12))
def test_gate_runs_exactly_when_rows_wait(ticks: list[list[int]]) -> None:
    feed = Feed()
    for arrivals in ticks:
        for offset in arrivals:
            feed.land(offset)
        decision = decide(TargetFacts("dwh.t", "p", exists=True, has_log=feed.end is not None, sources=(feed.facts(),)))

        assert decision.action is (Action.RUN if feed.has_increment else Action.SKIP)
        if decision.action is Action.RUN:
            feed.load()


@given(st.lists(st.booleans(), min_size=1, max_size=4), st.sampled_from(Trigger))
def test_trigger_counts_new_sources(news: list[bool], trigger: Trigger) -> None:
    sources = tuple(
        SourceFacts(f"lake.s{place}", SourceMode.TOKEN, Watermark("read"), Probe(True, "new" if is_new else "read"))
        for place, is_new in enumerate(news)
    )
    expected = any(news) if trigger is Trigger.ANY else all(news)

    decision = decide(TargetFacts("dwh.t", "p", exists=True, has_log=True, sources=sources, trigger=trigger))

    assert (decision.action is Action.RUN) == expected
    assert [item.is_new for item in decision.evidence] == news


@dataclass(frozen=True)
class World:
    """A graph of targets in topological order: what each reads, whether its own feed is new, whether its load fails."""

    reads: tuple[frozenset[int], ...]
    is_fed: tuple[bool, ...]
    fails: tuple[bool, ...]
    policy: ChildPolicy


@st.composite
def worlds(draw: st.DrawFn) -> World:
    size = draw(st.integers(1, 7))
    reads = tuple(
        frozenset(draw(st.sets(st.integers(0, place - 1), max_size=3))) if place else frozenset()
        for place in range(size)
    )
    flags = st.lists(st.booleans(), min_size=size, max_size=size)
    policy = draw(st.sampled_from([ChildPolicy.SKIP, ChildPolicy.STALE]))
    return World(reads, tuple(draw(flags)), tuple(draw(flags)), policy)


@given(worlds())
def test_waves_end_and_run_exactly_what_has_news(world: World) -> None:
    actions, waves = run_waves(world)
    expected = truth(world)

    assert actions == expected
    assert waves <= len(world.reads)


def run_waves(world: World) -> tuple[list[Action], int]:
    """Play the engine with the pure gate alone."""
    states = [UpstreamState.PENDING] * len(world.reads)
    loaded = [False] * len(world.reads)
    actions = [Action.WAIT] * len(world.reads)
    waves = 0
    while Action.WAIT in actions:
        before = list(actions)
        for place in range(len(world.reads)):
            if actions[place] is Action.WAIT:
                actions[place] = decide(facts_of(world, place, states, loaded)).action
                if actions[place] is Action.SKIP:
                    is_cut = any(states[up] is UpstreamState.FAILED for up in world.reads[place])
                    is_cut = is_cut and world.policy is ChildPolicy.SKIP
                    states[place] = UpstreamState.FAILED if is_cut else UpstreamState.SETTLED
        started = [
            place for place, action in enumerate(actions) if action is Action.RUN and before[place] is not action
        ]
        for place in started:
            loaded[place] = not world.fails[place]
            states[place] = UpstreamState.FAILED if world.fails[place] else UpstreamState.SETTLED
        waves += 1
        assert actions != before, "a wave that decides nothing would go on for ever"
    return actions, waves


def facts_of(world: World, place: int, states: list[UpstreamState], loaded: list[bool]) -> TargetFacts:
    feed = SourceFacts("lake.feed", SourceMode.TOKEN, Watermark("1"), Probe(True, "2" if world.is_fed[place] else "1"))
    upstream_news = [
        SourceFacts(f"dwh.t{up}", SourceMode.MANAGED, Watermark("1"), Probe(True, "2" if loaded[up] else "1"))
        for up in sorted(world.reads[place])
    ]
    return TargetFacts(
        f"dwh.t{place}",
        "p",
        exists=True,
        has_log=True,
        sources=(feed, *upstream_news),
        upstreams=tuple(UpstreamFacts(f"dwh.t{up}", states[up], exists=True) for up in sorted(world.reads[place])),
        child_policy=world.policy,
    )


def truth(world: World) -> list[Action]:
    """Say what must run, in one pass and without states: news flow down, failures cut off unless stale data will do."""
    runs, is_cut_off = [], []
    for place, reads in enumerate(world.reads):
        is_below_failure = any(is_cut_off[up] for up in reads) and world.policy is ChildPolicy.SKIP
        has_news = world.is_fed[place] or any(runs[up] and not world.fails[up] for up in reads)
        runs.append(has_news and not is_below_failure)
        is_cut_off.append(is_below_failure or (runs[place] and world.fails[place]))
    return [Action.RUN if is_run else Action.SKIP for is_run in runs]
