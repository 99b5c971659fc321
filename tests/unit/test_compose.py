"""deploy/compose.yaml: valid by its specification, closed to the outside, patient at the end."""

from __future__ import annotations

import ipaddress
import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from jsonschema import Draft202012Validator

from agents.shutdown import grace_period
from pipelines.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "deploy/compose.yaml"
SPECIFICATION = ROOT / "tests/data/compose-spec/compose-spec.json"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return loaded


def violations(document: dict[str, Any]) -> list[str]:
    schema = json.loads(SPECIFICATION.read_text())
    return [error.json_path for error in Draft202012Validator(schema).iter_errors(document)]


def test_the_file_is_valid_by_the_compose_specification(compose: dict[str, Any]) -> None:
    assert violations(compose) == []


def test_the_specification_refuses_a_misspelt_key(compose: dict[str, Any]) -> None:
    worker = compose["services"]["worker"] | {"stop_graceperiod": "1s"}
    broken = compose | {"services": compose["services"] | {"worker": worker}}
    assert violations(broken) == ["$.services.worker"]


def test_it_has_livekit_redis_an_s3_server_and_the_worker(compose: dict[str, Any]) -> None:
    unasked = sorted(name for name, one in compose["services"].items() if "profiles" not in one)
    assert unasked == ["bucket", "livekit", "redis", "s3", "worker"]


@pytest.mark.parametrize("name", ["celery", "webhooks"])
def test_what_is_asked_for_by_profile_is_a_command_of_ours_beside_the_worker(
    name: str, compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = compose["services"][name]
    assert service["profiles"] == [name]
    python, option, module, *_ = service["entrypoint"]
    assert (python, option) == ("python", "-m")
    assert find_spec(f"{module}.__main__")
    for variable, value in service["environment"].items():
        monkeypatch.setenv(variable, value)
    settings = Settings.from_environment()
    assert settings.lease_place == settings.stores[0]
    assert (settings.after == "celery") is (name == "celery")
    # The receiver is where its health is asked, and where LiveKit reaches it.
    assert service["network_mode"] == "service:livekit"
    address = f"http://{settings.webhook_host}:{settings.webhook_port}/"
    assert COMPOSE.read_text().count(address) == 2


def test_every_port_is_published_on_loopback_only(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", ())]
    assert len(ports) >= 3
    assert all(ipaddress.ip_address(port.rsplit(":", 2)[0]).is_loopback for port in ports)


def test_every_service_has_a_health_check(compose: dict[str, Any]) -> None:
    unchecked = {name for name, one in compose["services"].items() if "healthcheck" not in one}
    assert unchecked == {"bucket", "worker"}  # the first only makes a directory
    assert "HEALTHCHECK" in (ROOT / "Dockerfile").read_text()


def test_the_worker_is_given_the_time_to_end_its_meetings(compose: dict[str, Any]) -> None:
    seconds = int(compose["services"]["worker"]["stop_grace_period"].removesuffix("s"))
    assert seconds >= grace_period(Settings.model_fields["drain_timeout"].default)


def test_the_worker_s_stores_are_those_of_the_file(
    compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in compose["services"]["worker"]["environment"].items():
        monkeypatch.setenv(name, value)
    stores = Settings.from_environment().stores
    assert [store.kind for store in stores] == ["redis", "s3"]
    hosts = {
        urlsplit(stores[0].url).hostname,
        urlsplit(Settings.from_environment().s3_endpoint).hostname,
    }
    assert hosts <= compose["services"].keys()
    bucket = compose["services"]["bucket"]["command"][-1]
    assert bucket.endswith(f"/{urlsplit(stores[1].url).hostname}")


def test_redis_writes_to_disk_and_evicts_nothing(compose: dict[str, Any]) -> None:
    command = " ".join(compose["services"]["redis"]["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command


def test_no_secret_has_a_value_and_each_is_in_the_example(compose: dict[str, Any]) -> None:
    required = set(re.findall(r"\$\{(\w+):\?", COMPOSE.read_text()))
    example = (ROOT / "deploy/env.example").read_text()
    assert required == set(re.findall(r"^(\w+)=$", example, re.MULTILINE))
    given = compose["services"]["worker"]["environment"].items()
    assert all(value.startswith("${") for name, value in given if "SECRET" in name)
