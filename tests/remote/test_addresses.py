"""No password and no token of an address is ever told."""

import pytest

from vistazo.remote.addresses import scrubbed, shown


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://a.example/x.zip", "https://a.example/x.zip"),
        ("https://ana:pw@a.example/x.zip", "https://a.example/x.zip"),
        ("https://ana@a.example:8080/x", "https://a.example:8080/x"),
        ("https://a:p@w@a.example/x", "https://a.example/x"),
        (
            "https://a.example/x.zip?X-Amz-Signature=abc&id=7",
            "https://a.example/x.zip?X-Amz-Signature=...&id=...",
        ),
        ("https://a.example/x?download=1", "https://a.example/x?download=1"),
        ("https://a.example/x?sv2019abc", "https://a.example/x?..."),
        ("https://a.example/x#secret", "https://a.example/x"),
        ("zip::https://u:p@a.example/x.zip?k=v", "zip::https://a.example/x.zip?k=..."),
        ("zip://in/*.png::sftp://u:p@host/x.zip", "zip://in/*.png::sftp://host/x.zip"),
        ("s3://bucket/key", "s3://bucket/key"),
        ("/a/plain/path?x=1", "/a/plain/path?x=..."),
        ("", ""),
    ],
)
def test_what_may_be_told_of_an_address(url, told):
    assert shown(url) == told


def test_somebody_elses_message_is_cleaned():
    message = "cannot reach 'https://u:pw@h.example/x?sig=abc' or s3://k:s@b/x, sorry"
    assert scrubbed(message) == "cannot reach 'https://h.example/x?sig=...' or s3://b/x, sorry"
