"""`python -m tunewell`: the command line."""

import sys

from tunewell.cli import main

sys.exit(main())
