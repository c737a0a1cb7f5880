"""A profile as an order: what it seals goes into its jobs and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from plg.language.load import read_text
from plg.language.write import write_json
from plg.prepare import Request
from plg.redaction import HIDDEN
from plg.runs.order import Order
from plg.store.base import Profile

_VARIABLE = "PLG_PROFILE_PARAM_"
"""What a sealed param is read from in place of its value, so that it is treated as all that the environment gives."""


def label(profile: Profile) -> Path:
    """What a run of a profile is called where the name of a file stands otherwise."""
    return Path(f"profile:{profile.name.replace('/', '_')}")


def order_of_profile(profile: Profile, asked: Request, environ: Mapping[str, str] | None = None) -> Order:
    """The order for an opened profile (see `Store.opened`). Raises `ScenarioError` with its faults."""
    document, given = dict(profile.scenario), dict(os.environ if environ is None else environ)
    for field in profile.secret:
        first, _, name = field.removeprefix("scenario.").partition(".")
        if first == "params" and not isinstance(document["params"][name], dict):
            variable = _VARIABLE + name
            given[variable] = str(document["params"][name])
            document["params"] = {**document["params"], name: {"env": variable}}
        elif first == "description":
            document["description"] = HIDDEN
    source = read_text(write_json(document), str(label(profile)), ".json", None)
    order = Order.of_source(source, ".json", replace(asked, veil=True), given)
    return replace(order, files=dict(profile.files))
