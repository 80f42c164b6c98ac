"""The command `python -m jaxpose.detect`."""

from jaxpose.detect import main

if __name__ == "__main__":
  main()
