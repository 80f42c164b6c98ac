"""How fast a live view is, and how late."""

import array

import numpy as np

Number = int | float | np.number


class Numbers:
  """Rates and delays of the pictures that were taken so far.

  Attributes:
    began: when the first picture came; None before.
  """

  def __init__(self, fps: Number, late: int):
    """Nothing was taken yet.

    Args:
      fps: frames per second of the stream.
      late: frames between the newest one and that of the pose.
    """
    self._fps, self._late, self._last = float(fps), late, -1
    self._delays = array.array("d")
    self.began: float | None = None
    self._end = 0.0

  @property
  def taken(self) -> int:
    """Number of pictures."""
    return len(self._delays)

  @property
  def span(self) -> np.ndarray:
    """Seconds from the first picture to the last, and the number of that."""
    return np.asarray([self._end - (self.began or self._end), self._last])

  def add(self, number: int, came: float, done: float) -> None:
    """A picture: its number from 0, when it came, and when its pose was there."""
    self.began = came if self.began is None else self.began
    self._end, self._last = came, number
    self._delays.append(done - came)

  def delays(self) -> tuple[float, float]:
    """Seconds from a picture to its pose: the median, and what 95 % stay below."""
    middle, most = np.percentile(self._delays, [50, 95])
    return float(middle), float(most)

  def text(self) -> str:
    """All of it in words."""
    if self.taken < 2:
      return f"{self.taken} pictures were taken."
    spent, came = max(float(self.span[0]), 1e-9), self._last + 1
    middle, most = (1000 * delay for delay in self.delays())
    text = (
      f"{came} pictures came in {spent:.1f} s ({self._last / spent:.1f} a second); "
      f"{self.taken} were taken ({(self.taken - 1) / spent:.1f} a second), "
      f"{came - self.taken} left out. Keypoints and pose were there {middle:.0f} ms "
      f"after a picture came (median; 95 %: {most:.0f} ms)."
    )
    if self._late:
      late = 1000 * self._late / self._fps
      text += (
        f" The pose is of {self._late} pictures before, for which these weights answer:"
        f" it is {middle + late:.0f} ms old."
      )
    return text
