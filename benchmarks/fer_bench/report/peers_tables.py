"""The report's section on the peers, from the record alone."""

from __future__ import annotations

from collections.abc import Iterator

from fer_bench.contenders.peers.registry import PEERS
from fer_bench.record.record import MeasuredContender, Record
from fer_bench.report.table import Table


def peers(record: Record) -> Iterator[Table]:
    found = [entry for entry in record.contenders if entry.kind in PEERS]
    if found:
        sources = dict.fromkeys(str(entry.info.source) for entry in found)
        yield Table(
            "Peers",
            ("contender", "version", "computes in", "settings"),
            [
                (entry.name, str(entry.info.version), _precision(entry), str(entry.info.settings))
                for entry in found
            ],
            f"The settings stand in the runtimes' documentation: {', '.join(sources)}.",
        )


def _precision(entry: MeasuredContender) -> str:
    """Return the precision that the runtime says it computed the convolutions in, else the one asked for."""
    if not entry.info.executed:
        return entry.precision
    return ", ".join(f"{kind}: {count}" for kind, count in entry.info.executed.items())
