"""What a recording's address may be, what is shown of it, and which hosts it may lead to."""

from __future__ import annotations

import pytest

from pipelines.errors import StepError
from pipelines.post_meeting.media.address import MediaAddress
from pipelines.post_meeting.media.private_addresses import AllowedHosts

SIGNED = "https://s3.example/recordings/7f3c.ogg?X-Amz-Signature=0123"


def test_nothing_of_a_presigned_url_but_its_host_is_shown() -> None:
    address = MediaAddress.parse(SIGNED)
    assert str(address) == "recording at s3.example"
    assert "7f3c" not in repr(address)
    assert "0123" not in repr(address)


def test_an_object_has_a_bucket_and_a_key() -> None:
    address = MediaAddress.parse("s3://bucket/a%20folder/x.ogg")
    assert address.bucket_and_key == ("bucket", "a folder/x.ogg")


@pytest.mark.parametrize(
    "text", ["/etc/passwd", "file:///etc/passwd", "ftp://host/x", "s3://bucket", "http:///x", ""]
)
def test_what_comes_from_outside_is_no_file_and_no_other_scheme(text: str) -> None:
    with pytest.raises(StepError, match="media_refused"):
        MediaAddress.parse(text)


def test_an_operator_may_name_a_file() -> None:
    assert MediaAddress.parse("/recordings/x.ogg", files=True).path.name == "x.ogg"


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "224.0.0.1", "::1", "::", "fe80::1%eth0", "fd00::1", "ff02::1"),
        *("::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "no address"),
    ],
)
def test_a_private_address_is_refused_in_whatever_form(address: str) -> None:
    assert not AllowedHosts().address(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"])
def test_a_public_address_is_allowed(address: str) -> None:
    assert AllowedHosts().address(address)


@pytest.mark.parametrize(
    "host",
    ["127.1", "2130706433", "0", "0x7f.1", "0X7F000001", "017700000001", "127.0.0.1.", "::1"],
)
def test_a_number_is_no_host_unless_it_is_a_public_address(host: str) -> None:
    assert not AllowedHosts().host(host)


@pytest.mark.parametrize(
    "host", ["s3.example", "93.184.216.34", "9to5.example", "1.2.example.", "x0"]
)
def test_a_name_or_a_public_address_may_be_looked_up(host: str) -> None:
    assert AllowedHosts().host(host)


def test_an_operator_allows_hosts_addresses_and_networks() -> None:
    allowed = AllowedHosts(["minio", "10.1.0.0/16", "127.0.0.1"])
    assert allowed.name("MinIO.")
    assert allowed.host("127.0.0.1")
    assert not allowed.name("minio.example")
    assert allowed.address("10.1.2.3")
    assert allowed.address("127.0.0.1")
    assert not allowed.address("10.2.0.1")
