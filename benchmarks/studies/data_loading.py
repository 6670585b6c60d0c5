"""Time and peak memory of reading a FER2013 csv, in a fresh process, on one core, with no cache."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

CHILD = """
import json, os, resource, sys, time
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
began = time.perf_counter()
from fer_engine.errors import DataError
from fer_train.data import load_dataset
try:
    dataset = load_dataset(sys.argv[1], cache=False)
except DataError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)
seconds = time.perf_counter() - began
usage = resource.getrusage(resource.RUSAGE_SELF)
unit = 1 if sys.platform == "darwin" else 1024
print(json.dumps({
    "images": len(dataset),
    "csv_bytes": os.path.getsize(sys.argv[1]),
    "seconds": seconds,
    "cpu_seconds": usage.ru_utime + usage.ru_stime,
    "peak_rss_bytes": usage.ru_maxrss * unit,
}))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("csv", type=Path, help="a csv in the form of Kaggle's fer2013.csv")
    parser.add_argument("--json", type=Path, metavar="F", help="write the measurement here as well")
    options = parser.parse_args()
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(options.csv)], stdout=subprocess.PIPE, text=True, check=False
    )
    if child.returncode:
        return child.returncode
    result = json.loads(child.stdout)
    print(
        f"{result['images']} images, {result['csv_bytes'] / 1e6:.1f} MB: {result['seconds']:.2f} s "
        f"({result['cpu_seconds']:.2f} s of CPU), peak memory {result['peak_rss_bytes'] / 1e6:.1f} MB"
    )
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
