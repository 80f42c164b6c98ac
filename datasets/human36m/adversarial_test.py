"""Every way in which files can be wrong is refused in a sentence."""

import numpy as np
import pytest

from human36m import metadata_test
from human36m import videopose3d_test
from tests import builder_testing
from tests import vibe_adversaries
from tests import vibe_writer

CASES = vibe_adversaries.CASES | vibe_adversaries.UNITS
CONFIGS = (
  *("glot", "glot_occ", "official", "official_frames"),
  *("videopose3d_gt", "videopose3d_cpn"),
)


@pytest.mark.parametrize("config", CONFIGS)
def test_an_empty_folder_is_refused(tmp_path, config):
  (tmp_path / "raw").mkdir()
  message = "raw does not exist or is empty.*Put the files of the config in manual_dir"
  builder_testing.refused("human36m", tmp_path, message, config=config)
  (tmp_path / "raw" / "notes.txt").touch()
  message = r"raw: got notes\.txt, expected (h36m_train|metadata\.xml|data_3d_h36m)"
  builder_testing.refused("human36m", tmp_path, message, config=config)


@pytest.mark.parametrize("config", ["glot", "glot_occ"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_database_that_is_wrong_is_refused(tmp_path, config, case, split):
  occ = "_occ" if config == "glot_occ" else ""
  train, test = f"h36m_train_25fps{occ}_db.pt", "h36m_test_25fps_db.pt"
  db = vibe_writer.database({"S9_Größe_1.54138969": 9}, smpl=True)
  first = train if split == "train" else test
  files = {first: db} | {name: db for name in (train, test) if name != first}
  vibe_adversaries.refused(tmp_path, "human36m", config, files, case)


@pytest.mark.parametrize(
  "name",
  ["data_3d_h36m", "data_2d_h36m_gt", "data_2d_h36m_cpn_ft_h36m_dbb"],
)
def test_a_damaged_or_malicious_npz_is_refused(tmp_path, name):
  path = tmp_path / "raw" / f"{name}.npz"
  videopose3d_test.write(tmp_path / "raw", **videopose3d_test.content())
  whole = path.read_bytes()
  for cut in (100, len(whole) // 2):
    path.write_bytes(whole[:-cut])
    message = rf"{name}\.npz: truncated or damaged npz"
    builder_testing.refused("human36m", tmp_path, message, config="videopose3d_cpn")
  key = "positions_3d" if "3d" in name else "positions_2d"
  np.savez(path, **{key: {"S1": builder_testing.Malicious(tmp_path / "made")}})
  message = rf"{name}\.npz: {key}: refused: it asks for 'posix\.mkdir', .* nothing was"
  builder_testing.refused("human36m", tmp_path, message, config="videopose3d_cpn")
  assert not (tmp_path / "made").exists()


def with_nan(array):
  array = array.copy()
  array[3, 3] = np.nan
  return array


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (with_nan, "'S5 Photo 1'.* 1 of 25 frames hold NaN or infinite joints"),
    (lambda p: p[:, :16], r"S5 'Photo 1': got \(27, 16, 2\), .* \(frames, 17, 2\)"),
    (lambda p: p[:9], "got 25 frames of 3D and 9 of 2D, expected at least one"),
  ],
)
def test_what_is_wrong_in_detections_is_said(tmp_path, change, message):
  held = videopose3d_test.content()
  views = held["cpn"]["S5"]["Photo 1"]
  held["cpn"]["S5"]["Photo 1"] = [*views[:2], change(views[2]), *views[3:]]
  videopose3d_test.write(tmp_path / "raw", **held)
  metadata_test.write(tmp_path / "raw" / "metadata.xml", videopose3d_test.RIGS)
  message = rf"data_2d_h36m_cpn_ft_h36m_dbb\.npz: .*{message}"
  builder_testing.refused("human36m", tmp_path, message, config="videopose3d_cpn")


def test_other_units_are_caught_without_metadata_too(tmp_path):
  held = videopose3d_test.content()
  for takes in held["world"].values():
    takes.update({take: 1000 * joints for take, joints in takes.items()})
  videopose3d_test.write(tmp_path / "raw", held["world"], held["exact"])
  message = r"got legs of 860 m, expected about 0\.8 m; the unit"
  builder_testing.refused("human36m", tmp_path, message, config="videopose3d_gt")
