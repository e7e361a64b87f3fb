"""Honest pickles: plain data of every protocol is read as Python reads it."""

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pickle_builders import glob, persistent, text

from frbias.core.assets.pickle_records import BoundMethod, InertObject, PersistentObject
from frbias.core.assets.pickles import attribute, parse_persistence_pickle

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.binary(max_size=20),
)
KEYS = st.one_of(st.text(max_size=10), st.integers(-1000, 1000))
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.tuples(inner, inner),
        st.tuples(inner, inner, inner, inner),
        st.dictionaries(KEYS, inner, max_size=5),
        st.sets(KEYS, max_size=4),
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=5), st.integers(2, 5))
def test_plain_data(value: dict[str, Any], protocol: int) -> None:
    assert parse_persistence_pickle(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", [2, 3, 4])  # these files are never newer
@pytest.mark.parametrize(
    "value",
    [
        np.float64(1.5),
        np.float32(-2),
        np.int64(2**40),
        np.uint8(200),
        np.bool_(True),
        np.arange(6.0).reshape(2, 3),
        np.array([True, False]),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
    ],
)
def test_numpy_numbers(value: Any, protocol: int) -> None:
    found = parse_persistence_pickle(pickle.dumps({"v": value}, protocol))["v"]
    np.testing.assert_array_equal(found, value)
    assert found.dtype == value.dtype


def test_shared_and_self_containing_containers() -> None:
    shared: list[Any] = [1]
    shared.append(shared)
    found = parse_persistence_pickle(pickle.dumps({"a": shared, "b": shared}, 4))
    assert found["a"] is found["b"]
    assert found["a"][1] is found["a"]


def test_records() -> None:
    layer = glob("torch.nn.modules.conv", "Conv2d") + b")\x81}" + text("kernel") + b"K\x03sb"
    method = glob("builtins", "getattr") + layer + text("forward") + b"\x86R"
    state = (
        b"("
        + text("_init_args")
        + b"K\x07\x85"
        + text("_init_kwargs")
        + glob("dnnlib.util", "EasyDict")
        + b")\x81"
        + text("a")
    )
    state += b"K\x01s" + text("layer") + layer + text("hook") + method + b"d"
    network = parse_persistence_pickle(persistent(state))["G_ema"]
    assert isinstance(network, PersistentObject)
    assert (network.class_name, network.init_args, network.init_kwargs) == ("Generator", (7,), {"a": 1})
    assert type(network.state["_init_kwargs"]) is dict
    layer_record = attribute(network, "layer")
    assert isinstance(layer_record, InertObject)
    assert layer_record.class_name == "torch.nn.modules.conv.Conv2d"
    assert attribute(network, "layer.kernel") == 3
    assert isinstance(attribute(network, "hook"), BoundMethod)
    assert "Generator" in repr(network)
    assert "SystemExit" not in repr(network)
    for missing in ("nothing", "layer.nothing", "layer.kernel.deeper"):
        with pytest.raises(KeyError):
            attribute(network, missing)
