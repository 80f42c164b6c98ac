"""An interpreter for the pickles in PyTorch files.

It knows the opcodes that `torch.save` and numpy write, and runs them one by one; what a
pickle names or calls is looked up in `torch_globals` and nowhere else.
"""

import pickletools
from collections.abc import Callable

import numpy as np

from jaxpose.torch_globals import AGAIN
from jaxpose.torch_globals import Call
from jaxpose.torch_globals import InvalidWeightsFile
from jaxpose.torch_globals import Storage
from jaxpose.torch_globals import Unbuilt
from jaxpose.torch_globals import Unread
from jaxpose.torch_globals import checked_size
from jaxpose.torch_globals import expect
from jaxpose.torch_globals import lookup
from jaxpose.torch_globals import put

_PUSHES = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_PUSHES_OPERAND = frozenset(
  "BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT BINSTRING SHORT_BINSTRING BINUNICODE "
  "SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8".split()
)
_CLOSES_MARK = frozenset("TUPLE FROZENSET APPENDS ADDITEMS SETITEMS".split())


class Interpreter:
  """Runs pickles: makes plain containers and numbers, calls only what is looked up.

  A few lines of pickle can ask for any amount of memory or time (huge declared sizes,
  huge integers, tuples of tuples as keys, one text encoded a million times). So sizes
  must fit 63 bits, keys must be short and plain, and what is made beside the operands
  in the file is charged against a few times the size of the file.
  """

  def __init__(self, size: int, fill: Callable):
    self.budget = 4 * size  # honest arrays are charged twice, tensors once
    self.fill = fill  # (key, data): puts a storage's bytes into data, now or later
    self.storages = {}

  def run(self, stream: object) -> object:
    """The value that one pickle (bytes, or a file at its start) leaves behind."""
    stack, outer, memo = [], [], {}
    for code, arg, _ in pickletools.genops(stream):
      items = None
      if code.name in _CLOSES_MARK:
        items, stack = stack, outer.pop()
      match code.name:
        case name if name in _PUSHES_OPERAND:
          stack.append(arg)
        case name if name in _PUSHES:
          stack.append(_PUSHES[name])
        case "BINGET" | "LONG_BINGET":
          value = memo[arg]
          stack.append(value.value if isinstance(value, Unbuilt) else value)
        case "BINPUT" | "LONG_BINPUT":
          memo[arg] = stack[-1]
        case "MEMOIZE":
          memo[len(memo)] = stack[-1]
        case "MARK":
          outer.append(stack)
          stack = []
        case "TUPLE" | "FROZENSET":
          stack.append(tuple(items))
        case "TUPLE1":
          stack[-1] = (stack[-1],)
        case "TUPLE2":
          stack[-2:] = [(stack[-2], stack[-1])]
        case "TUPLE3":
          stack[-3:] = [(stack[-3], stack[-2], stack[-1])]
        case "EMPTY_LIST" | "EMPTY_SET":
          stack.append([])
        case "APPEND" | "APPENDS" | "ADDITEMS":
          items = [stack.pop()] if items is None else items
          expect(stack[-1], list).extend(items)
        case "EMPTY_DICT":
          stack.append({})
        case "SETITEM" | "SETITEMS":
          items = [stack.pop(-2), stack.pop()] if items is None else items
          put(expect(stack[-1], dict), items)
        case "GLOBAL":
          stack.append(lookup(arg))
        case "STACK_GLOBAL":
          name, module = expect(stack.pop(), str), expect(stack.pop(), str)
          stack.append(lookup(f"{module[:200]} {name[:200]}"))
        case "REDUCE" | "NEWOBJ":
          args, function = stack.pop(), stack.pop()
          stack.append(self._call(function, expect(args, tuple)))
        case "BUILD":  # attributes of anything but `Unbuilt` are dropped
          state, target = stack.pop(), stack[-1]
          if isinstance(target, Unbuilt):
            self._charge(expect(state, tuple))
            target.value = stack[-1] = target.build(state)
        case "BINPERSID":
          stack.append(self._storage(expect(stack.pop(), tuple)))
        case "PROTO" | "FRAME":
          pass
        case "STOP":
          return stack.pop()
        case name:
          raise InvalidWeightsFile(
            f"refused: its pickle uses the operation {name}, which torch.save does not "
            "write; nothing was executed, save the weights again with torch.save."
          )
    raise AssertionError("genops ends with STOP or an error")

  def _spend(self, amount: int):
    self.budget -= amount
    if self.budget < 0:
      raise InvalidWeightsFile(
        f"truncated or damaged: it declares more data than the file holds; {AGAIN}."
      )

  def _charge(self, args: tuple):
    self._spend(len(args))
    sized = str | bytes | bytearray | tuple | list | dict
    self._spend(sum(len(a) for a in args if isinstance(a, sized)))

  def _call(self, function: object, args: tuple) -> object:
    self._charge(args)
    if isinstance(function, Unread):
      return function
    return expect(function, Call).function(*args)

  def _storage(self, identity: tuple) -> Storage:
    kind, dtype, key, _, count = identity[:5]
    if kind != "storage" or len(identity) > 6:
      raise TypeError("an unknown persistent id")
    itemsize = expect(dtype, np.dtype).itemsize
    length = checked_size(count) * itemsize
    if expect(key, str) not in self.storages:
      self._spend(length)
      self.storages[key] = Storage(np.empty(length, np.uint8), dtype)
      self.fill(key, self.storages[key].data)
    data = self.storages[key].data
    if len(data) != length:
      raise TypeError("one storage with two sizes")
    if len(identity) == 6 and identity[5] is not None:  # files of early PyTorch
      _, start, count = expect(identity[5], tuple)
      if checked_size(start) + checked_size(count) > len(data) // itemsize:
        raise TypeError("a view beyond its storage")
      data = data[start * itemsize : (start + count) * itemsize]
    return Storage(data, dtype)
