"""What the Bot API's client makes of answers that are none, and when the webhook is registered again."""

import json
import socket
import threading

import pytest
from marketplace_telegram import BotApi, TelegramError, Webhook


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", b"nonsense\r\n\r\n"]
)
def test_an_answer_that_is_cut_off_is_out_of_reach(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(said)

        threading.Thread(target=answer, daemon=True).start()
        telegram = BotApi(f"http://127.0.0.1:{server.getsockname()[1]}", "7:token", timeout=5)
        with pytest.raises(TelegramError, match="out of reach"):
            telegram.webhook_info()


def test_webhook_differences_never_show_the_secret() -> None:
    wanted = Webhook("https://b/x", "s3cret-s3cret", ("message",), 40, "")
    info = {
        "url": "https://b/x",
        "allowed_updates": ["message"],
        "max_connections": 40,
        "has_custom_certificate": False,
    }
    assert wanted.differences(info, wanted.fingerprint()) == {}
    changes = wanted.differences(info | {"url": "", "max_connections": 1}, None)
    assert set(changes) == {"url", "max_connections", "secret_token"}
    assert "s3cret" not in json.dumps(changes)
    other = Webhook("https://b/x", "another-secret", ("message",), 40, "")
    assert set(other.differences(info, wanted.fingerprint())) == {"secret_token"}


@pytest.mark.parametrize(
    ("message", "date", "again"),
    [
        ("SSL error {certificate verify failed}", 101, True),
        ("Wrong response from the webhook: 403 Forbidden", 101, True),
        ("SSL error {certificate verify failed}", 99, False),
        ("Wrong response from the webhook: 503 Service Unavailable", 101, False),
        ("Connection timed out", 101, False),
    ],
)
def test_webhook_is_registered_again_where_telegram_takes_the_edge_for_a_stranger(
    message: str, date: int, again: bool
) -> None:
    wanted = Webhook("https://b/x", "s3cret-s3cret", (), 40, "PEM")
    info = {"url": "https://b/x", "max_connections": 40, "has_custom_certificate": True}
    info |= {"last_error_message": message, "last_error_date": date}
    assert wanted.differences(info, wanted.fingerprint()) == {}
    assert (wanted.differences(info, wanted.fingerprint(), 100.0) != {}) is again
