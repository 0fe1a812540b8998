"""Where the recordings of real incidents are: LESTRADE_SHARED, else the folder `shared` beside the repository."""

import os
from pathlib import Path

ROOT = Path(os.environ.get("LESTRADE_SHARED") or Path(__file__).resolve().parents[3] / "shared") / "recordings"

if __name__ == "__main__":  # for the Makefile: where they are, or nothing
    print(ROOT if ROOT.is_dir() else "")
