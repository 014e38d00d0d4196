"""Hypothesis profiles, and the count of what has been proven.

dev is the default and fast; ci proves at least 10,000 gradients (it is chosen where the environment variable CI is
set); nightly searches with new random numbers. `HYPOTHESIS_PROFILE=nightly pytest` chooses by hand.
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, settings

from minidl.testing import proven

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev")
GRADIENT_CASES_IN_CI = 10_000

COMMON = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow],
    "phases": [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    "report_multiple_bugs": False,
}
settings.register_profile("dev", max_examples=12, derandomize=True, database=None, **COMMON)
settings.register_profile("ci", max_examples=60, derandomize=True, database=None, **COMMON)
settings.register_profile("nightly", max_examples=1500, **COMMON)
settings.load_profile(PROFILE)


def is_whole_suite(config):
    """Whether nothing was left out on the command line."""
    options = config.option
    chosen_all = config.args_source is not pytest.Config.ArgsSource.ARGS
    return chosen_all and not (options.keyword or options.markexpr or options.collectonly or options.maxfail)


def pytest_sessionfinish(session, exitstatus):
    too_few = sum(proven.values()) < GRADIENT_CASES_IN_CI
    if PROFILE == "ci" and exitstatus == pytest.ExitCode.OK and is_whole_suite(session.config) and too_few:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    cases = sum(proven.values())
    parts = ", ".join(f"{count:,} {kind}" for kind, count in sorted(proven.items()))
    if cases:
        terminalreporter.write_line(f"{cases:,} gradient cases proven ({parts})")
    if PROFILE == "ci" and is_whole_suite(config) and cases < GRADIENT_CASES_IN_CI:
        terminalreporter.write_line(f"ERROR: the ci profile proves at least {GRADIENT_CASES_IN_CI:,}", red=True)
