"""Who and what MPI-INF-3DHP shows, and which of its cameras the field uses."""

from jaxpose import skeletons

SKELETON = skeletons.get("mpi3dhp17")
ANNOTATED = skeletons.get("mpi3dhp28")
# mpi3dhp17 among the 28 annotated joints.
JOINTS = tuple(ANNOTATED.index(joint) for joint in SKELETON.joints)

SEQUENCES = tuple((f"S{s}", f"Seq{q}") for s in range(1, 9) for q in (1, 2))
CAMERAS = (0, 1, 2, 4, 5, 6, 7, 8)  # at chest height or a little above
IMAGE_SIZE = (2048, 2048)
TESTS = ("TS1", "TS2", "TS3", "TS4", "TS5", "TS6")
OUTDOORS = {"TS5": (1920, 1080), "TS6": (1920, 1080)}

_FAST = (("S1", 2), ("S3", 1), ("S3", 2), ("S5", 1), ("S5", 2))


def fps(subject: str, sequence: str) -> float:
  """Frames per second of a training sequence."""
  return 50.0 if (subject, int(sequence[3:])) in _FAST else 25.0
