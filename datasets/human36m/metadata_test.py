import numpy as np
import pytest

from human36m import metadata
from human36m import protocol
from jaxpose import geometry
from jaxpose.geometry import cameras
from tests import builder_testing

GOLDEN = builder_testing.DATASETS.parent / "tests" / "golden" / "gla_gcn"


def write(path, rigs):
  """A metadata.xml that describes the cameras (of some subjects)."""
  outer, inner = np.zeros((4, 11, 6)), np.zeros((4, 9))
  for subject, rig in rigs.items():
    for i, camera in enumerate(rig):
      r = camera.rotation.astype(np.float64)
      angles = [
        np.arctan2(-r[1, 2], r[2, 2]),
        np.arcsin(r[0, 2]),
        np.arctan2(-r[0, 1], r[0, 0]),
      ]
      outer[i, int(subject[1:]) - 1] = [*angles, *(1000 * camera.position)]
      inner[i] = camera.intrinsics[[*range(7), 8, 7]]
  numbers = " ".join(f"{x:.10g}" for x in [*outer.ravel(), *inner.ravel()])
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(f"<document>\n<w0>[{numbers}]</w0>\n</document>")
  return path


def golden_rigs():
  with np.load(GOLDEN / "cameras.npz") as file:
    lens = [
      file[f"h36m/{key}"]
      for key in (
        *("focal_length", "center"),
        *("radial_distortion", "tangential_distortion"),
      )
    ]
    return {
      s: [
        cameras.Camera(
          geometry.quaternion_to_matrix(file[f"h36m/{s}/orientation"][i]).T,
          file[f"h36m/{s}/translation_mm"][i] / 1000,
          np.concatenate([part[i] for part in lens]),
          protocol.IMAGE_SIZES[i],
          protocol.CAMERAS[i],
        )
        for i in range(4)
      ]
      for s in protocol.SUBJECTS
    }


def test_published_cameras_are_read(tmp_path):
  found = metadata.cameras(write(tmp_path / "metadata.xml", golden_rigs()))
  with np.load(GOLDEN / "camera_h36m_S9_cam1.npz") as file:
    camera = found["S9"][1]
    view = cameras.world_to_camera(file["world"], camera.rotation, camera.position)
    np.testing.assert_allclose(view, file["camera"], atol=5e-6)
    pixels = cameras.project(view, camera.intrinsics)
    np.testing.assert_allclose(pixels, file["pixels"], atol=2e-3)
    assert camera.image_size == (int(file["res_w"]), int(file["res_h"]))
  assert [camera.name for camera in found["S11"]] == list(protocol.CAMERAS)


@pytest.mark.parametrize(
  ("text", "count"),
  [("", 0), ("<w0>[1 2 3]</w0>", 3), ("<w0>[a b]</w0>", 0), ("<w0>[1 2", 0)],
)
def test_another_file_is_refused(tmp_path, text, count):
  (tmp_path / "metadata.xml").write_text(text)
  message = f"metadata.xml: got {count} camera parameters in <w0>, expected 300 numbers"
  with pytest.raises(ValueError, match=message):
    metadata.cameras(tmp_path / "metadata.xml")


def test_numbers_that_are_not_finite_are_refused(tmp_path):
  (tmp_path / "metadata.xml").write_text(f"<w0>[{'nan ' * 300}]</w0>")
  with pytest.raises(ValueError, match="expected 300 numbers"):
    metadata.cameras(tmp_path / "metadata.xml")
