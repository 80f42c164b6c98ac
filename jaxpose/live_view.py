"""The live view: drawn in a thread of its own, and only while somebody looks."""

import threading
import time

from jaxpose.live_draw import LiveDrawing
from jaxpose.live_draw import Scene
from jaxpose.live_page import LivePage
from jaxpose.newest import Newest
from jaxpose.skeletons import Skeleton

_MOST = 30.0  # pictures a second


class View:
  """Takes scenes and shows the newest; for a `with` block.

  Attributes:
    told: where it can be seen.
  """

  def __init__(
    self,
    name: str,
    port: int | None,
    keypoints_skeleton: Skeleton,
    skeleton: Skeleton,
  ):
    """Starts the page.

    Args:
      name: of what is shown.
      port: of the page; None: there is none.
      keypoints_skeleton: of the keypoints.
      skeleton: of the poses.

    Raises:
      OSError: the port is taken.
    """
    self.told, self._page = "", None
    if port is None:
      return
    self._page = LivePage(f"{name} in 3D", port)
    self.told = f"The live view is at {self._page.url}"
    self._scenes = Newest()
    self._drawing = LiveDrawing(keypoints_skeleton, skeleton)
    self._thread = threading.Thread(target=self._draw, daemon=True)
    self._thread.start()

  def show(self, scene: Scene) -> None:
    """The next scene; who looks sees it as soon as it is drawn."""
    if self._page is not None and self._page.watched:
      self._scenes.put(scene)

  def tell(self, text: str) -> None:
    """The line below the picture."""
    if self._page is not None:
      self._page.told = text

  def close(self) -> None:
    """Ends the page."""
    if self._page is not None:
      self._scenes.end()
      self._thread.join(5)
      self._page.close()

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self.close()

  def _draw(self) -> None:
    number, began = -1, time.monotonic()
    while found := self._scenes.get(number):
      last, began = began, time.monotonic()
      number, scene = found
      self._page.show(self._drawing.draw(scene, began - last))
      time.sleep(max(began + 1 / _MOST - time.monotonic(), 0))
