"""Reads pickles of data, Python 2's too, and runs nothing that they name.

A pickle is a program that may call any function it can name. Here an interpreter of our
own runs it: what it names is looked up in a small table and nowhere else, so a hostile
file can only be refused. Sets become lists, and dicts of any kind plain ones.
"""

import codecs
import contextlib
import dataclasses
import functools
import io
import math
import pickletools
import re
import types
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping

import numpy as np

AGAIN = "copy or download it again"
OPERATIONS = 2**25  # in one file; those of millions of paths have a tenth
DEEPEST = 64  # containers in containers
UNFOLDED = 2**22  # values, each counted as often as it is named


class InvalidFile(ValueError):
  """The file cannot be read; the message is for the user."""


@dataclasses.dataclass
class Unread:
  """An object of another package: its name, its attributes, and nothing else."""

  name: str
  state: object = dataclasses.field(default=None, compare=False)


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
  """The only kind of value that a pickle may call; None: it may only be named."""

  function: Callable | None


@dataclasses.dataclass(eq=False)
class Unbuilt:
  """An array or dtype between its creation and its state in the pickle."""

  build: Callable
  value: object = None


@contextlib.contextmanager
def in_words(of: str, where: str = "") -> Iterator[None]:
  """Makes one sentence of whatever damaged bytes raise.

  Args:
    of: what the pickle should hold.
    where: stands before the sentence.

  Raises:
    InvalidFile: the body raised something.
  """
  try:
    yield
  except InvalidFile as error:
    raise InvalidFile(f"{where}{error}") from error.__cause__
  except Exception as error:
    reason = " ".join(f"{type(error).__name__}: {error}"[:160].split())
    raise InvalidFile(
      f"{where}truncated or damaged: it is no pickle of {of} ({reason}); {AGAIN}."
    ) from error


def expect(value: object, kind: type | types.UnionType) -> object:
  """The value, if it is of that kind."""
  if not isinstance(value, kind):
    raise TypeError(f"got a {type(value).__name__}, expected {kind}")
  return value


def checked_size(value: object) -> int:
  """The value, if it can be a number of bytes or elements."""
  if not 0 <= expect(value, int) < 2**63:
    raise TypeError("a size beyond 63 bits")
  return int(value)


def checked_sizes(values: object = ()) -> tuple[int, ...]:
  """The values, if they can be a shape."""
  if len(expect(values, tuple)) > 64:
    raise TypeError("more than 64 axes")
  return tuple(checked_size(v) for v in values)


def is_key(value: object) -> bool:
  """Whether a dict may have this key.

  Hashing it is cheap, calls nothing, and no file can have thousands with one hash, as
  tuples of -1 and -2 have.
  """
  if isinstance(value, tuple):
    return len(value) <= 16 and all(isinstance(v, str) for v in value)
  if isinstance(value, int):
    return -(2**63) <= value < 2**64
  return value is None or isinstance(value, str | bytes | float | np.integer | np.bool_)


def put(target: dict, items: list) -> dict:
  """Adds keys and values, which alternate in `items`."""
  for key, value in zip(items[::2], items[1::2], strict=True):
    if not is_key(key):
      raise TypeError(f"a key of type {type(key).__name__}")
    target[key] = value
  return target


# What pickles may call. Arguments come from the file: nothing about them is known.


def array(raw: object, dtype: object, shape: object, order: object = "C"):
  """The array with these bytes, or of this list of objects."""
  shape, order = checked_sizes(shape), "F" if order == "F" else "C"
  if expect(dtype, np.dtype).hasobject:
    values = np.empty(len(expect(raw, list)), object)
    for i, value in enumerate(raw):
      values[i] = value
    return values.reshape(shape, order=order)
  raw = raw.encode("latin1") if isinstance(raw, str) else raw  # pickled by Python 2
  if math.prod(shape) * dtype.itemsize != len(expect(raw, bytes | bytearray)):
    raise TypeError("an array with more or fewer bytes than its shape")
  return np.ndarray(shape, dtype, raw, order=order)


def _array_state(state: tuple):
  _, shape, dtype, fortran, raw = state
  return array(raw, dtype, shape, "F" if fortran else "C")


def _dtype(spec: object, *_, objects: bool = True):
  kinds = r"b1|[iu][1248]|f[248]|c8|c16|[SU][1-9]\d{0,5}" + r"|O8?" * objects
  if not re.fullmatch(kinds, expect(spec, str)):
    raise InvalidFile(
      f"refused: it holds a numpy array of type {spec[:20]!r}, expected numbers or "
      "text; nothing was executed, have it written without that array."
    )
  return Unbuilt(functools.partial(_dtype_state, np.dtype(spec)))


def _dtype_state(dtype: np.dtype, state: tuple):
  return dtype.newbyteorder(">") if state[1] == ">" else dtype


def _encode(text: object = "", encoding: object = "latin1"):
  if encoding not in ("latin1", "latin-1"):
    raise TypeError("bytes in an unknown encoding")
  return expect(text, str).encode("latin1")


def _dict(items: object = ()):
  pairs = items.items() if isinstance(items, dict) else expect(items, list | tuple)
  return put({}, [part for key, value in pairs for part in (key, value)])


_FUNCTIONS = {
  "numpy dtype": _dtype,
  "_codecs encode": _encode,
  "collections OrderedDict": _dict,
  "collections Counter": _dict,
  "collections defaultdict": lambda *_: {},
  "numpy ndarray": None,
  "numpy memmap": None,
}
for _core in ("numpy.core", "numpy._core"):  # numpy 1 and 2
  _FUNCTIONS[f"{_core}.multiarray _reconstruct"] = lambda *_: Unbuilt(_array_state)
  _FUNCTIONS[f"{_core}.multiarray scalar"] = lambda dtype, raw: array(raw, dtype, ())[
    ()
  ]
  _FUNCTIONS[f"{_core}.numeric _frombuffer"] = array
for _builtins in ("__builtin__", "builtins"):  # pickle protocols up to 2, and later
  _FUNCTIONS[f"{_builtins} set"] = lambda items=(): list(expect(items, list | tuple))
  _FUNCTIONS[f"{_builtins} bytes"] = lambda: b""  # others go through _codecs
  _FUNCTIONS |= {f"{_builtins} {n}": None for n in "object dict list int float".split()}

NAMES = {name: Call(function) for name, function in _FUNCTIONS.items()}
WITHOUT_OBJECTS = NAMES | {
  "numpy dtype": Call(functools.partial(_dtype, objects=False))
}

_READERS = {
  op.code.encode("latin1"): (op.name, op.arg.reader if op.arg else lambda stream: None)
  for op in pickletools.opcodes
}
_READERS[b"S"] = (  # the library's takes ASCII only
  "STRING",
  lambda stream: codecs.escape_decode(pickletools.read_stringnl(stream, decode=False))[
    0
  ].decode("latin1"),
)
_PUSHES = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_PUSHES_OPERAND = frozenset(
  "BININT BININT1 BININT2 LONG1 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING "
  "UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 "
  "BYTEARRAY8".split()
)
_CLOSES_MARK = frozenset(
  "TUPLE LIST DICT FROZENSET APPENDS ADDITEMS SETITEMS POP_MARK".split()
)


class Interpreter:
  """Runs pickles: makes plain containers and numbers, calls only what is looked up.

  A few lines of pickle can ask for any amount of memory or time: huge declared sizes,
  huge integers, tuples of tuples as keys, one text encoded a million times. So sizes
  must fit 63 bits, keys must be short and plain, and what is made beside the operands
  in the file is charged against a few times the size of the file. What comes out
  neither contains itself nor is deeper or larger, written out, than data are.

  Args:
    size: of the file.
    names: "MODULE NAME" -> what it becomes.
    inert: pattern of the names that become `Unread`, as do objects made of them.
    holds: what the file should hold, for messages.
    persistent: makes the values of persistent identities; None: there are none.
  """

  def __init__(
    self,
    size: int,
    names: Mapping[str, object] = NAMES,
    *,
    inert: str = "",
    holds: str = "numpy arrays and plain containers",
    persistent: Callable | None = None,
  ):
    self.budget, self.operations = 8 * size, 0
    self.names, self.inert, self.holds = names, inert, holds
    self.persistent = persistent

  def run(self, stream) -> object:
    """The value that one pickle, from where the stream is on, leaves behind."""
    stack, outer, memo = [], [], {}
    while True:
      name, read = _READERS.get(stream.read(1), (None, None))
      if name is None:
        raise ValueError("its pickle ends early or is none")
      arg, items = read(stream), None
      self.operations += 1
      if self.operations > OPERATIONS:
        raise InvalidFile(
          f"refused: its pickle has more than {OPERATIONS:,} operations, expected "
          "arrays in place of so many single values; write it again with arrays."
        )
      if name in _CLOSES_MARK:
        items, stack = stack, outer.pop()
      match name:
        case _ if name in _PUSHES_OPERAND:
          stack.append(arg)
        case _ if name in _PUSHES:
          stack.append(_PUSHES[name])
        case "BINGET" | "LONG_BINGET" | "GET":
          value = memo[arg]
          built = isinstance(value, Unbuilt) and value.value is not None
          stack.append(value.value if built else value)
        case "BINPUT" | "LONG_BINPUT" | "PUT":
          memo[arg] = stack[-1]
        case "MEMOIZE":
          memo[len(memo)] = stack[-1]
        case "MARK":
          outer.append(stack)
          stack = []
        case "TUPLE" | "FROZENSET":
          stack.append(tuple(items))
        case "TUPLE1" | "TUPLE2" | "TUPLE3":
          if len(stack) < int(name[-1]):
            raise TypeError("a tuple of nothing")
          stack[-int(name[-1]) :] = [tuple(stack[-int(name[-1]) :])]
        case "EMPTY_LIST" | "EMPTY_SET" | "LIST":
          stack.append(items or [])
        case "APPEND" | "APPENDS" | "ADDITEMS":
          items = [stack.pop()] if items is None else items
          expect(stack[-1], list).extend(items)
        case "EMPTY_DICT" | "DICT":
          stack.append(put({}, items or []))
        case "SETITEM" | "SETITEMS":
          items = [stack.pop(-2), stack.pop()] if items is None else items
          put(expect(stack[-1], dict), items)
        case "LONG4" | "LONG" | "INT":
          if arg.bit_length() > 2048:
            raise TypeError("an integer of more than 2048 bits")
          stack.append(arg)
        case "GLOBAL":
          stack.append(self._look_up(arg))
        case "STACK_GLOBAL":
          named, module = expect(stack.pop(), str), expect(stack.pop(), str)
          stack.append(self._look_up(f"{module[:200]} {named[:200]}"))
        case "REDUCE" | "NEWOBJ":
          args, function = expect(stack.pop(), tuple), stack.pop()
          stack.append(self._call(function, args))
        case "BUILD":
          self._build(stack, stack.pop())
        case "BINPERSID" if self.persistent:
          stack.append(self.persistent(expect(stack.pop(), tuple)))
        case "DUP":
          stack.append(stack[-1])
        case "POP":
          stack.pop()
        case "PROTO" | "FRAME" | "POP_MARK":
          pass
        case "STOP":
          value = stack.pop()
          self._measure(value, 0, {})
          return value
        case _:
          raise InvalidFile(
            f"refused: its pickle uses the operation {name}, which {self.holds} do not "
            "need; nothing was executed, get the file from its owner."
          )

  def spend(self, amount: int) -> None:
    """Charges bytes or elements.

    Raises:
      InvalidFile: there were more of them than the file can account for.
    """
    self.budget -= amount
    if self.budget < 0:
      raise InvalidFile(
        f"truncated or damaged: it declares more data than the file holds; {AGAIN}."
      )

  def _charge(self, args: tuple):
    text, many = str | bytes | bytearray, tuple | list | dict
    self.spend(8 * len(args) + sum(len(a) for a in args if isinstance(a, text)))
    self.spend(8 * sum(len(a) for a in args if isinstance(a, many)))

  def _look_up(self, name: str) -> object:
    if re.fullmatch(self.inert, name):
      return Unread(name.replace(" ", ".", 1)[:80])
    if name in self.names:
      return self.names[name]
    raise InvalidFile(
      f"refused: it asks for {name.replace(' ', '.', 1)[:120]!r}, expected only "
      f"{self.holds}; nothing was executed, get the file from its owner."
    )

  def _call(self, function: object, args: tuple) -> object:
    self._charge(args)
    if isinstance(function, Unread):
      return Unread(function.name)
    return expect(function, Call).function(*args)

  def _build(self, stack: list, state: object):
    """Gives the last value its state, which is dropped if it is a plain one."""
    target = stack[-1]
    if isinstance(target, Unbuilt):
      self._charge(tuple(expect(state, tuple | dict)))
      target.value = stack[-1] = target.build(state)
    elif isinstance(target, Unread):
      target.state = state

  def _measure(self, value: object, depth: int, seen: dict) -> tuple[int, int]:
    """How deep a value is, and of how many values it is if none is shared.

    A few bytes can name one list a million times, or put it into itself.
    """
    match value:
      case list() | tuple():
        parts = value
      case dict():
        parts = value.values()
      case Unread():
        parts = (value.state,)
      case np.ndarray() if value.dtype.hasobject:
        parts = value.flat
      case Unbuilt() | Call():
        raise TypeError("something unfinished in the place of data")
      case _:
        return 0, 1
    if id(value) not in seen and depth < DEEPEST:
      deepest, count = 0, 1
      for part in parts:
        below, many = self._measure(part, depth + 1, seen)
        deepest, count = max(deepest, below), count + many
      seen[id(value)] = deepest + 1, count
    deepest, count = seen.get(id(value), (DEEPEST, 0))
    if depth + deepest > DEEPEST or count > UNFOLDED + 8 * self.operations:
      raise InvalidFile(
        f"refused: its containers contain themselves, are more than {DEEPEST} deep, or "
        "repeat each other beyond measure, expected data; get the file from its owner."
      )
    return deepest, count


def read(
  raw: bytes,
  *,
  of: str = "numpy arrays",
  holds: str = "numpy arrays",
  names: Mapping[str, object] = NAMES,
  inert: str = "",
) -> object:
  """What a pickle holds: containers, numbers, text and numpy arrays.

  Text of Python 2 is decoded as Latin-1.

  Args:
    raw: the pickle.
    of: what it should hold, for messages.
    holds: what may be named, for messages.
    names: see `Interpreter`.
    inert: see `Interpreter`.

  Raises:
    InvalidFile: it asks for something that data do not hold, or is damaged.
  """
  with in_words(of):
    return Interpreter(len(raw), names, inert=inert, holds=holds).run(io.BytesIO(raw))
