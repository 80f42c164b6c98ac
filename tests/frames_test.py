"""Frames of videos and of folders of pictures."""

import gc
import struct
import sys
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from jaxpose.files import video_files

SIZE = (64, 48)


def pictures(folder, count, size=SIZE, suffix=".png"):
  """Frames of one colour each, named without leading zeros."""
  folder.mkdir(parents=True, exist_ok=True)
  for i in range(count):
    Image.new("RGB", size, (10 * i, 100, 200 - 10 * i)).save(folder / f"f_{i}{suffix}")
  return folder


def video(
  path, count=12, size=SIZE, fps=10, *, shown=None, options=None, metadata=None
):
  """An H.264 video of frames of one grey each; skips where PyAV is absent.

  `shown` are the numbers of its frames, each shown at its number / fps.
  """
  av = pytest.importorskip("av", reason="needs jaxpose[video]")
  tags = dict(movflags="use_metadata_tags") if metadata else {}
  with av.open(str(path), "w", options=tags) as container:
    container.metadata.update(metadata or {})
    stream = container.add_stream("libx264", fps, options=options or {})
    stream.width, stream.height = size
    stream.pix_fmt = "yuv420p"
    for i in range(count) if shown is None else shown:
      grey = np.full((size[1], size[0], 3), 20 * (i % 12), np.uint8)
      frame = av.VideoFrame.from_ndarray(grey)
      frame.pts, frame.time_base = i, 1 / Fraction(fps)
      container.mux(stream.encode(frame))
    container.mux(stream.encode())
  return path


def turned(path, source, *matrix):
  """A copy of an mp4 with another matrix for the display: (x, y) to (ax+cy, bx+dy)."""
  pack = struct.Struct(">9i").pack
  old, new = (
    pack(a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    for a, b, c, d in ((1, 0, 0, 1), matrix)
  )
  stored = source.read_bytes()
  at = stored.index(old, stored.index(b"tkhd"))
  path.write_bytes(stored[:at] + new + stored[at + len(old) :])
  return path


def test_folder_gives_its_pictures_in_the_order_of_their_numbers(tmp_path):
  source = video_files.open_source(pictures(tmp_path, 12), fps=25.0)
  assert (source.fps, source.image_size, source.count()) == (25.0, SIZE, 12)
  found = list(source.read())
  assert [i for i, _ in found] == list(range(12))
  assert [int(frame[0, 0, 0]) for _, frame in found] == [10 * i for i in range(12)]
  assert found[0][1].shape == (48, 64, 3)
  assert found[0][1].dtype == np.uint8


def test_other_files_of_a_folder_are_left_alone(tmp_path):
  (pictures(tmp_path, 2) / "notes.txt").write_text("no picture")
  assert video_files.open_source(tmp_path, fps=25.0).count() == 2


def test_video_gives_its_frames(tmp_path):
  source = video_files.open_source(video(tmp_path / "walk.mp4"))
  assert (source.fps, tuple(source.image_size)) == (10, SIZE)
  assert source.count() == source.count(exact=True) == 12
  found = list(source.read())
  assert [i for i, _ in found] == list(range(12))
  means = [frame.mean() for _, frame in found]
  np.testing.assert_allclose(means, 20 * np.arange(12), atol=4)


@pytest.mark.parametrize("kind", ["folder", "video"])
def test_only_wanted_frames_are_given(tmp_path, kind):
  if kind == "folder":
    source = video_files.open_source(pictures(tmp_path, 12), fps=25.0)
  else:
    source = video_files.open_source(video(tmp_path / "walk.mp4"))
  wanted = np.isin(np.arange(12), [0, 3, 7])
  everything = dict(source.read())
  some = dict(source.read(wanted))
  assert sorted(some) == [0, 3, 7]
  for i, frame in some.items():
    np.testing.assert_array_equal(frame, everything[i])


def test_given_rate_overrides_that_of_the_file(tmp_path):
  assert video_files.open_source(video(tmp_path / "walk.mp4"), fps=50.0).fps == 50


def test_folder_without_a_rate_is_refused(tmp_path):
  with pytest.raises(ValueError, match="whose frame rate is not in the files; say"):
    video_files.open_source(pictures(tmp_path, 1))


def test_folder_without_pictures_is_refused(tmp_path):
  with pytest.raises(ValueError, match="got a folder without pictures, expected"):
    video_files.open_source(tmp_path, fps=25.0)


def test_picture_of_another_size_is_refused(tmp_path):
  pictures(tmp_path, 2)
  Image.new("RGB", (10, 20)).save(tmp_path / "f_2.png")
  source = video_files.open_source(tmp_path, fps=25.0)
  with pytest.raises(ValueError, match=r"f_2.png: got a picture of 10 x 20 pixels, ex"):
    list(source.read())


def test_damaged_picture_is_refused(tmp_path):
  pictures(tmp_path, 2)
  (tmp_path / "f_1.png").write_bytes((tmp_path / "f_1.png").read_bytes()[:40])
  with pytest.raises(ValueError, match=r"f_1.png: not a picture that can be read"):
    list(video_files.open_source(tmp_path, fps=25.0).read())


def test_nothing_at_a_path_is_told(tmp_path):
  with pytest.raises(FileNotFoundError, match="no such file; expected a video or a"):
    video_files.open_source(tmp_path / "walk.mp4")


def test_picture_instead_of_a_video_is_refused(tmp_path):
  picture = pictures(tmp_path, 1) / "f_0.png"
  with pytest.raises(ValueError, match="is a picture, expected a video or a folder"):
    video_files.open_source(picture)


def test_missing_decoder_is_told_with_the_pip_line(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "av", None)
  (tmp_path / "walk.mp4").write_bytes(b"x")
  with pytest.raises(ImportError, match=r"pip install 'jaxpose\[video\]', or give a"):
    video_files.open_source(tmp_path / "walk.mp4")


def test_file_that_is_no_video_is_refused(tmp_path):
  pytest.importorskip("av", reason="needs jaxpose[video]")
  (tmp_path / "walk.mp4").write_bytes(b"not a video" * 50)
  with pytest.raises(ValueError, match=r"walk.mp4: not a video that ffmpeg can read"):
    video_files.open_source(tmp_path / "walk.mp4")


def test_video_of_an_unknown_codec_is_refused(tmp_path):
  path = video(tmp_path / "walk.mp4")
  path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
  with pytest.raises(
    ValueError, match=r"walk.mp4: not a video that ffmpeg can read \("
  ):
    video_files.open_source(path)


def test_video_without_a_frame_rate_is_refused_unless_it_is_given(tmp_path):
  path = video(tmp_path / "walk.ts", count=1)
  with pytest.raises(ValueError, match="does not say its frame rate; give it with --"):
    video_files.open_source(path)
  assert video_files.open_source(path, fps=30.0).fps == 30


def uneven(path, size=SIZE):
  """Twelve frames, ten a second, without the fifth to the eighth."""
  return video(path, size=size, shown=[0, 1, 2, 3, 8, 9, 10, 11])


def test_a_rate_that_varies_is_made_constant_on_request(tmp_path):
  path = uneven(tmp_path / "walk.mp4")
  plain = video_files.open_source(path)
  assert plain.evened == ""
  assert plain.count() == len(list(plain.read())) == 8
  source = video_files.open_source(path, even=True)
  assert source.fps == pytest.approx(10, abs=0.01)
  assert "walk.mp4 varies (" in source.evened
  assert "so that there are 10 a second" in source.evened
  means = [frame.mean() for _, frame in source.read()]
  assert source.count() == source.count(exact=True) == len(means) == 12
  shown = 20 * np.asarray([0, 1, 2, 3, 3, 3, 3, 3, 8, 9, 10, 11])
  np.testing.assert_allclose(means, shown, atol=4)
  given = video_files.open_source(path, 25.0, even=True)
  assert (given.fps, given.evened, given.count()) == (25, "", 8)


@pytest.mark.parametrize(
  "made", [dict(fps=30), dict(fps=Fraction(30000, 1001)), dict(options={"bf": "3"})]
)
def test_a_constant_rate_is_left_alone(tmp_path, made):
  path = video(tmp_path / "walk.mp4", count=200, **made)
  source = video_files.open_source(path, even=True)
  assert source.evened == ""
  assert source.count() == video_files.open_source(path).count()


def test_cut_video_gives_the_frames_before_the_cut(tmp_path):
  path = video(tmp_path / "walk.ts", count=60, options={"g": "5"})
  path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
  source = video_files.open_source(path)
  numbers = [i for i, _ in source.read()]
  assert numbers == list(range(len(numbers)))
  assert 0 < len(numbers) < 60


def test_a_damaged_end_costs_no_frame_before_it(tmp_path):
  path = video(tmp_path / "walk.mp4", count=60, options={"bf": "0"})
  moved = tmp_path / "moved.mp4"  # what is needed to read it comes first
  av = pytest.importorskip("av")
  with av.open(str(path)) as old:
    with av.open(str(moved), "w", options=dict(movflags="faststart")) as new:
      copy = new.add_stream_from_template(old.streams.video[0])
      packets = [packet for packet in old.demux(video=0) if packet.size]
      last = packets[40].size
      for packet in packets[:41]:
        packet.stream = copy
        new.mux(packet)
  moved.write_bytes(moved.read_bytes()[: -last // 2])
  source = video_files.open_source(moved)
  assert source.count() == source.count(exact=True) == 40


@pytest.mark.parametrize(
  ("matrix", "upright"),
  [
    ((0, 1, -1, 0), lambda picture: np.rot90(picture, -1)),
    ((0, -1, 1, 0), np.rot90),
    ((-1, 0, 0, -1), lambda picture: picture[::-1, ::-1]),
    ((-1, 0, 0, 1), lambda picture: picture[:, ::-1]),
    ((1, 0, 0, -1), lambda picture: picture[::-1]),
    ((0, 1, 1, 0), lambda picture: picture.swapaxes(0, 1)),
  ],
)
def test_turned_and_mirrored_videos_are_read_upright(tmp_path, matrix, upright):
  pytest.importorskip("av", reason="needs jaxpose[video]")
  path = tmp_path / "walk.mp4"
  slope = np.add.outer(2 * np.arange(SIZE[1]), np.arange(SIZE[0])).astype(np.uint8)
  with video_files.Encoder(path, SIZE, 10) as encoder:
    encoder.add(np.stack([slope] * 3, -1))
  (_, plain), *_ = video_files.open_source(path).read()
  source = video_files.open_source(turned(tmp_path / "t.mp4", path, *matrix))
  (_, found), *_ = source.read()
  assert source.image_size == found.shape[1::-1]
  np.testing.assert_array_equal(found, upright(plain))


def test_stopping_early_leaves_no_decoder_behind(tmp_path, monkeypatch):
  source = video_files.open_source(video(tmp_path / "walk.mp4", count=60))
  av, started = video_files.pyav(), []
  start = av.open

  def remember(*args, **kwargs):
    started.append(start(*args, **kwargs))
    return started[-1]

  monkeypatch.setattr(av, "open", remember)
  reading = source.read()
  next(reading)
  reading.close()
  (container,) = started
  with pytest.raises(AssertionError, match="not open"):
    next(container.demux())


def test_frames_are_not_kept_in_memory(tmp_path):
  source = video_files.open_source(video(tmp_path / "walk.mp4", count=200))
  kind = video_files.pyav().VideoFrame
  gc.collect()
  gc.disable()
  try:
    for _ in source.read():
      pass
    kept = sum(isinstance(thing, kind) for thing in gc.get_objects())
  finally:
    gc.enable()
  assert kept < 10


def test_sound_that_begins_before_the_pictures_costs_no_frame(tmp_path):
  silent, path = uneven(tmp_path / "silent.mp4"), tmp_path / "walk.mp4"
  av = video_files.pyav()
  with av.open(str(silent)) as old, av.open(str(path), "w") as new:
    sound = new.add_stream("aac", 44100)
    copy = new.add_stream_from_template(old.streams.video[0])
    for i in range(86):  # two seconds
      silence = np.zeros((1, 1024), np.float32)
      frame = av.AudioFrame.from_ndarray(silence, "fltp", "mono")
      frame.sample_rate, frame.pts = 44100, 1024 * i
      new.mux(sound.encode(frame))
    for packet in old.demux(video=0):
      if packet.size:
        packet.pts += round(0.5 / packet.time_base)
        packet.dts += round(0.5 / packet.time_base)
        packet.stream = copy
        new.mux(packet)
  want, found = (
    [frame.mean() for _, frame in video_files.open_source(p, even=True).read()]
    for p in (silent, path)
  )
  assert found == want
