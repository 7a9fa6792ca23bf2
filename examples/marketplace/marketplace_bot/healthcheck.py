"""Docker's HEALTHCHECK, with nothing but Python: exit code 0 if the server says it is ready, its words on stdout."""

import http.client
import os
import sys


def main() -> int:
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("PORT", "8080")), timeout=4)
    try:
        connection.request("GET", "/health/ready")
        response = connection.getresponse()
        print(response.read(500).decode(errors="replace"))
    except OSError as error:
        print(f"no answer: {error}")
        return 1
    return 0 if response.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
