"""What hearts have: normal and ill ones as a table of what each does to the QRS, ST and T that leads I and II see.

Typical values of the textbook pattern of each (Surawicz and Knilans 2008); everything is drawn around them, so that no
two hearts of a condition are alike. A territory's ST elevation stands in the leads that look at it, its reciprocal
depression in the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from train.generators.draws import one_of

LEAD_I, LEAD_II, OTHER = (
    0,
    1,
    2,
)  # the lead: the two that a wearable has, and anything else that an electrode pair may see
LEADS = (0.4, 0.38, 0.22)

Lobes = tuple[tuple[float, float], ...]  # signed size and relative width of each deflection, first to last
Complexes = tuple[tuple[float, Lobes], ...]  # weight, lobes

_R: Lobes = ((1.0, 1.0),)
_QR: Lobes = ((-0.15, 1.0), (1.0, 1.0))
_RS: Lobes = ((1.0, 1.0), (-0.3, 1.0))
_QRS: Lobes = ((-0.12, 1.0), (1.0, 1.0), (-0.25, 1.0))
_SMALL_R: Lobes = ((0.3, 1.0), (-1.0, 1.0))
_QS: Lobes = ((-1.0, 1.0),)
_RSR: Lobes = ((0.35, 1.0), (-0.7, 1.0), (0.8, 1.0))
_NOTCHED: Lobes = ((0.8, 1.0), (-0.15, 0.8), (0.7, 1.0))
_DEEP_Q: Lobes = ((-0.5, 1.3), (0.9, 1.0), (-0.2, 0.8))
_WIDE_S: Lobes = ((-0.1, 0.6), (1.0, 0.8), (-0.45, 1.9))
_BROAD_R: Lobes = ((0.75, 1.3), (-0.08, 0.6), (0.9, 1.4))

_NORMAL: tuple[Complexes, Complexes, Complexes] = (
    ((0.25, _R), (0.25, _QR), (0.2, _RS), (0.22, _QRS), (0.03, _NOTCHED), (0.05, _SMALL_R)),
    ((0.2, _R), (0.2, _QR), (0.2, _RS), (0.25, _QRS), (0.08, _SMALL_R), (0.04, _NOTCHED), (0.03, _RSR)),
    ((0.12, _R), (0.08, _QR), (0.2, _RS), (0.1, _QRS), (0.3, _SMALL_R), (0.08, _QS), (0.08, _RSR), (0.04, _DEEP_Q)),
)


@dataclass(frozen=True)
class Condition:
    """One row. By lead (I, II, other): complexes; ST level at the J point, mean mV; T amplitude relative to a normal
    one, negative where it is inverted. qrs_s: mean and SD, s. pr_s: its bounds where the condition sets the PR."""

    name: str
    weight: float
    qrs_s: tuple[float, float] = (0.094, 0.013)
    complexes: tuple[Complexes, Complexes, Complexes] = _NORMAL
    st_mv: tuple[float, float, float] = (0.0, 0.0, 0.0)
    t: tuple[float, float, float] = (1.0, 1.0, 0.8)
    qrs_gain: float = 1.0
    slur: float = 0.15  # how often the complex has a notch or slur on its way
    delta: bool = False
    spike: bool = False
    pr_s: tuple[float, float] | None = None


def _leads(first: Complexes, second: Complexes, other: Complexes) -> tuple[Complexes, Complexes, Complexes]:
    return first, second, other


def _one(lobes: Lobes) -> Complexes:
    return ((1.0, lobes),)


_LEFT_BUNDLE = _leads(((0.7, _BROAD_R), (0.3, _R)), ((0.5, _BROAD_R), (0.3, _SMALL_R), (0.2, _RS)), _one(_SMALL_R))
_VENTRICULAR = _leads(
    ((0.4, _BROAD_R), (0.3, _QS), (0.3, _RS)),
    ((0.4, _QS), (0.3, _BROAD_R), (0.3, _SMALL_R)),
    ((0.3, _BROAD_R), (0.4, _QS), (0.3, _RSR)),
)

NORMAL = Condition("normal", 0.50)
FROM_A_VENTRICLE = Condition("ventricular", 0.0, (0.150, 0.022), _VENTRICULAR, (-0.05, 0.05, 0.0), (-1.4, -1.4, -1.4))
PACED = Condition(
    "paced", 0.0, (0.160, 0.02), _VENTRICULAR, (-0.05, 0.05, 0.0), (-1.4, -1.4, -1.4), slur=0.5, spike=True
)

CONDITIONS: tuple[Condition, ...] = (
    NORMAL,
    Condition("left_bundle", 0.05, (0.148, 0.016), _LEFT_BUNDLE, (-0.08, -0.05, 0.1), (-1.1, -0.6, 1.3), 1.1, 0.6),
    Condition(
        "right_bundle",
        0.05,
        (0.138, 0.015),
        _leads(_one(_WIDE_S), ((0.7, _WIDE_S), (0.3, _QRS)), ((0.6, _RSR), (0.4, _WIDE_S))),
        t=(1.0, 0.9, -0.8),
        slur=0.3,
    ),
    Condition(
        "left_anterior_fascicle",
        0.03,
        (0.104, 0.010),
        _leads(_one(_QR), _one(_SMALL_R), _NORMAL[2]),
    ),
    Condition("conduction_delay", 0.05, (0.118, 0.012), slur=0.5),
    Condition("pre_excitation", 0.02, (0.125, 0.015), t=(-0.5, 0.7, 0.8), delta=True, pr_s=(0.08, 0.125)),
    Condition(
        "inferior_infarct_acute",
        0.02,
        complexes=_leads(_NORMAL[0], ((0.5, _DEEP_Q), (0.5, _QRS)), _NORMAL[2]),
        st_mv=(-0.12, 0.22, 0.0),
        t=(-0.6, 1.6, 1.0),
    ),
    Condition(
        "inferior_infarct_old",
        0.03,
        complexes=_leads(_NORMAL[0], ((0.6, _DEEP_Q), (0.4, _QS)), _NORMAL[2]),
        t=(0.8, -0.7, 1.0),
    ),
    Condition(
        "lateral_infarct_acute",
        0.02,
        complexes=_leads(((0.5, _DEEP_Q), (0.5, _QR)), _NORMAL[1], _NORMAL[2]),
        st_mv=(0.18, -0.08, 0.1),
        t=(1.5, 0.6, 1.2),
    ),
    Condition(
        "anterior_infarct_old",
        0.03,
        complexes=_leads(((0.5, _DEEP_Q), (0.5, _QR)), _NORMAL[1], ((0.7, _QS), (0.3, _DEEP_Q))),
        st_mv=(0.03, 0.0, 0.1),
        t=(-0.7, 0.7, -1.0),
    ),
    Condition("ischaemia", 0.04, st_mv=(-0.10, -0.10, -0.1), t=(-0.4, -0.4, -0.5)),
    Condition("t_changes", 0.05, t=(-0.35, -0.35, -0.5)),
    Condition("left_hypertrophy", 0.05, (0.106, 0.012), st_mv=(-0.08, -0.04, 0.1), t=(-0.7, 0.4, 1.3), qrs_gain=1.9),
    Condition(
        "right_hypertrophy",
        0.02,
        complexes=_leads(_one(_SMALL_R), _NORMAL[1], ((0.6, _R), (0.4, _RSR))),
        st_mv=(0.0, -0.04, -0.08),
        t=(1.0, 0.6, -0.8),
    ),
    Condition("low_voltage", 0.03, qrs_gain=0.35),
    Condition("early_repolarisation", 0.01, st_mv=(0.07, 0.10, 0.12), t=(1.5, 1.5, 1.5), slur=0.5),
)
_WEIGHTS = [c.weight for c in CONDITIONS]


@dataclass(frozen=True)
class Seen:
    """A condition as one lead of one heart sees it."""

    condition: Condition = field(default=NORMAL)
    lead: int = LEAD_I


def draw(rng: np.random.Generator) -> Seen:
    """A condition by its weight, and the lead that sees it."""
    return Seen(CONDITIONS[one_of(rng, _WEIGHTS)], one_of(rng, LEADS))
