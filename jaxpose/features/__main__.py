"""The command `python -m jaxpose.features`."""

from jaxpose.features import main

if __name__ == "__main__":
  main()
