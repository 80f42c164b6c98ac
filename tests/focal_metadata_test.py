import pytest
from PIL import Image

from jaxpose.files import video_files
from tests.frames_test import pictures
from tests.frames_test import video

TAG = "com.apple.quicktime.camera.focal_length.35mm_equivalent"


def photo(path, value):
  exif = Image.Exif()
  exif.get_ifd(0x8769)[0xA405] = value
  Image.new("RGB", (64, 48)).save(path, exif=exif)


def test_pictures_say_it_in_exif(tmp_path):
  photo(tmp_path / "a.jpg", 28)
  assert video_files.open_source(tmp_path, 25.0).equivalent_mm() == 28
  photo(tmp_path / "a.jpg", 0)  # EXIF's word for unknown
  assert video_files.open_source(tmp_path, 25.0).equivalent_mm() is None


def test_pictures_that_do_not_say(tmp_path):
  source = video_files.open_source(pictures(tmp_path, 2), 25.0)
  assert source.equivalent_mm() is None


def test_videos_say_it_in_quicktimes_tag(tmp_path):
  told = video_files.open_source(video(tmp_path / "a.mov", metadata={TAG: "26"}))
  assert told.equivalent_mm() == 26
  silent = video_files.open_source(video(tmp_path / "b.mp4"))
  assert silent.equivalent_mm() is None


def test_tags_in_other_alphabets_are_no_error(tmp_path):
  path = video(tmp_path / "a.mov", metadata={TAG: "26", "title": "plain"})
  path.write_bytes(path.read_bytes().replace(b"plain", b"pl\xe4in"))
  assert video_files.open_source(path).equivalent_mm() == 26


def test_an_equivalent_is_of_the_diagonal():
  assert video_files.focal_pixels(43.267, (300, 400)) == pytest.approx(500)
  wide, tall = (video_files.focal_pixels(26, s) for s in ((400, 300), (300, 400)))
  assert wide == tall
