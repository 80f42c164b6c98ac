"""From a video to files in 3D, with a made-up detector before the released lifter."""

import dataclasses
import errno
import importlib.util
import json
import os
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from jaxpose import detect
from jaxpose import predict
from jaxpose.files import video_files
from jaxpose.formats import bvh
from jaxpose.formats import keypoint_tracks
from jaxpose.formats import pose_files
from jaxpose.predict import films
from jaxpose.predict import lifting
from jaxpose.predict import outputs
from jaxpose.weights import pretrained
from tests import small_glot
from tests import small_video
from tests.frames_test import pictures
from tests.frames_test import turned
from tests.frames_test import uneven
from tests.frames_test import video

PLAIN = ("npz", "csv", "bvh")


@pytest.fixture(scope="module")
def scene(tiny_data_dir, tmp_path_factory):
  return small_video.scene(tiny_data_dir, tmp_path_factory.mktemp("scene") / "walk")


@pytest.fixture
def detector(scene, monkeypatch):
  people = small_video.track(scene.pixels), small_video.track(scene.pixels[6:], "1", 6)
  return small_video.put_in_place(monkeypatch, *people)


def run(scene, out, **options):
  options = dict(fps=small_video.FPS, formats=PLAIN, progress=False) | options
  return predict.video(scene.folder, out, **options)


def stamps(folder):
  return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def test_everybody_gets_files_of_the_right_poses(scene, detector, tmp_path):
  done = run(scene, tmp_path / "out")
  assert done.people == ["0", "1"]
  assert done.folder == tmp_path / "out"
  found = {str(p.relative_to(done.folder)) for p in stamps(done.folder)}
  names = ("poses.npz", "poses.csv", "poses.bvh", "report.txt")
  assert found == {
    "keypoints.npz",
    "prediction.json",
    *(f"person_{k}/{name}" for k in (0, 1) for name in names),
  }
  poses = pose_files.load(done.folder / "person_0/poses.npz")
  relative = poses.joints_3d - poses.joints_3d[:, :1]
  error = np.linalg.norm(relative - scene.truth, axis=-1).mean()
  size = np.linalg.norm(scene.truth, axis=-1).mean()
  assert error < 0.25 * size
  assert (poses.joints_3d[:, 0, 2] > 2).all()  # before the camera
  assert poses.fps == small_video.FPS
  assert poses.valid.all()
  # Upright, head above hips above feet, which are near the floor.
  height = poses.joints_3d_world[..., 2].mean(0)
  head, hip, feet = (poses.skeleton.index(j) for j in ("head", "hip", "left_foot"))
  assert height[head] > height[hip] + 0.3 > height[feet] + 0.6
  assert -0.1 < height[feet] < 0.5
  later = pose_files.load(done.folder / "person_1/poses.npz")
  assert len(later.joints_3d) == small_video.FRAMES - 6
  assert bvh.read(done.folder / "person_0/poses.bvh").channels
  for text in (small_video.REPORT, "575 pixels were assumed (1.15 x the longer side)"):
    assert text in done.report
  said = (done.folder / "person_0/report.txt").read_text()
  assert "The poses: mean acceleration" in said
  assert "The path: mean acceleration" in said
  assert "poses.bvh: The skeleton with constant bones" in said
  assert set(done.speeds) == {"keypoints", "3D", *PLAIN}


def test_what_is_finished_is_not_done_again(scene, detector, tmp_path):
  done = run(scene, tmp_path)
  before = stamps(tmp_path)
  again = run(scene, tmp_path)
  assert len(detector.calls) == 1
  assert stamps(tmp_path) == before
  assert again.people == done.people
  assert "Person 0 is finished" in again.report
  lost = tmp_path / "person_1/poses.csv"
  lost.unlink()
  run(scene, tmp_path)
  after = stamps(tmp_path)
  assert lost in after
  kept = tmp_path / "person_1/poses.npz"
  assert after[kept] == before[kept]


def test_an_interruption_keeps_what_was_finished(
  scene, detector, tmp_path, monkeypatch
):
  write = outputs.write

  def stops(path, person, form, *rest):
    if form == "bvh":
      raise KeyboardInterrupt
    return write(path, person, form, *rest)

  monkeypatch.setattr(outputs, "write", stops)
  with pytest.raises(KeyboardInterrupt):
    run(scene, tmp_path)
  before = stamps(tmp_path)
  kept = [tmp_path / name for name in ("keypoints.npz", "person_0/poses.npz")]
  assert set(kept) <= set(before)
  monkeypatch.setattr(outputs, "write", write)
  run(scene, tmp_path)
  after = stamps(tmp_path)
  assert len(detector.calls) == 1
  assert [after[p] for p in kept] == [before[p] for p in kept]
  assert (tmp_path / "person_0/poses.bvh").exists()


def test_other_settings_need_overwrite_and_keep_the_keypoints(
  scene, detector, tmp_path
):
  run(scene, tmp_path, person=0)
  with pytest.raises(
    FileExistsError, match="the same video with smooth=savgol; choose"
  ):
    run(scene, tmp_path, person=0, smooth="none")
  before = (tmp_path / "person_0/poses.npz").read_bytes()
  run(scene, tmp_path, person=0, smooth="none", overwrite=True)
  assert len(detector.calls) == 1
  assert (tmp_path / "person_0/poses.npz").read_bytes() != before
  assert "not smoothed" in (tmp_path / "person_0/report.txt").read_text()


def test_results_of_another_video_are_not_replaced_unasked(scene, detector, tmp_path):
  out, other = tmp_path / "out", pictures(tmp_path / "run", 30, small_video.SIZE)
  run(scene, out)
  before = stamps(out)
  with pytest.raises(
    FileExistsError, match="holds the results of walk; choose another"
  ):
    predict.video(other, out, fps=50.0, formats=PLAIN, progress=False)
  assert stamps(out) == before
  detector.people = detector.people[:1]
  predict.video(other, out, fps=50.0, formats=["npz"], progress=False, overwrite=True)
  assert len(detector.calls) == 2
  left = {str(p.relative_to(out)) for p in stamps(out)}
  names = ("keypoints.npz", "prediction.json", "person_0/poses.npz")
  assert left == {*names, "person_0/report.txt"}


def test_one_person_is_chosen_and_more_may_follow(scene, detector, tmp_path):
  assert run(scene, tmp_path, person="1").people == ["1"]
  assert not (tmp_path / "person_0").exists()
  with pytest.raises(ValueError, match="got the person '7', expected one of 0, 1"):
    run(scene, tmp_path, person=7)
  assert run(scene, tmp_path).people == ["0", "1"]
  assert len(detector.calls) == 1


def test_somebody_who_cannot_be_lifted_is_left_out(scene, tmp_path, monkeypatch):
  half = small_video.track(scene.pixels, "1")
  half.confidence[:, 3] = 0  # a foot that is never seen
  small_video.put_in_place(monkeypatch, small_video.track(scene.pixels), half)
  done = run(scene, tmp_path, formats=["npz"])
  assert done.people == ["0"]
  assert "Person 1 was left out: got no usable keypoint of right_foot" in done.report
  with pytest.raises(ValueError, match="got no usable keypoint of right_foot in the"):
    run(scene, tmp_path, formats=["npz"], person=1)
  both = half, dataclasses.replace(half, name="2")
  small_video.put_in_place(monkeypatch, *both)
  with pytest.raises(ValueError, match="nobody can be put in 3D; got no usable"):
    run(scene, tmp_path / "new", formats=["npz"])


def test_keypoints_of_another_detector_take_the_place_of_ours(
  scene, tmp_path, monkeypatch
):
  monkeypatch.setattr(detect, "video", None)
  seen = np.r_[0:9, 13:20]  # gaps
  whole = small_video.track(scene.pixels, "a b/c")
  parts = [getattr(whole, k)[seen] for k in ("frames", "keypoints", "confidence")]
  gapped = keypoint_tracks.Track(whole.name, *parts, whole.skeleton)
  file = small_video.saved(tmp_path / "points.npz", gapped)
  done = run(scene, tmp_path / "out", keypoints=file, formats=["npz"])
  assert done.people == ["a b/c"]
  poses = pose_files.load(tmp_path / "out/person_a_b_c/poses.npz")
  assert len(poses.joints_3d) == 20
  assert np.isnan(poses.keypoints_2d[9:13]).all()
  assert "interpolated" in poses.report
  assert not (tmp_path / "out/keypoints.npz").exists()


def test_keypoints_that_are_not_of_the_video_are_refused(scene, tmp_path):
  late = small_video.track(scene.pixels, first=100)
  file = small_video.saved(tmp_path / "late.npz", late)
  with pytest.raises(ValueError, match="keypoints of frame 123, expected at most 24"):
    run(scene, tmp_path / "out", keypoints=file)
  with pytest.raises(FileNotFoundError, match="no such file; expected keypoints"):
    run(scene, tmp_path / "out", keypoints=tmp_path / "none.json")
  unknown = tmp_path / "unknown.npz"
  np.savez(unknown, keypoints=scene.pixels)
  with pytest.raises(ValueError, match="without names, expected those of a known ske"):
    run(scene, tmp_path / "out", keypoints=unknown, overwrite=True)


def test_the_focal_length_is_given_or_read_or_assumed(scene, detector, tmp_path):
  told = run(scene, tmp_path / "a", focal=600.0, formats=["npz"], person=0)
  assert "The focal length is 600 pixels, as given." in told.report
  camera = pose_files.load(tmp_path / "a/person_0/poses.npz").camera
  assert camera.intrinsics[0] == 600
  folder = pictures(tmp_path / "photos", small_video.FRAMES, small_video.SIZE, ".jpg")
  first = folder / "f_0.jpg"
  picture, exif = Image.open(first).copy(), Image.Exif()
  exif.get_ifd(0x8769)[0xA405] = 26
  picture.save(first, exif=exif)
  read = predict.video(
    folder, tmp_path / "b", fps=50.0, formats=["npz"], person=0, progress=False
  )
  assert "is 425 pixels: 26 mm on a 35 mm camera, says the file." in read.report


def test_without_world_files_are_in_the_cameras_frame(scene, detector, tmp_path):
  run(scene, tmp_path, world=False, person=0)
  poses = pose_files.load(tmp_path / "person_0/poses.npz")
  assert poses.joints_3d_world is None
  table = np.genfromtxt(tmp_path / "person_0/poses.csv", delimiter=",", skip_header=1)
  np.testing.assert_allclose(
    table[:, 2:].reshape(-1, 17, 3), 1000 * poses.joints_3d, atol=0.01
  )


@pytest.mark.parametrize("options", [{}, dict(flip=False)])
def test_poses_are_averaged_with_the_mirror_image_unless_told_not_to(
  scene, detector, tmp_path, options
):
  done = run(
    scene, tmp_path / "out", smooth="none", person="0", formats=["npz"], **options
  )
  found = pose_files.load(done.folder / "person_0/poses.npz").joints_3d
  track = detector.people[0]
  lifted = lifting.lift(
    track.keypoints,
    image_size=small_video.SIZE,
    weights=films.WEIGHTS,
    skeleton="h36m17",
    confidence=track.confidence,
    flip=options.get("flip", True),
  )
  np.testing.assert_allclose(found - found[:, :1], lifted.joints_3d, atol=1e-5)


def test_one_frame_is_enough(scene, tmp_path, monkeypatch):
  small_video.put_in_place(monkeypatch, small_video.track(scene.pixels[:1], first=3))
  run(scene, tmp_path)
  assert len(pose_files.load(tmp_path / "person_0/poses.npz").joints_3d) == 1


def test_a_video_gets_a_video_of_the_frames_with_the_person(
  scene, tmp_path, monkeypatch
):
  path = video(tmp_path / "walk.mp4", small_video.FRAMES, small_video.SIZE, 25)
  small_video.put_in_place(monkeypatch, small_video.track(scene.pixels[4:], first=4))
  done = predict.video(path, tmp_path / "out", formats=["mp4"], progress=False)
  made = video_files.open_source(done.folder / "person_0/video.mp4")
  assert (made.image_size, made.fps) == ((1280, 720), 25.0)
  assert made.count() == small_video.FRAMES - 4


def test_bodies_are_added_to_what_is_there(scene, tmp_path, monkeypatch):
  films = importlib.util.find_spec("av") is not None
  formats = ["npz", "mp4"] if films else ["npz"]
  small_video.put_in_place(monkeypatch, small_video.track(scene.pixels[:6]))
  weights = pretrained.save(tmp_path / "weights", small_glot.weights())
  out = tmp_path / "out"
  run(scene, out, formats=formats)
  before, poses = stamps(out), out / "person_0/poses.npz"
  report = (out / "person_0/report.txt").read_text()
  done = run(scene, out, formats=formats, mesh=weights)
  with np.load(out / "person_0/body.npz") as file:
    assert file["poses"].shape == (6, 72)
  assert (out / "person_0/body.bvh").exists()
  if films:
    film = video_files.open_source(out / "person_0/body.mp4")
    assert (film.image_size, film.fps, film.count()) == ((1280, 720), 50.0, 6)
  assert "body: " in done.report
  assert "3D" not in done.speeds  # poses are not made again
  assert (out / "person_0/report.txt").read_text().startswith(f"{report}body: ")
  after = stamps(out)
  assert after[poses] == before[poses]
  for options in (dict(mesh=weights), dict()):  # nothing is left to do, or removed
    run(scene, out, formats=formats, **options)
    assert stamps(out) == after
  report = (out / "person_0/report.txt").read_text().partition("\nbody: ")[2]
  run(scene, out, formats=[*formats, "csv"])
  assert (out / "person_0/report.txt").read_text().endswith(f"\nbody: {report}")
  (out / "person_0/body.bvh").unlink()
  run(scene, out, formats=formats, mesh=weights)
  assert (out / "person_0/body.bvh").exists()
  before = stamps(out)
  (out / "person_0/body.npz").unlink()
  run(scene, out, formats=formats, mesh=weights)
  for path in (out / "person_0").glob("body.*"):  # all are of the same body again
    assert path.stat().st_mtime_ns > before[path], path


def test_a_glb_is_made_from_the_stored_body_once_its_package_is_there(
  scene, tmp_path, monkeypatch
):
  pytest.importorskip("pygltflib", reason="needs jaxpose[mesh]")
  small_video.put_in_place(monkeypatch, small_video.track(scene.pixels[:6]))
  weights = pretrained.save(tmp_path / "weights", small_glot.weights())
  out = tmp_path / "out"
  with monkeypatch.context() as lacking:
    lacking.setattr(outputs, "body_files", lambda: ["body.npz", "body.bvh"])
    done = run(scene, out, formats=["npz"], mesh=weights)
  assert "No body.glb: for that run pip install 'jaxpose[mesh]'." in done.report
  before = stamps(out / "person_0")
  done = run(scene, out, formats=["npz"], mesh=weights)
  assert "No body.glb" not in done.report
  assert "body" not in done.speeds  # the network does not run again
  after = stamps(out / "person_0")
  report = out / "person_0/report.txt"
  assert after.keys() - before.keys() == {out / "person_0/body.glb"}
  assert all(after[path] == before[path] for path in before.keys() - {report})


def test_a_film_that_is_missing_is_made_from_the_stored_body(
  scene, tmp_path, monkeypatch
):
  pytest.importorskip("av", reason="needs jaxpose[video]")
  small_video.put_in_place(monkeypatch, small_video.track(scene.pixels[:3]))
  weights = pretrained.save(tmp_path / "weights", small_glot.weights())
  options = dict(formats=["mp4"], mesh=weights)
  out = tmp_path / "out"
  run(scene, out, **options)
  stored = (out / "person_0/body.npz").stat().st_mtime_ns
  report = (out / "person_0/report.txt").read_text()
  (out / "person_0/body.mp4").unlink()
  done = run(scene, out, **options)
  assert "body.mp4" in done.speeds
  assert "body" not in done.speeds
  assert (out / "person_0/body.mp4").exists()
  assert (out / "person_0/body.npz").stat().st_mtime_ns == stored
  assert (out / "person_0/report.txt").read_text() == report


def test_what_cannot_be_written_is_not_tried_again(
  scene, detector, tmp_path, monkeypatch
):
  write = outputs.write

  def too_long(path, person, form, *rest):
    return (
      f"No {path.name}: too long."
      if form == "csv"
      else write(path, person, form, *rest)
    )

  monkeypatch.setattr(outputs, "write", too_long)
  done = run(scene, tmp_path, person="0", formats=["bvh", "csv"])
  assert "No poses.csv: too long." in done.report
  report = tmp_path / "person_0/report.txt"
  said = report.read_text()
  done = run(scene, tmp_path, person="0", formats=["bvh", "csv"])
  assert "Person 0 is finished" in done.report
  assert "3D" not in done.speeds
  run(scene, tmp_path, person="0", formats=["bvh", "csv", "npz"])
  assert sorted(report.read_text().splitlines()) == sorted(said.splitlines())


def test_bodies_of_other_weights_need_overwrite_and_leave_the_poses(
  scene, tmp_path, monkeypatch
):
  small_video.put_in_place(monkeypatch, small_video.track(scene.pixels[:3]))
  one, other = (
    pretrained.save(tmp_path / name, small_glot.weights()) for name in ("a", "b")
  )
  out = tmp_path / "out"
  run(scene, out, formats=["npz"], mesh=one)
  with pytest.raises(FileExistsError, match=r"holds bodies of the weights .*a.weights"):
    run(scene, out, formats=["npz"], mesh=other)
  before = stamps(out)
  run(scene, out, formats=["npz"], mesh=other, overwrite=True)
  after = stamps(out)
  assert after[out / "person_0/poses.npz"] == before[out / "person_0/poses.npz"]
  for path in (out / "person_0").glob("body.*"):
    assert after[path] > before[path], path


def test_a_folder_that_lost_its_list_is_of_something_else(scene, detector, tmp_path):
  run(scene, tmp_path)
  (tmp_path / "prediction.json").unlink()
  with pytest.raises(
    FileExistsError, match=r"something else \(keypoints.npz, person_0"
  ):
    run(scene, tmp_path)


def test_what_was_asked_is_taken_down(scene, detector, tmp_path):
  run(scene, tmp_path, person=0, people=1)
  found = json.loads((tmp_path / "prediction.json").read_text())
  assert found["source"]["name"] == "walk"
  assert found["detection"] == dict(keypoints=None, people=1)
  assert found["settings"]["weights"] == "lift-27"
  assert detector.calls[0]["people"] == 1


@pytest.mark.parametrize(
  ("options", "sentence"),
  [
    (dict(smooth="much"), "got the smoothing 'much', expected one_euro, one_euro_str"),
    (dict(focal=0), "got focal=0, expected pixels, above 0"),
    (dict(fps=-1.0), "got fps=-1.0, expected frames per second"),
    (dict(formats=["c3d"]), "got the format 'c3d', expected npz, csv, bvh, mp4, html"),
    (dict(weights=small_glot.weights()), "got weights of the model 'glot', expected"),
  ],
)
def test_wrong_options_are_refused_before_anything_is_done(
  scene, detector, tmp_path, options, sentence
):
  with pytest.raises(ValueError, match=sentence):
    run(scene, tmp_path / "out", **options)
  assert not (tmp_path / "out").exists()


class Nobody:
  """A detector that finds nobody."""

  def __init__(self, rate, **options):
    pass

  def update(self, frame):
    return []

  def state(self):
    return {}


def test_bad_input_is_told_in_a_sentence(scene, tmp_path, monkeypatch):
  def of(path, **options):
    return predict.video(path, tmp_path / "out", progress=False, **options)

  with pytest.raises(
    FileNotFoundError, match=r"walk\.mp4: no such file; expected a vi"
  ):
    of(tmp_path / "walk.mp4")
  with pytest.raises(ValueError, match=r"f_0\.png is a picture, expected a video or"):
    of(scene.folder / "f_0.png")
  with pytest.raises(ValueError, match="say the frames per second with --fps"):
    of(scene.folder)
  (tmp_path / "empty").mkdir()
  with pytest.raises(
    ValueError, match="got a folder without pictures, expected frames"
  ):
    of(tmp_path / "empty")
  assert not (tmp_path / "out").exists()
  nobody = detect._Detector("blazepose33", Nobody)
  monkeypatch.setitem(detect.DETECTORS, "blazepose", nobody)
  with pytest.raises(
    ValueError, match="got 24 frames without a person, expected at le"
  ):
    of(scene.folder, fps=50.0)


def test_a_turned_video_is_upright_in_what_comes_out(scene, tmp_path, monkeypatch):
  path = video(tmp_path / "walk.mp4", small_video.FRAMES, (500, 640), 25)
  path = turned(tmp_path / "turned.mp4", path, 0, 1, -1, 0)
  small_video.put_in_place(monkeypatch, small_video.track(scene.pixels))
  predict.video(path, tmp_path / "out", formats=["npz"], progress=False)
  camera = pose_files.load(tmp_path / "out/person_0/poses.npz").camera
  assert camera.image_size == (640, 500)


def test_a_rate_that_varies_is_evened_but_for_keypoints_of_others(
  scene, tmp_path, monkeypatch
):
  path = uneven(tmp_path / "walk.mp4", small_video.SIZE)
  detector = small_video.put_in_place(monkeypatch, small_video.track(scene.pixels[:12]))
  predict.video(path, tmp_path / "out", formats=["npz"], progress=False)
  assert detector.calls[0]["even"] is True
  poses = pose_files.load(tmp_path / "out/person_0/poses.npz")
  assert (len(poses.joints_3d), poses.fps) == (12, pytest.approx(10, abs=0.01))
  file = small_video.saved(tmp_path / "k.npz", small_video.track(scene.pixels[:8]))
  options = dict(formats=["npz"], progress=False, keypoints=file)
  told = predict.video(path, tmp_path / "of_others", **options).report
  poses = pose_files.load(tmp_path / "of_others/person_0/poses.npz")
  assert len(poses.joints_3d) == 8
  assert "frame rate of walk.mp4 varies, but keypoints of another" in told


def test_a_full_disk_keeps_what_was_finished_and_the_same_call_goes_on(
  scene, detector, tmp_path, monkeypatch
):
  save = pose_files.save_csv

  def full(path, *_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

  monkeypatch.setattr(pose_files, "save_csv", full)
  with pytest.raises(OSError, match="No space left on device"):
    run(scene, tmp_path, person=0)
  before = stamps(tmp_path)
  kept = [tmp_path / name for name in ("keypoints.npz", "person_0/poses.npz")]
  assert set(kept) <= set(before)
  monkeypatch.setattr(pose_files, "save_csv", save)
  run(scene, tmp_path, person=0)
  after = stamps(tmp_path)
  assert [after[p] for p in kept] == [before[p] for p in kept]
  assert (tmp_path / "person_0/poses.csv").exists()


def test_memory_of_a_long_video_is_bounded(scene, tmp_path, monkeypatch):
  """Of an hour, 108,000 frames, less than a GB; the network's share does not grow."""
  pixels, truth = (
    np.tile(np.concatenate([part, part[::-1]]), (10, 1, 1))
    for part in (scene.pixels, np.float32(scene.truth))
  )
  monkeypatch.setattr(
    lifting, "network_poses", lambda _, points, *__: truth[: len(points)]
  )
  most = {}
  for count in (50, 150, 450):  # the first for what is read once
    small_video.put_in_place(monkeypatch, small_video.track(pixels[:count]))
    tracemalloc.start()
    run(scene, tmp_path / str(count))
    most[count] = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
  assert (most[450] - most[150]) / 300 < 8000  # bytes a frame


def test_a_file_that_is_no_video_is_refused(tmp_path):
  pytest.importorskip("av", reason="needs jaxpose[video]")
  (tmp_path / "notes.mp4").write_text("no video at all")
  with pytest.raises(ValueError, match="not a video that ffmpeg can read"):
    predict.video(tmp_path / "notes.mp4", tmp_path / "out", progress=False)
