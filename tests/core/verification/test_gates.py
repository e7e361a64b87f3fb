"""Gates are read and judged."""

from typing import Any

import pytest

from frbias.core.foundation.errors import UsageError
from frbias.core.verification.gates import failures, parse_gate

DOCUMENT: dict[str, Any] = {
    "overall": {"eer": {"value": 0.05}, "d_prime": None},
    "targets": [
        {
            "target": target,
            "fnmr": 0.2,
            "tar": 0.8,
            "tau": 0.4,
            "achieved_fmr": target,
            "far": None,
            "frr": None,
            "groups": [{"name": "0-12", "fmr": 0.02, "fnmr": 0.4}],
            "measures": {
                "garbe": {"value": value, "bootstrap": {"low": 0.1, "high": 0.6}},
                "ir": {"value": None},
            },
        }
        for target, value in ((0.1, 0.2), (0.01, 0.35))
    ],
}


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("garbe@1e-2 > 0.3", 1),
        ("garbe@0.1>0.3", 0),
        ("garbe > 0.3", 1),
        ("garbe > 0.1", 2),
        ("garbe.high@0.01 >= 0.6", 1),
        ("garbe.low@0.01 > 0.1", 0),
        ("fnmr[0-12]@0.1 >= 0.4", 1),
        ("tar@0.1 < 0.9", 1),
        ("eer > 0.02", 1),
        ("eer > 0.05", 0),
        ("ir@0.1 > 5", 1),
        ("d_prime < 1", 1),
    ],
)
def test_gates(text: str, broken: int) -> None:
    assert len(failures([parse_gate(text)], DOCUMENT)) == broken


def test_what_cannot_be_measured_is_not_met() -> None:
    assert "undefined" in failures([parse_gate("ir@0.1 < 5")], DOCUMENT)[0]


@pytest.mark.parametrize("text", ["garbe", "garbe = 3", "garbe > x", "> 0.3", "garbe@ > 0.3"])
def test_unreadable_gates(text: str) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        parse_gate(text)


@pytest.mark.parametrize("text", ["garbe@0.5 > 0.3", "beauty > 1", "fnmr[60+] > 1", "fdr.low > 0.1", "garbe[0-12] > 0"])
def test_gates_about_nothing(text: str) -> None:
    with pytest.raises(UsageError):
        failures([parse_gate(text)], DOCUMENT)
