"""The report's section on the peers, from the record alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fer_bench.contenders.peers.registry import PEERS
from fer_bench.report.table import Table

Record = dict[str, Any]


def peers(record: Record) -> Iterator[Table]:
    found = [entry for entry in record["contenders"] if entry["kind"] in PEERS]
    if found:
        sources = dict.fromkeys(entry["info"]["source"] for entry in found)
        yield Table(
            "Peers",
            ("contender", "version", "computes in", "settings"),
            [
                (entry["name"], entry["info"]["version"], _precision(entry), entry["info"]["settings"])
                for entry in found
            ],
            f"The settings stand in the runtimes' documentation: {', '.join(sources)}.",
        )


def _precision(entry: Record) -> str:
    """Return the precision that the runtime says it computed the convolutions in, else the one asked for."""
    executed = entry["info"].get("executed")
    if not executed:
        return str(entry["precision"])
    return ", ".join(f"{kind}: {count}" for kind, count in executed.items())
