"""TFDS builder of CMU motion capture, filmed by virtual cameras."""

import csv
import itertools
import pathlib
import urllib.request
import zipfile
from collections.abc import Iterator
from typing import ClassVar
from typing import NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from jaxpose import skeletons
from jaxpose.body import body_files
from jaxpose.body import body_fit
from jaxpose.data import sequences
from jaxpose.formats import asf_amc
from jaxpose.skeletons import proportions

from . import clips
from . import takes

SKELETON = skeletons.get("h36m17")
_HIPS = [SKELETON.index("right_hip"), SKELETON.index("left_hip")]
SEED = 0  # of the virtual cameras
NUM_CAMERAS = 4
URL = "http://mocap.cs.cmu.edu/allasfamc.zip"
# The form of earlier versions, whose skeleton is not a person's.
PREPARED = ("cmu_train.npz", "cmu_val.npz", "cmu_test.npz")


class Builder(tfds.core.GeneratorBasedBuilder):
  """One example is one virtual camera's view of one clip."""

  VERSION = tfds.core.Version("2.0.0")
  RELEASE_NOTES: ClassVar = {
    "1.0.0": "First release.",
    "2.0.0": "From ASF/AMC: whole torsos and forearms, nose and crown, more takes.",
  }
  BUILDER_CONFIGS: ClassVar = [
    tfds.core.BuilderConfig(
      name="default", description="Joints of h36m17, 240 takes of 18 subjects."
    ),
    tfds.core.BuilderConfig(
      name="all", description="Joints of h36m17, every take that is there."
    ),
    tfds.core.BuilderConfig(
      name="mesh",
      description="The free body, shaped and moved like the people of the 240 takes.",
    ),
  ]

  _raw: pathlib.Path | None = None

  def _info(self) -> tfds.core.DatasetInfo:
    features = sequences.features(SKELETON)
    if self.builder_config.name == "mesh":
      features = sequences.mesh_features(sequences.BODY_SKELETON)
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
    every = self.builder_config.name == "all"
    return {
      split: self._generate_examples(found)
      for split, found in find_takes(raw, every=every).items()
    }

  def _generate_examples(self, found: list["Take"]):
    mesh = self.builder_config.name == "mesh"
    film = _film_bodies if mesh else _film_joints
    empty, mended = True, []
    # A captured person has one shape, one that is known from two kinds of files two.
    for _, members in itertools.groupby(
      found, lambda take: (take.subject, take.skeleton is None)
    ):
      members = list(members)
      clips_of = [c for take in members for c in take.clips(with_rotations=mesh)]
      if not clips_of:
        continue
      empty = False
      mended += [clip.name for clip in clips_of if clip.mended]
      joints = np.concatenate([clip.joints for clip in clips_of])
      where = f"{members[0].skeleton or members[0].path}"
      proportions.check(joints, SKELETON.name, where)
      yield from film(clips_of)
    if mended:
      logging.warning(
        "cmu_mocap: put back the thorax and the ends of the forearms that the "
        "conversion to BVH lost, in %d clips, the first %s.",
        *(len(mended), mended[0]),
      )
    if empty:
      raise ValueError(
        f"{found[0].path}: got jumps faster than a person all through, here and in "
        "every other take of the split, expected human motion; replace the files."
      )


class Take(NamedTuple):
  """A file of a take; `skeleton` is the ASF file that belongs to an AMC file."""

  path: clips.Path
  skeleton: clips.Path | None
  subject: int
  action: str

  def clips(self, *, with_rotations: bool = False) -> Iterator[clips.Clip]:
    """The pieces without jumps."""
    return clips.read(
      self.path, self.skeleton, self.action, with_rotations=with_rotations
    )


def _labels(clip: clips.Clip) -> dict:
  return dict(
    num_cameras=NUM_CAMERAS,
    fps=clip.fps,
    sequence=clip.name,
    subject=clip.subject,
    action=clip.action,
  )


def _film_joints(found: list[clips.Clip]):
  for clip in found:
    rng = sequences.clip_rng(SEED, clip.name)
    yield from sequences.film(clip.joints, rng, skeleton=SKELETON, **_labels(clip))


def _film_bodies(found: list[clips.Clip]):
  """The clips of one subject, who has one shape."""
  body = body_files.load("free")
  joints = np.concatenate([clip.joints for clip in found])
  turns = np.concatenate([clip.rotations for clip in found])
  fit = body_fit.fit_subject(body, joints, turns)
  for clip in found:
    motion = body_fit.retarget(body, fit, clip.joints, clip.rotations)
    hips = (clip.joints[:, _HIPS]).mean(1)
    rng = sequences.clip_rng(SEED, clip.name)
    yield from sequences.film_body(
      body, motion.rotations, fit.betas, hips, rng, **_labels(clip)
    )


def _download(dl_manager) -> pathlib.Path:
  try:
    if not any(pathlib.Path(dl_manager.download_dir).rglob("*allasfamc*.zip")):
      # TFDS would repeat a failing download for minutes before it gives up.
      request = urllib.request.Request(URL, method="HEAD")
      urllib.request.urlopen(request, timeout=20).close()
    return pathlib.Path(dl_manager.download(URL))
  except (OSError, tfds.download.DownloadError) as error:
    raise ConnectionError(
      f"cmu_mocap: no manual_dir was given and the download of {URL} failed "
      f"({error}); go online, or pass --manual_dir, a folder with that zip or with "
      "CMU's ASF/AMC files."
    ) from error


def find_takes(raw: pathlib.Path, *, every: bool = False) -> dict[str, list[Take]]:
  """The takes of each split, in order of subject and trial.

  Args:
    raw: a zip archive, or a folder with one, or with ASF/AMC or BVH files in any
      structure.
    every: all takes, not just those of `takes.ACTIONS`.

  Raises:
    ValueError: nothing to build from, an AMC file without its ASF, a take twice.
  """
  files = _files(raw)
  known = _read_index(files) if every else {}
  by_name: dict[str, list[clips.Path]] = {}
  for path in files:
    by_name.setdefault(path.name.lower(), []).append(path)
  found: dict[tuple[int, int], Take] = {}
  for path in (p for p in files if p.name.lower().endswith((".amc", ".bvh"))):
    subject, trial = clips.take_name(path)
    if takes.split_of(subject, trial) is None:
      continue
    if not every and (subject, trial) not in takes.ACTIONS:
      continue
    is_amc = path.name.lower().endswith(".amc")
    skeleton = _skeleton_of(path, by_name) if is_amc else None
    if (subject, trial) in found:
      raise ValueError(
        f"{path}: got the take {subject:02d}_{trial:02d} a second time, first in "
        f"{found[subject, trial].path}; expected each take once, keep one."
      )
    action = takes.ACTIONS.get((subject, trial)) or known.get((subject, trial))
    found[subject, trial] = Take(path, skeleton, subject, action or "unknown")
  if not found:
    raise ValueError(
      f"{raw}: got none of the takes, expected CMU's allasfamc.zip, or ASF/AMC files "
      "such as 02/02.asf with 02/02_01.amc, or BVH files such as 02_03.bvh; "
      + (
        f"subjects {', '.join(map(str, takes.LEFT_OUT))} are left out, add others."
        if every
        else "add some, or take others' takes with the config 'all'."
      )
    )
  lacking = sorted(set(takes.ACTIONS) - set(found))
  if lacking and not every:
    names = ", ".join(f"{s:02d}_{t:02d}" for s, t in lacking[:8])
    logging.warning(
      "cmu_mocap: %d of %d takes are not there (%s%s); scores on them are not those of "
      "the released weights.",
      *(len(lacking), len(takes.ACTIONS), names, ", ..." if len(lacking) > 8 else ""),
    )
  splits: dict[str, list[Take]] = {}
  for (subject, trial), take in sorted(found.items()):
    splits.setdefault(takes.split_of(subject, trial), []).append(take)
  return {split: splits[split] for split in takes.SPLITS if split in splits}


def _skeleton_of(path: clips.Path, by_name: dict) -> clips.Path:
  """The ASF file of an AMC file's subject, in its folder or else anywhere."""
  name = path.name.partition("_")[0] + ".asf"
  named = by_name.get(name.lower(), [])
  found = [p for p in named if str(p.parent) == str(path.parent)] or named
  if not found:
    raise ValueError(
      f"{path}: got a take without the skeleton of its subject, expected {name} beside "
      "it; add it, or take the take away."
    )
  if len(found) > 1:
    raise ValueError(
      f"{path}: got {found[0]} and {found[1]}, expected one skeleton of its subject; "
      "put the right one beside it."
    )
  return found[0]


def _files(raw: pathlib.Path) -> list[clips.Path]:
  """All files below a folder or in a zip, sorted by path, but hidden ones."""
  if raw.is_dir():
    old = [name for name in PREPARED if (raw / name).is_file()]
    if old:
      raise ValueError(
        f"{raw}: got {', '.join(old)}, expected CMU's ASF/AMC files: the npz files of "
        "earlier versions come from a conversion that lost the upper end of the torso "
        "and of the forearms (12 and 9 cm); put allasfamc.zip of mocap.cs.cmu.edu into "
        "another folder and pass that."
      )
    files = sorted(p for p in raw.rglob("*") if p.is_file() and p.name[0] != ".")
    archives = [path for path in files if path.suffix.lower() == ".zip"]
    if not archives or any(p.suffix.lower() in (".amc", ".bvh") for p in files):
      return files
    if len(archives) > 1:
      raise ValueError(
        f"{raw}: got {len(archives)} zip archives, expected one; take the others away."
      )
    # What lies beside the archive, such as an index of the actions, counts too.
    return [*_files(archives[0]), *(p for p in files if p != archives[0])]
  try:
    archive = zipfile.ZipFile(raw)
  except (zipfile.BadZipFile, OSError) as error:
    raise ValueError(
      f"{raw}: got a damaged archive ({error}), expected a zip of ASF/AMC files; "
      "delete it and get it again."
    ) from None
  paths = [zipfile.Path(archive, name) for name in sorted(archive.namelist())]
  return [p for p in paths if p.is_file() and p.name[0] != "."]


def _read_index(files: list[clips.Path]) -> dict[tuple[int, int], str]:
  """What each take shows, from an index beside the files, for other takes than ours.

  Read are the index of the BVH release (`cmu-mocap-index-*.txt`, a tab between take and
  text) and a table `index.csv` with the columns take and description.
  """
  actions = {}
  for path in files:
    if path.name == "index.csv":
      rows = csv.DictReader(asf_amc.read_text(path).splitlines())
      pairs = [(row.get("take") or "", row.get("description") or "") for row in rows]
    elif path.name.startswith("cmu-mocap-index-") and path.name.endswith(".txt"):
      lines = asf_amc.read_text(path).splitlines()
      pairs = [line.partition("\t")[::2] for line in lines]
    else:
      continue
    for number, action in pairs:
      subject, _, trial = number.strip().partition("_")
      if subject.isdigit() and trial.isdigit() and action.strip():
        actions[int(subject), int(trial)] = action.strip()
  return actions
