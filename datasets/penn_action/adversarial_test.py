"""Every way in which a database can be wrong is refused in a sentence."""

import pytest

from tests import builder_testing
from tests import vibe_adversaries
from tests import vibe_writer

VIDEOS = {"пробежка/1": 16, "跳舞": 4}


def database():
  return vibe_writer.database(VIDEOS, joints_2d=13, joints_3d=None)


@pytest.mark.parametrize("case", vibe_adversaries.CASES)
def test_a_database_that_is_wrong_is_refused(tmp_path, case):
  files = {"pennaction_train_db.pt": database()}
  vibe_adversaries.refused(tmp_path, "penn_action", "glot", files, case)


def test_names_may_be_in_any_script(tmp_path):
  raw = tmp_path / "Datensätze 数据"
  vibe_writer.write(raw / "pennaction_train_db.pt", database())
  splits = builder_testing.build_and_read("penn_action", tmp_path / "out", raw)
  vibe_writer.check_records(splits["train"], database(), VIDEOS)
