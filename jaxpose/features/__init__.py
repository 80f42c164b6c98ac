"""Videos to a dataset of the image features that GLoT reads.

Run: python -m jaxpose.features VIDEO_OR_FOLDER... --weights=FILE --name=NAME
       [--boxes=FILE] [--out=DATA_DIR]

The network is SPIN's ResNet-50, whose checkpoint you bring (docs/features.md). The
result is the TFDS dataset `video_features/NAME` in DATA_DIR; `load` reads it back.
Rerun an interrupted command to resume it.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import sys
from collections.abc import Iterator
from collections.abc import Sequence

import numpy as np
from absl import logging
from tqdm import tqdm

from jaxpose import runtime
from jaxpose.data import pose_data
from jaxpose.features import extract
from jaxpose.features import spin
from jaxpose.files import video_files
from jaxpose.formats import boxes
from jaxpose.geometry import crops

DATASET = "video_features"
REQUEST_FILE = "extraction.json"


def load(folder: str | os.PathLike, split: str = "train") -> Iterator[dict]:
  """One dict for each person in each video of a built dataset, whole.

  Args:
    folder: of the built version, as the command prints it.
    split: its name.

  Raises:
    ValueError: no such split.
  """
  import tensorflow_datasets as tfds

  builder = tfds.builder_from_directory(folder)
  if split not in builder.info.splits:
    raise ValueError(
      f"dataset {builder.name!r} has no split {split!r}; it has "
      f"{', '.join(builder.info.splits)}."
    )
  parts: list[dict] = []
  for record in builder.as_data_source(split):
    parts.append(record)
    if len(parts) == int(record["num_parts"]):
      whole = {k: v.decode() if isinstance(v, bytes) else v for k, v in record.items()}
      for key in ("features", "frame_ids", "boxes", "keypoints"):
        whole[key] = np.concatenate([part[key] for part in parts])
      whole["keypoints"] = whole["keypoints"].reshape(len(whole["features"]), -1, 3)
      del whole["part"], whole["num_parts"]
      yield whole
      parts = []


def extract_videos(
  videos: Sequence[str | os.PathLike],
  network: extract.Network,
  *,
  out: str | os.PathLike,
  name: str,
  split: str = "train",
  boxes_path: str | os.PathLike | None = None,
  scale: float = crops.SCALE,
  fps: float | None = None,
  batch_size: int = 8,
  settings: dict | None = None,
) -> pathlib.Path:
  """Extracts what is not there yet, builds the dataset, returns its version's folder.

  Args:
    videos: files, or folders of frames, with different names.
    network: as `spin.read_network` gives it.
    out: root of the built datasets.
    name: of the set of videos, the dataset's config.
    split: of the dataset.
    boxes_path: file, or folder of files named like the videos; None: the whole frame.
    scale: of the boxes.
    fps: frames per second, for folders, and for files that say a wrong one.
    batch_size: crops at a time.
    settings: of the network, such as a digest of its weights, that must stay the same
      when an interrupted extraction goes on.

  Raises:
    FileNotFoundError: a video or its boxes are not there.
    FileExistsError: there is a dataset of the name, of other videos or settings.
    ValueError: a video or boxes cannot be read or do not fit each other.
    ImportError: a video is given and the package that decodes them is not installed.
  """
  if batch_size < 1 or not scale > 0:
    raise ValueError(
      f"got batch_size={batch_size} and scale={scale}, expected positive numbers."
    )
  for label, value in (("name", name), ("split", split)):
    if not value.isidentifier():
      raise ValueError(
        f"got the {label} {value!r}, expected letters, digits and underscores, no "
        "digit first; choose another."
      )
  sources = [video_files.open_source(video, fps) for video in videos]
  stems = [_stem(source.path) for source in sources]
  twice = sorted({stem for stem in stems if stems.count(stem) > 1})
  if twice:
    raise ValueError(
      f"got two videos called {twice[0]!r}, expected different names; rename one."
    )
  tracks = [_tracks(boxes_path, stem, len(stems)) for stem in stems]
  root = pathlib.Path(out).expanduser() / DATASET
  work = root / f"{name}.unfinished"
  built = root / name
  jobs = [
    extract.prepare(source, track, work / "raw" / split / stem, scale)
    for source, track, stem in zip(sources, tracks, stems, strict=True)
  ]
  settings = dict(settings or {}, split=split)
  described = {
    stem: extract.describe(job) for stem, job in zip(stems, jobs, strict=True)
  }
  whole = dict(settings, videos=described)
  if built.exists():
    return _already_built(built, whole)
  _claim(work, settings)
  for job in jobs:
    extract.claim(job)
  others = sorted({p.name for p in (work / "raw" / split).iterdir()} - set(stems))
  if others:
    raise ValueError(
      f"{work} holds the beginning of {others[0]!r}, which is not among the videos; "
      "name all videos of the set, or delete that folder."
    )
  with tqdm(
    total=sum(job.rows for job in jobs),
    initial=sum(job.rows_done() for job in jobs),
    unit=" frames",
    dynamic_ncols=True,
    mininterval=0.5 if sys.stderr.isatty() else 30,
  ) as bar:
    for job, stem in zip(jobs, stems, strict=True):
      bar.set_description(stem)
      extract.run(job, network, batch_size=batch_size, progress=bar.update)
  version_dir = pose_data.prepare(
    DATASET, builder_config=name, data_dir=out, manual_dir=work / "raw"
  )
  (version_dir / REQUEST_FILE).write_text(json.dumps(whole, indent=2) + "\n")
  shutil.rmtree(work)
  return version_dir


def _stem(path: pathlib.Path) -> str:
  path = path.resolve()
  return path.name if path.is_dir() else path.stem


def _tracks(path, stem: str, videos: int) -> list[boxes.Track] | None:
  if path is None:
    return None
  path = pathlib.Path(path).expanduser()
  if path.is_dir():
    for suffix in boxes.SUFFIXES:
      file = path / f"{stem}{suffix}"
      if file.is_file():
        return boxes.read(file)
    raise FileNotFoundError(
      f"{path}: got no boxes of the video {stem!r}, expected a file {stem} with "
      f"{', '.join(boxes.SUFFIXES)}."
    )
  if videos > 1:
    raise ValueError(
      f"got one file of boxes, {path}, for {videos} videos, expected a folder with a "
      f"file for each, such as {stem}.json."
    )
  return boxes.read(path)


def _claim(work: pathlib.Path, settings: dict) -> None:
  path = work / REQUEST_FILE
  if path.exists():
    found = json.loads(path.read_text())
    if found != settings:
      differ = [k for k in {**found, **settings} if found.get(k) != settings.get(k)]
      raise ValueError(
        f"{work} holds an extraction with another {', '.join(sorted(differ))}; go on "
        "with the same, delete that folder, or choose another --name."
      )
    return
  work.mkdir(parents=True, exist_ok=True)
  path.write_text(json.dumps(settings))


def _already_built(built: pathlib.Path, whole: dict) -> pathlib.Path:
  for path in sorted(built.glob(f"*/{REQUEST_FILE}")):
    if json.loads(path.read_text()) == whole:
      return path.parent
  raise FileExistsError(
    f"{built} exists, with other videos, boxes or settings, and is never overwritten; "
    "choose another --name."
  )


def main(argv: Sequence[str] | None = None) -> None:
  """The command; a mistake ends it with one sentence and exit code 1."""
  parser = argparse.ArgumentParser(
    prog="python -m jaxpose.features",
    description="Turns videos into a dataset of image features.",
    allow_abbrev=False,
  )
  add = parser.add_argument
  add("videos", nargs="+", help="video files, or folders of frames")
  add("--weights", required=True, help="SPIN's checkpoint, or the folder it lies in")
  add("--name", required=True, help="of the dataset, video_features/NAME")
  add(
    "--boxes", help="JSON, CSV or npz file, or a folder of them; default: whole frame"
  )
  add("--out", help="root of datasets; default: as TFDS has it")
  add("--split", default="train", help="of the dataset (default: train)")
  add("--scale", type=float, default=crops.SCALE, help="of the boxes (default: 1.2)")
  add("--fps", type=float, help="frames per second; a folder needs it")
  add("--batch_size", type=int, default=8, help="crops at a time (default: 8)")
  add("--dtype", default="float32", choices=("float32", "bfloat16"))
  args = parser.parse_args(argv)
  stop_on_term = signal.signal(signal.SIGTERM, signal.default_int_handler)
  try:
    runtime.start()
    logging.set_verbosity(logging.ERROR)  # TFDS warns of configs with a user's name
    _run(args)
  except KeyboardInterrupt:
    print("stopped; the same command goes on from the finished parts.", file=sys.stderr)
    sys.exit(130)
  except (ValueError, OSError, ImportError) as error:
    sys.exit(f"error: {error}")
  finally:
    signal.signal(signal.SIGTERM, stop_on_term)


def _run(args: argparse.Namespace) -> None:
  network, digest = spin.read_network(args.weights, dtype=args.dtype)
  folder = extract_videos(
    args.videos,
    network,
    out=args.out or pose_data.default_data_dir(),
    name=args.name,
    split=args.split,
    boxes_path=args.boxes,
    scale=args.scale,
    fps=args.fps,
    batch_size=args.batch_size,
    settings=dict(dtype=args.dtype, sha256_of_weights=digest),
  )
  print(f"dataset: {folder}")
