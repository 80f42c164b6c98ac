"""Meshes as OBJ and glTF: single frames, and how files of both are chosen."""

import os
import pathlib

import numpy as np
from jaxtyping import Float

from jaxpose import meshes
from jaxpose import whole_files
from jaxpose.meshes import Mesh


def export(
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
    from jaxpose import mesh_animation

    return [_write(path, mesh_animation.skinned(mesh))]
  paths = [path.with_name(f"{path.stem}_{i:06d}.obj") for i in range(len(mesh))]
  for each in paths:
    meshes.refuse_existing(each)
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
  return points @ meshes.AXES["y_up"].T


def _write(path: pathlib.Path, content: bytes) -> pathlib.Path:
  meshes.refuse_existing(path)
  return whole_files.write(path, lambda file: file.write(content))


def _trimesh():
  try:
    import trimesh
  except ImportError as error:
    raise ImportError(
      "OBJ and glTF files need the package trimesh: pip install 'jaxpose[mesh]'"
    ) from error
  return trimesh
