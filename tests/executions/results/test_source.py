"""The check of a CSV: what is well-formed, and which line is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from executions.results.errors import ResultError
from executions.results.source import MAX_RECORD_BYTES, check_csv


def write(folder: Path, content: bytes) -> Path:
    path = folder / "source.csv"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "header", "rows", "has_line_breaks"),
    [
        (b"a,b\n1,2\n", ("a", "b"), 1, False),
        (b"a,b\r\n1,2\r\n", ("a", "b"), 1, False),
        (b"a,b", ("a", "b"), 0, False),
        (b"\xef\xbb\xbfa,b\n1,2", ("a", "b"), 1, False),
        (b'\xef\xbb\xbf"a,x",b\n1,2', ("a,x", "b"), 1, False),
        (b'a,b\n"x\ny",2\n', ("a", "b"), 1, True),
        (b'a,b\n"x\ry",2\n', ("a", "b"), 1, True),
        (b'"a\nx",b\n1,2\n', ("a\nx", "b"), 1, False),
        (b'a,b\n"",\n\n\n', ("a", "b"), 1, True),
        (b"a\n1\n\n2\n", ("a",), 3, False),
        (b",\n1,2\n", ("", ""), 1, False),
        (b'a,b\n1,say "hi"\n', ("a", "b"), 1, False),
    ],
)
def test_well_formed_files_tell_their_shape(
    tmp_path: Path, content: bytes, header: tuple[str, ...], rows: int, has_line_breaks: bool
) -> None:
    shape = check_csv(write(tmp_path, content))
    assert (shape.header, shape.rows, shape.has_line_breaks) == (header, rows, has_line_breaks)


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b"", 1, "no header row"),
        (b"\na,b\n", 1, "no header row"),
        (b"a,b\n1,2\n3\n", 3, "has 1 fields instead of 2"),
        (b"a,b\n1,2,3\n", 2, "has 3 fields instead of 2"),
        # Lines are those of the file, not rows of the result.
        (b'a,b\n"x\n\ny",2\n3\n4,5\n', 5, "has 1 fields"),
        (b"a,b\n1,2\n\n3,4\n", 3, "is empty"),
        (b"a,b\n1,\xff\n", 2, "not UTF-8"),
        (b"\xff\xfea\n", 1, "not UTF-8"),
        (b'a,b\n1,2\n3,"x\n4,5\n', 3, "never ends"),
        (b'a,b\n1,"x"y\n', 2, "quote or a line break"),
        (b"a,b\n1,2\r3,4\n", 2, "quote or a line break"),
        (b"a,b\n1," + b"x" * MAX_RECORD_BYTES + b"\n", 2, "longer than 2 MB"),
        (b'a,b\n1,"' + b"xxxxxxx\n" * (MAX_RECORD_BYTES // 8 + 1) + b'"\n', 2, "more than 2 MB"),
        (b'"a\n', 1, "never ends"),
    ],
)
def test_malformed_files_are_refused_with_their_line(
    tmp_path: Path, content: bytes, line: int, words: str
) -> None:
    with pytest.raises(ResultError, match=words) as caught:
        check_csv(write(tmp_path, content))
    assert caught.value.line == line
    assert f"line {line}" in caught.value.message or "header" in caught.value.message


def test_a_file_cut_inside_a_quoted_field_loses_no_row_silently(tmp_path: Path) -> None:
    whole = b"a,b\n" + b'1,"x\ny"\n' * 100
    with pytest.raises(ResultError, match="incomplete"):
        check_csv(write(tmp_path, whole[:-3]))
