"""deploy/livekit.yaml is a configuration that a real livekit-server takes."""

from __future__ import annotations

import socket
from pathlib import Path

import yaml

from bench.livekit_server import LiveKitServer, free_port

CONFIG = Path(__file__).resolve().parents[2] / "deploy/livekit.yaml"


def test_a_real_server_starts_with_the_configuration() -> None:
    config = yaml.safe_load(CONFIG.read_text())
    addresses = {
        "node_ip": "127.0.0.1",
        "udp_port": free_port(socket.SOCK_DGRAM),
        "tcp_port": 0,
        "enable_loopback_candidate": True,
        "interfaces": {"includes": ["lo"]},
        "ips": {"includes": ["127.0.0.1/32"]},
    }
    elsewhere = {"port", "redis"}
    config = {key: value for key, value in config.items() if key not in elsewhere}
    server = LiveKitServer(config=config | {"rtc": config["rtc"] | addresses})
    server.start()
    server.stop()
