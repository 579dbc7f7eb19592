"""`python -m raytad`, which is the command `raytad`."""

import os
import sys
from pathlib import Path

# `-m` puts the current folder first, whose own `models` would be taken for ours.
if sys.path[:1] in ([""], [os.getcwd()]) and Path.cwd() != Path(__file__).resolve().parents[1]:
    del sys.path[0]

from raytad.command import main

if __name__ == "__main__":
    main()
