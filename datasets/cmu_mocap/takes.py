"""The takes that the released weights and their scores are of, and who is held out.

240 takes of 18 of CMU's subjects, 38 minutes. Actions are short names of our own for
what CMU's site says of each take; they say how often training sees what
(`config.data.sampling = "actions"`).
"""

import re

# Subject -> action: trials.
_TAKES = {
  2: "walk: 1-2; run: 3; jump: 4; punch: 5; bend: 6; sword: 7-9; wash: 10",
  3: "uneven walk: 1-4",
  5: "walk: 1; ballet: 2-20",
  6: "walk: 1",
  7: "walk: 1-3, 5-11",
  8: "walk: 1-4, 6, 8-10",
  9: "run: 1-11; navigate: 12",
  14: """box: 2; drink: 4-5, 37; exercise: 6, 14, 20; reach: 7-9; wash windows: 10-12;
    mop: 13, 15; laugh: 17-19; climb steps: 21-23; direct traffic: 24-26;
    sit: 27-32, 36; climb ladder: 33-35""",
  16: "jump: 1-7, 9-10; run: 8, 35-46, 48-57; walk: 11-34, 47, 58",
  17: "stealth: 3; box: 10",
  29: """walk: 1; signals: 2, 7; nursery rhyme: 3, 8; mime: 4-5, 9, 11;
    prairie dog: 14; whale: 15; bear: 16; dog: 17; fish: 19; elephant: 20; mouse: 21;
    chicken: 22; dinosaur: 23; snake: 24; monkey: 25""",
  32: "walk: 1-2",
  35: "walk: 1-2, 5, 7-16, 28-34; run: 17",
  38: "walk: 1-2",
  39: "walk: 1-9, 12-14",
  43: "walk: 1",
  49: """walk: 1; hop: 2-3; leap: 4-5; cartwheel: 6-8; modern dance: 9-17, 22;
    balance: 18-20; acrobatics: 21""",
  55: "walk: 4",
}
# Whole subjects, by number.
VALIDATION, TEST = (3, 8), (2, 35)
# Takes of training subjects that are not trained on: poses unlike those of the rest, to
# choose augmentations by. Balance, cartwheels, a snake on the floor, bending back.
UNUSUAL = (
  *((49, trial) for trial in (6, 7, 8, 18, 19, 20)),
  (29, 24),
  *((5, trial) for trial in (4, 12)),
)
# In no split: kept for comparisons with sets that other people's weights know.
LEFT_OUT = (10, 94, 127, 131, 135)
SPLITS = ("train", "validation", "test", "unusual")


def _parse() -> dict[tuple[int, int], str]:
  found = {}
  for subject, text in _TAKES.items():
    for part in text.split(";"):
      action, _, trials = part.partition(":")
      for first, last in re.findall(r"(\d+)(?:-(\d+))?", trials):
        for trial in range(int(first), int(last or first) + 1):
          found[subject, trial] = action.strip()
  return found


ACTIONS = _parse()  # (subject, trial) -> action


def split_of(subject: int, trial: int) -> str | None:
  """The split of a take; None for subjects that are left out."""
  if subject in LEFT_OUT:
    return None
  if subject in VALIDATION:
    return "validation"
  if subject in TEST:
    return "test"
  return "unusual" if (subject, trial) in UNUSUAL else "train"
