"""`python -m vistazo`, which works where no script folder is on the path."""

import sys

from vistazo.cli import main

sys.exit(main())
