"""BlazePose's weights: cache, wheel, folder, and what is said without them."""

import hashlib
import io
import pathlib
import subprocess
import urllib.error
import urllib.request
import zipfile

import pytest

from jaxpose.detect import blazepose_weights

CONTENT = {
  blazepose_weights.DETECTOR: b"the detector's file",
  blazepose_weights.LANDMARKS: b"the landmarks' file",
}


@pytest.fixture(autouse=True)
def fake(tmp_path, monkeypatch):
  """Small files in the place of the real ones, a cache of our own, no network."""
  digests = {n: hashlib.sha256(c).hexdigest() for n, c in CONTENT.items()}
  monkeypatch.setattr(blazepose_weights, "SHA256", digests)
  monkeypatch.setenv("JAXPOSE_CACHE", str(tmp_path / "cache"))
  offline(monkeypatch)


def offline(monkeypatch):
  def run(command, **_):
    return subprocess.CompletedProcess(command, 1, "", "ERROR: No route to host\n")

  def urlopen(address, timeout):
    raise urllib.error.URLError("no network")

  monkeypatch.setattr(subprocess, "run", run)
  monkeypatch.setattr(urllib.request, "urlopen", urlopen)


def wheel(path, content=CONTENT):
  with zipfile.ZipFile(path, "w") as archive:
    for name, data in content.items():
      archive.writestr(blazepose_weights._MEMBERS[name], data)
    archive.writestr("mediapipe/__init__.py", b"")
  return path


def serve_pip(monkeypatch, content=CONTENT):
  """Counts the calls of pip, which finds a wheel."""
  calls = []

  def run(command, **_):
    calls.append(command)
    wheel(pathlib.Path(command[-1]) / "mediapipe-0.10.21-py3-none-any.whl", content)
    return subprocess.CompletedProcess(command, 0, "", "")

  monkeypatch.setattr(subprocess, "run", run)
  return calls


def texts(files):
  return [path.read_bytes() for path in files]


def test_pip_fetches_once_and_then_the_cache_serves(tmp_path, monkeypatch):
  calls = serve_pip(monkeypatch)
  files = blazepose_weights.files()
  assert texts(files) == list(CONTENT.values())
  assert files == blazepose_weights.files()
  assert len(calls) == 1
  assert "mediapipe==0.10.21" in calls[0]
  assert "--no-deps" in calls[0]
  folder = tmp_path / "cache" / "blazepose"
  assert sorted(p.name for p in folder.iterdir()) == sorted(CONTENT)


def test_the_public_address_serves_where_pip_does_not(monkeypatch):
  asked = []

  def urlopen(address, timeout):
    asked.append(address)
    return io.BytesIO(CONTENT[address.rpartition("/")[2]])

  monkeypatch.setattr(urllib.request, "urlopen", urlopen)
  assert texts(blazepose_weights.files()) == list(CONTENT.values())
  assert all(a.startswith("https://storage.googleapis.com/") for a in asked)


def test_another_file_at_the_address_is_not_kept(tmp_path, monkeypatch):
  monkeypatch.setattr(urllib.request, "urlopen", lambda a, timeout: io.BytesIO(b"x"))
  with pytest.raises(ConnectionError, match="got 1 bytes with the sha256"):
    blazepose_weights.files()
  assert not (tmp_path / "cache").exists()


def test_truncated_file_in_the_cache_is_told_and_fetched_again(monkeypatch):
  calls = serve_pip(monkeypatch)
  files = blazepose_weights.files()
  files[1].write_bytes(files[1].read_bytes()[:5])
  told = []
  monkeypatch.setattr(
    blazepose_weights.logging, "warning", lambda text, *a: told.append(text % a)
  )
  assert texts(blazepose_weights.files()) == list(CONTENT.values())
  assert len(calls) == 2
  assert "in the cache is damaged (got 5 bytes with the sha256" in told[0]


def test_without_a_network_one_sentence_says_what_to_do():
  with pytest.raises(ConnectionError) as error:
    blazepose_weights.files()
  text = str(error.value)
  assert "could not be fetched (pip: ERROR: No route to host;" in text
  assert "run this once with a network, or get the wheel elsewhere with" in text
  assert "\n" not in text


def test_pip_that_finds_nothing_is_told(monkeypatch):
  done = subprocess.CompletedProcess([], 0, "", "")
  monkeypatch.setattr(subprocess, "run", lambda command, **_: done)
  with pytest.raises(ConnectionError, match="pip: it fetched nothing;"):
    blazepose_weights.files()


def test_a_wheel_that_the_user_has_fills_the_cache(tmp_path):
  given = wheel(tmp_path / "mediapipe.whl")
  assert texts(blazepose_weights.files(given)) == list(CONTENT.values())
  assert texts(blazepose_weights.files()) == list(CONTENT.values())


@pytest.mark.parametrize("inner", ["", "mediapipe/modules", "modules"])
def test_a_folder_is_used_where_it_is(tmp_path, inner):
  folder = tmp_path / "mine"
  for name, data in CONTENT.items():
    place = "pose_detection" if name == blazepose_weights.DETECTOR else "pose_landmark"
    path = folder / inner / (place if inner else "") / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
  files = blazepose_weights.files(folder)
  assert texts(files) == list(CONTENT.values())
  assert all(folder in path.parents for path in files)


def test_nothing_at_a_source_is_told(tmp_path):
  with pytest.raises(FileNotFoundError, match="nothing is there; expected a folder"):
    blazepose_weights.files(tmp_path / "absent")


def test_folder_without_the_files_is_told(tmp_path):
  with pytest.raises(
    FileNotFoundError, match=r"got no pose_detection.tflite, expected"
  ):
    blazepose_weights.files(tmp_path)


def test_another_file_in_a_folder_is_refused(tmp_path):
  for name in CONTENT:
    (tmp_path / name).write_bytes(b"other")
  with pytest.raises(
    ValueError, match=r"with the sha256 .* give the file of mediapipe"
  ):
    blazepose_weights.files(tmp_path)


def test_file_that_is_no_wheel_is_refused(tmp_path):
  (tmp_path / "a.whl").write_bytes(b"text")
  with pytest.raises(
    ValueError, match=r"cannot be read as a wheel of mediapipe==0.10.2"
  ):
    blazepose_weights.files(tmp_path / "a.whl")


def test_wheel_of_another_version_is_refused(tmp_path):
  empty = wheel(tmp_path / "later.whl", {})
  with pytest.raises(ValueError, match=r"There is no item named .* get it again, or"):
    blazepose_weights.files(empty)
  other = wheel(tmp_path / "other.whl", dict.fromkeys(CONTENT, b"other"))
  with pytest.raises(ValueError, match=r"pose_detection.tflite is another one: got 5"):
    blazepose_weights.files(other)


@pytest.mark.parametrize(
  ("platform", "variable", "want"),
  [
    ("linux", None, ".cache/jaxpose"),
    ("linux", "XDG_CACHE_HOME", "given/jaxpose"),
    ("darwin", None, "Library/Caches/jaxpose"),
    ("win32", "LOCALAPPDATA", "given/jaxpose"),
    ("win32", None, "AppData/Local/jaxpose"),
  ],
)
def test_the_cache_is_where_the_platform_has_it(
  tmp_path, monkeypatch, platform, variable, want
):
  for name in ("JAXPOSE_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
    monkeypatch.delenv(name, raising=False)
  if variable:
    monkeypatch.setenv(variable, str(tmp_path / "given"))
  monkeypatch.setattr(blazepose_weights.sys, "platform", platform)
  monkeypatch.setattr(pathlib.Path, "home", lambda: tmp_path)
  assert blazepose_weights.cache_folder() == tmp_path / want
