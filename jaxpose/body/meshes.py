"""`Mesh`, the SMPL parameters of a clip, and its export as npz, OBJ and glTF.

A `Mesh` computes joints and vertices from the parameters when they are asked for.
Single frames are written as OBJ or glTF. A whole clip is written as an animated glTF: a
skin on SMPL's 24 joints, vertices once, rotations and a translation for each frame, one
shape for the clip. A glTF skin cannot hold the displacements that correct bent joints
(`pose_dirs`), nor more than four weights a vertex; SMPL and the free body have four.
"""

import dataclasses
import functools
import os
import pathlib

import numpy as np
from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import Int
from jaxtyping import UInt8

from jaxpose import body as smpl
from jaxpose import geometry
from jaxpose import skeletons
from jaxpose.body import body_files
from jaxpose.files import whole_files

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
    found = whole_files.load_npz(path, "Mesh.save")
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
        file, see `meshes`, for .obj as a file for each frame, NAME_000000.obj.

    Returns:
      The files.

    Raises:
      FileExistsError: a file is there; nothing is overwritten.
      ValueError: another ending, or there is no such frame.
      ImportError: the packages that write such files are not installed.
    """
    pass

    return export_mesh(self, path, frame)

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


def export_mesh(
  mesh: Mesh, path: str | os.PathLike, frame: int | None = None
) -> list[pathlib.Path]:
  """Writes a frame, or the motion; see `Mesh.export`."""
  path = pathlib.Path(path).expanduser()
  if path.suffix not in (".glb", ".obj"):
    raise ValueError(f"got the file {path}, expected the ending .glb or .obj.")
  if frame is not None:
    if not -len(mesh) <= frame < len(mesh):
      raise ValueError(
        f"got frame {frame}, expected 0 to {len(mesh) - 1}, those of the clip."
      )
    first = frame % len(mesh)
    return [_write(path, still(mesh[first : first + 1], path.suffix))]
  if path.suffix == ".glb":
    pass

    return [_write(path, skinned(mesh))]
  paths = [path.with_name(f"{path.stem}_{i:06d}.obj") for i in range(len(mesh))]
  for each in paths:
    refuse_existing(each)
  return [_write(each, still(mesh[i : i + 1], ".obj")) for i, each in enumerate(paths)]


def still(mesh: Mesh, ending: str) -> bytes:
  """The content of a file of the first frame, y up."""
  trimesh = _trimesh()
  vertices = upright(mesh.vertices(slice(1))[0])
  # Unprocessed: vertices keep their numbers.
  body = trimesh.Trimesh(vertices, mesh.faces, process=False)
  content = body.export(file_type=ending[1:])
  return content.encode() if isinstance(content, str) else content


def upright(points: Float[np.ndarray, "*b 3"]) -> Float[np.ndarray, "*b 3"]:
  """From the camera's frame to that of glTF and OBJ: y up, towards the camera z."""
  return points @ AXES["y_up"].T


def _write(path: pathlib.Path, content: bytes) -> pathlib.Path:
  refuse_existing(path)
  return whole_files.write(path, lambda file: file.write(content))


def _trimesh():
  try:
    import trimesh
  except ImportError as error:
    raise ImportError(
      "OBJ and glTF files need the package trimesh: pip install 'jaxpose[mesh]'"
    ) from error
  return trimesh


_INFLUENCES = 4  # joints that move a vertex, as glTF has it


def skinned(mesh: Mesh) -> bytes:
  """The content of a .glb file, y up."""
  gltf = _pygltflib()
  model = body_files.load(mesh.body)
  rotations, trans, betas = mesh.turned(AXES["y_up"])
  vertices = model.template + model.shape_dirs @ betas
  rest = smpl.rest_joints(model, betas)
  data = _Data(gltf)

  joints, weights = strongest(model.weights)
  kind = np.uint16 if len(vertices) < 2**16 else np.uint32
  primitive = gltf.Primitive(
    attributes=gltf.Attributes(
      POSITION=data.add(vertices, "VEC3", gltf.ARRAY_BUFFER, bounds=True),
      NORMAL=data.add(normals(vertices, model.faces), "VEC3", gltf.ARRAY_BUFFER),
      JOINTS_0=data.add(joints, "VEC4", gltf.ARRAY_BUFFER),
      WEIGHTS_0=data.add(weights, "VEC4", gltf.ARRAY_BUFFER),
    ),
    indices=data.add(
      model.faces.reshape(-1).astype(kind), "SCALAR", gltf.ELEMENT_ARRAY_BUFFER
    ),
    material=0,
  )
  unbind = np.tile(np.eye(4, dtype=np.float32), (smpl.NUM_JOINTS, 1, 1))
  unbind[:, 3, :3] = -rest  # column by column
  skin = gltf.Skin(
    inverseBindMatrices=data.add(unbind.reshape(-1, 16), "MAT4"),
    joints=list(range(smpl.NUM_JOINTS)),
    skeleton=0,
  )
  skeleton = skeletons.get("smpl24")
  origin = np.asarray([rest[max(p, 0)] * (p >= 0) for p in skeleton.parents])
  nodes = [
    gltf.Node(
      name=name,
      translation=(rest - origin)[j].tolist(),
      children=[i for i, p in enumerate(skeleton.parents) if p == j],
    )
    for j, name in enumerate(skeleton.joints)
  ]
  nodes.append(gltf.Node(name="body", mesh=0, skin=0))
  file = gltf.GLTF2(
    asset=gltf.Asset(version="2.0", generator="jaxpose"),
    scene=0,
    scenes=[gltf.Scene(nodes=[0, len(nodes) - 1])],
    nodes=nodes,
    meshes=[gltf.Mesh(primitives=[primitive])],
    skins=[skin],
    materials=[_material(gltf)],
    animations=[_animation(gltf, data, rotations, trans + rest[:1], mesh.frame_rate)],
    accessors=data.accessors,
    bufferViews=data.views,
    buffers=[gltf.Buffer(byteLength=len(data.blob))],
  )
  file.set_binary_blob(bytes(data.blob))
  return b"".join(file.save_to_bytes())


def strongest(
  weights: Float[np.ndarray, "m 24"],
) -> tuple[UInt8[np.ndarray, "m 4"], Float[np.ndarray, "m 4"]]:
  """The joints that move each vertex most, and their weights, which sum to 1."""
  joints = np.argsort(-weights, 1, kind="stable")[:, :_INFLUENCES]
  chosen = np.take_along_axis(weights, joints, 1)
  chosen = chosen / chosen.sum(1, keepdims=True)
  # A joint without weight is joint 0.
  joints = np.where(chosen > 0, joints, 0)
  return joints.astype(np.uint8), chosen.astype(np.float32)


def normals(
  vertices: Float[np.ndarray, "m 3"], faces: Int[np.ndarray, "f 3"]
) -> Float[np.ndarray, "m 3"]:
  """Unit normals: the mean of those of a vertex's triangles, weighted by their area."""
  a, b, c = (vertices[faces[:, i]] for i in range(3))
  across = np.cross(b - a, c - a)
  total = np.zeros_like(vertices)
  for i in range(3):
    np.add.at(total, faces[:, i], across)
  length = np.linalg.norm(total, axis=-1, keepdims=True)
  up = np.asarray([[0, 1, 0]], vertices.dtype)  # of a vertex without triangles
  return np.where(length > 0, total / np.where(length > 0, length, 1), up)


def quaternions(rotations: Float[np.ndarray, "t 3 3"]) -> Float[np.ndarray, "t 4"]:
  """(x, y, z, w) without jumps from one sign to the other."""
  q = geometry.matrix_to_quaternion(np.float64(rotations))
  turns = np.where((q[1:] * q[:-1]).sum(-1) < 0, -1, 1)
  sign = np.cumprod(np.concatenate([[1], turns]))
  return np.float32(sign[:, None] * q[:, [1, 2, 3, 0]])


class _Data:
  """The binary part of a file, filled array by array."""

  def __init__(self, gltf):
    self._gltf = gltf
    self.blob, self.views, self.accessors = bytearray(), [], []

  def add(self, array, kind: str, target: int | None = None, bounds=False) -> int:
    """Number of the accessor of an array."""
    gltf = self._gltf
    types = {"f": gltf.FLOAT, "u1": gltf.UNSIGNED_BYTE, "u2": gltf.UNSIGNED_SHORT}
    types["u4"] = gltf.UNSIGNED_INT
    array = np.ascontiguousarray(array, np.float32 if array.dtype.kind == "f" else None)
    dtype = array.dtype
    raw = array.astype(dtype.newbyteorder("<")).tobytes()
    view = gltf.BufferView(
      buffer=0, byteOffset=len(self.blob), byteLength=len(raw), target=target
    )
    self.blob += raw + bytes(-len(raw) % 4)
    self.views.append(view)
    flat = array.reshape(len(array), -1)
    self.accessors.append(
      gltf.Accessor(
        bufferView=len(self.views) - 1,
        componentType=types["f" if dtype.kind == "f" else f"u{dtype.itemsize}"],
        count=len(array),
        type=kind,
        min=flat.min(0).tolist() if bounds else None,
        max=flat.max(0).tolist() if bounds else None,
      )
    )
    return len(self.accessors) - 1


def _animation(gltf, data: _Data, rotations, trans, frame_rate: float):
  times = np.float32(np.arange(len(rotations)) / frame_rate)
  clock = data.add(times, "SCALAR", bounds=True)
  tracks = [(j, "rotation", quaternions(rotations[:, j])) for j in range(24)]
  tracks.append((0, "translation", np.float32(trans)))
  samplers, channels = [], []
  for node, name, values in tracks:
    values = data.add(values, f"VEC{values.shape[1]}")
    samplers.append(gltf.AnimationSampler(input=clock, output=values))
    target = gltf.AnimationChannelTarget(node=node, path=name)
    channels.append(gltf.AnimationChannel(sampler=len(samplers) - 1, target=target))
  return gltf.Animation(name="motion", samplers=samplers, channels=channels)


def _material(gltf):
  colour = gltf.PbrMetallicRoughness(
    baseColorFactor=[0.62, 0.66, 0.72, 1.0], metallicFactor=0.0, roughnessFactor=0.8
  )
  return gltf.Material(name="body", pbrMetallicRoughness=colour)


def _pygltflib():
  try:
    import pygltflib
  except ImportError as error:
    raise ImportError(
      "animated glTF files need the package pygltflib: pip install 'jaxpose[mesh]'"
    ) from error
  return pygltflib
