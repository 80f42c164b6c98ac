import pytest
from PIL import Image

from jaxpose.files import focal_metadata
from jaxpose.files import frames
from tests.frames_test import pictures
from tests.frames_test import video

TAG = "com.apple.quicktime.camera.focal_length.35mm_equivalent"


def photo(path, value):
  exif = Image.Exif()
  exif.get_ifd(0x8769)[0xA405] = value
  Image.new("RGB", (64, 48)).save(path, exif=exif)


def test_pictures_say_it_in_exif(tmp_path):
  photo(tmp_path / "a.jpg", 28)
  assert focal_metadata.equivalent_mm(frames.open_source(tmp_path, 25.0)) == 28
  photo(tmp_path / "a.jpg", 0)  # EXIF's word for unknown
  assert focal_metadata.equivalent_mm(frames.open_source(tmp_path, 25.0)) is None


def test_pictures_that_do_not_say(tmp_path):
  source = frames.open_source(pictures(tmp_path, 2), 25.0)
  assert focal_metadata.equivalent_mm(source) is None


def test_videos_say_it_in_quicktimes_tag(tmp_path):
  options = ("-movflags", "use_metadata_tags", "-metadata", f"{TAG}=26")
  told = frames.open_source(video(tmp_path / "a.mov", options=options))
  assert focal_metadata.equivalent_mm(told) == 26
  silent = frames.open_source(video(tmp_path / "b.mp4"))
  assert focal_metadata.equivalent_mm(silent) is None


def test_an_equivalent_is_of_the_diagonal():
  assert focal_metadata.pixels(43.267, (300, 400)) == pytest.approx(500)
  assert focal_metadata.pixels(26, (400, 300)) == focal_metadata.pixels(26, (300, 400))
