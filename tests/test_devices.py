"""Which device a name means."""

import pytest
import torch

from tinct.devices import chosen_device
from tinct.errors import ConfigError, UnknownName

PRESENT = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}


def test_auto_is_the_first_that_is_there_and_at_last_the_cpu():
    assert chosen_device("auto") == next(name for name, there in PRESENT.items() if there)
    assert chosen_device("auto", ("cpu", "cuda")) == "cpu"
    assert chosen_device("cpu") == "cpu"


@pytest.mark.parametrize("name", [name for name, there in PRESENT.items() if not there])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(name):
    with pytest.raises(ConfigError, match=rf"device {name}: this machine has none that torch can use.*cpu"):
        chosen_device(name)


def test_an_unknown_device_has_the_nearest():
    with pytest.raises(UnknownName, match=r"unknown device 'cudo'\. Did you mean 'cuda'"):
        chosen_device("cudo")
