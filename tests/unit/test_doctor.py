"""The doctor: every fault is found where it is, named, and given a fix that shows no secret."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from email.utils import formatdate
from io import StringIO
from pathlib import Path

import pytest
from aiohttp import web
from rich.console import Console

from agents.doctor import Check, print_checks
from agents.doctor.disk import check_files_store, check_journal, file_system
from agents.doctor.installation import (
    check_engine,
    check_packages,
    check_plugins,
    check_settings,
)
from agents.doctor.livekit_server import check_livekit
from agents.plugin import AgentSettings, AgentSpec
from pipelines.errors import EngineError, PluginError
from pipelines.settings import Settings

SECRET = "canary-secret-of-32-characters-or-more"
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def settings(url: str = "ws://127.0.0.1:1", **others: object) -> Settings:
    values = {"livekit_url": url, "livekit_api_key": "key", "livekit_api_secret": SECRET} | others
    return Settings.model_validate(values)


@asynccontextmanager
async def serve(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve ``handler`` for every request on a free loopback port."""
    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    try:
        await web.SockSite(runner, listener, ssl_context=tls).start()
        yield listener.getsockname()[1]
    finally:
        await runner.cleanup()


def answers(status: int, text: str, *, clock: float = 0.0) -> Handler:
    async def handler(_request: web.BaseRequest) -> web.Response:
        date = formatdate(time.time() + clock, usegmt=True)
        return web.Response(status=status, text=text, headers={"Date": date})

    return handler


async def livekit_checks(handler: Handler) -> dict[str, Check]:
    async with serve(handler) as port:
        checks = await check_livekit(settings(f"ws://127.0.0.1:{port}"))
    return {check.name: check for check in checks}


async def test_a_server_that_takes_the_key_and_has_our_time_is_ok() -> None:
    checks = await livekit_checks(answers(200, '{"rooms":[]}'))
    assert {name: check.level for name, check in checks.items()} == {"LiveKit": "ok", "clock": "ok"}


async def test_a_closed_port_is_a_refused_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    (check,) = await check_livekit(settings(f"ws://127.0.0.1:{port}"))
    assert check == Check(
        "LiveKit",
        "error",
        f"ws://127.0.0.1:{port}: connection refused",
        "start livekit-server, or correct the port in LIVEKIT_URL",
    )


async def test_a_host_that_does_not_exist_is_named() -> None:
    (check,) = await check_livekit(settings("ws://livekit.invalid"))
    assert (check.level, check.message) == ("error", "ws://livekit.invalid: no such host")


async def test_an_address_in_the_settings_that_is_missing_is_named_by_its_variable() -> None:
    (check,) = await check_livekit(settings(livekit_url="", livekit_api_secret=""))
    assert (check.level, check.message) == ("error", "LIVEKIT_URL and LIVEKIT_API_SECRET not set")


async def test_tls_towards_a_plain_server_is_a_wrong_scheme() -> None:
    async with serve(answers(200, "{}")) as port:
        (check,) = await check_livekit(settings(f"wss://127.0.0.1:{port}"))
    assert (check.level, check.fix[:8]) == ("error", "use ws:/")


@pytest.fixture
def certificate(tmp_path: Path) -> ssl.SSLContext:
    key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
    subprocess.run(
        f"openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 -keyout {key} -out {chain}",
        shell=True,
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    return context


async def test_a_certificate_that_is_not_trusted_is_said(certificate: ssl.SSLContext) -> None:
    async with serve(answers(200, "{}"), certificate) as port:
        (check,) = await check_livekit(settings(f"wss://127.0.0.1:{port}"))
    assert (check.level, check.message) == (
        "error",
        f"wss://127.0.0.1:{port}: its certificate is not trusted",
    )


@pytest.mark.parametrize(
    ("status", "text", "message"),
    [
        (401, "invalid API key: key", "the server does not know LIVEKIT_API_KEY"),
        (401, f"invalid token: {SECRET}, error: token signature is invalid", "not belong"),
        (401, f"invalid token: {SECRET}, error: token is expired", "outside their time"),
        (400, "Client sent an HTTP request to an HTTPS server.", "TLS is spoken there"),
        (301, "", "redirects elsewhere"),
        (404, "Not Found", "answered 404, not as a LiveKit server"),
        (200, "<html>", "answered 200, not as a LiveKit server"),
        (503, "", "answered 503"),
    ],
)
async def test_each_refusal_is_told_apart_and_shows_no_secret(
    status: int, text: str, message: str
) -> None:
    check = (await livekit_checks(answers(status, text)))["LiveKit"]
    assert check.level == "error"
    assert message in check.message
    assert check.fix
    assert SECRET not in check.message + check.fix


async def test_a_short_secret_is_a_warning() -> None:
    async with serve(answers(200, "{}")) as port:
        url = f"ws://127.0.0.1:{port}"
        check, _clock = await check_livekit(settings(url, livekit_api_secret="short"))
    assert check.level == "warning"
    assert check.message.endswith("the secret has fewer than 32 characters")


@pytest.mark.parametrize(("clock", "side"), [(-30.0, "ahead of"), (30.0, "behind")])
async def test_a_clock_that_differs_from_livekits_is_a_warning(clock: float, side: str) -> None:
    check = (await livekit_checks(answers(200, "{}", clock=clock)))["clock"]
    assert check.level == "warning"
    assert f"s {side} LiveKit's" in check.message


@contextmanager
def as_ordinary_user() -> Iterator[None]:
    """Give up root's right to write everywhere, for a moment."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(was)


MOUNTS = """\
24 1 8:1 / / rw - {root} /dev/sda1 rw
25 24 0:5 / /var/journal rw - ext4 /dev/sdb1 rw
26 24 0:6 / /var/journal/shared rw - nfs4 server:/share rw
27 24 0:7 / /var/my\\040disk rw - xfs /dev/sdc1 rw
28 24 0:8 / /var/journal rw - btrfs /dev/sdd1 rw
"""


@pytest.fixture
def mounts(tmp_path: Path) -> Callable[[str], Path]:
    def write(root: str) -> Path:
        table = tmp_path / "mountinfo"
        table.write_text(MOUNTS.format(root=root))
        return table

    return write


@pytest.mark.parametrize(
    ("directory", "kind"),
    [
        ("/", "ext4"),
        ("/var/journalist", "ext4"),
        ("/var/journal/deep/er", "btrfs"),
        ("/var/journal/shared/x", "nfs4"),
        ("/var/my disk", "xfs"),
    ],
)
def test_the_file_system_is_that_of_the_nearest_mount(
    mounts: Callable[[str], Path], directory: str, kind: str
) -> None:
    assert file_system(Path(directory), mounts("ext4")) == kind


def test_a_journal_on_a_local_disk_is_ok_and_leaves_no_file(
    tmp_path: Path, mounts: Callable[[str], Path]
) -> None:
    directory = tmp_path / "new" / "journal"
    check = check_journal(directory, least_free=0, mounts=mounts("ext4"))
    assert check.level == "ok" or "fsync takes" in check.message  # a busy disk is no fault here
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("check", [check_journal, check_files_store])
def test_a_directory_that_the_user_cannot_write_is_an_error(
    check: Callable[[Path], Check], tmp_path: Path
) -> None:
    tmp_path.chmod(0o500)
    with as_ordinary_user():
        found = check(tmp_path / "data")
    assert (found.level, found.message) == ("error", f"{tmp_path / 'data'}: Permission denied")
    assert found.fix.startswith("point GREFFIER_")


def test_a_file_in_the_directorys_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    assert check_journal(tmp_path / "data" / "journal").level == "error"


@pytest.mark.parametrize(
    ("kind", "problem"),
    [("tmpfs", "dies with the machine"), ("overlay", "dies with the container"), ("nfs4", "slow")],
)
def test_a_journal_that_does_not_outlive_the_process_is_a_warning(
    tmp_path: Path, mounts: Callable[[str], Path], kind: str, problem: str
) -> None:
    check = check_journal(tmp_path, mounts=mounts(kind))
    assert check.level == "warning"
    assert problem in check.message


@pytest.mark.skipif(file_system(Path("/dev/shm")) != "tmpfs", reason="/dev/shm is no tmpfs here")
def test_a_real_memory_file_system_is_recognised() -> None:
    directory = Path("/dev/shm") / f"greffier-{os.getpid()}"
    try:
        assert "memory" in check_journal(directory).message
    finally:
        directory.rmdir()


def test_little_free_space_is_a_warning(tmp_path: Path, mounts: Callable[[str], Path]) -> None:
    check = check_journal(tmp_path, least_free=1 << 62, mounts=mounts("ext4"))
    assert check.level == "warning"
    assert "GiB free" in check.message


def test_a_misspelt_variable_is_a_warning_with_the_likely_name() -> None:
    check = check_settings({"GREFFIER_LANGAUGE": "fr", "PATH": "/bin"})
    assert (check.level, check.message) == ("warning", "not a setting: GREFFIER_LANGAUGE")
    assert check.fix == "did you mean GREFFIER_LANGUAGE?"


def test_an_engine_that_cannot_be_used_is_an_error_with_its_reason() -> None:
    def resolve() -> str:
        raise EngineError("deepgram/nova-3 needs DEEPGRAM_API_KEY")

    check = check_engine(resolve)
    assert (check.level, check.message) == ("error", "deepgram/nova-3 needs DEEPGRAM_API_KEY")
    assert check_engine(lambda: "pocketsphinx/en-us").level == "ok"


class Demanding(AgentSettings):
    template: str


def spec(name: str, model: type[AgentSettings] = AgentSettings) -> AgentSpec:
    return AgentSpec(name=name, create=lambda _settings: None, settings=model)  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(
    ("names", "level", "message"),
    [
        ({"default_agents": "minutes"}, "error", "GREFFIER_DEFAULT_AGENTS names minutes"),
        ({"default_agents": "demanding"}, "error", "agents.demanding.template"),
        ({"default_agents": "notes", "allowed_agents": "minutes"}, "warning", "names minutes"),
        ({"default_agents": "notes"}, "ok", "demanding, notes"),
    ],
)
def test_agents_that_the_settings_name_must_be_installed_and_start(
    names: dict[str, str], level: str, message: str
) -> None:
    specs = {"demanding": spec("demanding", Demanding), "notes": spec("notes")}
    check = check_plugins(settings(**names), lambda: specs)
    assert check.level == level
    assert message in check.message


def test_a_plugin_that_does_not_load_is_an_error_with_its_reason() -> None:
    def load() -> dict[str, AgentSpec]:
        raise PluginError("agent 'notes' of greffier-notes: ImportError('x')")

    check = check_plugins(settings(), load)
    assert (check.level, check.message[:21]) == ("error", "agent 'notes' of gref")


def test_another_distribution_with_our_package_name_is_an_error(tmp_path: Path) -> None:
    assert check_packages([str(tmp_path)]).level == "ok"
    for name, files in {
        "greffier": "agents/__init__.py,,\npipelines/__init__.py,,\n",
        "harmless": "my_agents/__init__.py,,\nsub/agents/__init__.py,,\n",
        "openai-agents": "openai_agents.dist-info/METADATA,,\nagents/__init__.py,,\n",
    }.items():
        info = tmp_path / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "RECORD").write_text(files)
    check = check_packages([str(tmp_path)])
    assert check.level == "error"
    assert check.message.startswith("openai-agents also installs the Python package `agents`")


def test_the_table_shows_every_finding_with_its_fix_and_reads_no_markup() -> None:
    out = StringIO()
    print_checks([Check("disk", "error", "[red]full[/red]", "free it")], Console(file=out))
    assert all(text in out.getvalue() for text in ("disk", "error", "[red]full[/red]", "free it"))


def test_only_an_error_makes_the_exit_code_one() -> None:
    fine = [Check("disk", "warning", "slow", "buy"), Check("engine", "ok", "fine")]
    quiet = Console(file=StringIO())
    assert print_checks(fine, quiet) == 0
    assert print_checks([Check("clock", "error", "wrong", "set"), *fine], quiet) == 1
