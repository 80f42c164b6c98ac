"""Builds in Apache Beam's local runner: the records of a plain build, no TensorFlow.

Apache Beam holds numpy and protobuf back: `.ci/run` has an environment for this file.
"""

import pytest

from tests import build_resume_test
from tests import builder_testing

pytest.importorskip(
  "apache_beam", reason="needs apache_beam: pip install 'jaxpose[beam]'"
)

NAME = "synthetic_multiview"


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
  return builder_testing.build_and_read(
    NAME, tmp_path_factory.mktemp("plain"), config="tiny"
  )


@pytest.mark.parametrize(
  "options",
  [[], ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]],
  ids=["one process", "two processes"],
)
def test_beam_makes_the_same_records(plain, tmp_path, options):
  found = builder_testing.build_and_read(
    NAME, tmp_path, config="tiny", beam_options=options
  )
  build_resume_test.assert_same(found, plain)
  assert [path.name for path in (tmp_path / NAME / "tiny").iterdir()] == ["1.2.0"]


def test_a_build_in_beam_needs_no_tensorflow(tmp_path):
  modules = builder_testing.modules_after_build(
    NAME, tmp_path, config="tiny", beam_options=[]
  )
  assert "apache_beam" in modules
  assert "tensorflow" not in modules


def test_beam_takes_the_finished_jobs_of_an_interrupted_build(
  plain, tmp_path, monkeypatch
):
  import sys

  module = sys.modules[builder_testing.load_build().builder_cls(NAME).__module__]
  film, filmed = module.make_record, []

  def make_record(config, name, action):
    filmed.append(name)
    if len(filmed) == 6:
      raise KeyboardInterrupt
    return film(config, name, action)

  monkeypatch.setattr(module, "make_record", make_record)
  with pytest.raises(KeyboardInterrupt):
    builder_testing.build_and_read(NAME, tmp_path, config="tiny", processes=1)
  found = builder_testing.build_and_read(NAME, tmp_path, config="tiny", beam_options=[])
  assert len(filmed) == 6 + 3
  build_resume_test.assert_same(found, plain)


def test_recordings_keep_their_order_in_beam(tmp_path):
  from multiview_folder import multiview_folder_dataset_builder_test as folder_test

  record = folder_test.rendered(tmp_path / "rendered")
  for name in ("run", "sit", "walk"):
    folder_test.write(tmp_path / "raw" / "test" / name, record)
  names = {}
  for way, options in (("plain", {}), ("beam", dict(beam_options=[]))):
    found = builder_testing.build_and_read(
      "multiview_folder", tmp_path / way, tmp_path / "raw", config="mine", **options
    )
    names[way] = [builder_testing.text(r, "sequence") for r in found["test"]]
  assert names["plain"] == ["run_000000", "sit_000000", "walk_000000"]
  assert names["beam"] == names["plain"]


def test_a_builder_without_jobs_refuses_beam(tmp_path):
  with pytest.raises(ValueError, match="got --beam, expected a builder with jobs for"):
    builder_testing.load_build().build(
      "synthetic_motion", tmp_path, config="tiny", beam_options=[]
    )
  assert not list(tmp_path.rglob("dataset_info.json"))
