import json

import pytest

from jaxpose.predict import result_folder
from jaxpose.predict.result_folder import KEYPOINTS
from jaxpose.predict.result_folder import WORK
from jaxpose.predict.result_folder import Folder


def claim(path, overwrite=False, **changes):
  parts = dict(source=dict(name="a.mp4", bytes=3), detection=dict(people=None))
  parts |= dict(settings=dict(smooth="savgol", weights="w"))
  for part, values in changes.items():
    parts[part] = parts[part] | values
  return Folder(path, **parts, overwrite=overwrite)


def filled(path):
  """A folder in which keypoints and one person are finished."""
  folder = claim(path)
  (path / "person_0").mkdir()
  for name in (KEYPOINTS, "person_0/poses.npz"):
    (path / name).write_text(name)
    folder.finish(name)
  return folder


def test_what_is_finished_is_known_to_the_next_call(tmp_path):
  filled(tmp_path)
  assert claim(tmp_path).finished == [KEYPOINTS, "person_0/poses.npz"]
  (tmp_path / "person_0/poses.npz").unlink()
  assert claim(tmp_path).finished == [KEYPOINTS]


def test_other_settings_are_named_and_leave_the_keypoints(tmp_path):
  filled(tmp_path)
  with pytest.raises(FileExistsError, match="same video with smooth=savgol; choose"):
    claim(tmp_path, settings=dict(smooth="none"))
  again = claim(tmp_path, overwrite=True, settings=dict(smooth="none"))
  assert again.finished == [KEYPOINTS]
  assert sorted(p.name for p in tmp_path.iterdir()) == [KEYPOINTS, "prediction.json"]


@pytest.mark.parametrize(
  ("changes", "sentence"),
  [
    (dict(source=dict(name="b.mp4")), "holds the results of a.mp4; choose another"),
    (dict(source=dict(bytes=4)), "holds results of another a.mp4, or it has changed"),
    (dict(detection=dict(people=1)), "of the same video with people=None; choose"),
    (
      dict(detection=dict(keypoints=dict(name="k.json"))),
      "of the same video with keypoints=None; choose",
    ),
  ],
)
def test_results_of_something_else_go_only_if_asked_and_alone(
  tmp_path, changes, sentence
):
  filled(tmp_path)
  (tmp_path / "person_0/mine.txt").write_text("notes")
  with pytest.raises(FileExistsError, match=sentence):
    claim(tmp_path, **changes)
  assert (tmp_path / "person_0/poses.npz").exists()
  assert claim(tmp_path, overwrite=True, **changes).finished == []
  assert not (tmp_path / KEYPOINTS).exists()
  assert not (tmp_path / "person_0/poses.npz").exists()
  assert (tmp_path / "person_0/mine.txt").exists()
  assert claim(tmp_path, **changes).finished == []


def test_a_call_that_failed_at_once_does_not_hold_the_folder(tmp_path):
  claim(tmp_path)
  claim(tmp_path, source=dict(name="b.mp4"))
  (tmp_path / WORK).mkdir()
  (tmp_path / WORK / "000000200.npz").write_text("part of a detection")
  with pytest.raises(FileExistsError, match=r"holds the results of b\.mp4"):
    claim(tmp_path)
  claim(tmp_path, overwrite=True)
  assert not (tmp_path / WORK).exists()


def test_files_of_something_else_are_never_taken_for_results(tmp_path):
  (tmp_path / KEYPOINTS).write_text("of somebody")
  (tmp_path / "notes.txt").write_text("mine")
  with pytest.raises(FileExistsError, match=r"else \(keypoints.npz, notes.txt\)"):
    claim(tmp_path)
  assert claim(tmp_path, overwrite=True).finished == []
  assert (tmp_path / "notes.txt").exists()
  assert not (tmp_path / KEYPOINTS).exists()
  with pytest.raises(FileExistsError, match="is a file, expected a folder for the re"):
    claim(tmp_path / "notes.txt")


@pytest.mark.parametrize(
  "content", ["{", "[]", '{"format": "jaxpose prediction 9"}', '{"files": []}']
)
def test_a_damaged_list_is_told(tmp_path, content):
  (tmp_path / result_folder.FILE).write_text(content)
  with pytest.raises(ValueError, match=r"prediction.json is damaged, or of another"):
    claim(tmp_path)


def test_identity_changes_with_the_ends_the_length_and_the_name(tmp_path, monkeypatch):
  monkeypatch.setattr(result_folder, "_END", 4)
  path = tmp_path / "a.mp4"
  path.write_bytes(b"0123456789")
  before = result_folder.identity(path)
  assert before == result_folder.identity(path)
  assert json.loads(json.dumps(before)) == before
  for content in (b"x123456789", b"012345678x", b"01234567890"):
    path.write_bytes(content)
    assert result_folder.identity(path) != before
  folder = result_folder.identity(tmp_path)
  (tmp_path / "b.png").write_bytes(b"")
  assert result_folder.identity(tmp_path)["digest"] != folder["digest"]


def test_every_name_has_a_place_of_its_own():
  names = ["a b", "a_b", "A_B", "c/d", "é-1.2"]
  places = ["a_b", "a_b_2", "A_B_3", "c_d", "é-1.2"]
  assert result_folder.places(names) == places
