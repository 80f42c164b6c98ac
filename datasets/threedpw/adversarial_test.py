"""Every way in which a database can be wrong is refused in a sentence."""

import pytest

from tests import vibe_adversaries
from tests import vibe_writer

CASES = vibe_adversaries.CASES | vibe_adversaries.UNITS


@pytest.mark.parametrize(
  ("config", "split"),
  [("glot", "train"), ("glot", "val"), ("glot", "test"), ("glot_occ", "train")],
)
@pytest.mark.parametrize("case", CASES)
def test_a_database_that_is_wrong_is_refused(tmp_path, config, case, split):
  occ = "_occ" if config == "glot_occ" else ""
  files = {
    f"3dpw_{name}_db.pt": vibe_writer.database(
      {"downtown_straße_00_0": 7}, joints_2d=14, joints_3d=14, smpl=True
    )
    for name in (f"train{occ}", "val", "test")
  }
  first = f"3dpw_{split}{occ if split == 'train' else ''}_db.pt"
  files = {first: files.pop(first)} | files
  vibe_adversaries.refused(tmp_path, "threedpw", config, files, case)
