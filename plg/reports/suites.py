"""JUnit documents as text: several put together, and one that says why nothing was run.

It needs no library but Python's own, so that it can be had where others could not be loaded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from xml.etree import ElementTree

from plg.escaping import markup, visible


def combine(documents: Sequence[str]) -> str:
    """One document with the suites of all, in their order; suites of one name are told apart."""
    roots = [ElementTree.fromstring(document) for document in documents]
    first, suites = roots[0], [suite for root in roots for suite in root]
    for root in roots[1:]:
        first.extend(list(root))
    for suite, name in zip(suites, unique([suite.get("name", "") for suite in suites]), strict=True):
        suite.set("name", name)
    for count in ("tests", "failures", "errors"):
        first.set(count, str(sum(int(root.get(count, "0")) for root in roots)))
    first.set("time", f"{sum(float(root.get('time', '0')) for root in roots):.3f}")
    ElementTree.indent(first)
    return "<?xml version='1.0' encoding='utf-8'?>\n" + ElementTree.tostring(first, encoding="unicode") + "\n"


def unique(names: Sequence[str]) -> list[str]:
    """The names, the second of a kind marked ``(2)``: readers that key on the name keep only the first otherwise."""
    seen: Counter[str] = Counter()
    taken = set(names)
    result = []
    for name in names:
        seen[name] += 1
        unique = name
        while seen[name] > 1 and unique in taken:
            unique = f"{name} ({seen[name]})"
            seen[name] += unique in taken
        taken.add(unique)
        result.append(unique)
    return result


def not_run(command: str, reason: str) -> str:
    """The document of a ``command`` that ended before it had a result."""
    said, name = (f'"{markup(text)}"' for text in (" ".join(visible(reason, "").split()), command))
    counts = 'tests="1" failures="0" errors="1" time="0.000"'
    return (
        f"<?xml version='1.0' encoding='utf-8'?>\n"
        f'<testsuites name="plg" {counts}>\n  <testsuite name={name} {counts}>\n'
        f'    <testcase name="run" classname={name} time="0.000">\n      <error type="usage" message={said}/>\n'
        "    </testcase>\n  </testsuite>\n</testsuites>\n"
    )
