"""Every way in which files can be wrong is refused in a sentence."""

import numpy as np
import pytest

from mpi_inf_3dhp import pstmo_test
from tests import builder_testing
from tests import vibe_adversaries
from tests import vibe_writer

CASES = vibe_adversaries.CASES | vibe_adversaries.UNITS


@pytest.mark.parametrize("config", ["glot", "glot_occ"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("split", ["train", "val"])
def test_a_database_that_is_wrong_is_refused(tmp_path, config, case, split):
  occ = "_occ" if config == "glot_occ" else ""
  train, val = f"mpii3d_train_scale12{occ}_db.pt", "mpii3d_val_scale12_db.pt"
  files = {name: vibe_writer.database({"TS1": 9}) for name in (train, val)}
  first = train if split == "train" else val
  files = {first: files.pop(first)} | files
  vibe_adversaries.refused(tmp_path, "mpi_inf_3dhp", config, files, case)


@pytest.mark.parametrize("config", ["glot", "glot_occ", "official", "pstmo"])
def test_an_empty_folder_is_refused(tmp_path, config):
  (tmp_path / "raw").mkdir()
  message = "raw does not exist or is empty.*Put the files of the config in manual_dir"
  builder_testing.refused("mpi_inf_3dhp", tmp_path, message, config=config)


@pytest.mark.parametrize("which", ["train", "test"])
def test_a_damaged_or_malicious_npz_is_refused(tmp_path, which):
  path = tmp_path / "raw" / f"data_{which}_3dhp.npz"
  pstmo_test.write(tmp_path / "raw", **pstmo_test.content())
  whole = path.read_bytes()
  for cut in (100, len(whole) // 2):
    path.write_bytes(whole[:-cut])
    message = rf"{path.name}: truncated or damaged npz"
    builder_testing.refused("mpi_inf_3dhp", tmp_path, message, config="pstmo")
  np.savez(path, data={"S1 Seq1": builder_testing.Malicious(tmp_path / "made")})
  message = rf"{path.name}: data: refused: it asks for 'posix\.mkdir', .* nothing was"
  builder_testing.refused("mpi_inf_3dhp", tmp_path, message, config="pstmo")
  assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
  ("key", "change", "message"),
  [
    ("data_3d", lambda a: a[:, :16], r"got 3D joints of shape \(9, 16, 3\), expected"),
    ("data_2d", lambda a: a[:, :16], r"got 2D joints of shape \(9, 16, 2\), expected"),
    ("data_3d", lambda a: a / 1000, "got legs of 0.00086 m, expected about 0.8 m"),
    ("data_3d", lambda a: a * np.nan, "3 of 9 frames hold NaN or infinite joints"),
    ("data_2d", lambda a: a[:5], "got 9 frames of 3D, 5 of 2D and 9 marks of valid"),
  ],
)
def test_what_is_wrong_in_a_test_sequence_is_said(tmp_path, key, change, message):
  held = pstmo_test.content()
  held["test"]["TS1"][key] = change(held["test"]["TS1"][key])
  pstmo_test.write(tmp_path / "raw", **held)
  message = rf"data_test_3dhp\.npz: .*TS1.*{message}"
  builder_testing.refused("mpi_inf_3dhp", tmp_path, message, config="pstmo")


def test_folders_may_be_named_in_any_script(tmp_path):
  raw = tmp_path / "数据 ü"
  pstmo_test.write(raw, **pstmo_test.content())
  splits = builder_testing.build_and_read(
    "mpi_inf_3dhp", tmp_path / "out", raw, config="pstmo"
  )
  assert len(splits["test"]) == 6
