"""A moving body as an animated glTF: a skin on SMPL's 24 joints, which rotate.

Small, and the motion can be edited: the vertices are stored once, and of each frame
rotations and a translation. The shape is one for the clip. What glTF cannot say of a
skin is left out: the displacements that correct bent joints (`pose_dirs`), and all but
the four largest weights of a vertex (SMPL and the free body have no more).
"""

import numpy as np
from jaxtyping import Float
from jaxtyping import Int
from jaxtyping import UInt8

from jaxpose import body as smpl
from jaxpose import body_files
from jaxpose import geometry
from jaxpose import meshes
from jaxpose import skeletons
from jaxpose.meshes import Mesh

_INFLUENCES = 4  # joints that move a vertex, as glTF has it


def skinned(mesh: Mesh) -> bytes:
  """The content of a .glb file, y up."""
  gltf = _pygltflib()
  model = body_files.load(mesh.body)
  rotations, trans, betas = mesh.turned(meshes.AXES["y_up"])
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
