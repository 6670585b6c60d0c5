"""`python -m fer_train` is `fer-train`."""

import sys

from fer_train.cli import main

if __name__ == "__main__":
    sys.exit(main())
