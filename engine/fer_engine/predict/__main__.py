"""`python -m fer_engine.predict` is `fer-predict`."""

import sys

from fer_engine.predict.cli import main

if __name__ == "__main__":
    sys.exit(main())
