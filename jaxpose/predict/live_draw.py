"""The picture of a live view: the newest frame beside the people in it in 3D.

It is drawn in a thread of its own, and only while somebody looks.
"""

import threading
import time
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from jaxtyping import UInt8

from jaxpose.draw import stage
from jaxpose.draw import video_draw
from jaxpose.motion import world
from jaxpose.predict.live_page import LivePage
from jaxpose.predict.live_source import Newest
from jaxpose.skeletons import Skeleton

SIZE = (960, 540)
_WALKED = 0.7  # metres from the middle of the stage at which the eye comes along
_COMES = 0.3  # seconds in which it goes most of the way
_RISES, _SINKS = 1.5, 0.05  # seconds, of the floor to the lowest foot
# From the frame of a camera taken for level to z up.
_LEVEL = np.asarray([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


class Scene(NamedTuple):
  """What is drawn.

  Attributes:
    frame: RGB.
    keypoints: of each person, pixels; NaN where not seen.
    joints_3d: of those who have a pose, metres in the camera's frame.
  """

  frame: np.ndarray
  keypoints: list[np.ndarray]
  joints_3d: list[np.ndarray]


class LiveDrawing:
  """Draws scene after scene; the eye follows those who walk away."""

  def __init__(
    self,
    keypoints_skeleton: Skeleton,
    skeleton: Skeleton,
    size: tuple[int, int] = SIZE,
  ):
    """Nothing is drawn yet.

    Args:
      keypoints_skeleton: of the keypoints.
      skeleton: of the poses.
      size: of the pictures.
    """
    self._points, self._skeleton, self._size = keypoints_skeleton, skeleton, size
    self._view: stage.View | None = None
    self._empty: np.ndarray | None = None
    self._floor: float | None = None

  def draw(
    self, scene: Scene, seconds: float | int = 0.04
  ) -> UInt8[np.ndarray, "h w 3"]:
    """The next picture, so many seconds after the last one."""
    box = video_draw.Box(scene.frame.shape[1::-1], self._size, None)
    picture = np.empty((self._size[1], self._size[0], 3), np.uint8)
    picture[:] = np.asarray(stage.BACKGROUND, np.uint8)
    inner = picture[box.top : box.top + box.height, : box.width]
    inner[:] = video_draw.resized(
      scene.frame[:, box.left : box.right], (box.width, box.height)
    )
    for points in scene.keypoints:
      moved = (points - np.asarray([box.left, 0]) + 0.5) * box.scale - 0.5
      radius = video_draw.bone_radius(points[None], box.scale)
      video_draw.overlay(inner, moved, self._points, radius)
    picture[:, box.width :] = self._people(
      scene.joints_3d, (self._size[0] - box.width, self._size[1]), seconds
    )
    return picture

  def _people(self, people: list[np.ndarray], size, seconds) -> np.ndarray:
    if not people:
      if self._view is None:
        return np.full((size[1], size[0], 3), stage.BACKGROUND, np.uint8)
      return self._empty
    placed = self._upright(np.stack(people), seconds)
    self._look(placed, size, seconds)
    picture = self._empty.copy()
    away = [-np.linalg.norm(joints.mean(0) - self._view.position) for joints in placed]
    for k in np.argsort(away):
      stage.body(picture, placed[k], self._skeleton, self._view)
    return picture

  def _upright(
    self, people: Float[np.ndarray, "n j 3"], seconds: float | int
  ) -> Float[np.ndarray, "n j 3"]:
    turned = people @ _LEVEL.T
    low = float(turned[..., 2].min())
    if self._floor is None:
      self._floor = low
    share = _share(seconds, _SINKS if low < self._floor else _RISES)
    self._floor += share * (low - self._floor)
    return turned - np.asarray([0, 0, self._floor - world.ANKLE_HEIGHT])

  def _look(self, people: Float[np.ndarray, "n j 3"], size, seconds) -> None:
    """Sets the view; it stays as long as people stay near."""
    wanted = stage.views(people.reshape(1, -1, 3), size, 1)[0]
    if self._view is not None:
      far = float(np.linalg.norm(wanted.position - self._view.position))
      if far < _WALKED:
        return
      share = _share(seconds, _COMES) if far < 4 * _WALKED else 1.0
      wanted = wanted._replace(
        position=self._view.position + share * (wanted.position - self._view.position),
        target=self._view.target + share * (wanted.target - self._view.target),
      )
    self._view, self._empty = wanted, stage.floor(wanted)


def _share(seconds: float | int, most: float) -> float:
  """Of a way of which most is gone in `most` seconds."""
  return 1 - float(np.exp(-2 * seconds / most))


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
