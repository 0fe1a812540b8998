"""`python -m sidecar.cli`."""

from sidecar.cli import main

if __name__ == "__main__":
    main()
