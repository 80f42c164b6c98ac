"""The command `python -m jaxpose.convert`."""

from jaxpose.convert import main

if __name__ == "__main__":
  main()
