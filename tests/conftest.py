from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from edge_runtime.backends import Backend, open_backend
from edge_runtime.bundle import Bundle, load_bundle
from edge_runtime.library import cache_folder
from tests.fakes import FakeBackend, model_that_states_all

settings.register_profile("leadwire", deadline=None, max_examples=60, derandomize=True)
settings.load_profile("leadwire")


@pytest.fixture(scope="session", autouse=True)
def no_store_at_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is run without a word of a store has one all the same: not among the data of who runs the tests."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return load_bundle()


@pytest.fixture(scope="session")
def backend(bundle: Bundle) -> Backend:
    return open_backend(bundle)


@pytest.fixture
def fake() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def all_stated():
    return model_that_states_all()


def need(name: str) -> Path:
    """The folder of a data set; skips, naming it, where it is absent."""
    folder = cache_folder() / name
    if not folder.exists():
        pytest.skip(f"needs the {name} data set under {cache_folder()} (or LEADWIRE_DATA)")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)
