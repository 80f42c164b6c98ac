import pathlib

import pytest

from jaxpose.files import user_folder


@pytest.mark.parametrize(
  ("path", "expected"),
  [
    ("S1/walk/a.bvh", ("S1", "walk", "S1_walk_a")),
    ("S1/walk/x/a.bvh", ("S1", "walk", "S1_walk_x_a")),
    ("S1/walk 2.bvh", ("S1", "walk 2", "S1_walk 2")),
    ("02_walk_fast.bvh", ("02", "walk_fast", "02_walk_fast")),
    ("tanz.bvh", ("tanz", "tanz", "tanz")),
    ("Jürgen/跳.bvh", ("Jürgen", "跳", "Jürgen_跳")),
  ],
)
def test_labels_come_from_folders(path, expected):
  assert user_folder.labels(pathlib.Path("/r") / path, pathlib.Path("/r")) == expected


def test_hashed_splits_are_disjoint_stable_and_none_empty():
  names = [f"person {i}" for i in range(25)]
  found = user_folder.splits(names, None)
  assert sorted(found) == sorted(names)
  counts = [list(found.values()).count(s) for s in user_folder.SPLITS]
  assert counts == [19, 3, 3]
  assert user_folder.splits(reversed(names), None) == found
  three = user_folder.splits(["a", "b", "c"], None)
  assert sorted(three.values()) == ["test", "train", "validation"]
  assert user_folder.splits(["a", "b"], None) == dict(a="train", b="train")


def test_rules_choose_by_pattern_and_the_rest_trains():
  rules = dict(test=["S9", "S1?"])
  found = user_folder.splits(["S1", "S9", "S11", "S5"], rules)
  assert found == dict(S1="train", S9="test", S11="test", S5="train")


@pytest.mark.parametrize(
  ("rules", "message"),
  [
    (dict(val=["a"]), "f: got 'val', expected train, validation, test"),
    (dict(test="a"), "f: got test = 'a', expected a list of subjects"),
    (dict(test=[1]), r"f: got test = \[1\], expected a list"),
    (dict(test=["x"]), "f: got 'x' in test, expected a subject; there are a, b"),
    (dict(test=["a"], validation=["*"]), "f: got the subject 'a' in test and valida"),
    (dict(train=["a"]), "f: got no split for b; add them to one, or leave train out"),
    (dict(test=["a", "b"]), "f: got no subject for train, expected at least one"),
  ],
)
def test_wrong_rules_are_one_sentence(rules, message):
  with pytest.raises(ValueError, match=message):
    user_folder.splits(["a", "b"], rules, "f")


def test_settings_are_toml_or_json(tmp_path):
  assert user_folder.settings(tmp_path, "skeleton") is None
  (tmp_path / "skeleton.toml").write_text('unit = "cm"\n[joints]\nhip = "Hüfte"\n')
  expected = dict(unit="cm", joints=dict(hip="Hüfte"))
  assert user_folder.settings(tmp_path, "skeleton") == expected
  (tmp_path / "skeleton.json").write_text("[1]")
  with pytest.raises(ValueError, match=r"got skeleton\.toml and skeleton\.json, expec"):
    user_folder.settings(tmp_path, "skeleton")
  (tmp_path / "skeleton.toml").unlink()
  with pytest.raises(ValueError, match=r"skeleton\.json: got a list, expected names"):
    user_folder.settings(tmp_path, "skeleton")


@pytest.mark.parametrize("name", ["splits.toml", "splits.json"])
def test_damaged_settings_are_one_sentence(tmp_path, name):
  (tmp_path / name).write_bytes(b'{"a": \xff')
  with pytest.raises(ValueError, match=f"{name}: cannot be read .*; correct it") as e:
    user_folder.settings(tmp_path, "splits")
  assert "\n" not in str(e.value)
