from cmu_mocap import takes


def test_the_list_has_the_240_takes_of_18_subjects():
  assert len(takes.ACTIONS) == 240
  assert len({subject for subject, _ in takes.ACTIONS}) == 18
  assert takes.ACTIONS[2, 3] == "run"
  assert takes.ACTIONS[49, 18] == "balance"
  assert takes.ACTIONS[14, 37] == "drink"


def test_every_split_has_takes_and_unusual_ones_exist():
  splits = {}
  for take in takes.ACTIONS:
    splits.setdefault(takes.split_of(*take), set()).add(take)
  assert splits.keys() == set(takes.SPLITS)
  assert splits["unusual"] == set(takes.UNUSUAL)
  assert len(splits["unusual"]) == 9


def test_no_subject_of_validation_or_test_is_trained_on():
  held_out = {*takes.VALIDATION, *takes.TEST, *takes.LEFT_OUT}
  for subject in range(200):
    for trial in range(100):
      if takes.split_of(subject, trial) in ("train", "unusual"):
        assert subject not in held_out
  assert not set(takes.VALIDATION) & set(takes.TEST)


def test_subjects_that_are_left_out_are_in_no_split():
  for subject in (10, 94, 127, 131, 135):
    assert takes.split_of(subject, 1) is None
    assert not any(number == subject for number, _ in takes.ACTIONS)
