"""The command for several views."""

import inspect
import pathlib

import pytest

from jaxpose.predict import camera_rig
from jaxpose.predict import command
from jaxpose.predict.films import Outcome


@pytest.fixture
def calls(monkeypatch):
  made = []

  def views(paths, calibration, out, **options):
    made.append((paths, calibration, out, options))
    return Outcome(pathlib.Path(out), ["0"], "", {"3D": 344.4})

  monkeypatch.setattr(camera_rig, "views", views)
  return made


WORDS = ["--views", "a.mp4", "b.mp4", "--calib=c.toml", "--out=o"]


def test_every_option_reaches_the_function(calls, capsys):
  more = ["--method=lifter", "--weights=w", "--unit=mm", "--up=y", "--person=1"]
  more += ["--people=2", "--keypoints", "a.npz", "b.npz", "--smooth=none"]
  more += ["--formats=npz, bvh", "--fps=25", "--shortest", "--detector_weights=d"]
  command.main([*WORDS, *more, "--threads=3", "--overwrite"])
  ((paths, calibration, out, options),) = calls
  assert (paths, calibration, out) == (["a.mp4", "b.mp4"], "c.toml", "o")
  assert options == dict(
    method="lifter",
    weights="w",
    unit="mm",
    up="y",
    person="1",
    people=2,
    keypoints=["a.npz", "b.npz"],
    smooth="none",
    formats=["npz", "bvh"],
    fps=25.0,
    shortest=True,
    detector_weights="d",
    threads=3,
    overwrite=True,
  )
  assert capsys.readouterr().out == "frames/s: 3D 344.4\no: 1 person in 3D\n"


def test_defaults_are_those_of_the_function():
  options = vars(command.rig_parser().parse_args(WORDS))
  known = inspect.signature(camera_rig.views).parameters
  renamed = {"views": "paths", "calib": "calibration"}
  assert {renamed.get(k, k) for k in options} | {"progress"} == {*known}
  for name in set(options) & set(known) - {"out"}:
    assert options[name] == known[name].default, name


def test_a_mistake_is_one_sentence(monkeypatch):
  def fails(*args, **options):
    raise ValueError("got one video.")

  monkeypatch.setattr(camera_rig, "views", fails)
  with pytest.raises(SystemExit, match=r"^error: got one video\.$"):
    command.main(WORDS)


def test_ctrl_c_says_what_is_kept(monkeypatch, capsys):
  def stops(*args, **options):
    raise KeyboardInterrupt

  monkeypatch.setattr(camera_rig, "views", stops)
  with pytest.raises(SystemExit) as stopped:
    command.main(WORDS)
  assert stopped.value.code == 130
  assert "the same command goes on from there" in capsys.readouterr().err


def test_the_options_of_several_views_can_be_read(capsys):
  for words in (["--views", "--help"], ["--help", "--views", "a.mp4"]):
    with pytest.raises(SystemExit) as stopped:
      command.main(words)
    assert stopped.value.code == 0
    assert "--calib" in capsys.readouterr().out


def test_the_help_of_one_video_tells_of_several(capsys):
  with pytest.raises(SystemExit):
    command.main(["--help"])
  assert "--views A.mp4 B.mp4 --calib FILE" in capsys.readouterr().out
