"""From several videos to files in 3D, with a made-up detector."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from jaxpose import detect
from jaxpose.detect.detect_tracks import Tracks
from jaxpose.formats import bvh
from jaxpose.formats import pose_files
from jaxpose.formats.view_poses import MultiviewPoses
from jaxpose.models.multiview_lifters import FusedLifter
from jaxpose.predict import camera_rig
from jaxpose.predict import result_folder
from jaxpose.predict import rig_draw
from jaxpose.predict import rig_poses
from tests import small_views

PLAIN = ("npz", "csv", "bvh")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
  return small_views.scene(tmp_path_factory.mktemp("views"))


@pytest.fixture(scope="module")
def pixels(scene):
  """Of two people."""
  rig = small_views.opened(scene)
  places = ((0.0, 0.0), (0.3, 1.2))
  return [small_views.seen(small_views.walker(p), rig, 0.2) for p in places]


class Detector:
  """In the place of `detect.video`: one or two people in each view."""

  def __init__(self, *people):
    self.people, self.calls = people, []

  def __call__(self, path, *, fps, work, progress, **options):
    self.calls.append((path.name, options))
    v = int(path.name.removeprefix("cam"))
    work.mkdir(parents=True)
    found = Tracks(
      [small_views.track(p[:, v], str(i)) for i, p in enumerate(self.people)]
    )
    found.image_size, found.fps, found.speed = small_views.SIZE, fps, 30.0
    found.report = f"made-up people of {path.name}"
    return found


@pytest.fixture
def detector(pixels, monkeypatch):
  made = Detector(*pixels)
  monkeypatch.setattr(detect, "video", made)
  return made


def run(scene, out, **options):
  options = dict(fps=small_views.FPS, formats=PLAIN, progress=False) | options
  return camera_rig.views(scene.folders, scene.calibration, out, **options)


def files(folder):
  return {
    str(p.relative_to(folder)): p.stat().st_mtime_ns
    for p in folder.rglob("*")
    if p.is_file()
  }


def test_everybody_gets_files_of_the_right_poses(scene, detector, tmp_path):
  done = run(scene, tmp_path / "out", people=3)
  assert done.people == ["0", "1"]
  assert [name for name, _ in detector.calls] == ["cam0", "cam1", "cam2", "cam3"]
  assert all(options["people"] == 3 for _, options in detector.calls)
  names = ("poses.npz", "poses.csv", "poses.bvh", "views.npz", "picture.png")
  assert set(files(done.folder)) == {
    "prediction.json",
    *(
      f"views/cam{v}/{n}"
      for v in range(4)
      for n in ("keypoints.npz", "prediction.json")
    ),
    *(f"person_{k}/{n}" for k in (0, 1) for n in (*names, "report.txt")),
  }
  place = done.folder / "person_0"
  poses = pose_files.load(place / "poses.npz")
  truth = [small_views.walker(p) for p in ((0.0, 0.0), (0.3, 1.2))]
  errors = [np.linalg.norm(poses.joints_3d - t, axis=-1).mean() for t in truth]
  assert min(errors) < 0.02
  assert (poses.axes, poses.root, poses.fps) == ("z_up", "absolute", small_views.FPS)
  views = MultiviewPoses.load(place / "views.npz")
  assert views.cameras == ("cam0", "cam1", "cam2", "cam3")
  np.testing.assert_allclose(views.joints_3d_world, poses.joints_3d, atol=1e-5)
  ours = small_views.seen(truth[int(np.argmin(errors))], small_views.opened(scene))
  assert np.abs(views.keypoints_2d - ours).max() < 2
  assert bvh.read(place / "poses.bvh").channels
  assert Image.open(place / "picture.png").size == rig_draw.SIZE
  said = (place / "report.txt").read_text()
  assert "15 frames of 4 views, method ransac." in said
  assert "poses.bvh: The skeleton with constant bones" in said
  for text in ("made-up people of cam2", "cam0 0, cam1 0"):
    assert text in done.report


def test_what_is_finished_is_not_done_again(scene, detector, tmp_path):
  run(scene, tmp_path)
  before = files(tmp_path)
  again = run(scene, tmp_path)
  assert len(detector.calls) == 4
  assert files(tmp_path) == before
  assert "Person 1 is finished" in again.report
  (tmp_path / "person_1/poses.csv").unlink()
  run(scene, tmp_path)
  after = files(tmp_path)
  assert after.keys() == before.keys()
  kept = "person_1/poses.npz"
  assert after[kept] == before[kept]


def test_other_settings_are_refused_and_replace_only_with_a_word(
  scene, detector, tmp_path
):
  run(scene, tmp_path, person=0)
  with pytest.raises(FileExistsError, match="same video with method=ransac; choose"):
    run(scene, tmp_path, person=0, method="dlt")
  run(scene, tmp_path, person=0, method="dlt", overwrite=True)
  assert len(detector.calls) == 4
  assert "method dlt" in (tmp_path / "person_0/report.txt").read_text()


def test_one_person_alone(scene, detector, tmp_path):
  assert run(scene, tmp_path, person=1).people == ["1"]
  assert not (tmp_path / "person_0").exists()
  with pytest.raises(ValueError, match="got the person '7', expected one of 0, 1"):
    run(scene, tmp_path, person=7)


def test_keypoints_of_another_detector(scene, pixels, tmp_path):
  paths = []
  for v in range(4):
    found = Tracks([small_views.track(pixels[0][:, v])])
    found.image_size, found.fps, found.report = small_views.SIZE, 25.0, ""
    paths.append(detect.save(tmp_path / f"k{v}.npz", found))
  assert run(scene, tmp_path / "out", keypoints=paths).people == ["0"]
  with pytest.raises(ValueError, match="got 3 files of keypoints for 4 videos"):
    run(scene, tmp_path / "out", keypoints=paths[:3])
  with pytest.raises(FileNotFoundError, match="no such file; expected keypoints"):
    run(scene, tmp_path / "out", keypoints=["none.npz", *paths[1:]])


def test_a_calibration_of_other_cameras_is_refused(
  scene, pixels, tmp_path, monkeypatch
):
  monkeypatch.setattr(detect, "video", Detector(pixels[0]))
  content = json.loads(scene.calibration.read_text())
  names = [camera["name"] for camera in content["cameras"]]
  for camera, name in zip(
    content["cameras"], [names[i] for i in (0, 2, 1, 3)], strict=True
  ):
    camera["name"] = name
  # Of a ring that is shifted or mirrored nobody could tell: it is a turned world.
  wrong = tmp_path / "calib.json"
  wrong.write_text(json.dumps(content))
  with pytest.raises(ValueError, match="and a calibration that do not agree"):
    run(scene._replace(calibration=wrong), tmp_path / "out")


def test_keypoints_and_calibration_that_do_not_agree_are_told(
  scene, detector, tmp_path, monkeypatch
):
  monkeypatch.setattr(camera_rig.triangulation, "WORST_REPROJECTION", 1e-6)
  with pytest.raises(ValueError, match="keypoints and a calibration that do not agree"):
    run(scene, tmp_path)


@pytest.mark.parametrize(
  ("options", "sentence"),
  [
    (dict(method="magic"), "got the method 'magic', expected lifter, ransac, dlt"),
    (dict(method="dlt", weights="w"), "got weights and the method 'dlt', which has"),
    (dict(smooth="butter"), "got the smoothing 'butter', expected"),
    (dict(formats=["fbx"]), "got the format 'fbx', expected"),
  ],
)
def test_wrong_options_are_told(scene, tmp_path, options, sentence):
  with pytest.raises(ValueError, match=sentence):
    run(scene, tmp_path, **options)


def test_views_are_triangulated_unless_the_lifter_is_asked_for():
  released = rig_poses.RELEASED
  assert camera_rig._method(None, None) == ("ransac", None)
  assert camera_rig._method("dlt", None) == ("dlt", None)
  assert camera_rig._method("lifter", None) == ("lifter", released)
  assert camera_rig._method(None, "mine") == ("lifter", "mine")
  assert isinstance(rig_poses.loaded_lifter(released).module, FusedLifter)


def test_who_cannot_be_put_in_3d_is_told(scene, detector, tmp_path, monkeypatch):
  def fails(person, *rest, **options):
    raise ValueError(f"person {person.name} is a cloud.")

  monkeypatch.setattr(camera_rig.rig_poses, "view_poses", fails)
  with pytest.raises(ValueError, match="person 0 is a cloud"):
    run(scene, tmp_path)


def test_an_interruption_keeps_what_was_detected(
  scene, detector, tmp_path, monkeypatch
):
  lift = camera_rig.rig_poses.view_poses

  def stops(*args, **options):
    raise KeyboardInterrupt

  monkeypatch.setattr(camera_rig.rig_poses, "view_poses", stops)
  with pytest.raises(KeyboardInterrupt):
    run(scene, tmp_path)
  monkeypatch.setattr(camera_rig.rig_poses, "view_poses", lift)
  run(scene, tmp_path)
  assert len(detector.calls) == 4


def test_a_film_of_all_views_beside_the_body(scene, detector, tmp_path):
  pytest.importorskip("av", reason="needs jaxpose[video]")
  from jaxpose.files import video_files

  done = run(scene, tmp_path, person=0, formats=["mp4"])
  film = video_files.open_source(done.folder / "person_0/video.mp4")
  assert film.image_size == rig_draw.SIZE
  assert film.count(exact=True) == small_views.FRAMES
  shutil.rmtree(done.folder)


def test_the_folder_says_which_videos_it_is_of(scene, detector, tmp_path):
  run(scene, tmp_path, person=0)
  content = json.loads((tmp_path / result_folder.FILE).read_text())
  assert content["source"]["name"] == "cam0 cam1 cam2 cam3"
  assert content["settings"]["calibration"]["unit"] == "m"
