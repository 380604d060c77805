"""The reporter's command line, against a running reporter."""

from __future__ import annotations

import csv
import json

from reporter_support.panel import FakePanel
from reporter_support.reports import report_of
from reporter_support.site import Site
from reporter_support.web import Answer
from support.timing import eventually


async def test_export_command(site: Site) -> None:
    """`reporter export` writes every result to the named file, and says when nobody is there."""
    reports = [report_of(source="file") for _ in range(3)]
    target = site.directory / "out.csv"
    async with site.started():
        await site.report(reports)
        command = await site.run("export", "--format", "csv", "--output", str(target))
        _, err = await command.communicate()
        assert (command.returncode, err) == (0, b"")
    with target.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["attempt_id"] for row in rows] == [report.attempt_id for report in reports]
    late = await site.run("export", "--output", str(target))
    _, err = await late.communicate()
    assert late.returncode == 3
    assert f"no reporter answers at 127.0.0.1:{site.port}" in err.decode()
    assert len(target.read_bytes().splitlines()) == 4


async def _said(site: Site, *arguments: str) -> tuple[int | None, str, str]:
    """Run a command; give its status, and what it wrote to stdout and stderr."""
    command = await site.run(*arguments)
    out, err = await command.communicate()
    return command.returncode, out.decode(), err.decode()


async def test_results_command(site: Site) -> None:
    """`reporter results` shows what the filter names, numbers masked unless asked for."""
    shown, hidden = report_of(source="file"), report_of(source="static")
    async with site.started():
        await site.report([shown, hidden])
        wanted = ("results", "--source", "file", "--since", "2026-05-04", "--number", "۰۹۱۲۰۰۰۰۱۰۱")
        status, out, err = await _said(site, *wanted)
        assert (status, err) == (0, "")
        header, row = out.splitlines()
        assert header.split()[:3] == ["ATTEMPTED", "DIRECTION", "SOURCE"]
        assert "2026-05-04 00:15:10" in row
        assert "+989***0101" in row
        assert shown.attempt_id in row
        assert shown.contact.number not in out
        _, out, _ = await _said(site, *wanted, "--show-numbers")
        assert shown.contact.number in out
        assert (await _said(site, "results", "--until", "2026-05-04"))[1] == "no results\n"
        _, out, _ = await _said(site, "results", "--limit", "1")
        assert out.splitlines()[-1] == "the newest 1 are shown, there are more: --limit"
        status, _, err = await _said(site, "results", "--result", "mised")
        assert status == 3
        assert err.startswith("reporter: filter.result is none of")
        _, out, _ = await _said(site, "export", "--source", "static", "--format", "json")
        assert [json.loads(line)["attempt_id"] for line in out.splitlines()] == [hidden.attempt_id]


async def test_dead_letters_commands(site: Site, panel: FakePanel) -> None:
    """Dead letters are listed, retried and discarded by command, and what is asked is said."""
    panel.plan([Answer(404, b"mismatch"), Answer(410)])
    reports = [report_of(number_id=1), report_of(number_id=2)]
    async with site.started():
        await site.report(reports)
        await eventually(lambda: _are_dead(site, 2), within_s=20)
        first, second = (report.attempt_id for report in reports)
        status, out, err = await _said(site, "dead-letters", "retry", first, "stranger")
        assert (status, err) == (0, "")
        assert out == "1 back in the queue, 1 of those named are no dead letters\n"
        await eventually(lambda: len(panel.accepted) == 1)
        for nothing in ("retry", "discard"):
            assert (await _said(site, "dead-letters", nothing))[0] == 2
        assert (await _said(site, "dead-letters", "discard", "--all"))[1] == "1 discarded\n"
        assert (await _said(site, "dead-letters", "list"))[1] == "no dead letters\n"
    assert len(panel.accepted) == 1
    assert panel.tries[first] + panel.tries[second] == 3


async def _are_dead(site: Site, count: int) -> bool:
    _, out, _ = await _said(site, "dead-letters", "list")
    return out.count("HTTP 4") == count


async def test_erase_command(site: Site) -> None:
    """`reporter erase` forgets a person, says how much, and repeats no number in its errors."""
    async with site.started():
        await site.report(
            [report_of(source="file"), report_of(source="file", number="+989120000102")]
        )
        assert (await _said(site, "erase", "09120000101"))[:2] == (0, "results erased: 1\n")
        _, out, _ = await _said(site, "results", "--show-numbers")
        assert "+989120000101" not in out
        assert "+989120000102" in out
        status, _, err = await _said(site, "erase", "12")
        assert (status, err) == (3, "reporter: number is no phone number\n")


async def test_callbacks_commands(site: Site) -> None:
    """`reporter callbacks` lists whom to dial, `done` closes, and no log shows a number."""
    reports = [
        report_of(source="file", number=f"+98912000010{n}", callback_wanted=True) for n in range(3)
    ]
    async with site.started() as process:
        await site.report(reports)
        status, out, err = await _said(site, "callbacks")
        assert (status, err) == (0, "")
        header, *rows = out.splitlines()
        assert header.split() == ["SINCE", "NUMBER", "LINE", "DIRECTION", "ATTEMPT"]
        assert [row.split() for row in rows] == [
            ["2026-05-04", "00:15:10", f"0912000010{n}", "1001", "outbound", report.attempt_id]
            for n, report in enumerate(reports)
        ]
        _, out, _ = await _said(site, "callbacks", "--limit", "1")
        assert out.splitlines()[-1] == "the first 1 are shown, there are more: --limit"
        first, second, third = (report.attempt_id for report in reports)
        address = ("--address", f"localhost:{site.port}")
        assert (await _said(site, "callbacks", "done"))[0] == 2
        assert (await _said(site, "callbacks", *address, "done", first, "stranger"))[:2] == (
            0,
            "1 done, 1 of those named not waiting\n",
        )
        assert (await _said(site, "callbacks", "done", *address, second, third))[1] == "2 done\n"
        assert (await _said(site, "callbacks"))[1] == "nobody waits for a call\n"
        process.terminate()
        said = b"".join(await process.communicate()).decode()
    logged = said + (site.directory / "logs" / "app.log").read_text()
    assert "callbacks are done" in logged
    assert "912000010" not in logged
    elsewhere = ("callbacks", "--address", "127.0.0.1:1", "done", first)
    assert "no reporter answers at 127.0.0.1:1" in (await _said(site, *elsewhere))[2]
