"""Recordings are read as they were meant, or refused in one sentence that names the line."""

from __future__ import annotations

import datetime
import random
from pathlib import Path

import pytest

from plg import delimited, recordings
from plg.recordings import RecordingError, _days, read_recording

CURVE = ((0, 10), (5, 80), (9, 20))


def write(folder: Path, text: str | bytes) -> Path:
    file = folder / "traffic.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


@pytest.mark.parametrize(
    "text",
    [
        "seconds,rate\n0,10\n5,80\n9,20\n",
        "rate,seconds\n10,0\n80,5\n20,9\n",
        "0,10\n5,80\n9,20",
        "# recorded on a Tuesday\nseconds, rate\n\n100,10\n105,80\n109,20\n",
        "\ufeff0,10\r\n5,80\r\n9,20\r\n",
        "seconds,rate\r0,10\r5,80\r9,20\r",
        '"0","10"\n"5","8e1"\n" 9 ","20"\n',
        '0, "10"\n5,"80" \n9,20\n',
        "Time (s);Jobs/s\n0;10\n5;80\n9;20\n",
        "t\trps\n-5\t10\n0\t80\n4\t20\n",
        "elapsed_ms,requests per second".replace(" per ", "/") + "\n0,10\n5000,80\n9000,20\n",
        "time [us],qps\n0,10\n5_000_000,80\n9e6,20\n",
        "1700000000,10\n1700000005,80\n1700000009,20\n",
        "timestamp,rate\n1700000000.25,10\n1700000005.25,80\n1700000009.25,20\n",
        "1700000000000,10\n1700000005000,80\n1700000009000,20\n",
        "timestamp,rate\n1700000000000000,10\n1700000005000000,80\n1700000009000000,20\n",
        "time_ns,rate\n1700000000000000001,10\n1700000005000000001,80\n1700000009000000001,20\n",
        "time,rate\n2026-11-28T09:00:00Z,10\n2026-11-28T09:00:05Z,80\n2026-11-28T09:00:09Z,20\n",
        "2026-12-31 23:59:58,10\n2027-01-01 00:00:03,80\n2027-01-01 00:00:07,20\n",
        "date,rate\n2024-02-29T23:59:59.500+02:00,10\n2024-02-29T22:00:04.500Z,80\n2024-03-01T00:00:08.5+0200,20\n",
    ],
)
def test_what_is_read(tmp_path: Path, text: str) -> None:
    assert read_recording(write(tmp_path, text)) == CURVE


def test_nanoseconds_since_1970_are_exact(tmp_path: Path) -> None:
    rows = read_recording(write(tmp_path, "1700000000000000001,1\n1700000000000000002,2\n"))
    assert rows == ((0, 1), (1e-9, 2))


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("seconds,rate\n0,10\n5,many\n", 3, "rate is 'many', not a number"),
        ("0,10\n5,nan\n", 2, "rate is 'nan', not a finite number"),
        ("nan,10\n5,nan\n", 1, "seconds is 'nan', not a finite number"),
        ("0,10\n5,-inf\n", 2, "rate is '-inf', not a finite number"),
        ("0,10\n5,1e999\n", 2, "rate is '1e999', not a finite number"),
        ("0,10\n5,\n", 2, "rate is empty"),
        ("0,10\n5,-1\n", 2, "rate is '-1', below zero"),
        ("0,10\n5,1e10\n", 2, "more than 1e9 a second"),
        ("0,10\n5,10/s\n", 2, "rate is '10/s', not a number"),
        ('0,10\n5,"1,000"\n', 2, "write 1000"),
        ("seconds;rate\n0;10\n5;1,5\n", 3, "write 1.5"),
        ("0,10\n5,\u0661\n", 2, "not a number"),
        ("0,10\n5,1\n5,2\n", 3, "seconds must rise from row to row, and '5' is there twice"),
        ("0,10\n5,1\n4,2\n", 3, "seconds must rise from row to row, and '4' follows '5'"),
        ("0,10,1\n5,1,1\n", 1, "two columns are wanted without a header, seconds and rate, not 3 columns"),
        ("0\n5\n", 1, "not 1 column"),
        ("seconds,rate\n0,10\n5\n", 3, "1 value in this row, and 2 in line 1"),
        ("seconds,rate\n0,10\n5,1,2\n", 3, "3 values in this row"),
        ("seconds,rate\n0,10\nseconds,rate\n", 3, "the header of line 1 stands here again"),
        ("seconds,rate\ns,1/s\n0,1\n", 2, "rate is '1/s', not a number"),
        ("seconds,rate,rate\n0,1,1\n", 1, "two columns hold rates: 'rate' and 'rate'"),
        ("time,seconds,rate\n0,1,1\n", 1, "two columns hold times: 'time' and 'seconds'"),
        ("time,host,rate\n0,a,1\n", 1, "the column 'host' is not known"),
        ("seconds,requests\n0,1\n", 1, "the column 'requests' is not known"),
        ("seconds,rate_per_minute\n0,1\n", 1, "the column 'rate_per_minute' is not known"),
        ("seconds\n0\n", 1, "there is no column of rates"),
        ("rate\n0\n", 1, "there is no column of times"),
        ("seconds,\n0,1\n", 1, "column 2 has no name"),
        ("seconds,10\n0,1\n", 1, "'seconds' is neither in a header nor a number"),
        ("seconds|rate\n0|1\n", 1, "not by `|`"),
        ("0;10,5\n5;1,5\n", 1, "`,` and `;`; which one separates the columns is not clear"),
        ('seconds,rate\n0,1\n2,"12\n3,4\n', 3, 'this `"` is never closed'),
        ('0,1\n2,"1"2\n', 2, "stands inside a value"),
        ("time_ms,rate\n1700000000,1\n1700000001,2\n", 2, "by its size seconds since 1970; call the column time_s"),
        ("seconds,rate\n1700000000000,1\n", 2, "by its size ms since 1970; call the column time_ms"),
        ("40000000000,1\n40000000001,2\n", 1, "neither seconds from a start nor s, ms, us or ns since 1970"),
        ("0,1\n1700000000,2\n", 2, "more than 366 days after the first row"),
        ("1700000000,1\n1700000005000,2\n", 2, "more than 366 days after the first row"),
        ("seconds,rate\n2026-11-28T09:00:00Z,1\n", 2, "a column of dates is called time"),
        ("time,rate\n09:00:00,1\n", 2, "neither a number nor a time such as 2026-11-28T09:30:00Z"),
        ("time,rate\n28.11.2026,1\n", 2, "neither a number nor a time"),
        ("time,rate\n2026-11-28T09:00:00Z,1\n2026-11-28T09:00:05,2\n", 3, "some have none"),
        ("time,rate\n2026-11-28T09:00:00Z,1\n5,2\n", 3, "time is '5', not a time"),
        ("time,rate\n2026-02-28T09:00:00Z,1\n2026-02-29T09:00:00Z,1\n", 3, "not a time"),
        ("0,10\n5,1\0\n", 2, "binary data"),
        (b"0,10\n5,\xff\n", 2, "byte 0xff is not UTF-8 text"),
        ("0,10\n".encode("utf-16"), 0, "this is UTF-16"),
        ("", 0, "0 rows; a curve needs two"),
        ("\ufeff\r\n\r\n", 0, "0 rows; a curve needs two"),
        ("seconds,rate\n", 0, "0 rows; a curve needs two"),
        ("seconds,rate\n0,10\n", 0, "1 row; a curve needs two"),
    ],
)
def test_bad_rows_are_named_by_their_line(tmp_path: Path, text: str | bytes, line: int, words: str) -> None:
    with pytest.raises(RecordingError) as caught:
        read_recording(write(tmp_path, text))
    assert words in str(caught.value)
    assert caught.value.line == line
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_a_file_that_is_not_there_or_a_folder(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="there is no such file"):
        read_recording(tmp_path / "traffic.csv")
    with pytest.raises(RecordingError, match="this is a folder"):
        read_recording(tmp_path)


def test_a_huge_value_is_told_shortly(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"line 2: rate is 'x{29}…', not a number$"):
        read_recording(write(tmp_path, "0,1\n1," + "x" * 1_000_000 + "\n"))
    with pytest.raises(RecordingError, match=r"rate is '9{29}…'"):
        read_recording(write(tmp_path, "0,1\n1," + "9" * 500_000 + "\n"))


def test_what_is_too_much_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path, "".join(f"{i},1\n" for i in range(2000)))
    monkeypatch.setattr(recordings, "MAX_ROWS", 1000)
    with pytest.raises(RecordingError, match=r"line 1001: there are more than 1,000 rows"):
        read_recording(file)
    monkeypatch.setattr(delimited, "MAX_LINE", 50)
    with pytest.raises(RecordingError, match=r"line 1: the line is longer than 50 characters"):
        read_recording(write(tmp_path, "0" * 100))
    monkeypatch.setattr(delimited, "MAX_BYTES", 2**20)
    with pytest.raises(RecordingError, match=r"the file is larger than 1 MiB"):
        read_recording(write(tmp_path, "0,1\n" * 2**19))


def test_days_are_those_of_the_calendar() -> None:
    rnd = random.Random(5)
    for _ in range(2000):
        day = datetime.date.fromordinal(rnd.randint(1, 3_000_000))
        assert _days(day.year, day.month, day.day) == (day - datetime.date(1970, 1, 1)).days
