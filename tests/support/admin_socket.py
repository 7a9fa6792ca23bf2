"""An admin socket that keeps maps like HAProxy's, where no HAProxy runs."""

import socketserver


class AdminSocket(socketserver.UnixStreamServer):
    maps: dict[str, dict[str, str]]


class AdminCommand(socketserver.StreamRequestHandler):
    """``show map FILE`` and ``set map FILE KEY VALUE``."""

    server: AdminSocket

    def handle(self) -> None:
        verb, _, name, *rest = self.rfile.readline().decode().split()
        if verb == "set":
            self.server.maps[name][rest[0]] = rest[1]
        else:
            rows = (f"0x1 {key} {value}\n" for key, value in self.server.maps[name].items())
            self.wfile.write("".join(rows).encode())
