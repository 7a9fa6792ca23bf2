"""The receiver of the database's log: whether a restore point has arrived."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from marketplace_receiver import Receiver

FILE = "00000001000000020000003A"
POINT = "drill_20261126T180155_0_counted"


def receiver(directory: Path) -> Receiver:
    return Receiver(cast(Any, None), cast(Any, SimpleNamespace(directory=directory)))


@pytest.mark.parametrize(
    ("there", "arrived"),
    [
        ({}, False),
        ({f"streaming/{FILE}.partial": "what came before"}, False),
        ({f"streaming/{FILE}.partial": f"what came before {POINT} and behind"}, True),
        # The receiver is further than that, by however many files.
        ({f"streaming/{FILE}": "complete", "streaming/00000001000000020000004F.partial": ""}, True),
        # Barman has put it away meanwhile, compressed.
        ({f"wals/0000000100000002/{FILE}": "packed"}, True),
        ({"streaming/000000010000000200000039": POINT}, False),
    ],
)
def test_a_restore_point_has_arrived_with_its_file_or_its_bytes(
    tmp_path: Path, there: dict[str, str], arrived: bool
) -> None:
    for name, text in there.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert receiver(tmp_path).has(FILE, POINT) is arrived
