"""What one thread makes for others that may be slower: the newest value, never a queue.

A queue before a slow reader grows, and with it the age of what is read. Here the reader
always gets what is new, and tells by the numbers how many values it missed.
"""

import threading
import time
from typing import Any


class Newest:
  """The newest of the values that were put in, with their number from 0."""

  def __init__(self):
    self._changed = threading.Condition()
    self._number, self._value, self._ended = -1, None, False

  @property
  def count(self) -> int:
    """Values that were put in."""
    return self._number + 1

  @property
  def ended(self) -> bool:
    """Whether nothing more comes."""
    return self._ended

  def put(self, value: Any) -> None:
    """Takes the place of the value before; nothing after the end."""
    with self._changed:
      if not self._ended:
        self._number, self._value = self._number + 1, value
        self._changed.notify_all()

  def end(self) -> None:
    """Nothing more comes; the last value can still be taken."""
    with self._changed:
      self._ended = True
      self._changed.notify_all()

  def get(
    self, after: int = -1, seconds: float | int | None = None
  ) -> tuple[int, Any] | None:
    """Waits for a value with a higher number than `after`.

    Args:
      after: number of the last value that was taken.
      seconds: how long to wait; None: until there is one.

    Returns:
      (number, value), or None at the end or when the time is over.
    """
    until = None if seconds is None else time.monotonic() + seconds
    with self._changed:
      while self._number <= after:
        left = 0.2 if until is None else min(until - time.monotonic(), 0.2)
        if self._ended or left <= 0:
          return None
        self._changed.wait(left)  # in pieces: Ctrl-C does not end a wait everywhere
      return self._number, self._value
