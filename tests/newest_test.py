"""The newest value between threads."""

import threading
import time

from jaxpose.predict.live_source import Newest


def test_a_slow_reader_gets_what_is_new_and_can_count_what_it_missed():
  values = Newest()

  def make():
    for i in range(40):
      values.put((i, time.monotonic()))
      time.sleep(0.01)
    values.end()

  thread = threading.Thread(target=make)
  thread.start()
  numbers, ages = [], []
  while found := values.get(numbers[-1] if numbers else -1):
    number, (value, made) = found
    assert number == value
    numbers.append(number)
    ages.append(time.monotonic() - made)
    time.sleep(0.05)
  thread.join()
  assert values.count == 40
  assert numbers == sorted(set(numbers))
  assert numbers[-1] == 39
  assert len(numbers) < 30  # a queue would have given all, and each later than the last
  assert sorted(ages)[len(ages) // 2] < 0.05


def test_waiting_ends_with_the_time_or_the_values():
  values = Newest()
  began = time.monotonic()
  assert values.get(seconds=0.05) is None
  assert time.monotonic() - began >= 0.05
  values.put("a")
  assert values.get() == (0, "a")
  assert values.get(0, seconds=0.01) is None
  values.end()
  assert values.ended
  values.put("b")
  assert values.get() == (0, "a")
  assert values.get(0) is None
