"""Names of lease holders that tell whether they still live."""

import subprocess
import sys
import time

from tunewell.owner import is_gone, new_owner


def test_this_process_is_not_gone():
    assert not is_gone(new_owner())


def test_two_coordinators_of_one_process_have_two_names():
    assert new_owner() != new_owner()


def test_a_process_that_ended_is_gone():
    script = "from tunewell.owner import new_owner; print(new_owner())"
    owner = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()
    assert is_gone(owner)


def test_a_process_that_was_not_reaped_yet_is_gone():
    script = "from tunewell.owner import new_owner; print(new_owner(), flush=True)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        owner = process.stdout.readline().strip()
        end = time.monotonic() + 10  # it ends, and nobody has waited for it
        while not is_gone(owner) and time.monotonic() < end:
            time.sleep(0.01)
        assert is_gone(owner)


def test_other_machines_are_never_certain():
    assert not is_gone("elsewhere:1:2:3")
    assert not is_gone("")
