"""SMPL parameters of a clip, what follows from them, and files of them."""

import dataclasses
import functools
import os
import pathlib

import numpy as np
from jaxtyping import Bool
from jaxtyping import Float

from jaxpose import body as smpl
from jaxpose import body_files
from jaxpose import geometry
from jaxpose import npz_files
from jaxpose import whole_files

# From the camera's frame (y down, z forward) to the frames of files, if the camera is
# level. Each entry is 0, 1 or -1: turning there and back loses nothing.
AXES = {
  "camera": np.eye(3, dtype=np.float32),
  "y_up": np.asarray([[1, 0, 0], [0, -1, 0], [0, 0, -1]], np.float32),
  "z_up": np.asarray([[1, 0, 0], [0, 0, 1], [0, -1, 0]], np.float32),
}
_CHUNK = 64  # frames that are posed at a time
_POSE_KEYS = ("poses", "betas", "trans", "mocap_framerate", "gender")
_OWN_KEYS = ("axes", "frame_betas", "translation", "camera", "crops", "valid")
_TEXT_KEYS = ("report", "body")


@dataclasses.dataclass(frozen=True, eq=False)
class Mesh:
  """A body in motion: SMPL parameters of every frame, in the camera's frame.

  The frame is x right, y down, z forward, metres. With a body of SMPL's layout, frame i
  is `body.pose(body, rotations[i], betas[i])` moved by `translation[i]`.

  Attributes:
    rotations: of the 24 joints relative to their parents; the root's in the camera.
    betas: shape of each frame; the same in all with shape="mean".
    translation: what to add to the posed body; 0 where no camera is known.
    camera: scale and translation in the crop, see `body.project`.
    crops: centre x, centre y and half side of the crop in pixels; NaN where unknown.
    valid: frames to trust: somebody was seen in or near them.
    report: what was missing or assumed, in words.
    body: name or path, for `body_files.load`.
    image_size: width and height in pixels, or None.
    focal: length of the camera in pixels, or None.
    frame_rate: frames per second, for files.
  """

  rotations: Float[np.ndarray, "t 24 3 3"]
  betas: Float[np.ndarray, "t s"]
  translation: Float[np.ndarray, "t 3"]
  camera: Float[np.ndarray, "t 3"]
  crops: Float[np.ndarray, "t 3"]
  valid: Bool[np.ndarray, " t"]
  report: str
  body: str
  image_size: tuple[float, float] | None
  focal: float | None
  frame_rate: float

  def __len__(self) -> int:
    return len(self.rotations)

  def __getitem__(self, frames) -> "Mesh":
    """The clip of some of the frames."""
    if not isinstance(frames, slice):
      raise ValueError(
        f"got the index {frames!r}, expected a slice such as mesh[10:20], which is a "
        "Mesh again; index its arrays for one frame."
      )
    names = ("rotations", "betas", "translation", "camera", "crops", "valid")
    parts = {name: getattr(self, name)[frames] for name in names}
    return dataclasses.replace(self, **parts)

  @property
  def poses(self) -> Float[np.ndarray, "t 72"]:
    """Axis times angle of each joint, radians, SMPL's `theta`."""
    vectors = geometry.matrix_to_axis_angle(np.float64(self.rotations))
    return np.float32(vectors).reshape(-1, 72)

  @functools.cached_property
  def _posed(self) -> tuple[np.ndarray, np.ndarray]:
    small = smpl.for_joints(body_files.load(self.body))
    posed = smpl.pose(small, self.rotations, self.betas)
    moved = self.translation[:, None]
    return posed.joints + moved, smpl.joints_49(small, posed) + moved

  @property
  def joints_3d(self) -> Float[np.ndarray, "t 49 3"]:
    """Joints of the skeleton spin49, metres in the camera's frame."""
    return self._posed[1]

  @property
  def joints_smpl(self) -> Float[np.ndarray, "t 24 3"]:
    """SMPL's own joints, skeleton smpl24, metres in the camera's frame."""
    return self._posed[0]

  @property
  def faces(self) -> np.ndarray:
    """(f, 3) vertex numbers of each triangle."""
    return np.asarray(body_files.load(self.body).faces)

  def vertices(self, frames: slice | None = None) -> Float[np.ndarray, "n m 3"]:
    """Vertices of all or some frames, metres in the camera's frame.

    Frames are posed a few at a time, so that little but the result is in memory: 165 kB
    a frame with the free body, 83 kB with SMPL. Take long clips in slices.
    """
    model = body_files.load(self.body)
    chosen = np.arange(len(self))[slice(None) if frames is None else frames]
    result = np.empty((len(chosen), len(model.template), 3), np.float32)
    for start in range(0, len(chosen), _CHUNK):
      part = chosen[start : start + _CHUNK]
      posed = smpl.pose(model, self.rotations[part], self.betas[part])
      moved = posed.vertices + self.translation[part][:, None]
      result[start : start + _CHUNK] = moved
    return result

  def save(self, path: str | os.PathLike, *, axes: str = "z_up") -> pathlib.Path:
    """Writes an .npz in AMASS's layout, see docs/mesh.md.

    Args:
      path: ends in .npz.
      axes: of `poses` and `trans` in the file: "z_up" as in AMASS and "y_up" take the
        camera for level, "camera" leaves them as they are.

    Raises:
      FileExistsError: the file is there; nothing is overwritten.
      ValueError: another ending, or unknown axes.
    """
    path = new_file(path, ".npz")
    turn = axes_matrix(axes)
    rotations, trans, betas = self.turned(turn)
    vectors = geometry.matrix_to_axis_angle(np.float64(rotations))
    arrays = dict(
      poses=vectors.reshape(-1, 72),
      betas=betas,
      trans=trans,
      mocap_framerate=np.float64(self.frame_rate),
      gender="neutral",
      axes=axes,
      frame_betas=self.betas,
      translation=self.translation,
      camera=self.camera,
      crops=self.crops,
      valid=self.valid,
      report=self.report,
      body=self.body,
    )
    if self.image_size:
      arrays |= dict(image_size=np.asarray(self.image_size), focal=self.focal)
    return whole_files.write(path, lambda file: np.savez_compressed(file, **arrays))

  @staticmethod
  def load(path: str | os.PathLike) -> "Mesh":
    """What `save` wrote.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it is damaged, or not of ours.
    """
    found = npz_files.load(path, "Mesh.save")
    lacking = [k for k in (*_POSE_KEYS, *_OWN_KEYS, *_TEXT_KEYS) if k not in found]
    if lacking:
      raise ValueError(
        f"{path} has no {', '.join(lacking)}, expected a file that Mesh.save wrote; "
        "files of other tools have no camera."
      )
    rotations = geometry.axis_angle_to_matrix(found["poses"].reshape(-1, 24, 3))
    rotations[:, 0] = axes_matrix(str(found["axes"])).T[None] @ rotations[:, 0]
    size = found.get("image_size")
    return Mesh(
      rotations=np.float32(rotations),
      betas=found["frame_betas"],
      **{key: found[key] for key in ("translation", "camera", "crops", "valid")},
      **{key: str(found[key]) for key in _TEXT_KEYS},
      image_size=None if size is None else (float(size[0]), float(size[1])),
      focal=None if size is None else float(found["focal"]),
      frame_rate=float(found["mocap_framerate"]),
    )

  def export(
    self, path: str | os.PathLike, frame: int | None = None
  ) -> list[pathlib.Path]:
    """Writes the mesh for other programs, metres, y up, as glTF and OBJ have it.

    Needs `pip install 'jaxpose[mesh]'`.

    Args:
      path: ends in .glb or .obj.
      frame: to write alone. None: the motion, for .glb as a skeleton with a skin in one
        file, see `mesh_animation`, for .obj as a file for each frame, NAME_000000.obj.

    Returns:
      The files.

    Raises:
      FileExistsError: a file is there; nothing is overwritten.
      ValueError: another ending, or there is no such frame.
      ImportError: the packages that write such files are not installed.
    """
    from jaxpose import mesh_files

    return mesh_files.export(self, path, frame)

  def turned(
    self, turn: Float[np.ndarray, "3 3"]
  ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rotations, translations and one shape of the clip in another frame.

    The shape is the mean over the frames; the root joint stays in its place.
    """
    model = body_files.load(self.body)
    betas = np.float32(self.betas.mean(0, dtype=np.float64))
    one, own = (smpl.rest_joints(model, b)[:, 0] for b in (betas[None], self.betas))
    rotations = self.rotations.copy()
    rotations[:, 0] = turn[None] @ rotations[:, 0]
    return rotations, (own + self.translation) @ turn.T - one, betas


def axes_matrix(axes: str) -> Float[np.ndarray, "3 3"]:
  """From the camera's frame to these axes; ValueError if there are none such."""
  if axes not in AXES:
    raise ValueError(f"got axes {axes!r}, expected {', '.join(map(repr, AXES))}.")
  return AXES[axes]


def new_file(path: str | os.PathLike, *endings: str) -> pathlib.Path:
  """The path of a file that is not there yet and has one of the endings."""
  path = pathlib.Path(path).expanduser()
  if path.suffix not in endings:
    raise ValueError(
      f"got the file {path}, expected the ending {' or '.join(endings)}."
    )
  refuse_existing(path)
  return path


def refuse_existing(path: pathlib.Path) -> None:
  """FileExistsError where there is something."""
  if path.exists():
    raise FileExistsError(
      f"{path} exists and is never overwritten; choose another name or move it away."
    )
