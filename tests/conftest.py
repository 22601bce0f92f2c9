"""What every test sees: random seeds that are printed, and hypothesis without time limits."""

import os

# Before NumPy is loaded: two test processes on two cores have no use for threads of their own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import secrets
import zlib

import hypothesis
import pytest

hypothesis.settings.register_profile(
    "tunewell", deadline=None, print_blob=True, derandomize=bool(os.environ.get("CI"))
)
hypothesis.settings.load_profile("tunewell")


def pytest_configure(config: pytest.Config) -> None:
    """Draw the seed of this run once; the workers of pytest-xdist inherit it."""
    os.environ.setdefault("TUNEWELL_SEED", str(secrets.randbelow(10**6)))


def pytest_report_header(config: pytest.Config) -> str:
    """Say how to repeat this run."""
    return f"seed: TUNEWELL_SEED={os.environ['TUNEWELL_SEED']} draws the same random numbers again"


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """A random seed for one test, the same for the same TUNEWELL_SEED; shown when the test fails."""
    number = zlib.crc32(f"{os.environ['TUNEWELL_SEED']} {request.node.nodeid}".encode())
    print(f"seed {number} of TUNEWELL_SEED={os.environ['TUNEWELL_SEED']}")
    return number
