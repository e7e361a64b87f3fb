"""A pickle interpreter that can build data and nothing else.

Python's own unpickler imports names, calls what it finds and lets objects set their own state; a
restricted ``find_class`` leaves the rest of that in place. This one interprets the opcodes itself
(their meaning: :mod:`pickletools`): a global becomes a :class:`NamedGlobal`, and calls, instances and
states are handed to a :class:`Policy` that knows by exact name the few it answers, as data. Numbers of
opcodes, sizes and dictionary keys are bounded, and long byte strings stay in the (mapped) file.
"""

import pickletools
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from frbias.core.assets.pickle_policy import MAX_LINE, Policy, check_key, malformed, truncated
from frbias.core.assets.pickle_records import Buffer, NamedGlobal, UnsafePickleError

MAX_OPCODES = 1_000_000
MAX_TEXT = 16 * 1024 * 1024
MAX_LONG = 32
COPY_BELOW = 4096
_MARK = object()


@dataclass
class _Run:
    data: Buffer
    policy: Policy
    position: int
    stack: list[Any]
    memo: dict[int, Any]
    opcodes: int = 0

    def take(self, count: int) -> Buffer:
        """The next ``count`` bytes, not copied when the data is a memoryview."""
        end = self.position + count
        if count < 0 or end > len(self.data):
            raise truncated(f"{count} bytes are claimed at {self.position}, {len(self.data) - self.position} are left")
        start, self.position = self.position, end
        return self.data[start:end]

    def number(self, layout: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def line(self) -> str:
        end = bytes(self.data[self.position : self.position + MAX_LINE]).find(b"\n")
        if end < 0:
            raise truncated("a name does not end")
        text = bytes(self.take(end + 1))[:-1]
        return text.decode("utf-8", errors="replace")

    def pop(self) -> Any:
        if not self.stack or self.stack[-1] is _MARK:
            raise malformed("its stack runs empty")
        return self.stack.pop()

    def pop_mark(self) -> list[Any]:
        items: list[Any] = []
        while self.stack:
            item = self.stack.pop()
            if item is _MARK:
                items.reverse()
                return items
            items.append(item)
        raise malformed("a mark is missing")

    def top(self) -> Any:
        if not self.stack or self.stack[-1] is _MARK:
            raise malformed("its stack runs empty")
        return self.stack[-1]


def run_pickle(
    data: Buffer, policy: Policy, start: int = 0, max_opcodes: int = MAX_OPCODES, *, old_strings: bool = False
) -> tuple[Any, int]:
    """Interpret one pickle that begins at ``start``.

    Args:
        data: The file, or a view of it.
        policy: What answers globals, calls and states.
        start: Where the pickle begins.
        max_opcodes: More are refused.
        old_strings: Take the byte strings of Python 2 (BINSTRING, SHORT_BINSTRING) as bytes.

    Returns:
        Its value and the position after its last byte.

    Raises:
        UnsafePickleError: Something is refused, malformed, truncated or beyond a limit; the message
            names it. Nothing has been imported or called.
    """
    run = _Run(data, policy, start, [], {})
    steps = {**_STEPS, **_OLD_STRINGS} if old_strings else _STEPS
    while True:
        run.opcodes += 1
        if run.opcodes > max_opcodes:
            raise UnsafePickleError(f"The pickle has more than {max_opcodes} opcodes.", name="opcodes")
        code = run.take(1)[0]
        if code == _STOP:
            value = run.pop()
            if run.stack:
                raise malformed("it ends with more than one value")
            return value, run.position
        step = steps.get(code)
        if step is None:
            named = next((known.name for known in pickletools.opcodes if known.code == chr(code)), f"0x{code:02x}")
            raise UnsafePickleError(f"The pickle uses the opcode {named}, which data does not need.", name=named)
        step(run)


def _global(run: _Run, module: Any, name: Any) -> NamedGlobal:
    if type(module) is not str or type(name) is not str:
        raise UnsafePickleError("The pickle names a global by something that is not text.", name="STACK_GLOBAL")
    return run.policy.find(NamedGlobal(module, name))


def _stack_global(run: _Run) -> None:
    name, module = run.pop(), run.pop()
    run.stack.append(_global(run, module, name))


def _inst(run: _Run) -> None:
    wanted = _global(run, run.line(), run.line())
    raise UnsafePickleError(f"The pickle makes a {wanted} by the opcode INST, which is refused.", name=str(wanted))


def _obj(run: _Run) -> None:
    items = run.pop_mark()
    wanted = str(items[0]) if items and isinstance(items[0], NamedGlobal) else "unnamed object"
    raise UnsafePickleError(f"The pickle makes a {wanted} by the opcode OBJ, which is refused.", name=wanted)


def _reduce(run: _Run) -> None:
    args, function = run.pop(), run.pop()
    run.stack.append(run.policy.call(function, _arguments(args)))


def _newobj(run: _Run) -> None:
    args, kind = run.pop(), run.pop()
    run.stack.append(run.policy.new(kind, _arguments(args)))


def _newobj_ex(run: _Run) -> None:
    kwargs, args, kind = run.pop(), run.pop(), run.pop()
    if type(kwargs) is not dict or kwargs:
        raise UnsafePickleError(f"The pickle makes a {_name_of(kind)} with keyword arguments.", name=_name_of(kind))
    run.stack.append(run.policy.new(kind, _arguments(args)))


def _build(run: _Run) -> None:
    state = run.pop()
    run.stack.append(run.policy.build(run.pop(), state))


def _arguments(args: Any) -> tuple[Any, ...]:
    if type(args) is not tuple:
        raise malformed("arguments are no tuple")
    return args


def _name_of(value: Any) -> str:
    return str(value) if isinstance(value, NamedGlobal) else type(value).__name__


def _set_items(run: _Run, items: list[Any]) -> None:
    target = run.top()
    if not isinstance(target, dict) or len(items) % 2:
        raise UnsafePickleError("The pickle sets items of something that is no dictionary.", name="SETITEMS")
    for key, value in zip(items[::2], items[1::2], strict=True):
        target[check_key(key)] = value


def _setitem(run: _Run) -> None:
    value, key = run.pop(), run.pop()
    _set_items(run, [key, value])


def _append(run: _Run, items: list[Any]) -> None:
    target = run.top()
    if type(target) is not list:
        raise UnsafePickleError("The pickle appends to something that is no list.", name="APPENDS")
    target.extend(items)


def _add(run: _Run) -> None:
    items, target = run.pop_mark(), run.top()
    if type(target) is not set:
        raise UnsafePickleError("The pickle adds to something that is no set.", name="ADDITEMS")
    target.update(check_key(item) for item in items)


def _dict_of_mark(run: _Run) -> None:
    items = run.pop_mark()
    run.stack.append({})
    _set_items(run, items)


def _text(layout: str) -> Callable[[_Run], None]:
    def step(run: _Run) -> None:
        size = run.number(layout)
        if size > MAX_TEXT:
            raise UnsafePickleError(f"The pickle claims a text of {size} bytes.", name="text size")
        try:
            run.stack.append(str(run.take(size), "utf-8", "surrogatepass"))
        except UnicodeDecodeError:
            raise malformed("a text is not UTF-8") from None

    return step


def _bytes(layout: str) -> Callable[[_Run], None]:
    def step(run: _Run) -> None:
        data = run.take(run.number(layout))
        run.stack.append(bytes(data) if len(data) < COPY_BELOW else data)

    return step


def _long(layout: str) -> Callable[[_Run], None]:
    def step(run: _Run) -> None:
        size = run.number(layout)
        if not 0 <= size <= MAX_LONG:
            raise UnsafePickleError(f"The pickle claims an integer of {size} bytes.", name="integer size")
        run.stack.append(int.from_bytes(run.take(size), "little", signed=True))

    return step


def _push_number(layout: str) -> Callable[[_Run], None]:
    return lambda run: run.stack.append(run.number(layout))


def _put(layout: str) -> Callable[[_Run], None]:
    def step(run: _Run) -> None:
        run.memo[run.number(layout)] = run.top()

    return step


def _get(layout: str) -> Callable[[_Run], None]:
    def step(run: _Run) -> None:
        index = run.number(layout)
        if index not in run.memo:
            raise malformed(f"memo entry {index} was never stored")
        run.stack.append(run.memo[index])

    return step


def _memoize(run: _Run) -> None:
    run.memo[len(run.memo)] = run.top()


def _tuple(count: int) -> Callable[[_Run], None]:
    def step(run: _Run) -> None:
        items = [run.pop() for _ in range(count)]
        run.stack.append(tuple(reversed(items)))

    return step


def _pop_any(run: _Run) -> None:
    if not run.stack:
        raise malformed("its stack runs empty")
    run.stack.pop()


def _protocol(run: _Run) -> None:
    version = run.number("<B")
    if version > 5:
        raise UnsafePickleError(f"The pickle has protocol {version}; 5 is the newest known.", name="protocol")


def _frame(run: _Run) -> None:
    size = run.number("<Q")
    if size > len(run.data) - run.position:
        raise truncated(f"a frame of {size} bytes is claimed, {len(run.data) - run.position} are left")


def _push(make: Callable[[], Any]) -> Callable[[_Run], None]:
    return lambda run: run.stack.append(make())


_STOP = ord(".")
_STEPS: dict[int, Callable[[_Run], None]] = {
    ord(code): step
    for code, step in {
        "\x80": _protocol,
        "\x95": _frame,
        "(": _push(lambda: _MARK),
        "0": _pop_any,
        "1": lambda run: run.pop_mark() and None,
        "2": lambda run: run.stack.append(run.top()),
        "N": _push(lambda: None),
        "\x88": _push(lambda: True),
        "\x89": _push(lambda: False),
        "]": _push(list),
        "}": _push(dict),
        ")": _push(tuple),
        "\x8f": _push(set),
        "K": _push_number("<B"),
        "M": _push_number("<H"),
        "J": _push_number("<i"),
        "G": _push_number(">d"),
        "\x8a": _long("<B"),
        "\x8b": _long("<i"),
        "\x8c": _text("<B"),
        "X": _text("<I"),
        "\x8d": _text("<Q"),
        "C": _bytes("<B"),
        "B": _bytes("<I"),
        "\x8e": _bytes("<Q"),
        "q": _put("<B"),
        "r": _put("<I"),
        "h": _get("<B"),
        "j": _get("<I"),
        "\x94": _memoize,
        "t": lambda run: run.stack.append(tuple(run.pop_mark())),
        "l": lambda run: run.stack.append(run.pop_mark()),
        "d": _dict_of_mark,
        "\x85": _tuple(1),
        "\x86": _tuple(2),
        "\x87": _tuple(3),
        "s": _setitem,
        "u": lambda run: _set_items(run, run.pop_mark()),
        "a": lambda run: _append(run, [run.pop()]),
        "e": lambda run: _append(run, run.pop_mark()),
        "\x90": _add,
        "c": lambda run: run.stack.append(_global(run, run.line(), run.line())),
        "\x93": _stack_global,
        "i": _inst,
        "o": _obj,
        "R": _reduce,
        "\x81": _newobj,
        "\x92": _newobj_ex,
        "b": _build,
        "Q": lambda run: run.stack.append(run.policy.persistent(run.pop())),
    }.items()
}
_OLD_STRINGS: dict[int, Callable[[_Run], None]] = {ord("U"): _bytes("<B"), ord("T"): _bytes("<i")}
