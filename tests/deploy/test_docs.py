"""What the pages name is there: settings, metrics, commands, files and links."""

from __future__ import annotations

import re
from pathlib import Path

import grpc
import pytest
from opentelemetry.sdk import environment_variables

from ari_gateway.settings import GatewaySettings
from deploy_support import docs
from deploy_support.docs import PAGES, Command
from deploy_support.prometheus import RULES
from deploy_support.reference import ROOT, listed
from dialer.command import run_command as run_dialer
from dialer.settings import DialerSettings
from intent.settings import IntentSettings
from reporter.command import run_command as run_reporter
from reporter.settings import ReporterSettings
from servicekit.settings import ServiceSettings
from speech.settings import SpeechSettings

SERVICES: tuple[type[ServiceSettings], ...] = (
    GatewaySettings,
    DialerSettings,
    SpeechSettings,
    IntentSettings,
    ReporterSettings,
)
SETTINGS = {name.upper() for settings in SERVICES for name in settings.model_fields}
# Names in capitals that are no setting of a service, by whose they are.
OTHERS = {
    "ENV_FILE": "which settings file is read",
    "FROM_DID": "FreePBX's",
    "WRONG_VERSION_NUMBER": "OpenSSL's",
}
BY_NAME = [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES]
RUN = {"dialer": run_dialer, "reporter": run_reporter}


def _named_elsewhere() -> set[str]:
    """Give what the project's other files name in capitals, and what its libraries read."""
    files = [
        ROOT / "Makefile",
        *ROOT.glob("docker-compose*.yml"),
        *(ROOT / "deploy/docker").glob("*.*"),
        *(ROOT / "deploy/asterisk").glob("*.conf"),
    ]
    found = {name for path in files for name in _words(path)}
    return found | {code.name for code in grpc.StatusCode} | vars(environment_variables).keys()


def _words(path: Path) -> set[str]:
    return set(re.findall(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+", path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", BY_NAME)
def test_every_setting_a_page_names_is_one(page: Path) -> None:
    """Names in capitals are settings, or stand in the list of others."""
    assert docs.settings_in(page) - SETTINGS - OTHERS.keys() - _named_elsewhere() == set()


@pytest.mark.parametrize("page", BY_NAME)
def test_every_metric_a_page_names_is_exported(page: Path) -> None:
    """Metrics are on the reference page, and recorded figures in the rules."""
    assert docs.metrics_in(page) - listed().keys() == set()
    recorded = set(re.findall(r"record: (\S+)", RULES.read_text(encoding="utf-8")))
    assert docs.rules_in(page) - recorded == set()


@pytest.mark.parametrize("page", BY_NAME)
def test_every_target_a_page_names_can_be_made(page: Path) -> None:
    """Targets of `make` are in the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert (
        docs.targets_in(page) - set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE)) == set()
    )


@pytest.mark.parametrize("page", BY_NAME)
def test_every_file_a_page_names_is_there(page: Path) -> None:
    """Paths of files lead somewhere: from the root, from the page, or within a service."""
    homes = (ROOT, page.parent, *(ROOT / "services").glob("*/src"), ROOT / "libs/servicekit/src")
    homes += tuple((ROOT / "services").glob("*/src/*"))
    missing = {
        name for name in docs.files_in(page) if not any((home / name).exists() for home in homes)
    }
    assert missing == set()


@pytest.mark.parametrize("page", BY_NAME)
def test_every_link_leads_to_its_heading(page: Path) -> None:
    """Links lead to files of this project, and anchors to headings of theirs."""
    broken = set()
    for link in docs.links_in(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in docs.anchors_of(target)):
            broken.add(link)
    assert broken == set()


@pytest.mark.parametrize("page", BY_NAME)
def test_every_command_a_page_shows_exists(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Commands of dialer and reporter are ones their programs have, with these options."""
    for command in set(docs.commands_in(page)):
        assert not _unknown(command, capsys), command


def _unknown(command: Command, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Give what a program's own help does not know of a command."""
    with pytest.raises(SystemExit) as ended:
        RUN[command.program]([*command.words, "--help"])
    shown = capsys.readouterr()
    if ended.value.code != 0:
        return [shown.err]
    return [option for option in command.options if option not in shown.out]
