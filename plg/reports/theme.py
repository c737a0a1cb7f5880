"""Colours of reports by role, in a light and a dark set, both told apart by readers with colour-blindness.

The style sheet gets them as custom properties (``--actual``), the charts as their defaults; a script in the page
repaints the charts from the custom properties, so the two never disagree. Series colours are from Okabe and Ito.
"""

from __future__ import annotations

from collections.abc import Mapping

LIGHT: Mapping[str, str] = {
    "paper": "#ffffff",
    "wash": "#f6f6f3",
    "band": "#f1f1ec",
    "rule": "#dededa",
    "grid": "#e8e8e4",
    "ink": "#17181a",
    "soft": "#595d64",
    "accent": "#0b5cad",
    "good": "#00674c",
    "bad": "#b3261e",
    "doubt": "#7d5200",
    "good-wash": "#e5f3ee",
    "bad-wash": "#fbeae8",
    "doubt-wash": "#faf0dc",
    "target": "#6b7078",
    "allowed": "#9a5b00",
    "actual": "#0072b2",
    "shed": "#bd8200",
    "late": "#a6528a",
    "errors": "#d55e00",
    "limit": "#b3261e",
    "p50": "#3d93cc",
    "p90": "#0072b2",
    "p99": "#d55e00",
    "max": "#8a8f98",
    "depth": "#007a5a",
    "gauge": "#5b4fa8",
    "run0": "#0072b2",
    "run1": "#d55e00",
    "run2": "#009e73",
    "run3": "#a6528a",
    "run4": "#a07800",
    "run5": "#3d93cc",
    "run6": "#17181a",
}

DARK: Mapping[str, str] = {
    "paper": "#131416",
    "wash": "#1c1e21",
    "band": "#1a1c1f",
    "rule": "#34373c",
    "grid": "#2a2d31",
    "ink": "#eceded",
    "soft": "#a6abb3",
    "accent": "#6cb4f5",
    "good": "#4fd0a5",
    "bad": "#ff8a7a",
    "doubt": "#f0bf5a",
    "good-wash": "#11302a",
    "bad-wash": "#3a1c1a",
    "doubt-wash": "#352a12",
    "target": "#a2a7af",
    "allowed": "#f0b64a",
    "actual": "#56b4e9",
    "shed": "#e69f00",
    "late": "#dd8fc0",
    "errors": "#ff8c42",
    "limit": "#ff8a7a",
    "p50": "#8fd0f5",
    "p90": "#3f9fdc",
    "p99": "#ff8c42",
    "max": "#82878f",
    "depth": "#35c495",
    "gauge": "#a89df0",
    "run0": "#56b4e9",
    "run1": "#ff8c42",
    "run2": "#35c495",
    "run3": "#dd8fc0",
    "run4": "#f0e442",
    "run5": "#9ec9e8",
    "run6": "#eceded",
}

RUNS = 7
"""How many runs one page can tell apart by colour; further ones start over with another dash."""


def custom_properties() -> str:
    """Both sets as CSS, and a class ``k-ROLE`` a colour. ``data-theme="light"`` on the root forces the light one, as
    printing does."""
    light = "".join(f"--{name}:{value};" for name, value in LIGHT.items())
    dark = "".join(f"--{name}:{value};" for name, value in DARK.items())
    return (
        f":root{{color-scheme:light;{light}}}\n"
        f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}\n"
        f"@media print{{:root:root{{color-scheme:light;{light}}}}}\n"
        + "".join(f".k-{name}{{color:var(--{name})}}" for name in LIGHT)
        + "\n"
    )


def faint(role: str, share: float) -> str:
    """The light colour of ``role`` at an opacity, as Plotly takes it."""
    value = LIGHT[role]
    red, green, blue = (int(value[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{share:g})"
