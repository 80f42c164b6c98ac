"""Who and what Human3.6M shows, and what the field leaves out."""

from jaxpose import skeletons

SKELETON = skeletons.get("h36m17")
FPS = 50.0
SPLITS = {"train": ("S1", "S5", "S6", "S7", "S8"), "test": ("S9", "S11")}
SUBJECTS = tuple(subject for split in SPLITS.values() for subject in split)
CAMERAS = ("54138969", "55011271", "58860488", "60457274")
IMAGE_SIZES = ((1000, 1002), (1000, 1000), (1000, 1000), (1000, 1002))

# Numbers 2 to 16 of the official release, as the field calls them.
ACTIONS = """
  Directions Discussion Eating Greeting Phoning Posing Purchases Sitting SittingDown
  Smoking Photo Waiting Walking WalkDog WalkTogether
""".split()
_RENAMED = {"TakingPhoto": "Photo", "WalkingDog": "WalkDog"}

# One of the videos ends early; published numbers are without the take.
CORRUPT = (("S11", "Directions"),)

# h36m17 among the 32 joints of the release, the rest of which repeat others or are
# ends of hands and feet.
JOINTS = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)


def field_name(take: str) -> str:
  """The name of a take in publications: "TakingPhoto 1" is "Photo 1"."""
  action, space, number = take.partition(" ")
  return _RENAMED.get(action, action) + space + number
