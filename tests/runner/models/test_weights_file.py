"""A safetensors file whose header lies is refused before anything is loaded, by the name of the file; one that the library reads passes."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recipekit.runner.models.weights_file import MAX_TENSORS, tensor_shapes
from recipekit.schemas.base.errors import UserError

Header = dict[str, Any]
SOUND: Header = {
    "__metadata__": {"format": "pt"},
    "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "b": {"dtype": "BF16", "shape": [4], "data_offsets": [24, 32]},
    "empty": {"dtype": "U8", "shape": [0], "data_offsets": [32, 32]},
    "scalar": {"dtype": "I64", "shape": [], "data_offsets": [32, 40]},
}
BYTES = 40


def packed(header: Header | bytes, length: int | None = None, tail: int = BYTES) -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + bytes(tail)


def changed(name: str, **facts: Any) -> Header:
    return {**SOUND, name: {**SOUND[name], **facts}}


LIES: dict[str, Callable[[], bytes]] = {
    "a length of 2^63": lambda: packed(SOUND, 1 << 63),
    "a length of 2^64 - 1": lambda: packed(SOUND, (1 << 64) - 1),
    "a length beyond the file": lambda: packed(SOUND, 5000),
    "a length within the header": lambda: packed(SOUND, 20),
    "no file": lambda: b"",
    "seven bytes": lambda: b"1234567",
    "no JSON": lambda: packed(b"{'a': 1}"),
    "no UTF-8": lambda: packed(b'{"\xff": 1}'),
    "deep brackets": lambda: packed(b"[" * 100_000),
    "a list": lambda: packed(b"[]"),
    "a number for a tensor": lambda: packed({"a": 3}),
    "metadata that is a list": lambda: packed({**SOUND, "__metadata__": [1]}),
    "metadata that is no text": lambda: packed({**SOUND, "__metadata__": {"a": {"b": 1}}}),
    "places beyond the file": lambda: packed(changed("scalar", data_offsets=[40, 48])),
    "places that overlap": lambda: packed(changed("b", data_offsets=[16, 24])),
    "places in reverse": lambda: packed(changed("a", data_offsets=[24, 0])),
    "places before the file": lambda: packed(changed("a", data_offsets=[-24, 0])),
    "places that are texts": lambda: packed(changed("a", data_offsets=["0", "24"])),
    "three places": lambda: packed(changed("a", data_offsets=[0, 8, 24])),
    "no places": lambda: packed({**SOUND, "a": {"dtype": "F32", "shape": [2, 3]}}),
    "the place of another": lambda: packed(changed("b", data_offsets=[0, 8])),
    "a name twice": lambda: packed(json.dumps(SOUND)[:-1].encode() + b', "b": {"dtype": "BF16", "shape": [12], "data_offsets": [0, 24]}}'),
    "an unknown type": lambda: packed(changed("a", dtype="F7")),
    "a type that is a number": lambda: packed(changed("a", dtype=3)),
    "a smaller type": lambda: packed(changed("a", dtype="I8")),
    "a huge shape": lambda: packed(changed("a", shape=[1 << 62, 1 << 62])),
    "a negative shape": lambda: packed(changed("a", shape=[-2, -3])),
    "a shape that is a text": lambda: packed(changed("a", shape="23")),
    "a shape of floats": lambda: packed(changed("a", shape=[2.0, 3.0])),
    "a shape of booleans": lambda: packed(changed("empty", shape=[False])),
    "no shape": lambda: packed(changed("a", shape=None)),
    "bytes that are cut": lambda: packed(SOUND, tail=BYTES - 1),
    "bytes behind the tensors": lambda: packed(SOUND, tail=BYTES + 1),
    "too many tensors": lambda: packed({f"t{i}": SOUND["empty"] | {"data_offsets": [0, 0]} for i in range(MAX_TENSORS + 1)}, tail=0),
}


@pytest.mark.parametrize("name", LIES)
def test_a_header_that_lies_is_refused_with_the_name_of_its_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(LIES[name]())
    with pytest.raises(UserError, match="model.safetensors: is damaged: its header cannot be read"):
        tensor_shapes(path)


@pytest.mark.parametrize("name", [name for name in LIES if name not in ("too many tensors",)])
def test_the_library_refuses_it_too(tmp_path: Path, name: str) -> None:
    library = pytest.importorskip("safetensors", reason="needs the extra [train]")
    (tmp_path / "m.safetensors").write_bytes(LIES[name]())
    with pytest.raises(Exception, match=r"."), library.safe_open(tmp_path / "m.safetensors", "np"):
        pass


def test_a_sound_header_is_read(tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(packed(SOUND))
    assert tensor_shapes(tmp_path / "m.safetensors") == {"a": (2, 3), "b": (4,), "empty": (0,), "scalar": ()}


@pytest.mark.parametrize("made", [lambda path: path.mkdir(), lambda path: path.symlink_to("nowhere"), lambda path: path.symlink_to(path)])
def test_what_is_no_file_is_refused(tmp_path: Path, made: Callable[[Path], None]) -> None:
    made(tmp_path / "m.safetensors")
    with pytest.raises(UserError, match="m.safetensors: is damaged"):
        tensor_shapes(tmp_path / "m.safetensors")


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-1, 50), st.sampled_from([1 << 63, 1 << 70, "F32", "", [], {}, [0, 24], [24, 32], [32, 40], 2.0])
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["a", "b", "empty", "scalar", "new", "__metadata__"]), st.sampled_from(["dtype", "shape", "data_offsets", ""]), VALUES,
       st.integers(-9, 9))  # fmt: skip
def test_a_changed_header_is_read_as_the_library_reads_it_or_refused(tmp_path: Path, name: str, key: str, value: Any, more: int) -> None:
    library = pytest.importorskip("safetensors", reason="needs the extra [train]")
    header = {**SOUND, name: {**SOUND.get(name, {}), key: value} if key else value}
    path = tmp_path / "m.safetensors"
    path.write_bytes(packed(header, tail=max(BYTES + more, 0)))
    try:
        shapes = tensor_shapes(path)
    except UserError as error:
        assert "m.safetensors: is damaged: its header cannot be read" in str(error)
        return
    with library.safe_open(path, "np") as weights:
        assert {tensor: tuple(weights.get_slice(tensor).get_shape()) for tensor in weights.keys()} == shapes
