"""plg's own `dataclass` beside the one of the standard library: the same classes, made by both, behave alike."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import sys
from dataclasses import field
from typing import Any, ClassVar

import pytest

from plg.dataclass import dataclass

WAYS = [
    {"frozen": frozen, "slots": slots, "eq": eq} for frozen in (False, True) for slots in (False, True)
    for eq in (False, True)
]  # fmt: skip


def classes(decorate: Any, **way: bool) -> dict[str, type]:
    """Classes of every shape that plg has, made by ``decorate``."""

    @decorate(**way)
    class Plain:
        """Words."""

        kind: ClassVar[str] = "plain"
        a: int
        b: str = "b"
        c: list[int] = field(default_factory=list)

        @property
        def twice(self) -> int:
            return self.a * 2

    @decorate(**way)
    class Child(Plain):
        b: str = "of the child"
        d: float = field(default=1.5, repr=False, compare=False)
        hidden: int = field(default=7, init=False)

    @decorate(**way)
    class After:
        a: int
        total: int = field(init=False)
        named: str = field(kw_only=True)

        def __post_init__(self) -> None:
            object.__setattr__(self, "total", self.a + 1)

    @decorate(**way)
    class Empty:
        pass

    @decorate(**way)
    class Own:
        a: int

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Own)

        def __repr__(self) -> str:
            return "own"

        def __hash__(self) -> int:
            return 5

    return {each.__name__: each for each in (Plain, Child, After, Empty, Own)}


CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("Plain", (1,), {}), ("Plain", (1, "x", [3]), {}), ("Plain", (), {"a": 2, "c": [1]}), ("Plain", (), {}),
    ("Plain", (1,), {"z": 1}), ("Plain", (1, "b", [], 4), {}), ("Child", (1,), {}), ("Child", (1, "q", [2], 9.5), {}),
    ("Child", (1,), {"hidden": 3}), ("After", (3,), {"named": "n"}), ("After", (3, "n"), {}), ("Empty", (), {}),
    ("Own", (4,), {}),
]  # fmt: skip


def seen(made: dict[str, type], name: str, args: tuple[Any, ...], words: dict[str, Any]) -> Any:
    """All that can be seen of one instance, in values that can be compared."""
    try:
        one, other = made[name](*args, **words), made[name](*copy.deepcopy(args), **copy.deepcopy(words))
    except TypeError:
        return TypeError
    found: list[Any] = [repr(one).split("<locals>.")[-1], one == other, one != other, dataclasses.asdict(one)]
    found.append([f.name for f in dataclasses.fields(one)])
    found.append(made[name].__match_args__)
    found += [hasattr(one, "__dict__"), one == 3, getattr(one, "kind", None), getattr(one, "twice", None)]
    try:
        found.append(hash(one) == hash(other))
    except TypeError:
        found.append("not hashable")
    for name_set in ("a", "fresh"):
        try:
            setattr(one, name_set, 99)
            found.append(getattr(one, name_set))
        except (AttributeError, TypeError):
            # For a name that is no field, the standard library's own frozen class with slots stumbles: TypeError.
            found.append("refused")
    if hasattr(other, "a"):
        changed = dataclasses.replace(other, a=41)
        found += [changed.a, dataclasses.asdict(copy.copy(other)), dataclasses.asdict(copy.deepcopy(other))]
    return found


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize(("name", "args", "words"), CALLS, ids=str)
def test_both_make_the_same_class(way, name, args, words):
    ours, theirs = classes(dataclass, **way), classes(dataclasses.dataclass, **way)
    assert seen(ours, name, args, words) == seen(theirs, name, args, words)


@pytest.mark.parametrize("slots", [False, True])
def test_a_frozen_instance_says_so(slots):
    one = classes(dataclass, frozen=True, slots=slots)["Plain"](1)
    for name in ("a", "fresh"):
        with pytest.raises(dataclasses.FrozenInstanceError, match=name):
            setattr(one, name, 2)
        with pytest.raises(dataclasses.FrozenInstanceError, match=name):
            delattr(one, name)


@pytest.mark.parametrize("way", [{}, {"slots": True}, {"frozen": True}, {"frozen": True, "slots": True}], ids=str)
def test_instances_go_to_another_process_and_back(way, monkeypatch):
    made = classes(dataclass, **way)
    for name, each in made.items():
        each.__qualname__ = name
        monkeypatch.setattr(sys.modules[__name__], name, each, raising=False)
    one = made["Child"](1, c=[2])
    assert pickle.loads(pickle.dumps(one)) == one


def test_a_subclass_that_is_not_decorated_and_a_first_instance_in_a_subclass():
    @dataclass(frozen=True, slots=True)
    class Base:
        a: int
        b: int = 2

    class Named(Base):
        pass

    assert (Named(1).b, Named(a=3).a, Base(5).a) == (2, 3, 5)
    assert Named(1) != Base(1)


def test_a_mutable_default_is_refused():
    with pytest.raises(ValueError, match=r"Wrong\.a: a mutable default"):

        @dataclass
        class Wrong:
            a: list[int] = []  # noqa: RUF012  # the fault that is looked for


def test_no_class_of_plg_is_compiled_before_it_is_made():
    """The promise of the module: importing a class compiles nothing."""
    compiled: list[str] = []
    sys.setprofile(lambda frame, event, arg: compiled.append(str(arg)) if event == "c_call" and arg is exec else None)
    try:
        made = classes(dataclass, frozen=True, slots=True)
        before = len(compiled)
        made["Plain"](1)
    finally:
        sys.setprofile(None)
    assert (before, len(compiled)) == (0, 1)
