"""Tables for templates: CSV with a header, read whole or refused in one sentence that names the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from plg import delimited
from plg.language import tables
from plg.language.load import lint
from plg.language.tables import DataError, read_table


def write(folder: Path, text: str | bytes) -> Path:
    file = folder / "t.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


@pytest.mark.parametrize(
    ("text", "columns", "rows"),
    [
        ('\ufeffname, age\n"a, b",1\n\n"x\ny",2\n', ("name", "age"), [["a, b", "1"], ["x\ny", "2"]]),
        ("name;age\r\na,b;1\r\n", ("name", "age"), [["a,b", "1"]]),
        ("name\tage\na;b\t1", ("name", "age"), [["a;b", "1"]]),
        ('name,age\n5" pipe,\n"say ""hi""", 1\n', ("name", "age"), [['5" pipe', ""], ['say "hi"', " 1"]]),
        ('a,b\n"x\r\n\r\ny", "z"\r\n"",""\n', ("a", "b"), [["x\r\n\r\ny", "z"], ["", ""]]),
        ("a\rb\rc\r", ("a",), [["b"], ["c"]]),
        ('job\n""\n', ("job",), [[""]]),
    ],
)
def test_what_is_read(tmp_path: Path, text: str, columns: tuple[str, ...], rows: list[list[str]]) -> None:
    table = read_table(write(tmp_path, text))
    assert (table.columns, list(table.rows)) == (columns, rows)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "t.csv: a table needs a header and at least one row, and this file is empty"),
        ("\n\n", "and this file is empty"),
        ("a,b\n", "t.csv: a table needs at least one row below its header"),
        ("a,a\n1,2\n", "t.csv: line 1: the header has the column 'a' twice"),
        ("a,\n1,2\n", "line 1: column 2 has no name"),
        ('a,b\n"x\ny",1\n1\n', "line 4: 1 value in this row, and 2 in the header"),
        ('a,b\n1,2\n3,"x\n4,5\n', 'line 3: this `"` is never closed'),
        ('a,b\n"x"y,1\n', 'line 2: a `"` stands inside a value'),
        ("a|b\n1|2\n", "line 1: columns are separated by"),
        ("a;b,c\n1;2,3\n", "line 1: the first row holds `,` and `;`"),
        ("a\n1\0\n", "line 2: this is binary data"),
        (b"name\nx\n\xff\n", "line 3: byte 0xff is not UTF-8 text"),
        ("a,b\n1,2\n".encode("utf-16"), "this is UTF-16; save the file as UTF-8"),
        ('[{"a": 1}]', "line 1: this is JSON; a table is CSV with a header"),
        ('{"a": 1}\n{"a": 2}\n', "line 1: this is JSON"),
        ('[\n  {"a": 1}\n]\n', "line 1: this is JSON"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str | bytes, complaint: str) -> None:
    with pytest.raises(DataError) as caught:
        read_table(write(tmp_path, text))
    assert complaint in str(caught.value)
    assert len(str(caught.value)) < 200


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        read_table(tmp_path / "gone.csv")


def test_long_values_are_taken_up_to_a_limit(tmp_path: Path) -> None:
    assert read_table(write(tmp_path, f'job\n"{"x" * 140_000}"\n{"y" * 140_000}\n')).rows == [
        ["x" * 140_000],
        ["y" * 140_000],
    ]
    with pytest.raises(DataError, match=r"line 2: a value is longer than 1,000,000 characters$"):
        read_table(write(tmp_path, f'job\n"{"x" * 1_000_001}"\n'))
    with pytest.raises(DataError, match=r"line 2: a value is longer than 1,000,000 characters$"):
        read_table(write(tmp_path, f"job\n{'x' * 1_000_001}\n"))
    many = "x,y\n" * 300_000
    with pytest.raises(DataError, match=r'line 2: a value is longer than 1,000,000 characters, or its `"` is never'):
        read_table(write(tmp_path, f'a,b\n"{many}'))


def test_what_is_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_ROWS", 10)
    with pytest.raises(DataError, match=r"line 12: there are more than 10 rows"):
        read_table(write(tmp_path, "a\n" + "1\n" * 11))
    monkeypatch.setattr(delimited, "MAX_LINE", 50)
    with pytest.raises(DataError, match=r"line 1: the line is longer than 50 characters"):
        read_table(write(tmp_path, "0" * 100))


def test_the_answer_to_a_long_file_is_short(tmp_path: Path) -> None:
    """Nothing of the file is repeated: one quotation mark too many used to print all of it."""
    rows = ["seconds,rate", *(f"{i},{10 + i % 7}" for i in range(20_000))]
    rows[3] = '2,"12'
    (tmp_path / "long.csv").write_text("\n".join(rows), encoding="utf-8")
    scenario = tmp_path / "long.plg"
    scenario.write_text(
        'scenario long { traffic { replay "long.csv" } guardrails { max_rate 9/s max_total_jobs 9 max_duration 1m } }',
        encoding="utf-8",
    )
    (fault,) = lint(scenario).diagnostics
    assert (fault.code, fault.message) == ("bad-data", 'long.csv: line 4: this `"` is never closed')
