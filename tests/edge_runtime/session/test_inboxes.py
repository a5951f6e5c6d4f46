"""Turns, as a property: whatever is put and taken in whatever order, nobody waits behind a flood, and order is kept."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.session.inboxes import FULL_BYTES, FULL_EVENTS, Inboxes
from firmware_bridge.link import LinkEvent

LEADS = 4


def data(number: int, size: int = 8) -> LinkEvent:
    return LinkEvent("data", float(number), bytes(size))


@given(st.lists(st.one_of(st.integers(0, LEADS - 1), st.none()), max_size=200))
def test_each_lead_keeps_its_order_and_none_is_passed_over_twice(steps: list[int | None]) -> None:
    """A number puts an event into that lead's inbox; None takes one."""
    inboxes, waiting = Inboxes(LEADS), [deque[float]() for _ in range(LEADS)]
    passed_over = [dict.fromkeys(range(LEADS), 0) for _ in range(LEADS)]
    for at, step in enumerate([*steps, *[None] * len(steps)]):
        if step is not None:
            inboxes.put(step, data(at))
            waiting[step].append(float(at))
            continue
        taken = inboxes.take(0.0)
        if taken is None:
            assert not any(waiting), "nothing is there"
            continue
        number, event = taken
        assert event.arrival_s == waiting[number].popleft()
        passed_over[number] = dict.fromkeys(range(LEADS), 0)
        for other in range(LEADS):
            if other != number and waiting[other]:
                passed_over[other][number] += 1
                assert passed_over[other][number] <= 1, "it had its turn before, and has it again"
    assert not any(waiting), "everything was taken"


def test_a_full_inbox_is_its_leads_own_and_is_read_on_when_half_of_it_is_taken() -> None:
    inboxes = Inboxes(2)
    size = FULL_BYTES // 16
    for _ in range(16):
        assert not inboxes.full(0)
        inboxes.put(0, data(0, size))
    assert inboxes.full(0)
    assert not inboxes.full(1)
    for _ in range(8):
        assert inboxes.full(0)
        inboxes.take(0.0)
    inboxes.take(0.0)
    assert not inboxes.full(0)


def test_many_small_events_fill_it_too() -> None:
    inboxes = Inboxes(1)
    for _ in range(FULL_EVENTS):
        inboxes.put(0, data(0, 1))
    assert inboxes.full(0)


def test_ticks_do_not_pile_up_and_none_comes_before_what_arrived_before_it() -> None:
    inboxes = Inboxes(1)
    inboxes.put(0, data(1))
    for at in range(2, 9):
        inboxes.put(0, LinkEvent("tick", float(at)))
    inboxes.put(0, data(9))
    taken = [inboxes.take(0.0) for _ in range(4)]
    assert [t and (t[1].kind, t[1].arrival_s) for t in taken] == [("data", 1.0), ("tick", 2.0), ("data", 9.0), None]
    inboxes.put(0, LinkEvent("tick", 10.0))
    assert inboxes.take(0.0) == (0, LinkEvent("tick", 10.0))
