"""`python -m fer_bench` is `fer-bench`."""

import sys

from fer_bench.cli import main

if __name__ == "__main__":
    sys.exit(main())
