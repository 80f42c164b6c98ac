r"""Builds a dataset of this folder as array_record, without TensorFlow.

Run: python datasets/build.py NAME --data_dir=OUT [--manual_dir=RAW] [--config=CONFIG]

The same command goes on with a build that was interrupted, where its builder has jobs
(`jaxpose/data/build_jobs.py`); `--processes` and `--beam` say who does these.

The same file serves as a module, `build("synthetic_motion", data_dir)`. It is loaded by
path, so it relies neither on the working directory nor on the name of its folder: each
builder is imported inside a package made here.
"""

import argparse
import contextlib
import difflib
import importlib
import importlib.util
import io
import json
import os
import pathlib
import shlex
import shutil
import sys
import time
import zlib
from collections.abc import Sequence

_FOLDER = pathlib.Path(__file__).resolve().parent
_SUFFIX = "_dataset_builder.py"
_FORMAT = "array_record"
_STALE_SECONDS = 24 * 3600  # no build takes a day, so what is older was interrupted


def names() -> list[str]:
  """Datasets that can be built: the folders that hold a builder."""
  return sorted(
    path.parent.name
    for path in _FOLDER.glob(f"*/*{_SUFFIX}")
    if path.name == path.parent.name + _SUFFIX
  )


def builder_cls(name: str) -> type:
  """The TFDS builder class of a dataset; ValueError with near names if unknown."""
  known = names()
  if name not in known:
    near = difflib.get_close_matches(name, known, 3, 0.0)
    raise ValueError(
      f"unknown dataset {name!r}; nearest: {', '.join(near)}; "
      f"known: {', '.join(known)}."
    )
  from tensorflow_datasets.core import registered

  module_name = f"{_package()}.{name}.{name}_dataset_builder"
  # Unregistered: `tfds` may know the same name from another import of the folder.
  with registered.skip_registration():
    module = importlib.import_module(module_name)
  return module.Builder


def build(
  name: str,
  data_dir: str | os.PathLike,
  *,
  manual_dir: str | os.PathLike | None = None,
  overwrite: bool = False,
  config: str | None = None,
  processes: int | None = None,
  beam_options: Sequence[str] | None = None,
) -> pathlib.Path:
  """Builds a dataset unless it is there already.

  TFDS writes to a temporary folder and renames it at the end, so that an interrupted
  build is never taken for a whole one; folders with missing files are built again.
  Finished jobs of an interrupted build are taken from `unfinished.VERSION` beside it.

  Args:
    name: folder under `datasets/`.
    data_dir: root of the built datasets.
    manual_dir: raw files, for datasets that cannot be downloaded.
    overwrite: build even if the dataset is there, and from nothing.
    config: the builder's config; its default if None.
    processes: that do jobs side by side; None for one on each core.
    beam_options: of an Apache Beam pipeline that does the jobs; None for no pipeline.

  Returns:
    Folder of the built version, for `tfds.builder_from_directory`.

  Raises:
    ValueError: unknown dataset or config, no process, a package is not installed, or
      the builder has nothing that Beam could do.
    FileNotFoundError: the raw files are missing.
    ChildProcessError: a process was ended from outside.
  """
  from jaxpose.data import build_jobs

  with build_jobs.named_package(name):
    import tensorflow_datasets as tfds

    from jaxpose.data import build_jobs

    options = _beam_options(beam_options)
    cls = builder_cls(name)
  config = _config(cls, name, config)
  if manual_dir is not None and not pathlib.Path(manual_dir).expanduser().is_dir():
    raise FileNotFoundError(
      f"dataset {name!r}: got manual_dir={os.fspath(manual_dir)!r}, which is not a "
      "folder; point it at the folder with the raw files."
    )
  data_dir = pathlib.Path(data_dir).expanduser()
  version_dir = _version_dir(cls, data_dir, config)
  if not overwrite and _is_complete(version_dir):
    print(f"{name}: already built in {version_dir}.", flush=True)
    return version_dir
  _remove_debris(version_dir)
  unfinished = version_dir.with_name(f"unfinished.{version_dir.name}")
  if overwrite and unfinished.exists():
    shutil.rmtree(unfinished)
  print(f"{name}: building into {version_dir} ...", flush=True)
  start = time.monotonic()
  builder = cls(data_dir=data_dir, config=config, file_format=_FORMAT)
  try:
    # TFDS's own two lines on stdout say "Unknown size"; its bars go to stderr.
    with (
      build_jobs.named_package(name),
      contextlib.redirect_stdout(io.StringIO()),
      build_jobs.shuffle_on_disk(),
      build_jobs.building(
        unfinished, code=[_FOLDER], processes=processes, beam=options is not None
      ) as jobs,
    ):
      if options is not None:
        build_jobs.require(builder, jobs)
      builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
          manual_dir=manual_dir, beam_options=options
        )
      )
  except AssertionError as error:
    if not str(error).startswith("Manual directory"):
      raise
    raise FileNotFoundError(f"dataset {name!r}: {error}") from error
  except OSError:
    if not _is_complete(version_dir):  # else another process was first
      raise
  counts = ", ".join(f"{s} {i.num_examples}" for s, i in builder.info.splits.items())
  seconds = time.monotonic() - start
  print(f"{name}: built in {seconds:.1f} s, records: {counts}.", flush=True)
  return version_dir


def default_data_dir() -> str:
  """TFDS's own default: TFDS_DATA_DIR, else a folder in the home directory."""
  return os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"


def _beam_options(flags: Sequence[str] | None):
  """Beam's options object, which also starts TFDS's pipeline without questions."""
  if flags is None:
    return None
  if importlib.util.find_spec("apache_beam") is None:
    raise ValueError(
      "got a build in Apache Beam, which is not installed; pip install 'jaxpose[beam]' "
      "into an environment of its own, as it holds other packages back."
    )
  from apache_beam.options import pipeline_options

  return pipeline_options.PipelineOptions(list(flags))


def _package() -> str:
  """Name of the made package whose subpackages are the builder folders here.

  Its spec names this file in place of an `__init__.py`, so that TFDS finds the folder's
  README and citation files by the package's name. Nothing is run.
  """
  name = f"jaxpose_builders_{zlib.crc32(os.fsencode(_FOLDER)):08x}"
  if name not in sys.modules:
    spec = importlib.util.spec_from_file_location(
      name, _FOLDER / "build.py", submodule_search_locations=[str(_FOLDER)]
    )
    sys.modules[name] = importlib.util.module_from_spec(spec)
  return name


def _config(cls: type, dataset: str, name: str | None):
  """The builder's config of that name, or its default; None if it has no configs."""
  if name is None:
    return cls.builder_configs[_default_config(cls)] if cls.BUILDER_CONFIGS else None
  if name in cls.builder_configs:
    return cls.builder_configs[name]
  if hasattr(cls, "config_named"):  # any name will do
    return cls.config_named(name)
  known = ", ".join(cls.builder_configs) or "none"
  raise ValueError(f"dataset {dataset!r} has no config {name!r}; known: {known}.")


def _version_dir(cls: type, data_dir: pathlib.Path, config) -> pathlib.Path:
  """Where TFDS puts this version; found without reading what may lie there."""
  parts = [cls.name]
  version = cls.VERSION
  if config is not None:
    parts.append(config.name)
    version = config.version or version
  return data_dir.joinpath(*parts, str(version))


def _default_config(cls: type) -> str:
  return cls.DEFAULT_BUILDER_CONFIG_NAME or cls.BUILDER_CONFIGS[0].name


def _is_complete(version_dir: pathlib.Path) -> bool:
  """Whether the folder holds an array_record build with all of its shards."""
  try:
    info = json.loads((version_dir / "dataset_info.json").read_text())
    json.loads((version_dir / "features.json").read_text())
  except (FileNotFoundError, NotADirectoryError, ValueError):
    return False
  if info.get("fileFormat") != _FORMAT:
    return False
  shards = 0
  for split in info.get("splits", []):
    count = len(split["shardLengths"])
    template = split.get(
      "filepathTemplate", "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
    )
    for i in range(count):
      file = template.format(
        DATASET=info["name"],
        SPLIT=split["name"],
        FILEFORMAT=_FORMAT,
        SHARD_X_OF_Y=f"{i:05d}-of-{count:05d}",
      )
      if not (version_dir / file).is_file():
        return False
      shards += 1
  return shards > 0


def _remove_debris(version_dir: pathlib.Path) -> None:
  """Removes what is in the way, and what interrupted builds left beside it."""
  if version_dir.exists():
    shutil.rmtree(version_dir)
  for path in version_dir.parent.glob(f"incomplete.*_{version_dir.name}"):
    if time.time() - path.stat().st_mtime > _STALE_SECONDS:
      shutil.rmtree(path, ignore_errors=True)


def main(argv: list[str] | None = None) -> int:
  """The command; returns its exit code."""
  parser = argparse.ArgumentParser(
    description="Builds a dataset as array_record, without TensorFlow."
  )
  parser.add_argument("name", help=f"one of: {', '.join(names())}")
  parser.add_argument("--data_dir", default=default_data_dir(), help="output root")
  parser.add_argument("--manual_dir", help="folder with raw files")
  parser.add_argument("--config", help="the builder's config, if it has several")
  parser.add_argument("--overwrite", action="store_true", help="build again")
  parser.add_argument("--processes", type=int, help="side by side; one on each core")
  parser.add_argument("--beam", action="store_true", help="do the jobs in Apache Beam")
  parser.add_argument(
    "--beam_options", default="", help="its options, as one text: '--runner=... ...'"
  )
  args = parser.parse_args(argv)
  if args.beam_options and not args.beam:
    parser.error("got --beam_options without --beam, expected both; add --beam.")
  if args.name not in names():
    try:
      builder_cls(args.name)
    except ValueError as error:
      print(error, file=sys.stderr)
    return 2
  if importlib.util.find_spec("jaxpose") is None:  # a checkout that is not installed
    sys.path.append(str(_FOLDER.parent))
  try:
    build(
      args.name,
      args.data_dir,
      manual_dir=args.manual_dir,
      overwrite=args.overwrite,
      config=args.config,
      processes=args.processes,
      beam_options=shlex.split(args.beam_options) if args.beam else None,
    )
  except KeyboardInterrupt:
    print(
      f"{args.name}: interrupted; the same command builds the rest.", file=sys.stderr
    )
    return 130
  except (ValueError, OSError) as error:
    print(" ".join(str(error).split()), file=sys.stderr)
    return 1
  return 0


if __name__ == "__main__":
  sys.exit(main())
