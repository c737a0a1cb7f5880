"""`dataclasses.dataclass`, made so that a class costs a tenth of the time at import.

plg is started anew for every check and every lint, and describes its data in some two hundred classes. The standard
decorator compiles five or six methods for each, about a millisecond a class. This one compiles the constructor alone,
and only once an instance is made; what compares, shows and freezes needs no code of its own. What it makes is a
dataclass to the standard library as well: `dataclasses.fields`, `replace`, `asdict` and pickling work.

It knows the parameters that plg uses: ``frozen``, ``slots`` and ``eq``, and of a field ``default``,
``default_factory``, ``init``, ``repr``, ``compare`` and ``kw_only``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    import dataclasses
    from dataclasses import MISSING, Field, FrozenInstanceError
    from operator import attrgetter
    from reprlib import recursive_repr
    from types import MemberDescriptorType

    _KIND = dataclasses._FIELD  # what `dataclasses.fields` looks for

    def dataclass(cls=None, /, *, frozen=False, slots=False, eq=True):
        """The decorator, with or without parameters."""

        def made(cls):
            return _made(cls, frozen, slots, eq)

        return made if cls is None else made(cls)

    def _made(cls, frozen, slots, eq):
        inherited = {}
        for base in reversed(cls.__mro__[1:]):
            inherited |= getattr(base, "__dataclass_fields__", {})
        own = _own_fields(cls)
        fields = inherited | own
        if slots:
            cls = _slotted(cls, own, inherited)
        cls.__dataclass_fields__ = fields
        cls.__dataclass_params__ = dataclasses._DataclassParams(True, True, eq, False, False, frozen)
        shown = list(fields.values())
        cls.__match_args__ = tuple(f.name for f in shown if f.init and not f.kw_only)
        if "__init__" not in cls.__dict__:
            cls.__init__ = _constructor(cls, shown, frozen)
        if "__repr__" not in cls.__dict__:
            cls.__repr__ = _shower([f.name for f in shown if f.repr])
        if eq:
            _comparing(cls, [f.name for f in shown if f.compare], frozen)
        if frozen:
            _freeze(cls, frozenset(fields))
            if slots:
                _pickling(cls, [f.name for f in shown])
        return cls

    def _own_fields(cls):
        found = {}
        for name, hint in cls.__annotations__.items():
            if hint.startswith("ClassVar"):
                continue
            value = cls.__dict__.get(name, MISSING)
            if isinstance(value, MemberDescriptorType):
                value = MISSING  # a slot of the class's own
            each = value if isinstance(value, Field) else dataclasses.field(default=value)
            if each.default.__class__ in (list, dict, set):
                raise ValueError(f"{cls.__name__}.{name}: a mutable default needs default_factory")
            each.name, each.type, each._field_type = name, hint, _KIND
            each.kw_only = each.kw_only is True
            found[name] = each
            if isinstance(value, Field):
                if value.default is MISSING:
                    delattr(cls, name)
                else:
                    setattr(cls, name, value.default)
        return found

    def _slotted(cls, own, inherited):
        body = dict(cls.__dict__)
        taken = {name for base in cls.__mro__[1:-1] for name in base.__dict__.get("__slots__", ())}
        body["__slots__"] = tuple(name for name in own if name not in taken)
        for name in own:
            body.pop(name, None)
        body.pop("__dict__", None)
        body.pop("__weakref__", None)
        made = type(cls)(cls.__name__, cls.__bases__, body)
        made.__qualname__ = cls.__qualname__
        return made

    def _constructor(cls, fields, frozen):
        def __init__(self, *args, **kwargs):
            cls.__init__ = _compiled(cls, fields, frozen)
            cls.__init__(self, *args, **kwargs)

        return __init__

    def _compiled(cls, fields, frozen):
        space = {"_set": object.__setattr__}
        asked, named, body = [], [], []
        for f in fields:
            value = f.name
            if f.default is not MISSING:
                space[f"_default_{f.name}"] = f.default
                default = f"=_default_{f.name}"
            elif f.default_factory is not MISSING:
                space[f"_make_{f.name}"] = f.default_factory
                space["_none"] = MISSING
                default = "=_none"
                value = f"_make_{f.name}() if {f.name} is _none else {f.name}" if f.init else f"_make_{f.name}()"
            else:
                default = ""
            if f.init:
                (named if f.kw_only else asked).append(f.name + default)
            elif default and f.default is not MISSING:
                value = f"_default_{f.name}"
            elif not default:
                continue
            body.append(f"_set(self, {f.name!r}, {value})" if frozen else f"self.{f.name} = {value}")
        if hasattr(cls, "__post_init__"):
            body.append("self.__post_init__()")
        words = ", ".join(["self", *asked, *(["*", *named] if named else [])])
        exec(f"def __init__({words}):\n " + "\n ".join(body or ["pass"]), space)
        made = space["__init__"]
        made.__qualname__ = f"{cls.__qualname__}.__init__"
        return made

    def _shower(names):
        @recursive_repr()
        def __repr__(self):
            inner = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
            return f"{self.__class__.__qualname__}({inner})"

        return __repr__

    def _comparing(cls, names, frozen):
        # Of one name attrgetter gives no tuple, and of none it cannot be made.
        values = attrgetter(*names) if len(names) > 1 else _tuple_of(names)
        hashes = cls.__dict__.get("__hash__") is not None
        if "__eq__" not in cls.__dict__:

            def __eq__(self, other):
                return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

            cls.__eq__ = __eq__
        if not hashes:
            cls.__hash__ = (lambda self: hash(values(self))) if frozen else None

    def _tuple_of(names):
        def values(self):
            return tuple(getattr(self, name) for name in names)

        return values

    def _freeze(cls, names):
        def __setattr__(self, name, value):
            if type(self) is cls or name in names:
                raise FrozenInstanceError(f"cannot assign to field {name!r}")
            super(cls, self).__setattr__(name, value)

        def __delattr__(self, name):
            if type(self) is cls or name in names:
                raise FrozenInstanceError(f"cannot delete field {name!r}")
            super(cls, self).__delattr__(name)

        cls.__setattr__, cls.__delattr__ = __setattr__, __delattr__

    def _pickling(cls, names):
        def __getstate__(self):
            return [getattr(self, name) for name in names]

        def __setstate__(self, state):
            for name, value in zip(names, state, strict=True):
                object.__setattr__(self, name, value)

        cls.__getstate__, cls.__setstate__ = __getstate__, __setstate__
