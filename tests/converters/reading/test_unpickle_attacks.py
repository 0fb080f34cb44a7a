"""Pickles that would run code: each is refused by opcode and name, and the canary that it would leave is absent."""

import io
import os
import pickle
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from recipekit.converters.reading.unpickle import read_pickle
from recipekit.schemas.base.errors import UserError

ROWS = [{"text": "shall we go?", "emotion": "curiosity"}]


def refusal(data: bytes) -> str:
    with pytest.raises(UserError) as caught:
        list(read_pickle(io.BytesIO(data), "rows.pkl"))
    return str(caught.value)


class Call:
    """An object whose pickle calls `function` with `arguments` when it is loaded."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


FUNCTIONS = """posix.system nt.system os.system os.popen os.execv subprocess.Popen subprocess.check_output builtins.eval builtins.exec
builtins.compile builtins.open builtins.getattr builtins.__import__ __builtin__.eval __builtin__.apply sys.setprofile socket.socket
pty.spawn runpy.run_path shutil.rmtree webbrowser.open asyncio.unix_events._UnixSubprocessTransport._start bdb.Bdb.run pdb.run pip.main
pydoc.pipepager timeit.timeit operator.attrgetter operator.methodcaller functools.partial importlib.import_module cProfile.runctx
code.InteractiveInterpreter ctypes.CDLL distutils.file_util.write_file doctest.debug_script ensurepip._run_pip logging.config._resolve
trace.Trace.run uuid._get_command_stdout venv.create _pickle.loads pickle.loads marshal.loads types.FunctionType codecs.decode
collections.OrderedDict copyreg._reconstructor datetime.date torch._utils._rebuild_tensor_v2 torch.hub.load dill._dill._load_type""".split()


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("opcode", ["GLOBAL", "STACK_GLOBAL", "INST"])
def test_a_global_is_refused_with_its_opcode_and_name(name, opcode):
    module, _, attribute = name.partition(".")
    line = f"{module}\n{attribute}\n".encode()
    data = {
        "GLOBAL": b"\x80\x02]c" + line + b"(X\x01\0\0\0xtRa.",
        "STACK_GLOBAL": b"\x80\x04]" + short(module) + short(attribute) + b"\x93(\x8c\x01xtRa.",
        "INST": b"\x80\x02](X\x01\0\0\0xi" + line + b"a.",
    }[opcode]
    message = refusal(data)
    assert f"{opcode} at byte " in message and repr(name) in message


def short(text: str) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text.encode()


def attacks(canary: Path) -> dict[str, bytes]:
    command = f"touch {canary}"
    text = command.encode()
    system = b"\x8c\x05posix\x8c\x06system"
    arg = short(command)
    plain = pickle.dumps(ROWS)
    reduced = {f"os.system, protocol {n}": pickle.dumps([Call(os.system, command)], n) for n in range(6)}
    return reduced | {
        "subprocess.Popen": pickle.dumps([Call(subprocess.Popen, ["touch", str(canary)])]),
        "builtins.eval": pickle.dumps([Call(eval, f"__import__('os').system({command!r})")]),
        "builtins.exec": pickle.dumps(Call(exec, f"import os; os.system({command!r})")),
        "a reduce inside a reduce": pickle.dumps([Call(list, (Call(os.system, command),))]),
        "a reduce deep in good rows": pickle.dumps([*ROWS * 50, {"a": [{"b": (1, Call(os.system, command))}]}]),
        "a reduce as a dict's key": pickle.dumps({Call(os.system, command): 1}),
        "INST": b"(S'" + text + b"'\nios\nsystem\n.",
        "OBJ": b"(cos\nsystem\nS'" + text + b"'\no.",
        "GLOBAL, then POP, then good rows": b"\x80\x02cos\nsystem\n(X" + struct.pack("<I", len(text)) + text + b"tR0" + plain[2:],
        "STACK_GLOBAL, names from the memo": b"\x80\x04" + b"\x8c\x06system\x94\x8c\x05posix\x94" + b"00h\x01h\x00\x93" + arg + b"\x85R.",
        "STACK_GLOBAL, names from DUP": b"\x80\x04\x8c\x02os2\x93" + arg + b"\x85R.",
        "STACK_GLOBAL, names from a list": b"\x80\x04](" + system + b"e00" + system + b"\x93" + arg + b"\x85R.",
        "STACK_GLOBAL, names that are bytes": b"\x80\x04C\x05posixC\x06system\x93" + arg + b"\x85R.",
        "STACK_GLOBAL on an empty stack": b"\x80\x04\x93" + arg + b"\x85R.",
        "STACK_GLOBAL with line ends in its name": b"\x80\x04" + short("posix\n") + short("system\n") + b"\x93" + arg + b"\x85R.",
        "NEWOBJ": b"\x80\x04" + system + b"\x93" + arg + b"\x85\x81.",
        "NEWOBJ_EX": b"\x80\x04" + system + b"\x93" + arg + b"\x85}\x92.",
        "NEWOBJ of text": b"\x80\x02X\x01\0\0\0a)\x81.",
        "REDUCE of text": b"\x80\x02X\x01\0\0\0a)R.",
        "BUILD of a dict": b"\x80\x02}X\x0c\0\0\0__setstate__X\x01\0\0\0as}b.",
        "EXT1": b"\x80\x02\x82\x01.",
        "EXT2": b"\x80\x02\x83\x01\0.",
        "EXT4": b"\x80\x02\x84\x01\0\0\0.",
        "PERSID": b"Pfile:///etc/passwd\n.",
        "BINPERSID": b"\x80\x02X\x01\0\0\0aQ.",
        "NEXT_BUFFER": b"\x80\x05\x97.",
        "READONLY_BUFFER": b"\x80\x05C\x01a\x98.",
        "good rows, then a second stream that calls": plain + pickle.dumps(Call(os.system, command)),
        "a call after STOP without a new PROTO": plain + b"cos\nsystem\n(S'" + text + b"'\ntR.",
    }


@pytest.mark.parametrize("name", attacks(Path("canary")))
def test_an_attack_is_refused_and_runs_nothing(name, tmp_path):
    canary = tmp_path / "canary"
    message = refusal(attacks(canary)[name])
    time.sleep(0.02 if "Popen" in name else 0)
    assert not canary.exists()
    assert message.startswith("rows.pkl: pickle: ")


def test_the_attacks_work_against_pickle(tmp_path):
    """Loaded by Python's own pickle, the same bytes do leave the canary."""
    canary = tmp_path / "canary"
    for name in ("os.system, protocol 4", "INST", "OBJ", "STACK_GLOBAL, names from the memo", "a reduce deep in good rows"):
        program = "import pickle, sys; pickle.loads(sys.stdin.buffer.read())"
        subprocess.run([sys.executable, "-c", program], input=attacks(canary)[name], check=True)
        assert canary.exists(), name
        canary.unlink()


def test_numpy_and_pandas_objects_are_refused_with_how_to_export_them():
    numpy = pytest.importorskip("numpy")
    message = refusal(pickle.dumps([{"score": numpy.float64(0.5)}]))
    assert "numpy." in message and "tolist()" in message
    message = refusal(b"\x80\x04\x8c\x11pandas.core.frame\x8c\x09DataFrame\x93.")
    assert "'pandas.core.frame.DataFrame'" in message and "to_json(" in message
