"""A user's folder of motion: who did what, which split, and what a map file says."""

import fnmatch
import hashlib
import json
import os
import pathlib
import tomllib
from collections.abc import Iterable
from collections.abc import Mapping

_SUFFIXES = (".toml", ".json")
SPLITS = ("train", "validation", "test")


def settings(folder: str | os.PathLike, stem: str) -> dict | None:
  """The table in `stem`.toml or `stem`.json of a folder, None without such a file.

  Raises:
    ValueError: there are both, or it is damaged or no table.
  """
  paths = [pathlib.Path(folder) / f"{stem}{suffix}" for suffix in _SUFFIXES]
  paths = [path for path in paths if path.is_file()]
  if not paths:
    return None
  if len(paths) > 1:
    raise ValueError(
      f"{folder}: got {stem}.toml and {stem}.json, expected one of them."
    )
  path = paths[0]
  try:
    text = path.read_text(encoding="utf-8")
    content = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
  except (ValueError, RecursionError) as error:
    raise ValueError(
      f"{path}: cannot be read ({' '.join(str(error).split())}); correct it."
    ) from error
  if not isinstance(content, dict):
    raise ValueError(
      f"{path}: got a {type(content).__name__}, expected names with values."
    )
  return content


def labels(path: pathlib.Path, root: pathlib.Path) -> tuple[str, str, str]:
  """(subject, action, sequence) of a file.

  SUBJECT/ACTION/.../FILE says it all; in SUBJECT/FILE the file's name is the action; a
  FILE on its own names its subject before the first underscore: "02_walk" is "walk" of
  the subject "02". The sequence is the path, joined by "_".
  """
  *folders, _ = path.relative_to(root).parts
  head, _, tail = path.stem.partition("_")
  if not folders:
    subject, action = head, tail or path.stem
  else:
    subject, action = folders[0], folders[1] if len(folders) > 1 else path.stem
  return subject, action, "_".join((*folders, path.stem))


def splits(
  subjects: Iterable[str], rules: Mapping | None, source: str = "splits"
) -> dict[str, str]:
  """Split of each subject; no subject is in two.

  Args:
    subjects: names.
    rules: split -> patterns of subjects ("S9", "S1*"); "train" may be left out, and
      takes the rest. None: by the hash of the name a tenth of the subjects, at least
      one, is for the test, and as many for validation; fewer than three subjects all
      train.
    source: of the rules, for messages.

  Raises:
    ValueError: unknown split, not patterns, a pattern that no subject or a subject that
      no pattern or more than one split has, or nothing to train on.
  """
  subjects = sorted(set(subjects))
  if rules is None:
    return _hashed(subjects)
  found: dict[str, str] = {}
  for split, patterns in rules.items():
    if split not in SPLITS:
      raise ValueError(f"{source}: got {split!r}, expected {', '.join(SPLITS)}.")
    if not isinstance(patterns, list) or not all(isinstance(p, str) for p in patterns):
      raise ValueError(
        f"{source}: got {split} = {patterns!r}, expected a list of subjects."
      )
    for pattern in patterns:
      matched = [s for s in subjects if fnmatch.fnmatchcase(s, pattern)]
      if not matched:
        raise ValueError(
          f"{source}: got {pattern!r} in {split}, expected a subject; there are "
          f"{', '.join(subjects[:20])}."
        )
      for subject in matched:
        if found.setdefault(subject, split) != split:
          raise ValueError(
            f"{source}: got the subject {subject!r} in {found[subject]} and {split}, "
            "expected it in one."
          )
  rest = [s for s in subjects if s not in found]
  if rest and "train" in rules:
    raise ValueError(
      f"{source}: got no split for {', '.join(rest[:20])}; add them to one, or leave "
      "train out, which then takes the rest."
    )
  found |= dict.fromkeys(rest, "train")
  if "train" not in found.values():
    raise ValueError(f"{source}: got no subject for train, expected at least one.")
  return found


def _hashed(subjects: list[str]) -> dict[str, str]:
  held = -(-len(subjects) // 10) if len(subjects) >= 3 else 0
  order = sorted(subjects, key=lambda s: hashlib.sha256(s.encode()).digest())
  kinds = ["test"] * held + ["validation"] * held
  kinds += ["train"] * (len(order) - len(kinds))
  return dict(zip(order, kinds, strict=True))
