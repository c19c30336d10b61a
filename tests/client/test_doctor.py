"""`wayside doctor`: what it says of sockets, identity and journal, against collectors of every kind."""

import json
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import wayside
from client.conftest import Place
from client.test_older_pythons import CLIENT, VERSIONS, python
from client.test_whence import FOUND
from memory import ENVIRON
from standins.answering_collector import Script, answer, answering_collector, read_frames, wait_for_end
from wayside import wire
from wayside.command import as_json, as_text, main
from wayside.examination import Check, Report, examine
from wayside.identity import Here, find_place, run_id
from wayside.probe import look_at
from wayside.settings import read_settings

HERE = Here(argv=("wayside", "doctor"), host="here", parent="p")


def look(place: Place, patience: float = 10.0, **environ: str) -> Report:
    """What the doctor finds. Wherever it looked, it leaves no journal, and no folder for one."""
    before = [path.exists() for path in (place.beside / "journals", place.overflow)]
    report = examine({**place.environ, **environ}, HERE, patience)
    assert place.journals() == []
    assert [path.exists() for path in (place.beside / "journals", place.overflow)] == before
    as_text(report)
    json.loads(as_json(report))
    return report


def check(report: Report, name: str) -> Check:
    (found,) = [check for check in report.checks if check.name == name]
    return found


def failed(report: Report) -> list[str]:
    """Names of the checks that failed; each says what to do."""
    assert report.ok is not any(not check.ok for check in report.checks)
    assert all(check.do for check in report.checks if not check.ok)
    return [check.name for check in report.checks if not check.ok]


# --- no collector ----------------------------------------------------------------------------------------------------


def test_nothing_is_there(place: Place) -> None:
    """Without a collector only that fails, and it says how to start one and where rows are kept until then."""
    report = look(place)
    assert failed(report) == ["collector"]
    assert report.sockets == [(str(place.socket), False, "nothing is there", "")]
    assert "wayside-collector run" in check(report, "collector").do
    assert str(place.overflow) in check(report, "disk").found
    assert not place.overflow.exists()


def test_every_place_is_shown(place: Place) -> None:
    """Without WAYSIDE_SOCKET all usual places are looked at, in their order."""
    report = look(place, WAYSIDE_SOCKET="", XDG_RUNTIME_DIR=str(place.beside))
    paths = [found.path for found in report.sockets]
    assert paths == [
        "/run/wayside/wayside.sock",
        str(place.beside / "wayside" / "wayside.sock"),
        os.path.join(os.getcwd(), ".wayside/wayside.sock"),
    ]


def test_a_socket_nobody_listens_on(place: Place) -> None:
    """A socket that a killed collector left is told from none."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(place.socket))
    report = look(place)
    assert failed(report) == ["collector"]
    assert "left by a collector that is no more" in report.sockets[0].state
    assert "start the collector again" in check(report, "collector").do


def test_something_else_is_in_its_place(place: Place) -> None:
    """A file where the socket should be is named."""
    place.socket.write_text("x")
    report = look(place)
    assert report.sockets[0].state == "is no socket"
    assert "WAYSIDE_SOCKET" in check(report, "collector").do


def test_a_folder_is_in_its_place(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder is named as one, by the doctor and by `init`, and nobody is told to remove it or that a collector is
    there.
    """
    place.socket.mkdir()
    report = look(place)
    assert report.sockets[0].state == "is a folder"
    assert f"{place.socket}/wayside.sock" in check(report, "collector").do
    assert "remove" not in check(report, "collector").do
    wayside.init().finish()
    told = capsys.readouterr().err
    assert f"{place.socket} is a folder" in told
    assert "a collector is here" not in told


def test_a_path_that_leads_nowhere(place: Place) -> None:
    """A socket below a file cannot be looked at, and a path that no socket can have is told with its length."""
    place.socket.write_text("x")
    report = look(place, WAYSIDE_SOCKET=f"{place.socket}/deeper/w.sock")
    assert "cannot be looked at: Not a directory" in report.sockets[0].state
    long = look(place, WAYSIDE_SOCKET="/" + "s" * 107)
    assert failed(long) == ["settings", "collector"]
    assert "108 bytes" in check(long, "settings").found


def test_a_socket_of_somebody_else(place: Place) -> None:
    """One that this user may not connect to is told with both users and the groups."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place.socket))
        listening.listen()
        place.beside.chmod(0o777)
        place.socket.chmod(0)
        me = os.geteuid()
        if me == 0:
            os.seteuid(65534)  # root may connect to anything
        try:
            found = look_at(str(place.socket))
        finally:
            os.seteuid(me)
    assert f"may not be connected to: it belongs to {me}:" in found.state
    assert "mode 0;" in found.state
    assert "fsGroup" in found.do


# --- collectors of every kind ----------------------------------------------------------------------------------------


def stores(connection: socket.socket, hello: dict[str, Any]) -> None:
    """Reads nothing, and says it has stored both the row and the finish."""
    answer(connection)
    connection.sendall(wire.stored_frame(2))
    wait_for_end(connection)


def takes_frames(connection: socket.socket, hello: dict[str, Any]) -> None:
    """Cannot read the journal; SEQ, HELLO, SCHEMA, ROW and EVENT must come over the socket."""
    answer(connection, journal="unreadable", reason="no shared folder")
    kinds = [wire.scan(frame).spans[0].type for frame in read_frames(connection, 5)]
    assert kinds == [wire.SEQ, wire.HELLO, wire.SCHEMA, wire.ROW, wire.EVENT], kinds
    connection.sendall(wire.stored_frame(2))
    wait_for_end(connection)


def test_the_row_comes_back(place: Place) -> None:
    """All is right: exit code 0, the collector's version, wire versions and page, and how the row went."""
    hellos: list[dict[str, Any]] = []

    def script(connection: socket.socket, hello: dict[str, Any]) -> None:
        hellos.append(hello)
        folder = Path(hello["journal"]["path"])
        assert list(folder.glob("*.seg"))
        stores(connection, hello)

    with answering_collector(place.socket, script):
        report = look(place)
    assert report.ok, report.checks
    found = check(report, "collector").found
    assert all(text in found for text in ("9.9", str(place.socket), "http://there/", "reads wire versions 1"))
    assert "read from the journal" in check(report, "row").found
    (hello,) = hellos
    assert (hello["kind"], hello["run"]["id"], hello["run"]["project"]) == ("test", "wayside-doctor", "wayside-doctor")


def test_a_journal_the_collector_cannot_read(place: Place) -> None:
    """The row goes over the socket, which is well; why the journal is not read is told."""
    with answering_collector(place.socket, takes_frames):
        report = look(place)
    assert report.ok, report.checks
    assert "sent over the socket" in check(report, "row").found
    assert "no shared folder" in check(report, "row").do


def refuses(connection: socket.socket, hello: dict[str, Any]) -> None:
    connection.sendall(wire.json_frame(wire.ERROR, {"error": "1024 connections are open, the limit"}))


def is_of_another_version(connection: socket.socket, hello: dict[str, Any]) -> None:
    answer(connection, versions=[7, 8])


def speaks_http(connection: socket.socket, hello: dict[str, Any]) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    wait_for_end(connection)


def hangs_up(connection: socket.socket, hello: dict[str, Any]) -> None:
    return


def says_nothing(connection: socket.socket, hello: dict[str, Any]) -> None:
    wait_for_end(connection)


@pytest.mark.parametrize(
    ("script", "found", "do"),
    [
        (refuses, "1024 connections are open", "log"),
        (is_of_another_version, "the collector reads [7, 8]", "one version"),
        (speaks_http, "speaks something else", "something else than a collector"),
        (hangs_up, "it hung up", "log"),
        (says_nothing, "did not answer in time", "stopped"),
    ],
)
def test_a_collector_that_does_not_take_us(place: Place, script: Script, found: str, do: str) -> None:
    """Whatever it does instead: what it was, and what to do, within the time that was given."""
    with answering_collector(place.socket, script):
        begun = time.monotonic()
        report = look(place, patience=0.3)
        assert time.monotonic() - begun < 10
    assert failed(report) == ["collector"]
    assert found in check(report, "collector").found
    assert do in check(report, "collector").do


def test_a_collector_that_stores_nothing(place: Place) -> None:
    """It answers, and the row is not stored: its disk is to be looked at."""

    def script(connection: socket.socket, hello: dict[str, Any]) -> None:
        answer(connection)
        wait_for_end(connection)

    with answering_collector(place.socket, script):
        report = look(place, patience=0.3)
    assert failed(report) == ["row"]
    assert "did not store the row in time" in check(report, "row").found
    assert "is its disk full?" in check(report, "row").do


def test_the_next_address_is_tried(place: Place) -> None:
    """As training does: where the first takes the connection and gives no answer, the second is asked."""
    (place.beside / "wayside").mkdir()
    first, second = place.beside / "wayside" / "wayside.sock", place.beside / ".wayside" / "wayside.sock"
    second.parent.mkdir()
    before = os.getcwd()
    os.chdir(place.beside)
    try:
        with answering_collector(first, hangs_up), answering_collector(second, stores):
            report = look(place, WAYSIDE_SOCKET="", XDG_RUNTIME_DIR=str(place.beside))
    finally:
        os.chdir(before)
    assert report.ok, report.checks
    assert str(second) in check(report, "collector").found


# --- settings, journal, disk -----------------------------------------------------------------------------------------


def test_offline_is_well(place: Place) -> None:
    """Nobody is looked for, and where rows are kept is said."""
    report = look(place, WAYSIDE_MODE="offline")
    assert report.ok
    assert report.sockets == []
    assert [check.name for check in report.checks] == ["settings", "identity", "journal", "disk", "orphans"]


def test_disabled_is_not(place: Place) -> None:
    """Whoever asks a doctor misses his rows."""
    report = look(place, WAYSIDE_MODE="disabled")
    assert failed(report) == ["settings"]
    assert "WAYSIDE_MODE" in check(report, "settings").do


def test_variables_that_cannot_be_used(place: Place) -> None:
    """Every one is named."""
    report = look(place, WAYSIDE_MODE="offline", WAYSIDE_TRANSPORT="tcp", WAYSIDE_KEPT_LIMIT="much")
    assert failed(report) == ["settings"]
    assert all(name in check(report, "settings").found for name in ("WAYSIDE_TRANSPORT", "WAYSIDE_KEPT_LIMIT"))


@pytest.mark.parametrize("folder", ["/proc/wayside", "{file}/deeper", "{others}/deeper"])
def test_a_folder_that_cannot_be_written(place: Place, folder: str) -> None:
    """A WAYSIDE_DIR where nobody can write, below a file, or within a folder of somebody else: what to do is said."""
    place.socket.write_text("x")
    others = place.beside / "others"
    others.mkdir(mode=0)
    place.beside.chmod(0o711)
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)  # root may write anywhere
    try:
        environ = {"WAYSIDE_MODE": "offline", "WAYSIDE_DIR": folder.format(file=place.socket, others=others), **ENVIRON}
        report = examine(environ, HERE, 1.0)
    finally:
        os.seteuid(me)
    assert failed(report) == ["disk"]
    assert "set WAYSIDE_DIR" in check(report, "disk").do


def test_no_room_for_a_journal(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no place takes a journal, each is named with its reason."""
    monkeypatch.setattr("wayside.shelf.room", lambda path, held: 0)
    report = look(place)
    assert failed(report) == ["journal", "collector"]
    found = check(report, "journal").found
    assert all(text in found for text in (str(place.beside), str(place.overflow), "a tenth of what is free"))


def test_what_waits_on_disk_is_told(place: Place) -> None:
    """Journals of earlier runs, and the command that delivers them."""
    old = place.overflow / "journals" / ("f" * 32)
    old.mkdir(parents=True)
    (old / "00000000.seg").write_bytes(bytes(3 << 20))
    report = examine({**place.environ, "WAYSIDE_MODE": "offline"}, HERE, 1.0)
    assert "3 MiB" in check(report, "disk").do
    assert f"wayside-collector sync {place.overflow}" in check(report, "disk").do


# --- identity --------------------------------------------------------------------------------------------------------


def identity(environ: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    report = examine({"WAYSIDE_MODE": "disabled", **environ}, HERE, 1.0)
    return {value.name: (value.value, value.source) for value in report.identity}


@pytest.mark.parametrize("name", sorted(FOUND))
def test_it_is_what_training_would_find(name: str) -> None:
    """In every environment launchers were seen to leave: what is shown is what `find_place` and `run_id` say."""
    environ = FOUND[name]
    shown, place = identity(environ), find_place(environ, HERE)
    for field, value in place.fields().items():
        if field != "pod":
            assert shown[field.replace("_", " ")][0] == str(value)
    settings = read_settings(environ)
    expected = run_id(None, settings, place, settings.project, settings.name, 1).id
    assert shown["run id"][0] in (expected, "one for each command line", "one for each launch", "random")


def test_where_a_rank_came_from() -> None:
    """Every value is shown with the variables that gave it."""
    torchrun = {
        "RANK": "3",
        "LOCAL_RANK": "1",
        "WORLD_SIZE": "4",
        "LOCAL_WORLD_SIZE": "2",
        "TORCHELASTIC_RUN_ID": "job7",
        "TORCHELASTIC_RESTART_COUNT": "2",
        "WORKLOAD_UID": "w-17",
        "POD_NAME": "train-0",
        "WANDB_PROJECT": "demo",
        "SLURM_PROCID": "0",
    }
    shown = identity(torchrun)
    assert shown["rank"] == ("3", "RANK, LOCAL_RANK")
    assert shown["world size"] == ("4", "RANK, WORLD_SIZE")
    assert shown["attempt"] == ("0.2", "TORCHELASTIC_RESTART_COUNT")
    assert shown["workload"] == ("w-17", "WORKLOAD_UID")
    assert shown["project"] == ("demo", "WANDB_PROJECT")
    assert shown["pod name"] == ("train-0", "POD_NAME")
    assert shown["host"] == ("here", "the machine's name")
    id, source = shown["run id"]
    assert len(id) == 16
    assert "WORKLOAD_UID" in source
    assert identity({**torchrun, "RANK": "2", "TORCHELASTIC_RESTART_COUNT": "0"})["run id"][0] == id


def test_a_run_id_of_ones_own() -> None:
    """One that was asked for is shown with its variable, and one W&B refuses is a failed check."""
    assert identity({"WANDB_RUN_ID": "mine"})["run id"] == ("mine", "WANDB_RUN_ID")
    report = examine({"WAYSIDE_MODE": "offline", "WAYSIDE_RUN_ID": "a/b"}, HERE, 1.0)
    assert "which W&B refuses" in check(report, "identity").found


def test_ranks_that_share_no_job() -> None:
    """Rank 1 of 2 without a job's name would be a run of its own: a failed check."""
    report = examine({"WAYSIDE_MODE": "offline", "RANK": "1", "WORLD_SIZE": "2"}, HERE, 1.0)
    assert failed(report) == ["identity"]
    assert "WAYSIDE_RUN_ID" in check(report, "identity").do


def test_a_lone_process_has_an_id_of_its_command() -> None:
    """Where the command line is part of the id, no id is shown that training would not have."""
    batch = {"SLURM_JOB_ID": "7", "SLURM_PROCID": "0", "SLURM_CLUSTER_NAME": "lab", "SLURM_JOB_NAME": "train.sh"}
    value, source = identity(batch)["run id"]
    assert value == "one for each command line"
    assert "SLURM_JOB_ID" in source
    assert identity({})["run id"][0] == "random"


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code"), [([], 2), (["--help"], 0), (["doctor", "--help"], 0), (["doctor", "--timeout", "0"], 2)]
)
def test_the_command_line_explains_itself(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Help has examples; nothing to do, and nonsense, exit with 2."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == code
    told = capsys.readouterr()
    assert "doctor" in told.out + told.err
    if "--timeout" not in arguments:
        assert "examples:" in told.out
        assert max(map(len, told.out.splitlines())) <= 120


def test_it_says_what_it_found_and_ends_with_a_code(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """1 where a check failed, 0 where none did; as JSON one object, as text a line for each check."""
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--json"])
    assert ended.value.code == 1
    told = json.loads(capsys.readouterr().out)
    assert set(told) == {"ok", "versions", "settings", "sockets", "identity", "orphans", "checks"}
    assert told["ok"] is False
    with answering_collector(place.socket, stores), pytest.raises(SystemExit) as ended:
        main(["doctor"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert text.count("  OK   ") == 7
    assert "FAIL" not in text


@pytest.mark.parametrize("version", VERSIONS)
def test_every_python_has_a_doctor(place: Place, version: str) -> None:
    """Under each it sends its row, and says the same."""
    environ = {**place.environ, "PYTHONPATH": str(CLIENT)}
    command = [python(version), "-W", "error", "-c", "from wayside.command import main; main()", "doctor", "--json"]
    with answering_collector(place.socket, stores):
        done = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["versions"]["python"].startswith(version + ".")
    assert place.journals() == []


def test_training_pays_nothing_for_it(tmp_path: Path) -> None:
    """Importing the client does not import the doctor."""
    code = (
        "import sys, wayside; print([n for n in sys.modules if n in ('argparse', 'wayside.command', 'wayside.probe')])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_modes_of_a_test_journal_are_a_trainings(place: Place) -> None:
    """The journal that was shown to be readable lay where training's will, with the same modes."""
    seen: list[int] = []

    def script(connection: socket.socket, hello: dict[str, Any]) -> None:
        seen.extend(stat.S_IMODE(path.stat().st_mode) for path in Path(hello["journal"]["path"]).glob("*.seg"))
        assert Path(hello["journal"]["path"]).parent == place.beside / "journals"
        stores(connection, hello)

    with answering_collector(place.socket, script):
        assert look(place).ok
    assert set(seen) == {0o660}
