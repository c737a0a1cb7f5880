"""Artifacts of this check and of no other: beside a killed one, on a full disk, over those of an earlier run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from support.checked import full_disk

PLG = [sys.executable, "-m", "plg"]
SCENARIO = """scenario "{name}" {{
  traffic {{ steady 50/s over {seconds}s }}
  guardrails {{ max_rate 5000/s  max_total_jobs 100_000  max_duration 1m }}
  expect {{ {expect} }}
}}
"""


def write(folder: Path, name: str, seconds: float = 0.3, expect: str = "errors == 0") -> Path:
    path = folder / f"{name}.plg"
    path.write_text(SCENARIO.format(name=name, seconds=seconds, expect=expect), encoding="utf-8")
    return path


PAGES = ("--reports", "junit,json,html")


def start(folder: Path, *arguments: object, **options: object) -> subprocess.Popen[str]:
    """A check without pages, which take most of its time, where its ``arguments`` do not ask for them."""
    plain = ("--reports", "junit,json")
    command = [*PLG, "check", *plain, *map(str, arguments), "--quiet", "--target", "fake"]
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": folder}
    return subprocess.Popen(command, **{**piped, **options})  # type: ignore[call-overload, no-any-return]


def check(folder: Path, *arguments: object, **options: object) -> tuple[int, str]:
    """Exit code and last line; on a machine that is too busy, perhaps of another attempt."""
    for _ in range(4):
        process = start(folder, *arguments, **options)
        said = process.communicate(timeout=60)[0]
        if process.returncode != 5:
            break
    return process.returncode, said.splitlines()[-1] if said else ""


def suites(report: Path) -> dict[str, bool]:
    """Each suite's name and whether it is red."""
    root = ElementTree.parse(report / "junit.xml").getroot()
    return {str(s.get("name")): (s.get("failures"), s.get("errors")) != ("0", "0") for s in root.iter("testsuite")}


def until(report: Path, *names: str) -> None:
    """Wait for the suites of these names."""
    end = time.monotonic() + 20
    while not (report / "junit.xml").exists() or not {*names} <= {*suites(report)}:
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture(scope="module")
def green(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three scenarios that have passed."""
    folder = tmp_path_factory.mktemp("green")
    files = [write(folder, name).name for name in ("a", "b", "other")]
    assert check(folder, *files, *PAGES)[0] == 0
    return folder


@pytest.mark.parametrize("known", [True, False], ids=["after it has named its scenarios", "before"])
def test_a_check_that_is_killed_beside_another_stays_red(tmp_path: Path, known: bool) -> None:
    """The other one ends later, and has nothing more to tell than that it ends."""
    report = tmp_path / "plg-report"
    other = start(tmp_path, write(tmp_path, "other", 2))
    until(report, "other")
    killed = start(tmp_path, write(tmp_path, "killed", 20))
    until(report, "killed" if known else "plg")
    killed.kill()
    killed.communicate()
    other.communicate(timeout=30)
    assert other.returncode in (0, 5)
    found = suites(report)
    assert found.keys() == {"other", "killed"} or (not known and found.keys() == {"other", "plg"})
    assert found["killed" if "killed" in found else "plg"]
    told = (report / "junit.xml").read_text()
    assert ("was ended before it could report" if "killed" in found else "ended before it began") in told
    assert "still runs" not in told
    assert not list(report.glob(".*"))


def test_checks_that_begin_together_in_a_new_folder_find_each_other(tmp_path: Path) -> None:
    """The folder is not there yet; the one that takes its place first is killed before the other has one."""
    code = (
        "import sys; from pathlib import Path; from plg.reports.shared_folder import SharedFolder\n"
        "folder = SharedFolder(Path(sys.argv[1]), 'junit.xml'); folder.enter(); print(flush=True); input()\n"
        'folder.publish(\'<testsuites><testsuite name="b" failures="0" errors="0"/></testsuites>\'); folder.leave()\n'
    )
    command = [sys.executable, "-c", code, str(tmp_path / "new")]
    first, second = (
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]
        )
        for _ in range(2)
    )
    for each in (first, second):
        assert each.stdout is not None
        each.stdout.readline()
    first.kill()
    first.communicate()
    second.communicate("go\n")
    assert suites(tmp_path / "new") == {"plg": True, "b": False}


@pytest.mark.parametrize("command", [[], ["--parallel", "2"]], ids=["in turn", "at once"])
def test_what_cannot_be_written_and_is_read_by_programs_is_no_pass(
    green: Path, tmp_path: Path, command: list[str]
) -> None:
    shutil.copytree(green, tmp_path, dirs_exist_ok=True)
    report, files = tmp_path / "plg-report", ("a.plg", "b.plg")
    before = json.loads((report / "a.outcome.json").read_text())
    code, last = check(tmp_path, *files, *command, *PAGES, **full_disk(6000))
    assert code == 2
    assert last.startswith("exit 2: plg-report/")
    for name in "ab":
        assert f"plg-report/{name}.outcome.json could not be written: file too large; " in last
    assert suites(report) == {"a": False, "b": False, "artifacts": True}
    assert not (report / "a.outcome.json").exists()
    assert not (report / "a.html").exists()
    assert json.loads((report / "a.outcome.json.earlier").read_text())["run_id"] == before["run_id"]
    assert check(tmp_path, *files, *command, *PAGES)[0] == 0
    assert not list(report.glob("*.earlier")), "new ones have taken their places"


def test_a_document_that_cannot_be_written_at_the_begin_sends_nothing(green: Path, tmp_path: Path) -> None:
    shutil.copytree(green, tmp_path, dirs_exist_ok=True)
    files = ("a.plg", "b.plg", "other.plg")
    code, last = check(tmp_path, *files, **full_disk(100))
    assert (code, last) == (
        2, "exit 2: plg-report/junit.xml could not be written: file too large, so nothing was sent",
    )  # fmt: skip
    assert {path.name for path in (tmp_path / "plg-report").iterdir() if path.suffix != ".earlier"} == set()


@pytest.mark.skipif(not shutil.which("unshare"), reason="needs unshare(1) for a small file system of its own")
@pytest.mark.parametrize("kilobytes", [4, 12, 20, 40])
def test_a_full_disk_is_never_a_pass_without_a_document(tmp_path: Path, kilobytes: int) -> None:
    """A file system of a few pages: exit code, last line and what lies there agree, whichever write fails."""
    write(tmp_path, "a")
    (tmp_path / "r").mkdir()
    mount = f"mount -t tmpfs -o size={kilobytes}k none r"
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount], cwd=tmp_path, check=False, capture_output=True).returncode:
        pytest.skip("this machine lets no test mount a file system")
    told = 'for f in r/*; do echo "$f"; done; cat r/junit.xml || echo none'
    run = f'{mount} && "$0" -m plg check a.plg --out r --quiet --target fake 2>/dev/null; echo "code $?"; {told}'
    for _ in range(4):
        said = subprocess.run(
            ["unshare", "-rm", "sh", "-c", run, sys.executable],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        code = int(said.rpartition("code ")[2].split()[0])
        if code != 5:
            break
    last = said.partition("\ncode ")[0].splitlines()[-1]
    document = said[said.find("<?xml") :] if "<?xml" in said else ""
    red = not document or any(
        (s.get("failures"), s.get("errors")) != ("0", "0") for s in ElementTree.fromstring(document).iter("testsuite")
    )
    assert code in (0, 2)
    assert last.startswith(f"exit {code}: ")
    assert red == (code == 2)
    assert code != 0 or ("r/a.outcome.json" in said.splitlines() and document)
    assert code == 0 or "could not be written: no space left on device" in last


@pytest.mark.parametrize(
    "how",
    ["a fault in the text", "no target", "an option that is not there", "a start in the past", "killed", "interrupted"],
)
def test_nothing_of_an_earlier_run_passes_for_this_one(green: Path, tmp_path: Path, how: str) -> None:
    """What an earlier run of the scenario left is set aside however this one ends; other scenarios keep theirs."""
    shutil.copytree(green, tmp_path, dirs_exist_ok=True)
    report, file = tmp_path / "plg-report", tmp_path / "a.plg"
    for ending, text in (("png", "tEXtSoftware\0plg"), ("md", "## ✅ a: PASS")):
        (report / f"a.{ending}").write_text(text)
    old = json.loads((report / "a.outcome.json").read_text())["run_id"]
    extra = {"no target": ["--target", "redis://127.0.0.1:1/0"], "an option that is not there": ["--nope"],
             "a start in the past": ["--start-at", "2020-01-01"]}.get(how, [])  # fmt: skip
    if how == "a fault in the text":
        file.write_text(file.read_text().replace("steady", "stedy"))
    if how in ("killed", "interrupted"):
        write(tmp_path, "a", 20)
    process = start(tmp_path, "a.plg", "--quiet", *extra) if how != "no target" else subprocess.Popen(
        [*PLG, "check", "a.plg", *extra], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )  # fmt: skip
    if how in ("killed", "interrupted"):
        until(report, "a")
        while suites(report) != {"a": True}:
            time.sleep(0.01)
        time.sleep(0.3)
        process.send_signal(signal.SIGKILL if how == "killed" else signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode in (2, 6, -9, 143)
    for path in (path for ending in ("outcome.json", "html", "scenario.yaml") for path in report.glob(f"a*.{ending}")):
        assert how in ("no target", "interrupted"), path
        if path.name == "a.outcome.json":
            assert json.loads(path.read_text())["run_id"] != old
    assert not (report / "a.png").exists()
    assert not (report / "a.md").exists()
    ended_early = not (report / "a.outcome.json").exists()
    assert (report / "a.png.earlier").exists() == (report / "a.md.earlier").exists() == ended_early
    assert (report / "other.html").exists()
    assert all(suites(report).values())


def test_a_scenario_in_the_folder_of_the_artifacts_is_no_artifact(tmp_path: Path) -> None:
    assert check(tmp_path, write(tmp_path, "a"))[0] == 0
    for _ in range(2):
        assert check(tmp_path, "plg-report/a.scenario.yaml")[0] == 0
        assert (tmp_path / "plg-report" / "a.scenario.yaml").exists()


def test_shards_set_nothing_of_each_other_aside(tmp_path: Path) -> None:
    write(tmp_path, "a")
    for shard in ("1/2", "2/2", "2/2"):
        assert check(tmp_path, "a.plg", "--shard", shard, "--run-id", "r", *PAGES)[0] == 0
    names = {path.name for path in (tmp_path / "plg-report").iterdir()}
    assert {f"a.shard-{n}-of-2.{kind}" for n in (1, 2) for kind in ("outcome.json", "html")} <= names
    assert not [name for name in names if name.endswith(".earlier")]


def test_of_several_at_once_each_is_written_as_it_ends(tmp_path: Path) -> None:
    """A kill loses only what still ran."""
    report = tmp_path / "plg-report"
    files = [write(tmp_path, "long", 20), write(tmp_path, "red", expect="acked > 1_000"), write(tmp_path, "short")]
    process = start(tmp_path, *files, "--parallel", "3")
    end = time.monotonic() + 30
    while not {"red.outcome.json", "short.outcome.json"} <= {path.name for path in report.glob("*")}:
        assert time.monotonic() < end
        time.sleep(0.02)
    time.sleep(0.3)
    process.kill()
    process.communicate()
    assert list(suites(report)) == ["long", "red", "short"], "in the order of the files"
    saved = {name: json.loads((report / f"{name}.outcome.json").read_text()) for name in ("red", "short")}
    for name, outcome in saved.items():
        assert suites(report)[name] == (outcome["exit_code"] != 0)
    assert suites(report)["long"]
    assert not (report / "long.outcome.json").exists()


@pytest.mark.parametrize("several", [[], ["--parallel", "3"]], ids=["in turn", "at once"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_with_a_fault_one_green_and_one_interrupted(tmp_path: Path, several: list[str], number: int) -> None:
    """Exit code, last line, document and outcomes say the same."""
    report = tmp_path / "plg-report"
    (tmp_path / "fault.plg").write_text("scenario fault { traffic { steady 5/s over 1x } }")
    files = ["fault.plg", write(tmp_path, "green"), write(tmp_path, "long", 20)]
    process = start(tmp_path, *files, *several)
    end = time.monotonic() + 30
    while not (report / "green.outcome.json").exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    time.sleep(1.5)
    process.send_signal(number)
    said, told = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert "Traceback" not in told
    last = said.splitlines()[-1]
    assert last.startswith(f"exit {128 + number}: ")
    assert "fault (exit 2)" in last
    assert f"long (exit {128 + number})" in last
    green = json.loads((report / "green.outcome.json").read_text())
    assert green["exit_code"] in (0, 5)
    assert list(suites(report).items()) == [("fault", True), ("green", green["exit_code"] != 0), ("long", True)]
    assert json.loads((report / "long.outcome.json").read_text())["exit_code"] == 128 + number
    assert not list(report.glob(".*"))


@pytest.mark.parametrize(
    "arguments",
    [
        "judge a.outcome.json", "judge r/a.outcome.json", "judge a.outcome.json fault.plg",
        "judge a.outcome.json --nope",
        "judge --out r --set a.outcome.json", "merge a.outcome.json --nope", "merge a.outcome.json",
        "merge a.shard-1-of-2.outcome.json", "merge --nope *.outcome.json",
    ],
)  # fmt: skip
def test_nothing_of_an_earlier_judgement_passes_for_a_refused_one(
    run: Any, here: Path, green: Path, tmp_path: Path, arguments: str
) -> None:
    """Whatever is wrong: an option, the outcome, the scenario, a part that is missing; other scenarios keep theirs."""
    shutil.copytree(green, tmp_path, dirs_exist_ok=True)
    (tmp_path / "plg-report").rename(tmp_path / "r")
    whole = (tmp_path / "r" / "a.outcome.json").read_text()
    (tmp_path / "a.outcome.json").write_text(whole if "a.outcome.json fault" in arguments else whole[:-5])
    (tmp_path / "a.shard-1-of-2.outcome.json").write_text("{}")
    (tmp_path / "fault.plg").write_text("scenario fault { traffic { steady 5/s over 1x } }")
    if arguments == "judge r/a.outcome.json":
        (tmp_path / "r" / "a.outcome.json").write_text(whole[:-5])
    given = arguments if "--out" in arguments else f"{arguments} --out r"
    done = run(*given.split())
    assert done.code == 2, done.said
    assert all(suites(tmp_path / "r").values())
    left = {path.name for path in (tmp_path / "r").iterdir()}
    assert left >= {"other.html", "other.outcome.json", "other.scenario.yaml"}
    assert left >= {"a.html.earlier", "a.scenario.yaml.earlier"}
    assert not left & {"a.html", "a.scenario.yaml"}
    assert ("a.outcome.json" in left) == (arguments == "judge r/a.outcome.json"), "it is not a result but what is read"


def children(parent: int) -> list[int]:
    """The processes of runs that a check has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            above = int(stat.read_text().rpartition(")")[2].split()[1])
            if above == parent and b"plg.runs.child" in stat.with_name("cmdline").read_bytes():
                found.append(int(stat.parent.name))
        except OSError:  # it has ended
            continue
    return sorted(found)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_hears_nothing_does_not_hold_up_the_end(tmp_path: Path, number: int) -> None:
    """A process that is suspended is given up after 1.5 s; the other runs are recorded as ever."""
    report = tmp_path / "plg-report"
    files = [write(tmp_path, "deaf", 30).name, write(tmp_path, "well", 30).name]
    command = [*PLG, "check", *files, "--parallel", "2", "--target", "fake"]
    process = subprocess.Popen(
        command, cwd=tmp_path, text=True, bufsize=1, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    while "of 30s" not in process.stdout.readline():  # every few seconds it tells how both go
        assert process.poll() is None
    runs = children(process.pid)
    assert len(runs) == 2
    os.kill(runs[0], signal.SIGSTOP)
    begun = time.monotonic()
    process.send_signal(number)
    said, told = process.communicate(timeout=30)
    assert time.monotonic() - begun < 6, "1.5 s, and what it takes to draw a report on a busy machine"
    assert process.returncode == 128 + number
    assert "Traceback" not in told
    names = {"deaf", "well"}
    gone = {name for name in names if not (report / f"{name}.outcome.json").exists()}
    assert len(gone) == 1, said
    [name] = gone
    assert (
        f"{name}.plg was interrupted by {signal.Signals(number).name}; its process did not answer within 1.5s" in said
    )
    assert suites(report) == dict.fromkeys(names, True)
    [kept] = names - gone
    assert json.loads((report / f"{kept}.outcome.json").read_text())["exit_code"] == 128 + number
    assert not list(report.glob(".*"))
    assert not [pid for pid in runs if Path(f"/proc/{pid}").exists()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_results_of_3000_lines_are_written(tmp_path: Path, number: int) -> None:
    """What is written is whole, says one thing, and is there soon."""
    report = tmp_path / "plg-report"
    lines = "  ".join(f"acked > {n}" if n % 2 else f"p9{n % 10}(latency) < {n}ms" for n in range(1, 3001))
    process = start(tmp_path, write(tmp_path, "many", 0.3, lines), "--reports", "junit,json,html,markdown")
    end = time.monotonic() + 60
    while not (report / "many.outcome.json").exists():
        assert time.monotonic() < end
        time.sleep(0.005)
    begun = time.monotonic()
    process.send_signal(number)
    said, told = process.communicate(timeout=60)
    assert time.monotonic() - begun < 6, "two seconds, and what a busy machine adds"
    assert "Traceback" not in told
    outcome = json.loads((report / "many.outcome.json").read_text())
    assert process.returncode in (outcome["exit_code"], 128 + number)
    assert said.splitlines()[-1].startswith(f"exit {process.returncode}: ")
    assert suites(report) == {"many": process.returncode != 0}
    page = report / "many.html"
    assert not page.exists() or page.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert not list(report.glob(".*"))
