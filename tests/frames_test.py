"""Frames of videos and of folders of pictures."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from jaxpose.files import frames

SIZE = (64, 48)


def pictures(folder, count, size=SIZE, suffix=".png"):
  """Frames of one colour each, named without leading zeros."""
  folder.mkdir(parents=True, exist_ok=True)
  for i in range(count):
    Image.new("RGB", size, (10 * i, 100, 200 - 10 * i)).save(folder / f"f_{i}{suffix}")
  return folder


def video(path, count=12, size=SIZE, fps=10, options=()):
  """An H.264 video of frames of one grey each; skips where ffmpeg is absent."""
  ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="needs jaxpose[video]")
  grey = [np.full((size[1], size[0], 3), 20 * (i % 12), np.uint8) for i in range(count)]
  command = [ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "rawvideo"]
  command += ["-pix_fmt", "rgb24", "-s", f"{size[0]}x{size[1]}", "-r", str(fps)]
  command += ["-i", "-", "-c:v", "libx264", "-pix_fmt", "yuv420p", *options, str(path)]
  subprocess.run(command, input=np.stack(grey).tobytes(), check=True)
  return path


def test_folder_gives_its_pictures_in_the_order_of_their_numbers(tmp_path):
  source = frames.open_source(pictures(tmp_path, 12), fps=25.0)
  assert (source.fps, source.image_size, source.count()) == (25.0, SIZE, 12)
  found = list(source.read())
  assert [i for i, _ in found] == list(range(12))
  assert [int(frame[0, 0, 0]) for _, frame in found] == [10 * i for i in range(12)]
  assert found[0][1].shape == (48, 64, 3)
  assert found[0][1].dtype == np.uint8


def test_other_files_of_a_folder_are_left_alone(tmp_path):
  (pictures(tmp_path, 2) / "notes.txt").write_text("no picture")
  assert frames.open_source(tmp_path, fps=25.0).count() == 2


def test_video_gives_its_frames(tmp_path):
  source = frames.open_source(video(tmp_path / "walk.mp4"))
  assert (source.fps, tuple(source.image_size)) == (10, SIZE)
  assert source.count() == source.count(exact=True) == 12
  found = list(source.read())
  assert [i for i, _ in found] == list(range(12))
  means = [frame.mean() for _, frame in found]
  np.testing.assert_allclose(means, 20 * np.arange(12), atol=4)


@pytest.mark.parametrize("kind", ["folder", "video"])
def test_only_wanted_frames_are_given(tmp_path, kind):
  if kind == "folder":
    source = frames.open_source(pictures(tmp_path, 12), fps=25.0)
  else:
    source = frames.open_source(video(tmp_path / "walk.mp4"))
  wanted = np.isin(np.arange(12), [0, 3, 7])
  everything = dict(source.read())
  some = dict(source.read(wanted))
  assert sorted(some) == [0, 3, 7]
  for i, frame in some.items():
    np.testing.assert_array_equal(frame, everything[i])


def test_given_rate_overrides_that_of_the_file(tmp_path):
  assert frames.open_source(video(tmp_path / "walk.mp4"), fps=50.0).fps == 50


def test_folder_without_a_rate_is_refused(tmp_path):
  with pytest.raises(ValueError, match="whose frame rate is not in the files; say"):
    frames.open_source(pictures(tmp_path, 1))


def test_folder_without_pictures_is_refused(tmp_path):
  with pytest.raises(ValueError, match="got a folder without pictures, expected"):
    frames.open_source(tmp_path, fps=25.0)


def test_picture_of_another_size_is_refused(tmp_path):
  pictures(tmp_path, 2)
  Image.new("RGB", (10, 20)).save(tmp_path / "f_2.png")
  source = frames.open_source(tmp_path, fps=25.0)
  with pytest.raises(ValueError, match=r"f_2.png: got a picture of 10 x 20 pixels, ex"):
    list(source.read())


def test_damaged_picture_is_refused(tmp_path):
  pictures(tmp_path, 2)
  (tmp_path / "f_1.png").write_bytes((tmp_path / "f_1.png").read_bytes()[:40])
  with pytest.raises(ValueError, match=r"f_1.png: not a picture that can be read"):
    list(frames.open_source(tmp_path, fps=25.0).read())


def test_nothing_at_a_path_is_told(tmp_path):
  with pytest.raises(FileNotFoundError, match="no such file; expected a video or a"):
    frames.open_source(tmp_path / "walk.mp4")


def test_picture_instead_of_a_video_is_refused(tmp_path):
  picture = pictures(tmp_path, 1) / "f_0.png"
  with pytest.raises(ValueError, match="is a picture, expected a video or a folder"):
    frames.open_source(picture)


def test_missing_decoder_is_told_with_the_pip_line(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
  (tmp_path / "walk.mp4").write_bytes(b"x")
  with pytest.raises(ImportError, match=r"pip install 'jaxpose\[video\]', or give a"):
    frames.open_source(tmp_path / "walk.mp4")


def test_file_that_is_no_video_is_refused(tmp_path):
  pytest.importorskip("imageio_ffmpeg", reason="needs jaxpose[video]")
  (tmp_path / "walk.mp4").write_bytes(b"not a video" * 50)
  with pytest.raises(ValueError, match=r"walk.mp4: not a video that ffmpeg can read"):
    frames.open_source(tmp_path / "walk.mp4")


def test_video_of_an_unknown_codec_is_refused(tmp_path):
  path = video(tmp_path / "walk.mp4")
  path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
  with pytest.raises(
    ValueError, match=r"walk.mp4: not a video that ffmpeg can read \("
  ):
    frames.open_source(path)


def test_video_without_a_frame_rate_is_refused_unless_it_is_given(
  tmp_path, monkeypatch
):
  path = video(tmp_path / "walk.mp4")
  run = frames.Video._run

  def silent(self, *options):
    done = run(self, *options)
    done.stderr = done.stderr.replace(b" fps", b"")
    return done

  monkeypatch.setattr(frames.Video, "_run", silent)
  with pytest.raises(ValueError, match="does not say its frame rate; give it with --"):
    frames.open_source(path)
  assert frames.open_source(path, fps=30.0).fps == 30


def uneven(path, size=SIZE):
  """Twelve frames, ten a second, without the fifth to the eighth."""
  select = "select='not(between(n,4,7))'"
  return video(path, size=size, options=("-vf", select, "-fps_mode", "vfr"))


def test_a_rate_that_varies_is_made_constant_on_request(tmp_path):
  path = uneven(tmp_path / "walk.mp4")
  plain = frames.open_source(path)
  assert plain.evened == ""
  assert plain.count() == len(list(plain.read())) == 8
  source = frames.open_source(path, even=True)
  assert source.fps == pytest.approx(10, abs=0.01)
  assert "walk.mp4 varies (" in source.evened
  assert "so that there are 10 a second" in source.evened
  means = [frame.mean() for _, frame in source.read()]
  assert source.count() == source.count(exact=True) == len(means) == 12
  shown = 20 * np.asarray([0, 1, 2, 3, 3, 3, 3, 3, 8, 9, 10, 11])
  np.testing.assert_allclose(means[:6] + means[8:], [*shown[:6], *shown[8:]], atol=4)
  given = frames.open_source(path, 25.0, even=True)
  assert (given.fps, given.evened, given.count()) == (25, "", 8)


@pytest.mark.parametrize("options", [(), ("-r", "30000/1001"), ("-bf", "3")])
def test_a_constant_rate_is_left_alone(tmp_path, options):
  path = video(tmp_path / "walk.mp4", count=200, fps=30, options=options)
  source = frames.open_source(path, even=True)
  assert source.evened == ""
  assert source.count() == frames.open_source(path).count()


def test_cut_video_gives_the_frames_before_the_cut(tmp_path):
  path = video(tmp_path / "walk.ts", count=60, options=("-g", "5"))
  path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
  source = frames.open_source(path)
  numbers = [i for i, _ in source.read()]
  assert numbers == list(range(len(numbers)))
  assert 0 < len(numbers) < 60


def test_turned_video_is_read_upright(tmp_path):
  path = video(tmp_path / "walk.mp4")
  turned = tmp_path / "turned.mp4"
  import imageio_ffmpeg

  command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-display_rotation", "90"]
  command += ["-i", str(path), "-c", "copy", str(turned)]
  subprocess.run(command, check=True)
  source = frames.open_source(turned)
  assert source.image_size == SIZE[::-1]
  assert next(source.read())[1].shape == (*SIZE, 3)


def test_stopping_early_leaves_no_decoder_behind(tmp_path, monkeypatch):
  started = []
  popen = subprocess.Popen

  def remember(*args, **kwargs):
    started.append(popen(*args, **kwargs))
    return started[-1]

  source = frames.open_source(video(tmp_path / "walk.mp4", count=60))
  monkeypatch.setattr(frames.subprocess, "Popen", remember)
  reading = source.read()
  next(reading)
  reading.close()
  assert [process.poll() is not None for process in started] == [True]


def test_sound_that_begins_before_the_pictures_costs_no_frame(tmp_path):
  silent, path = uneven(tmp_path / "silent.mp4"), tmp_path / "walk.mp4"
  command = [frames.ffmpeg(), "-v", "error", "-f", "lavfi", "-i", "sine=d=2"]
  command += ["-itsoffset", "0.5", "-i", str(silent), "-c:v", "copy"]
  subprocess.run([*command, str(path)], check=True)
  want, found = (
    [frame.mean() for _, frame in frames.open_source(p, even=True).read()]
    for p in (silent, path)
  )
  assert found == want
