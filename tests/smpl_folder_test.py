import numpy as np
import pytest

from jaxpose.body import body_files
from tests import body_writer

BOTH = ("male", "female")


@pytest.mark.parametrize(
  "names",
  [
    ("SMPL_MALE.npz", "SMPL_FEMALE.npz"),
    ("basicmodel_m_lbs_10_207_0_v1.1.0.npz", "basicModel_f_lbs_10_207_0_v1.0.0.npz"),
    ("male.npz", "female.npz"),
  ],
)
def test_bodies_are_found_by_the_names_of_their_files(tmp_path, names):
  for name, scale in zip(names, (1.0, 0.9), strict=True):
    body_writer.write(tmp_path / name, scale)
  (tmp_path / "model_notes.txt").write_text("")
  found = body_files.load_folder([tmp_path], BOTH)
  ratio = np.ptp(found["female"].template[:, 1]) / np.ptp(found["male"].template[:, 1])
  assert ratio == pytest.approx(0.9)


def test_the_first_folder_with_bodies_counts(tmp_path, monkeypatch):
  monkeypatch.setenv("JAXPOSE_SMPL_DIR", str(tmp_path / "named"))
  assert body_files.smpl_folders(tmp_path / "raw") == []
  assert body_files.load_folder([], BOTH) is None
  (tmp_path / "raw" / "smpl").mkdir(parents=True)
  body_writer.write(tmp_path / "named" / "SMPL_MALE.npz")
  places = body_files.smpl_folders(tmp_path / "raw")
  assert places == [tmp_path / "raw" / "smpl", tmp_path / "named"]
  assert list(body_files.load_folder(places, ["male"])) == ["male"]
  assert body_files.load_folder(places, ["female"]) is None


def test_one_body_of_a_pair_is_refused(tmp_path):
  body_writer.write(tmp_path / "SMPL_MALE.npz")
  message = "got SMPL_MALE.npz, expected SMPL's female body too, such as SMPL_FEMALE"
  with pytest.raises(ValueError, match=message):
    body_files.load_folder([tmp_path], BOTH)
