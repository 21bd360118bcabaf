"""The consent rules that municipalities have published, as named starting points for a municipality's own.

Each preset says only what its source says; everything else stays as the hub has it. They differ, and they change: a
municipality checks them against its own routine and overrides single values in `consent.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

PresetName = Literal["standard", "hustadvika", "sogndal", "oygarden", "tysver"]


@dataclass(frozen=True)
class Preset:
    """What one municipality has published: values of `ConsentPolicy` by field name, and where they stand."""

    source: str
    values: Mapping[str, int | bool] = field(default_factory=dict)


PRESETS: Mapping[PresetName, Preset] = MappingProxyType(
    {
        "standard": Preset("The hub's own starting point, taken from no municipality"),
        "hustadvika": Preset(
            "Hustadvika, stafettlogg: the youth signs beside the parents from 15 to 18 (barnelova §§ 31, 32), alone "
            "for health from 16 (pasient- og brukerrettighetsloven § 4-3b as cited; `over 16` read as from the "
            "birthday, as that law does), both where the child lives with both, anew for new participants and when "
            "another service takes over",
            {
                "youth_also_from": 15,
                "youth_alone_from": 18,
                "health_alone_from": 16,
                "both_when_shared": True,
                "renew_at_transition": True,
            },
        ),
        "sogndal": Preset(
            "Sogndal, leaders' routines valid from 15.11.2023: parents and youth over 15 consent before others are "
            "invited; that the parents sign along to 18 is our reading",
            {"youth_also_from": 15, "youth_alone_from": 18},
        ),
        "oygarden": Preset(
            "Øygarden, stafettlogg: the youth consents from 16, and anew at each transition",
            {"youth_also_from": 16, "youth_alone_from": 16, "renew_at_transition": True},
        ),
        "tysver": Preset(
            "Tysvær, stafettloggen: the youth consents from 15",
            {"youth_also_from": 15, "youth_alone_from": 15},
        ),
    }
)
"""The pregnant woman signs for herself under every preset."""
