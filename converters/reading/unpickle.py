"""Read pickles of plain data without executing them.

    [{"source": "aochildes.train", "text": "shall we go?", "emotion": "curiosity", "augmented_text": "Once upon a time..."}]

A pickle is a program that `pickle.load` runs. This reader interprets the opcodes itself and has none that looks up a name or calls
anything, so it can only make containers, text, numbers, bytes and None. Anything else is refused before the first row.
"""

from collections.abc import Callable, Iterator
from sys import getsizeof
from typing import IO, Any, BinaryIO, NamedTuple, NoReturn, cast

from ...schemas.base.errors import Problem, UserError
from .plain_values import NotPlain, Plain
from .records import Drop, Row

MAX_VALUE = 64 << 20
MAX_HELD = 2 << 30
_PAIR = 100

_HINTS = {
    "numpy": "export it in the program that made it: json.dumps(array.tolist())",
    "pandas": "export it in the program that made it: frame.to_json('rows.jsonl', orient='records', lines=True)",
}
_HINT = "only lists, dicts, text and numbers are read, because anything else can run code: export the rows as JSON Lines"


def read_pickle(stream: BinaryIO, name: str) -> Iterator[Row | Drop]:
    """Yield a list's elements, or a dict's pairs as {"key", "value"} (nan becomes null); `line` counts them from 1.

    Raises UserError for anything but plain data, with opcode and global, and for a pickle that needs too much memory.
    """
    source = _Bounded(stream, name)
    top = _Machine(source).run()
    plain = Plain(source.position)
    if isinstance(top, dict):
        values: Iterator[Any] = ({"key": key, "value": value} for key, value in top.items())
    elif isinstance(top, list | tuple):
        values = iter(top)
    else:
        source.refuse(f"holds one {type(top).__name__}, not a list or a dict of rows", rule="pickle-rows")
    for number, value in enumerate(values, 1):
        try:
            yield Row(plain.value(value), name, number)
        except NotPlain as error:
            yield Drop(Row(None, name, number), error.reason, error.detail)


class _Bounded:
    """The stream for pickletools: a value longer than MAX_VALUE is not read, whatever length the pickle claims."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.stream = stream
        self.name = name
        self.position = 0

    def read(self, size: int) -> bytes:
        if size > MAX_VALUE:
            self.refuse(f"claims a value of {size:,} bytes; at most {MAX_VALUE:,} are read")
        return self._counted(self.stream.read(size))

    def readline(self) -> bytes:
        line = self.stream.readline(MAX_VALUE + 1)
        if len(line) > MAX_VALUE:
            self.refuse(f"a value of more than {MAX_VALUE:,} bytes")
        return self._counted(line)

    def _counted(self, data: bytes) -> bytes:
        self.position += len(data)
        return data

    def tell(self) -> int:
        return self.position

    def refuse(self, what: str, hint: str = _HINT, rule: str = "pickle") -> NoReturn:
        """Raise UserError for this file."""
        raise UserError(Problem(self.name, f"pickle: {what}", hint, rule))


class _Frame(NamedTuple):
    """The stack below a MARK."""

    stack: list[Any]


class _Machine:
    """The stack and memo of the pickle machine. `held` estimates the bytes of everything made so far."""

    def __init__(self, source: _Bounded) -> None:
        self.source = source
        self.stack: list[Any] = []
        self.below: list[_Frame] = []
        self.memo: dict[int, Any] = {}
        self.held = 0

    def run(self) -> Any:
        """Return the one object that the stream describes."""
        from pickletools import genops

        opcode, at = "the start", 0
        try:
            for info, argument, position in genops(cast(IO[bytes], self.source)):
                opcode, at = info.name, position or 0
                if opcode == "STOP":
                    break
                self.step(opcode, argument, at)
            if len(self.stack) != 1 or self.below:
                self.source.refuse("does not end with exactly one value", rule="pickle-broken")
            if self.source.read(1):
                self.source.refuse(f"a second stream follows at byte {self.source.position - 1}", rule="pickle-streams")
            return self.stack.pop()
        except (ValueError, IndexError, KeyError, TypeError, OSError, EOFError) as error:
            self.source.refuse(f"broken at byte {at} ({opcode}): {error}", rule="pickle-broken")

    def step(self, opcode: str, argument: Any, at: int) -> None:
        if opcode in _VALUES:
            self.push(argument)
        elif action := _ACTIONS.get(opcode):
            action(self, argument)
        elif opcode not in _IGNORED:
            self.refuse_opcode(opcode, argument, at)
        if self.held > MAX_HELD or self.source.position > MAX_HELD:
            self.source.refuse(f"needs more than {MAX_HELD >> 30} GB of memory (byte {at}, {opcode})")

    def refuse_opcode(self, opcode: str, argument: Any, at: int) -> NoReturn:
        """Raise UserError with the name that the pickle would import or call."""
        wanted = ""
        if opcode == "STACK_GLOBAL":
            wanted = ".".join(str(part) for part in self.stack[-2:])
        elif isinstance(argument, str):
            wanted = argument.replace(" ", ".", 1)
        module = wanted.partition(".")[0]
        what = f"{opcode} at byte {at}" + (f" asks for {wanted[:200]!r}" if wanted else " would call or import something")
        self.source.refuse(what, _HINTS.get(module, _HINT), "pickle-global")

    def push(self, value: Any) -> None:
        self.held += 8 + getsizeof(value)
        self.stack.append(value)

    def push_shared(self, value: Any) -> None:
        """Push a value that is already held."""
        self.held += 8
        self.stack.append(value)

    def mark(self) -> None:
        self.held += 100
        self.below.append(_Frame(self.stack))
        self.stack = []

    def items(self) -> list[Any]:
        """Pop everything above the last MARK, and the MARK."""
        found, self.stack = self.stack, self.below.pop().stack
        return found

    def put(self, index: int) -> None:
        self.held += _PAIR
        self.memo[index] = self.stack[-1]

    def extend(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise TypeError(f"appends to a {type(target).__name__}")
        self.held += 8 * len(values)
        target.extend(values)

    def add(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, set):
            raise TypeError(f"adds to a {type(target).__name__}")
        self.held += _PAIR * len(values)
        target.update(map(_key, values))

    def set_items(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise TypeError(f"sets keys of a {type(target).__name__}")
        self.held += _PAIR * len(values)
        target.update((_key(key), value) for key, value in zip(values[::2], values[1::2], strict=True))

    def pop(self) -> None:
        """POP removes a value, or a MARK with nothing above it."""
        if self.stack:
            self.stack.pop()
        else:
            self.items()

    def tuple_of(self, count: int) -> None:
        if len(self.stack) < count:
            raise IndexError("the stack is empty")
        values = tuple(self.stack[-count:])
        del self.stack[-count:]
        self.push(values)

    def dict_of(self) -> None:
        values = self.items()
        self.push({})
        self.set_items(values)

    def set_of(self) -> None:
        self.push(frozenset(map(_key, self.items())))


def _key(value: Any) -> Any:
    """Refuse tuples as keys: hashing one that holds the same tuple twice, many levels deep, would not end."""
    if isinstance(value, tuple | frozenset):
        raise TypeError(f"a {type(value).__name__} as a key")
    return value


_VALUES = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE "
    "BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8".split()
)
_IGNORED = frozenset(("PROTO", "FRAME"))
_ACTIONS: dict[str, Callable[[_Machine, Any], object]] = {
    "NONE": lambda m, _: m.push(None),
    "NEWTRUE": lambda m, _: m.push(True),
    "NEWFALSE": lambda m, _: m.push(False),
    "BYTEARRAY8": lambda m, data: m.push(bytes(data)),
    "MARK": lambda m, _: m.mark(),
    "POP": lambda m, _: m.pop(),
    "POP_MARK": lambda m, _: m.items(),
    "DUP": lambda m, _: m.push_shared(m.stack[-1]),
    "EMPTY_LIST": lambda m, _: m.push([]),
    "LIST": lambda m, _: m.push(m.items()),
    "APPEND": lambda m, _: m.extend([m.stack.pop()]),
    "APPENDS": lambda m, _: m.extend(m.items()),
    "EMPTY_TUPLE": lambda m, _: m.push(()),
    "TUPLE": lambda m, _: m.push(tuple(m.items())),
    "TUPLE1": lambda m, _: m.tuple_of(1),
    "TUPLE2": lambda m, _: m.tuple_of(2),
    "TUPLE3": lambda m, _: m.tuple_of(3),
    "EMPTY_DICT": lambda m, _: m.push({}),
    "DICT": lambda m, _: m.dict_of(),
    "SETITEM": lambda m, _: m.set_items([m.stack.pop(-2), m.stack.pop()]),
    "SETITEMS": lambda m, _: m.set_items(m.items()),
    "EMPTY_SET": lambda m, _: m.push(set()),
    "ADDITEMS": lambda m, _: m.add(m.items()),
    "FROZENSET": lambda m, _: m.set_of(),
    "PUT": lambda m, index: m.put(index),
    "BINPUT": lambda m, index: m.put(index),
    "LONG_BINPUT": lambda m, index: m.put(index),
    "MEMOIZE": lambda m, _: m.put(len(m.memo)),
    "GET": lambda m, index: m.push_shared(m.memo[index]),
    "BINGET": lambda m, index: m.push_shared(m.memo[index]),
    "LONG_BINGET": lambda m, index: m.push_shared(m.memo[index]),
}
