"""Parts become one file: unpacked, one header row, rows intact however the bytes arrive."""

from __future__ import annotations

import csv
import gzip
import io
import random
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instances.amc.errors import AmcMalformedError, AmcTooLargeError
from instances.amc.result_parts import DownloadedResult, ResultWriter, split_header, unpack

HEADER = b'campaign,"two\nlines",reach\n'


def pieces(data: bytes, *sizes: int) -> Iterator[bytes]:
    """Cut the bytes into pieces of these sizes, and the rest."""
    for size in sizes:
        yield data[:size]
        data = data[size:]
    yield data


def joined(*parts: bytes, max_bytes: int = 10**9, size: int = 7) -> tuple[bytes, DownloadedResult]:
    file = io.BytesIO()
    writer = ResultWriter(file, max_bytes=max_bytes)
    for part in parts:
        for _ in writer.add_part(pieces(part, *[size] * (len(part) // size))):
            pass
    return file.getvalue(), writer.result


def test_header_row_is_written_once() -> None:
    data, result = joined(HEADER + b"a,b,1\n", HEADER + b"c,d,2\n", HEADER)
    assert data == HEADER + b"a,b,1\nc,d,2\n"
    assert result == DownloadedResult(len(data), 3, HEADER[:-1], gzipped=False, has_rows=True)
    assert result.columns == ("campaign", "two\nlines", "reach")


def test_header_alone_is_a_result_without_rows() -> None:
    for data in (b"a,b\n", b"a,b", b"a,b\r\n"):
        written, result = joined(data)
        assert (written, result.has_rows, result.header) == (data, False, b"a,b")


def test_parts_that_end_without_a_line_end_are_not_run_together() -> None:
    assert joined(b"a\n1", b"a\n2", b"a", b"a\n3\n")[0] == b"a\n1\n2\n3\n"
    assert joined(b"a", b"a\n1")[0] == b"a\n1"


def test_line_ends_do_not_count_as_a_difference_of_headers() -> None:
    assert joined(b"a,b\r\n1,2\r\n", b"a,b\n3,4\n")[0] == b"a,b\r\n1,2\r\n3,4\n"


@pytest.mark.parametrize("other", [b"a,c\n", b"a\n", b"a,b,c\n", b'"a",b\n', b"", b"\n", b"b,a\n1,2\n"])
def test_other_columns_are_refused_and_leave_nothing_behind(other: bytes) -> None:
    file = io.BytesIO(b"before")
    file.seek(0, io.SEEK_END)
    writer = ResultWriter(file, max_bytes=100)
    list(writer.add_part(iter([b"a,b\n1,2\n"])))
    kept = writer.result
    with pytest.raises(AmcMalformedError):
        list(writer.add_part(iter([other])))
    assert (file.getvalue(), writer.result) == (b"beforea,b\n1,2\n", kept)
    list(writer.add_part(iter([b"a,b\n3,4\n"])))
    assert file.getvalue() == b"beforea,b\n1,2\n3,4\n"
    writer.clear()
    assert (file.getvalue(), writer.result) == (b"before", DownloadedResult())


@pytest.mark.parametrize("nothing", [b"", b"\n", b"\r\n"])
def test_result_without_a_header_is_malformed(nothing: bytes) -> None:
    with pytest.raises(AmcMalformedError, match="header"):
        joined(nothing)


def test_header_that_never_ends_is_not_collected_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("instances.amc.result_parts._MAX_HEADER_BYTES", 1000)
    with pytest.raises(AmcMalformedError, match="header"):
        split_header(iter([b'"', *[b"x\n" * 100] * 1000]))


def test_part_that_fails_half_way_is_taken_back() -> None:
    def breaking() -> Iterator[bytes]:
        yield b"a\n3\n"
        raise RuntimeError

    file = io.BytesIO()
    writer = ResultWriter(file, max_bytes=100)
    list(writer.add_part(iter([b"a\n1\n2"])))
    with pytest.raises(RuntimeError):
        list(writer.add_part(breaking()))
    assert file.getvalue() == b"a\n1\n2"
    list(writer.add_part(iter([b"a\n4"])))
    assert file.getvalue() == b"a\n1\n2\n4"


def test_part_that_nobody_reads_on_is_taken_back() -> None:
    file = io.BytesIO()
    writer = ResultWriter(file, max_bytes=100)
    part = writer.add_part(iter([b"a\n1\n", b"2\n", b"3\n"]))
    next(part)
    part.close()  # type: ignore[attr-defined]
    assert file.getvalue() == b""


def test_too_large_a_result_is_refused() -> None:
    assert len(joined(b"a\n" + b"1\n" * 49, max_bytes=100)[0]) == 100
    with pytest.raises(AmcTooLargeError):
        joined(b"a\n" + b"1\n" * 50, max_bytes=100)
    with pytest.raises(AmcTooLargeError):
        joined(gzip.compress(b"a\n" + b"1\n" * 50), max_bytes=100)


def test_file_that_does_not_take_everything_is_noticed() -> None:
    class Short(io.BytesIO):
        """A file that loses what it is given after the header."""

        def write(self, data: object) -> int:
            return super().write(b"" if self.tell() else data)  # type: ignore[arg-type]

    writer = ResultWriter(Short(), max_bytes=100)
    with pytest.raises(OSError, match="did not take"):
        list(writer.add_part(iter([b"a\n", b"1\n"])))


def test_packed_parts_are_unpacked() -> None:
    plain = HEADER + b"a,b,1\n" * 1000
    data, result = joined(gzip.compress(plain), gzip.compress(gzip.compress(plain)), plain)
    assert data == plain + b"a,b,1\n" * 2000
    assert result.gzipped


def test_several_packed_members_are_one_part() -> None:
    assert joined(gzip.compress(b"a\n1") + gzip.compress(b"\n2\n"))[0] == b"a\n1\n2\n"


@pytest.mark.parametrize("cut", [1, 8, 9, 15])
def test_packed_part_that_ends_early_is_malformed(cut: int) -> None:
    packed = gzip.compress(b"a\n" + random.Random(1).randbytes(1000).hex().encode())
    with pytest.raises(AmcMalformedError):
        joined(packed[:-cut])
    assert joined(packed)[0].startswith(b"a\n")


def test_packed_part_that_was_damaged_is_malformed() -> None:
    packed = bytearray(gzip.compress(b"a\n" + b"1\n" * 1000))
    packed[-6] ^= 1  # the checksum
    with pytest.raises(AmcMalformedError, match="unpacked"):
        joined(bytes(packed))


def test_small_file_that_unfolds_to_a_large_one_does_not_fill_memory() -> None:
    engine = zlib.compressobj(9, wbits=31)
    packed = (
        engine.compress(b"a\n") + b"".join(engine.compress(b"1\n" * 500_000) for _ in range(64)) + engine.flush()
    )
    assert len(packed) < 1_000_000
    tracemalloc.start()
    unpacked, gzipped = unpack(iter([packed]))
    size = sum(len(chunk) for chunk in unpacked)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (size, gzipped) == (64_000_002, True)
    assert peak < 8_000_000


TABLES = st.lists(
    st.lists(st.text(alphabet='a"\n\r, é', max_size=6), min_size=2, max_size=2), min_size=1, max_size=6
)


def written_csv(rows: list[list[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue().encode()


@given(table=TABLES, cut=st.integers(0, 6), size=st.integers(1, 40), is_packed=st.booleans(), ends=st.booleans())
def test_any_table_survives_being_split_and_cut(
    table: list[list[str]], cut: int, size: int, is_packed: bool, ends: bool
) -> None:
    header, rows = table[0], table[1:]
    parts = [written_csv([header, *rows[:cut]]), written_csv([header, *rows[cut:]])]
    if not ends:
        parts = [part.removesuffix(b"\n") for part in parts]
    if is_packed:
        parts = [gzip.compress(part) for part in parts]
    data, result = joined(*parts, size=size)
    assert list(csv.reader(io.StringIO(data.decode(), newline=""))) == table
    assert (result.columns, result.has_rows) == (tuple(header), bool(rows))
