"""Pages, look-ups and the backfill beside the limits that we have set ourselves; exit status 1 when one is missed.

Run by ``make bench``. It is no test: a machine that has other things to do misses limits. Then look at what stands
beside them, taken in the same run.
"""

from __future__ import annotations

import argparse
import os
import sys

import backfill
import pages
from report import Report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="Without the 100,000 posts.")
    options = parser.parse_args()
    report = Report()
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    pages.measure(report)
    backfill.measure(report)
    if not options.quick:
        backfill.measure_memory(report)
    if report.missed:
        print(f"\nMissed: {', '.join(report.missed)}.")
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
