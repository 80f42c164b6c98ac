"""TFDS's sorting of large splits on disk, without TensorFlow and in bounded memory."""

import contextlib
import os
import types
from collections.abc import Iterator

MEMORY = 256 * 2**20  # bytes of a split that TFDS sorts in memory, not on disk


class _Appended:
  """A file that is open only while it is written: TFDS keeps a thousand of them."""

  def __init__(self, path: os.PathLike):
    self.path = path

  def write(self, data: bytes) -> None:
    with open(self.path, "ab") as file:
      file.write(data)

  def flush(self) -> None:
    pass

  close = flush


@contextlib.contextmanager
def on_disk() -> Iterator[None]:
  """Lets TFDS sort large splits on disk, where it would ask TensorFlow for files.

  Splits that keep their order all go to the first of TFDS's files, which it would read
  at once to sort it; here it is read record by record.
  """
  from tensorflow_datasets.core import shuffle

  def open_file(path, mode):
    return _Appended(path) if mode == "wb" else open(path, mode)

  gfile = types.SimpleNamespace(
    GFile=open_file, exists=os.path.exists, remove=os.remove
  )
  errors = types.SimpleNamespace(ResourceExhaustedError=())  # catches nothing
  sort = shuffle.Shuffler._iter_buckets

  def iter_buckets(self):
    if not self._disable_shuffling:
      yield from sort(self)
      return
    last = -1
    for bucket in self._buckets:
      for key, data in bucket.read_values():
        assert key >= last, "a builder without shuffling counts upward"
        yield key, data
        last = key
      bucket.del_file()

  before = shuffle.tf, shuffle.MAX_MEM_BUFFER_SIZE
  shuffle.tf = types.SimpleNamespace(
    io=types.SimpleNamespace(gfile=gfile), errors=errors
  )
  shuffle.MAX_MEM_BUFFER_SIZE = MEMORY
  shuffle.Shuffler._iter_buckets = iter_buckets
  try:
    yield
  finally:
    shuffle.tf, shuffle.MAX_MEM_BUFFER_SIZE = before
    shuffle.Shuffler._iter_buckets = sort
