import errno
import inspect
import os
import subprocess
import sys

import pytest

from jaxpose.predict import camera_rig
from jaxpose.predict import command as predict_command
from jaxpose.predict import films
from jaxpose.predict import live as predict_live
from jaxpose.weights import pretrained
from tests import small_video
from tests.conftest import ROOT
from tests.frames_test import pictures


@pytest.fixture
def calls(monkeypatch):
  """Puts something harmless in the place of the work."""
  made = []

  def video(path, out, **options):
    made.append((path, out, options))
    return films.Outcome(out, ["0", "1"], "", {"3D": 812.34})

  monkeypatch.setattr(films, "video", video)
  return made


def failing(monkeypatch, error):
  def video(*args, **options):
    raise error

  monkeypatch.setattr(films, "video", video)


def test_every_option_reaches_the_function(calls, capsys):
  words = ["walk.mp4", "--out=o", "--person=1", "--keypoints=k.json", "--weights=w"]
  words += ["--smooth=none", "--no-world", "--focal=900", "--mesh=m", "--no-flip"]
  words += ["--formats=npz, bvh", "--fps=25", "--people=2", "--detector_weights=d"]
  predict_command.main([*words, "--threads=3", "--overwrite"])
  ((path, out, options),) = calls
  assert (path, out) == ("walk.mp4", "o")
  assert options == dict(
    person="1",
    keypoints="k.json",
    weights="w",
    smooth="none",
    world=False,
    focal=900.0,
    mesh="m",
    formats=["npz", "bvh"],
    fps=25.0,
    flip=False,
    people=2,
    detector_weights="d",
    threads=3,
    overwrite=True,
  )
  assert capsys.readouterr().out == "frames/s: 3D 812.3\no: 2 people in 3D\n"


LIVE = {"live", "port", "seconds"}
KNOWN_LIVE = inspect.signature(predict_live.live).parameters


def test_defaults_are_those_of_the_function():
  options = vars(predict_command._parser().parse_args(["walk.mp4", "--out=o"]))
  known = inspect.signature(films.video).parameters
  assert set(options) - LIVE | {"path", "progress"} == {*known, "video"}
  for name in set(options) & set(known) - {"out"}:
    assert options[name] == known[name].default, name


@pytest.fixture
def lives(monkeypatch):
  """Puts something harmless in the place of a live view."""
  made = []

  def live(source, out, **options):
    made.append((source, out, options))
    return films.Outcome(out, ["0"], "", {"live": 24.96})

  monkeypatch.setattr(predict_live, "live", live)
  return made


def test_live_takes_the_place_of_a_video(lives, capsys):
  words = ["--live=0", "--out=o", "--port=0", "--seconds=9", "--smooth=none"]
  predict_command.main([*words, "--people=1", "--formats=npz"])
  ((source, out, options),) = lives
  assert (source, out) == ("0", "o")
  known = KNOWN_LIVE
  assert set(options) | {"source", "out", "progress"} == set(known)
  chosen = dict(port=0, seconds=9.0, smooth="none", people=1, formats=["npz"])
  assert {name: options[name] for name in chosen} == chosen
  assert capsys.readouterr().out == "frames/s: live 25.0\no: 1 person in 3D\n"
  predict_command.main(["--live", "--out=o"])
  assert lives[1][0] == ""
  for name in set(lives[1][2]) - {"seconds"}:
    assert lives[1][2][name] == known[name].default, name


@pytest.mark.parametrize(
  ("words", "sentence"),
  [
    ([], "got no video, expected a video file or folder, or --live=0 for the first"),
    (["a.mp4", "--live=0"], "got both a video and --live, expected a video file or"),
    (["--live=0", "--keypoints=k"], "got --keypoints with --live, expected it with a"),
    (["--live=0", "--mesh=m"], "got --mesh with --live, expected it with a video"),
    (["a.mp4", "--seconds=3"], "got --seconds without --live, expected both or none"),
  ],
)
def test_what_goes_with_live_is_told(calls, lives, words, sentence):
  with pytest.raises(SystemExit, match=f"error: {sentence}"):
    predict_command.main([*words, "--out=o"])
  assert not calls + lives


def test_an_interrupted_live_view_is_told_how_to_go_on(monkeypatch, capsys):
  def live(*_, **__):
    raise KeyboardInterrupt

  monkeypatch.setattr(predict_live, "live", live)
  with pytest.raises(SystemExit):
    predict_command.main(["--live=0", "--out=o"])
  assert "what was recorded is kept, --live alone writes its" in capsys.readouterr().err


def test_a_mesh_has_released_weights(calls):
  predict_command.main(["walk.mp4", "--out=o", "--mesh"])
  ((_, _, options),) = calls
  assert options["mesh"] in pretrained.released()


@pytest.mark.parametrize(
  "error", [ValueError("got a"), FileExistsError("got a"), ImportError("got a")]
)
def test_a_mistake_is_one_sentence(monkeypatch, error):
  failing(monkeypatch, error)
  with pytest.raises(SystemExit, match=r"^error: got a$"):
    predict_command.main(["walk.mp4", "--out=o"])


def test_a_full_disk_is_one_sentence(monkeypatch):
  failing(monkeypatch, OSError(errno.ENOSPC, "No space left", "o/poses.csv"))
  with pytest.raises(
    SystemExit, match=r"^error: the disk is full \(o/poses.csv\). What is finished"
  ):
    predict_command.main(["walk.mp4", "--out=o"])


def test_a_full_disk_is_told_of_a_live_view_and_of_several_views_too(monkeypatch):
  def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left")

  monkeypatch.setattr(predict_live, "live", full)
  with pytest.raises(SystemExit, match=r"full \(o\). .* and --live alone writes"):
    predict_command.main(["--live=0", "--out=o"])
  monkeypatch.setattr(camera_rig, "views", full)
  with pytest.raises(SystemExit, match=r"full \(o\). .* and the same command goes on"):
    predict_command.main(["--views", "a", "b", "--calib=c", "--out=o"])


def test_an_interruption_says_that_the_same_command_goes_on(monkeypatch, capsys):
  failing(monkeypatch, KeyboardInterrupt())
  with pytest.raises(SystemExit) as stopped:
    predict_command.main(["walk.mp4", "--out=o"])
  assert stopped.value.code == 130
  assert "the same command goes on from there" in capsys.readouterr().err


def test_the_module_is_the_command(tmp_path):
  """One real run in a process of its own, from keypoints."""
  folder = pictures(tmp_path / "walk", 3, (64, 48))
  command = [sys.executable, "-m", "jaxpose.predict", str(folder)]
  done = subprocess.run(
    [*command, f"--out={tmp_path / 'out'}", "--fps=25", "--keypoints=none.npz"],
    env=dict(os.environ, PYTHONPATH=os.pathsep.join([str(ROOT), *sys.path])),
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 1
  assert done.stderr.endswith("error: none.npz: no such file; expected keypoints.\n")


def test_what_is_said_is_printed_as_it_comes(
  tiny_data_dir, tmp_path, monkeypatch, capsys
):
  scene = small_video.scene(tiny_data_dir, tmp_path / "walk")
  small_video.put_in_place(monkeypatch, small_video.track(scene.pixels))
  out = tmp_path / "out"
  predict_command.main([str(scene.folder), f"--out={out}", "--fps=50", "--formats=npz"])
  said = capsys.readouterr().out
  assert small_video.REPORT in said
  assert "frames/s: keypoints 30.0, 3D " in said
  assert said.endswith(f"{out}: 1 person in 3D\n")
