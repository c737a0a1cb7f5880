"""Policy files: what they may say, what is wrong with them and where, and which of them hold."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from plg.diagnostics import Diagnostic, ScenarioError
from plg.guardrails import policy_file
from plg.guardrails.policy import Ceilings, Rule
from plg.guardrails.policy_file import find_policy, read_policy, with_neighbours
from plg.patterns.steady import Steady
from plg.resources import read_text
from plg.scenario import ErrorRateLimit, Guardrails, Scenario

FULL = """\
ceilings: {max_duration: 1h}
environments:
  - name: production
    hosts: ["*.prod.example.com", "10.1.0.0/16", "fd00::1"]
    ceilings:
      max_rate: 6000/m
      max_total_jobs: 10_000
      max_duration: 5m
      max_memory_mb: 512
      max_cpu_percent: 80
      max_queue_depth: 1000
      max_queue_age: 1m30s
      max_error_rate: {percent: 5, over: 10s}
      rate_limit_window: 500ms
  - name: forbidden
    hosts: [payments.example.com]
    allow: false
users:
  - {name: ci, accounts: [runner], ceilings: {max_rate: 50}}
"""


def write(folder: Path, text: str, name: str = "plg-policy.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def faults_of(folder: Path, text: str) -> list[Diagnostic]:
    with pytest.raises(ScenarioError) as caught:
        read_policy(write(folder, text))
    return list(caught.value.diagnostics)


def test_a_whole_policy_is_read(tmp_path: Path) -> None:
    policy = read_policy(write(tmp_path, FULL))
    production, forbidden = policy.environments
    assert production.ceilings == Ceilings(
        max_rate=100.0, max_total_jobs=10_000, max_duration=300.0, max_memory=512e6, max_cpu=0.8, max_queue_depth=1000,
        max_queue_age=90.0, max_error_rate=ErrorRateLimit(0.05, 10.0), rate_limit_window=0.5,
    )  # fmt: skip
    assert production.patterns == ("*.prod.example.com", "10.1.0.0/16", "fd00::1")
    assert (forbidden.allow, forbidden.ceilings) == (False, Ceilings())
    assert forbidden.span is not None
    assert forbidden.span.line == 15
    assert policy.users == (Rule("ci", ("runner",), Ceilings(max_rate=50.0), True, policy.users[0].span),)
    assert policy.everywhere == Ceilings(max_duration=3600.0)


RULE = "environments:\n  - name: a\n    hosts: [h]\n    "


@pytest.mark.parametrize(
    ("text", "code", "line", "said"),
    [
        ("enviroments: []\n", "unknown-key", 1, "did you mean environments?"),
        ("environments: []\n", "out-of-range", 1, "must not be empty"),
        ("environments: {}\n", "wrong-type", 1, "must be a list"),
        ("- a\n", "wrong-type", 1, "a policy is a mapping"),
        ("{}\n", "missing-field", 1, "sets no ceilings"),
        ("environments:\n  - name: a\n", "missing-field", 2, "needs `hosts`"),
        ("environments:\n  - hosts: [h]\n", "missing-field", 2, "needs `name`"),
        ("environments:\n  - 7\n", "wrong-type", 2, "an environment is a mapping"),
        ("users:\n  - {name: a, accounts: [b], hosts: [h]}\n", "unknown-key", 2, "`hosts`"),
        (RULE + "ceilings: {max_rate: 50/fortnight}\n", "unknown-unit", 4, "fortnight"),
        (RULE + "ceilings: {max_rate: 0}\n", "out-of-range", 4, "more than 0"),
        (RULE + "ceilings: {max_rate: -1}\n", "out-of-range", 4, "negative"),
        (RULE + "ceilings: {max_rate: .nan}\n", "out-of-range", 4, "finite"),
        (RULE + "ceilings: {max_rate: {param: x}}\n", "wrong-type", 4, "no params"),
        (RULE + "ceilings: {max_total_jobs: many}\n", "wrong-type", 4, "whole number"),
        (RULE + "ceilings: {max_total_jobs: true}\n", "wrong-type", 4, "whole number"),
        (RULE + "ceilings: {max_speed: 1}\n", "unknown-key", 4, "max_speed"),
        (RULE + "ceilings: 5\n", "wrong-type", 4, "ceilings is a mapping"),
        (RULE + "ceilings: {max_error_rate: {percent: 5}}\n", "missing-field", 4, "needs `over`"),
        (RULE + "ceilings: {max_error_rate: 5}\n", "wrong-type", 4, "mapping"),
        (RULE + "allow: no\n", "wrong-type", 4, "true or false"),
        (RULE + "ceilings: {}\n    ceilings: {max_rate: 1}\n", "duplicate-key", 5, "twice"),
        ("environments:\n  - {name: a, hosts: [7]}\n", "wrong-type", 2, "must hold text"),
        ("environments:\n  - {name: a, hosts: ['']}\n", "out-of-range", 2, "empty"),
        ("environments:\n  - {name: a, hosts: ['db:6379']}\n", "bad-host", 2, "port"),
        ("environments:\n  - {name: a, hosts: [redis://db]}\n", "bad-host", 2, "URL"),
        ("environments:\n  - {name: a, hosts: [h]}\n  - {name: a, hosts: [i]}\n", "duplicate-name", 3, "taken"),
        ("environments: [\n", "syntax", 2, ""),
        ("", "empty-file", 1, ""),
        ("ceilings: {max_rate: 1}\n---\nceilings: {max_rate: 9}\n", "syntax", 2, "second document"),
    ],
)
def test_a_fault_is_named_with_its_place(tmp_path: Path, text: str, code: str, line: int, said: str) -> None:
    [fault] = faults_of(tmp_path, text)
    assert fault.code == code
    assert said in f"{fault.message} {fault.help}"
    assert fault.span is not None
    assert fault.span.line == line
    assert fault.file.endswith("plg-policy.yaml")


def test_all_faults_are_shown_in_order(tmp_path: Path) -> None:
    rules = ["{hosts: [h], ceilings: {max_rate: x, max_duration: -1s}}", "{name: 5, hosts: []}"]
    text = f"users: 7\nenvironments:\n  - {rules[0]}\n  - {rules[1]}\n"
    faults = faults_of(tmp_path, text)
    assert [fault.span.line for fault in faults if fault.span] == [1, 3, 3, 3, 4, 4]


@pytest.mark.parametrize("make", ["missing", "folder", "binary", "dangling", "latin"])
def test_a_policy_that_cannot_be_read_is_refused(tmp_path: Path, make: str) -> None:
    path = tmp_path / "plg-policy.yaml"
    if make == "folder":
        path.mkdir()
    elif make == "binary":
        path.write_bytes(b"\0\1\2")
    elif make == "dangling":
        path.symlink_to(tmp_path / "nothing")
    elif make == "latin":
        path.write_bytes(b"environments: [\xe9]\n")
    with pytest.raises(ScenarioError) as caught:
        # A missing one is asked for by name; the others merely lie there.
        find_policy(str(path) if make == "missing" else None, {}, tmp_path, system=[tmp_path / "none"])
    assert caught.value.diagnostics[0].code in ("unreadable-file", "not-text")


def test_a_policy_that_cannot_even_be_looked_at_is_refused(tmp_path: Path) -> None:
    # A folder that leads to itself fails for root as well, as a locked one would for anybody else.
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(ScenarioError, match="cannot be read"):
        find_policy(None, {}, tmp_path, system=[tmp_path / "loop" / "policy.yaml"])


def test_all_policies_hold_at_once(tmp_path: Path) -> None:
    inner = tmp_path / "project" / "load"
    inner.mkdir(parents=True)
    where = {
        "system": write(tmp_path, "ceilings: {max_rate: 1}", "system.yaml"),
        "outer": write(tmp_path / "project", "ceilings: {max_rate: 2}"),
        "inner": write(inner, "ceilings: {max_rate: 3}"),
        "variable": write(tmp_path, "ceilings: {max_rate: 4}", "variable.yaml"),
        "named": write(tmp_path, "ceilings: {max_rate: 5}", "named.yaml"),
    }
    found = find_policy(str(where["named"]), {"PLG_POLICY": str(where["variable"])}, inner, system=[where["system"]])
    assert found is not None
    assert [Path(file.file) for file in found.files] == list(where.values())


def test_no_policy_is_none_and_an_empty_variable_is_unset(tmp_path: Path) -> None:
    assert find_policy(None, {"PLG_POLICY": ""}, tmp_path, system=[tmp_path / "none"]) is None


def test_the_machines_own_policy_has_a_place_users_do_not_write(tmp_path: Path) -> None:
    assert [str(path) for path in policy_file.SYSTEM_FILES] == [
        "/etc/plg/policy.yaml", "/etc/plg/policy.yml", "/etc/plg/policy.json",
    ]  # fmt: skip


# Names ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plg-policy.yaml", "plg-policy.yml", "plg-policy.json"])
def test_a_policy_is_read_under_each_usual_name(tmp_path: Path, name: str) -> None:
    inner = tmp_path / "load"
    inner.mkdir()
    # With tabs, as some write JSON; YAML takes none of them.
    text = '{\n\t"ceilings": {\n\t\t"max_rate": "1/s"\n\t}\n}' if name.endswith("json") else "ceilings: {max_rate: 1/s}"
    write(tmp_path, text, name)
    found = find_policy(None, {}, inner, system=[])
    assert found is not None
    assert [file.everywhere.max_rate for file in found.files] == [1.0]


@pytest.mark.parametrize(
    "name",
    [
        "plg_policy.yaml", ".plg-policy.yml", "plg-policy", "plg-policy.toml", "plg-policy.YAML", "PLG-POLICY.yml",
        "PLG-POLICY.YAML", "Plg-Policy.yaml", "plg-policy.yaml.txt", "plg-policies.yaml",
    ],
)  # fmt: skip
def test_a_policy_under_another_name_is_refused_and_not_passed_over(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, "ceilings: {max_rate: 1/s}", name)
    (tmp_path / "load").mkdir()
    with pytest.raises(ScenarioError) as caught:
        find_policy(None, {}, tmp_path / "load", system=[])
    [fault] = caught.value.diagnostics
    assert (fault.code, fault.file) == ("policy-name", str(path))
    assert "a policy is called plg-policy.yaml" in fault.help
    # Named, or a link to one that is read, it holds.
    assert find_policy(str(path), {}, tmp_path, system=[]) is not None
    assert find_policy(None, {"PLG_POLICY": str(path)}, tmp_path, system=[]) is not None
    path.rename(tmp_path / "plg-policy.yml")
    path.symlink_to(tmp_path / "plg-policy.yml")
    found = find_policy(None, {}, tmp_path, system=[])
    assert found is not None
    assert len(found.files) == 1


def test_two_in_one_folder_both_hold_and_are_named(tmp_path: Path) -> None:
    write(tmp_path, "ceilings: {max_rate: 10/s}")
    write(tmp_path, "ceilings: {max_rate: 5/s}", "plg-policy.yml")
    found = find_policy(None, {}, tmp_path, system=[])
    assert found is not None
    scenario = Scenario("s", Steady(1.0, 1.0), (), Guardrails(max_rate=100.0, max_total_jobs=10, max_duration=60.0))
    lowered, remarks = found.apply(scenario)
    assert lowered.guardrails.max_rate == 5.0
    assert remarks[0] == f"plg-policy.yaml and plg-policy.yml in {tmp_path} both hold"


def test_a_policy_beside_the_scenario_holds_wherever_plg_was_started(tmp_path: Path) -> None:
    load = tmp_path / "project" / "load"
    load.mkdir(parents=True)
    write(tmp_path / "project", "ceilings: {max_rate: 2/s}")
    write(load, "ceilings: {max_rate: 1/s}", "plg-policy.yml")
    found = with_neighbours(find_policy(None, {}, tmp_path, system=[]), load)
    assert found is not None
    assert [file.everywhere.max_rate for file in found.files] == [2.0, 1.0]
    again = with_neighbours(find_policy(None, {}, load, system=[]), load)
    assert again is not None
    assert len(again.files) == 2


def test_a_folder_may_be_called_as_a_policy_is_by_others(tmp_path: Path) -> None:
    (tmp_path / "plg-policy").mkdir()
    assert find_policy(None, {}, tmp_path / "plg-policy", system=[]) is None


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("plg-policy.yaml", "", "there is no policy in this file"),
        ("plg-policy.yaml", " \n", "there is no policy in this file"),
        ("plg-policy.yaml", "# nothing yet\n", "there is no policy in this file"),
        ("plg-policy.yaml", "---\n", "there is no policy in this file"),
        ("plg-policy.yaml", "ceilings: {max_rate: 1/s}\n---\nusers: []\n", "a second document begins here"),
        ("plg-policy.json", " ", "there is no policy in this file"),
        ("plg-policy.json", "null", "a policy is a mapping, not nothing"),
        ("plg-policy.yaml", "environments:\n", "`environments` must be a list, not nothing"),
    ],
)
def test_a_file_without_a_policy_is_called_that(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        read_policy(write(tmp_path, text, name))
    [fault] = caught.value.diagnostics
    assert fault.message == said
    assert "scenario" not in fault.help
    assert fault.span is not None
    assert fault.span.column == 1, "a caret stands under a word"


def test_what_is_no_file_is_called_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "plg-policy.yaml"
    found = []
    for make in (
        path.mkdir,
        lambda: os.mkfifo(path),
        lambda: path.symlink_to("/dev/zero"),
        lambda: path.symlink_to("x"),
    ):
        make()
        with pytest.raises(ScenarioError) as caught:
            find_policy(None, {}, tmp_path, system=[])
        found.append(caught.value.diagnostics[0].message.removeprefix(f"{path} is "))
        path.rmdir() if path.is_dir() else path.unlink()
    assert found == [
        "a folder, not a policy",
        "a named pipe, not a policy",
        "a device, not a policy",
        "a link to a file that is not there",
    ]


# The schema and the reader --------------------------------------------------------------------------------------------

SCHEMA = json.loads(read_text("schemas", "policy.schema.json"))


def test_the_schema_is_valid_and_takes_the_full_example() -> None:
    import yaml

    Draft202012Validator.check_schema(SCHEMA)
    validator = Draft202012Validator(SCHEMA)
    assert list(validator.iter_errors(yaml.safe_load(FULL.replace("10_000", "10000")))) == []
    assert all(not list(validator.iter_errors(example)) for example in SCHEMA["examples"])


def test_schema_and_reader_know_the_same_fields() -> None:
    assert set(SCHEMA["properties"]) == set(policy_file.FIELDS)
    for section, names in policy_file.RULE_FIELDS.items():
        assert set(SCHEMA["properties"][section]["items"]["properties"]) == set(names)
    assert set(SCHEMA["$defs"]["ceilings"]["properties"]) == {*policy_file.CEILINGS, "max_error_rate"}


scalars = (
    st.none() | st.booleans() | st.integers(-5, 10**13) | st.floats(-1, 1e10, allow_nan=False)
    | st.sampled_from(["100/s", "5m", "1m30s", "80%", "0/s", "1/x", "x", "", "10_000", "150%", "1 h"])
)  # fmt: skip
error_rates = st.fixed_dictionaries({}, optional={"percent": scalars, "over": scalars, "odd": scalars})
ceilings = st.dictionaries(
    st.sampled_from([*policy_file.CEILINGS, "max_error_rate", "odd"]), scalars | error_rates, max_size=3
)
rule_parts = {"name": st.sampled_from(["a", " b", "", 7, "c"]), "ceilings": ceilings | scalars, "allow": scalars}
environments = st.fixed_dictionaries(
    {}, optional={**rule_parts, "hosts": st.lists(st.sampled_from(["h", "*", 7, ""]), max_size=2) | scalars}
)
sections = st.lists(environments | scalars, max_size=2) | scalars
documents = st.fixed_dictionaries({}, optional={"environments": sections, "ceilings": ceilings, "odd": scalars})


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder above nobody's: a policy written there holds for no other test."""
    return tmp_path_factory.mktemp("policies")


@settings(max_examples=300)
@given(document=documents)
def test_schema_and_reader_agree_on_any_document(scratch: Path, document: dict[str, object]) -> None:
    text = json.dumps(document)
    # What only the reader refuses: a name used twice, and a value the schema's patterns cannot bound.
    beyond = {"duplicate-name", "bad-host"}
    path = write(scratch, text)
    try:
        read_policy(path)
        codes: set[str] = set()
    except ScenarioError as error:
        codes = {fault.code for fault in error.diagnostics}
    by_schema = list(Draft202012Validator(SCHEMA).iter_errors(document))
    if by_schema:
        assert codes, by_schema[0].message
    elif codes - beyond:
        assert '"150%"' in text, (codes, text)
