"""What the Bot API's client makes of answers that are none."""

import socket
import threading

import pytest
from marketplace_telegram import BotApi, TelegramError


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
