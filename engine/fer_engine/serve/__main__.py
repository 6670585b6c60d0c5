"""`python -m fer_engine.serve` is `fer-serve`."""

import sys

from fer_engine.serve.cli import main

if __name__ == "__main__":
    sys.exit(main())
