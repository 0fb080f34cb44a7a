"""Compressed files give all that they hold, or an error; never a part."""

import gzip
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipekit.converters.reading import compressed
from recipekit.converters.reading.compressed import FAULTS
from recipekit.converters.reading.files import open_source
from recipekit.schemas.base.errors import UserError

pyarrow = pytest.importorskip("pyarrow")


def zstd(data):
    stream = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(stream, "zstd") as packed:
        packed.write(data)
    return stream.getvalue().to_pybytes()


PACK = {"gzip": gzip.compress, "zstd": zstd}
NOISE = random.Random(1).randbytes(300_000)


@pytest.mark.parametrize("pack", PACK.values(), ids=PACK)
def test_members_that_follow_each_other_are_all_read(tmp_path, pack):
    path = tmp_path / "rows.csv"
    path.write_bytes(pack(NOISE) + pack(b"the second"))
    with open_source(path) as stream:
        assert stream.read() == NOISE + b"the second"


@pytest.mark.parametrize("pack", PACK.values(), ids=PACK)
def test_the_start_can_be_read_again(tmp_path, pack):
    path = tmp_path / "rows"
    path.write_bytes(pack(NOISE))
    with open_source(path) as stream:
        assert stream.read(100_000) == NOISE[:100_000]
        assert stream.tell() == 100_000
        stream.seek(0)
        assert stream.read() == NOISE
        with pytest.raises(OSError, match="only to the start"):
            stream.seek(300)


@pytest.mark.parametrize("pack", PACK.values(), ids=PACK)
@pytest.mark.parametrize("cut", [5, 1000, 150_000, -100, -1])
def test_a_file_that_breaks_off_is_an_error(tmp_path, pack, cut):
    path = tmp_path / "rows"
    path.write_bytes(pack(NOISE)[:cut])
    with open_source(path) as stream, pytest.raises(FAULTS):
        while stream.read(1 << 16):
            pass


@pytest.mark.parametrize("pack", PACK.values(), ids=PACK)
def test_trailing_uncompressed_bytes_are_an_error(tmp_path, pack):
    path = tmp_path / "rows"
    path.write_bytes(pack(b"text") + b"some text that nobody compressed")
    with open_source(path) as stream, pytest.raises(FAULTS):
        stream.read()


@pytest.mark.parametrize("pack", PACK.values(), ids=PACK)
def test_a_file_that_grows_without_end_is_refused(tmp_path, pack, monkeypatch):
    monkeypatch.setattr(compressed, "FREE_BYTES", 1 << 20)
    path = tmp_path / "bomb"
    path.write_bytes(pack(bytes(20 << 20)))
    with open_source(path) as stream, pytest.raises(UserError, match="compressed bytes expand more than 500 times"):
        while stream.read(1 << 16):
            pass


@pytest.mark.parametrize("pack", PACK.values(), ids=PACK)
def test_short_lines_that_differ_are_refused_when_they_are_far_more_than_bytes(tmp_path, pack, monkeypatch):
    """Reading them would take as long as their text does, which may be hundreds of times as large as the file."""
    monkeypatch.setattr(compressed, "MAX_PACKED", 10_000)
    path = tmp_path / "rows"
    path.write_bytes(pack(b"{}\n[]\n0\n" * 100_000))
    with open_source(path) as stream, pytest.raises(UserError, match="compressed bytes have more than .* lines: refused"):
        while stream.read(1 << 16):
            pass
    path.write_bytes(pack(b"{}\n[]\n0\n" * 3_000))
    with open_source(path) as stream:
        assert stream.read() == b"{}\n[]\n0\n" * 3_000
        stream.seek(0)
        assert stream.read().count(b"\n") == 9_000


@pytest.mark.parametrize("pack", PACK.values(), ids=PACK)
@settings(max_examples=30)
@given(parts=st.lists(st.binary(max_size=300), min_size=1, max_size=4), cut=st.integers(1, 200))
def test_truncated_members_are_always_reported(tmp_path_factory, pack, parts, cut):
    path = tmp_path_factory.mktemp("packed") / "rows"
    packed = [pack(part) for part in parts]
    path.write_bytes(b"".join(packed))
    with open_source(path) as stream:
        assert stream.read() == b"".join(parts)
    left = b"".join(packed)[:-cut]
    whole = [b"".join(packed[:n]) for n in range(len(packed) + 1)]
    if len(left) > 4 and left not in whole:
        path.write_bytes(left)
        with open_source(path) as stream, pytest.raises(FAULTS):
            stream.read()
