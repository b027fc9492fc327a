"""The report of what the state machines reached, in the summary of the test run."""

import pytest

from tests.properties.reached import REPORTS


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    told = [report for report in REPORTS if report.examples]
    if told:
        terminalreporter.section("reached by state machines")
    for report in told:
        for line in report.lines():
            terminalreporter.write_line(line)
