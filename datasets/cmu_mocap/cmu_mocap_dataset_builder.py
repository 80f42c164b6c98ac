"""TFDS builder of CMU motion capture, filmed by virtual cameras."""

import pathlib
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterable
from collections.abc import Iterator
from typing import ClassVar

import tensorflow_datasets as tfds

from jaxpose import body_files
from jaxpose import body_fit
from jaxpose import body_sequences
from jaxpose import bvh_maps
from jaxpose import sequences
from jaxpose import skeletons

from . import clips
from . import retarget

SKELETON = skeletons.get("h36m17")
_HIPS = [SKELETON.index("right_hip"), SKELETON.index("left_hip")]
SEED = 0  # of the virtual cameras
NUM_CAMERAS = 4

PREPARED = {
  "train": "cmu_train.npz",
  "validation": "cmu_val.npz",
  "test": "cmu_test.npz",
}
# Subject numbers of the splits made from BVH files; every other subject trains.
HELD_OUT = {"validation": (3, 8, 131), "test": (2, 35)}

COMMIT = "09a07f54f3bbb58797325f009282d0b2048a2871"
URL = f"https://github.com/una-dinosauria/cmu-mocap/archive/{COMMIT}.zip"


class Builder(tfds.core.GeneratorBasedBuilder):
  """One example is one virtual camera's view of one clip."""

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
  BUILDER_CONFIGS: ClassVar = [
    tfds.core.BuilderConfig(name="default", description="Joints of h36m17."),
    tfds.core.BuilderConfig(
      name="mesh",
      description="The free body, shaped and moved like the captured people.",
    ),
  ]

  _raw: pathlib.Path | None = None

  def _info(self) -> tfds.core.DatasetInfo:
    features = sequences.features(SKELETON)
    if self.builder_config.name == "mesh":
      features = sequences.mesh_features(body_sequences.SKELETON)
    return self.dataset_info_from_configs(
      features=tfds.features.FeaturesDict(features),
      homepage="http://mocap.cs.cmu.edu",
    )

  def download_and_prepare(self, *, download_config=None, **kwargs) -> None:
    """Builds from `manual_dir` if the config names one, else from a download."""
    # TFDS puts a default in place of a manual_dir that was not given and refuses it
    # when it is empty; here no manual_dir means that the data is downloaded.
    given = download_config.manual_dir if download_config else None
    self._raw = pathlib.Path(given).expanduser() if given else None
    super().download_and_prepare(download_config=download_config, **kwargs)

  def _split_generators(self, dl_manager):
    raw = self._raw if self._raw else _download(dl_manager)
    clips_of = find_clips(raw, with_rotations=self.builder_config.name == "mesh")
    return {split: self._generate_examples(found) for split, found in clips_of.items()}

  def _generate_examples(self, found: Iterable[clips.Clip]):
    film = _film_body if self.builder_config.name == "mesh" else _film_joints
    for clip in found:
      yield from film(
        clip,
        sequences.clip_rng(SEED, clip.name),
        num_cameras=NUM_CAMERAS,
        fps=clip.fps,
        sequence=clip.name,
        subject=clip.subject,
        action=clip.action,
      )


def _film_joints(clip: clips.Clip, rng, **labels):
  return sequences.film(clip.joints, rng, skeleton=SKELETON, **labels)


def _film_body(clip: clips.Clip, rng, **labels):
  if clip.rotations is None:
    raise ValueError(
      f"clip {clip.name}: got joints without rotations, expected the array "
      f"{clips.ROTATIONS!r} too; the config 'mesh' needs it, 'default' does not."
    )
  body = body_files.load("free")
  # Each clip on its own: the files do not say whose skeletons are the same.
  fit = body_fit.fit_subject(body, clip.joints, clip.rotations)
  motion = body_fit.retarget(body, fit, clip.joints, clip.rotations)
  hips = (clip.joints[:, _HIPS]).mean(1)
  return body_sequences.film(body, motion.rotations, fit.betas, hips, rng, **labels)


def _download(dl_manager) -> pathlib.Path:
  try:
    if not any(pathlib.Path(dl_manager.download_dir).rglob("*cmu-mocap*.zip")):
      # TFDS would repeat a failing download for minutes before it gives up.
      request = urllib.request.Request(URL, method="HEAD")
      urllib.request.urlopen(request, timeout=20).close()
    archive = pathlib.Path(dl_manager.download(URL))
  except (OSError, tfds.download.DownloadError) as error:
    raise ConnectionError(
      f"cmu_mocap: no manual_dir was given and the download of {URL} failed "
      f"({error}); go online, or pass --manual_dir with the CMU takes as BVH files."
    ) from error
  return _unpack(archive)


def _unpack(archive: pathlib.Path) -> pathlib.Path:
  # Not TFDS's own extraction, which needs TensorFlow.
  folder = archive.with_suffix(".extracted")
  if not folder.is_dir():
    with tempfile.TemporaryDirectory(dir=archive.parent) as scratch:
      part = pathlib.Path(scratch) / "part"
      try:
        with zipfile.ZipFile(archive) as packed:
          packed.extractall(part)
      except zipfile.BadZipFile as error:
        raise ValueError(
          f"{archive}: got a damaged download ({error}), expected a zip archive; "
          "delete the file and build again."
        ) from None
      part.rename(folder)
  return folder


def find_clips(
  raw: pathlib.Path, *, with_rotations: bool = False
) -> dict[str, Iterator[clips.Clip]]:
  """Clips of each split: from the prepared npz files if they are there, else BVH."""
  names = [name for name in PREPARED.values() if (raw / name).is_file()]
  if names and len(names) < len(PREPARED):
    missing = sorted(set(PREPARED.values()) - set(names))
    raise ValueError(
      f"{raw}: got {', '.join(names)} without {', '.join(missing)}, expected all "
      "three; add the missing files."
    )
  if names:
    return {s: clips.read_prepared(raw / name) for s, name in PREPARED.items()}
  takes = sorted(raw.rglob("*.bvh"))
  if not takes:
    raise ValueError(
      f"{raw}: got neither {', '.join(PREPARED.values())} nor BVH files, expected one "
      "of the two; put CMU takes such as 02_03.bvh there, in any folder structure."
    )
  stems: dict[str, pathlib.Path] = {}
  splits: dict[str, list[pathlib.Path]] = {}
  for path in takes:
    subject, _ = retarget.take_name(path)
    if path.stem in stems:
      raise ValueError(
        f"{path}: got the take {path.stem} a second time, first in {stems[path.stem]}; "
        "expected each take once, keep one."
      )
    stems[path.stem] = path
    held_out = [split for split, subjects in HELD_OUT.items() if subject in subjects]
    splits.setdefault(held_out[0] if held_out else "train", []).append(path)
  actions = _read_index(raw)
  return {
    s: _read_takes(splits[s], actions, with_rotations) for s in PREPARED if s in splits
  }


def _read_takes(
  paths: list[pathlib.Path], actions: dict, with_rotations: bool
) -> Iterator[clips.Clip]:
  empty = True
  for path in paths:
    action = actions.get(retarget.take_name(path), "unknown")
    for clip in retarget.read_take(path, action, with_rotations=with_rotations):
      empty = False
      yield clip
  if empty:
    raise ValueError(
      f"{paths[0]}: got jumps faster than {bvh_maps.MAX_SPEED:g} m/s all through, here "
      "and in every other take of the split, expected human motion; replace the files."
    )


def _read_index(raw: pathlib.Path) -> dict[tuple[int, int], str]:
  """What each take shows, from the index that comes with the BVH release."""
  actions = {}
  for path in sorted(raw.rglob("cmu-mocap-index-*.txt")):
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
      number, _, action = line.partition("\t")
      subject, _, trial = number.strip().partition("_")
      if subject.isdigit() and trial.isdigit() and action.strip():
        actions[int(subject), int(trial)] = action.strip()
  return actions
