"""Interrupted builds of `datasets/build.py`: continued, never with what is stale."""

import dataclasses
import sys

import numpy as np
import pytest

from tests import builder_testing

NAME = "synthetic_multiview"


@pytest.fixture
def build():
  return builder_testing.load_build()


@pytest.fixture
def films(build, monkeypatch):
  """Names of the clips that are filmed, one after the other, in this process."""
  module = sys.modules[build.builder_cls(NAME).__module__]
  filmed, film = [], module.make_record

  def make_record(config, name, action):
    if len(filmed) == filmed_before_ctrl_c[0]:
      raise KeyboardInterrupt
    filmed.append(f"{name}_{action}")
    return film(config, name, action)

  filmed_before_ctrl_c = [5]  # of 8
  monkeypatch.setattr(module, "make_record", make_record)
  return filmed, filmed_before_ctrl_c


def read(build, folder, **options):
  options = dict(config="tiny", processes=1) | options
  return builder_testing.build_and_read(NAME, folder, **options)


def assert_same(found, expected):
  """Bit for bit, split by split and record by record."""
  assert {k: len(v) for k, v in found.items()} == {
    k: len(v) for k, v in expected.items()
  }
  for split, records in expected.items():
    for one, other in zip(found[split], records, strict=True):
      assert one.keys() == other.keys()
      for key, value in other.items():
        np.testing.assert_array_equal(one[key], value, err_msg=key)


def interrupt(build, films, folder, **options):
  """Presses Ctrl-C after five clips, and forgets what was filmed."""
  with pytest.raises(KeyboardInterrupt):
    read(build, folder, **options)
  films[0].clear()
  films[1][0] = None
  assert len(list((folder / NAME / "tiny" / "unfinished.1.2.0").iterdir())) == 5


def test_a_build_goes_on_where_it_stopped_and_ends_the_same(build, films, tmp_path):
  interrupt(build, films, tmp_path)
  found = read(build, tmp_path)
  assert len(films[0]) == 3
  assert [p.name for p in (tmp_path / NAME / "tiny").iterdir()] == ["1.2.0"]
  assert_same(found, read(build, tmp_path / "new"))
  assert len(films[0]) == 3 + 8


def test_a_changed_config_takes_nothing_from_before(build, films, tmp_path):
  interrupt(build, films, tmp_path)
  cls = build.builder_cls(NAME)
  tiny = cls.builder_configs["tiny"]
  changed = dataclasses.replace(tiny, seed=1)
  try:
    cls.builder_configs["tiny"] = changed
    found = read(build, tmp_path)
    assert len(films[0]) == 8
    assert_same(found, read(build, tmp_path / "new"))
  finally:
    cls.builder_configs["tiny"] = tiny


def test_overwrite_takes_nothing_from_before(build, films, tmp_path):
  interrupt(build, films, tmp_path)
  read(build, tmp_path, overwrite=True)
  assert len(films[0]) == 8


def test_other_processes_make_the_same_records(build, tmp_path, monkeypatch):
  from jaxpose.data import build_jobs

  monkeypatch.setattr(build_jobs, "_ALONE", 0.0)
  found = read(build, tmp_path / "two", processes=2)
  assert_same(found, read(build, tmp_path / "one"))
