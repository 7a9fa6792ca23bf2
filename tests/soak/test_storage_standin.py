"""The object store's stand-in: what it promises to the tests that keep something in it, seen from another host."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.support.droplet.errors import DropletError
from tests.support.droplet.machine import Machine
from tests.support.droplet.site import Site
from tests.support.droplet.storage import Storage

BUCKET = "stand-in"
ASK = """import sys, urllib.error, urllib.request
method, url, key = sys.argv[1:]
signed = f"AWS4-HMAC-SHA256 Credential={key}/20250101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
request = urllib.request.Request(url, sys.stdin.buffer.read() or None, method=method)
request.add_header("Content-Type", "application/octet-stream")
if key:
    request.add_header("Authorization", signed)
try:
    answer = urllib.request.urlopen(request, timeout=10)
except urllib.error.HTTPError as error:
    answer = error
except OSError as error:
    sys.exit(f"out of reach: {error}")
print(answer.status, answer.read().decode())
"""


@pytest.fixture(scope="module")
def storage(site: Site) -> Storage:
    made = site.storage()
    made.bucket(BUCKET)
    return made


@pytest.fixture(autouse=True)
def well_again(storage: Storage) -> Iterator[None]:
    """Each test begins with an empty bucket, and leaves a store without trouble."""
    for key in storage.objects(BUCKET):
        storage.delete(BUCKET, key)
    yield
    storage.start()
    storage.mode("ok")


def ask(
    neighbour: Machine, method: str, path: str, body: bytes | str = "", key: str = Storage.ACCESS_KEY
) -> tuple[int, str]:
    """The status and the text of what the store answers the neighbour."""
    url = f"{Storage.ENDPOINT}/{path}"
    said = neighbour.run(["python3", "-c", ASK, method, url, key], stdin=body, timeout=30).stdout
    status, _, text = said.partition(" ")
    return int(status), text.removesuffix("\n")


def test_what_is_put_is_listed_read_and_deleted(storage: Storage, neighbour: Machine) -> None:
    assert ask(neighbour, "PUT", "made-outside")[0] == 200
    assert ask(neighbour, "PUT", f"{BUCKET}/some/key%20of%20mine", "content")[0] == 200
    assert ask(neighbour, "PUT", f"{BUCKET}/other", "x" * 3_000_000)[0] == 200
    assert ask(neighbour, "GET", f"{BUCKET}/some/key%20of%20mine") == (200, "content")
    _, listed = ask(neighbour, "GET", f"{BUCKET}?list-type=2")
    assert re.findall("<Key>(.*?)</Key>", listed) == ["other", "some/key of mine"]
    assert storage.objects(BUCKET) == {"other": 3_000_000, "some/key of mine": 7}
    storage.delete(BUCKET, "some/key of mine")
    assert storage.objects(BUCKET, "some/") == {}
    assert ask(neighbour, "GET", f"{BUCKET}/some/key%20of%20mine")[0] == 404
    assert ask(neighbour, "DELETE", f"{BUCKET}/other")[0] == 204
    assert storage.objects(BUCKET) == {}


def test_what_is_uploaded_in_parts_has_no_version(storage: Storage, neighbour: Machine) -> None:
    parts = """import re, sys, urllib.request
def ask(method, query, body=b""):
    headers = {"Authorization": f"AWS {sys.argv[2]}:0", "Content-Type": "application/octet-stream"}
    return urllib.request.urlopen(urllib.request.Request(f"{sys.argv[1]}?{query}", body, headers, method=method))
upload = re.search("<UploadId>(.*?)<", ask("POST", "uploads").read().decode())[1]
tag = ask("PUT", f"partNumber=1&uploadId={upload}", b"content").headers["ETag"]
whole = f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{tag}</ETag></Part></CompleteMultipartUpload>"
print(ask("POST", f"uploadId={upload}", whole.encode()).headers["x-amz-version-id"])
"""
    url = f"{Storage.ENDPOINT}/{BUCKET}/parts"
    assert neighbour.run(["python3", "-c", parts, url, Storage.ACCESS_KEY]).stdout == "None\n"
    assert storage.objects(BUCKET) == {"parts": 7}


def test_a_long_list_is_complete(storage: Storage, neighbour: Machine) -> None:
    many = """import sys, urllib.request
for number in range(1001):
    headers = {"Authorization": f"AWS {sys.argv[2]}:0"}
    urllib.request.urlopen(urllib.request.Request(f"{sys.argv[1]}/{number:04}", b"x", headers, method="PUT"))
"""
    neighbour.run(["python3", "-c", many, f"{Storage.ENDPOINT}/{BUCKET}", Storage.ACCESS_KEY])
    assert list(storage.objects(BUCKET)) == [f"{number:04}" for number in range(1001)]


def test_a_key_that_is_not_ours_is_refused(neighbour: Machine) -> None:
    for key, code in (("AKIASOMEBODYELSE0000", "InvalidAccessKeyId"), ("", "AccessDenied")):
        status, text = ask(neighbour, "GET", f"{BUCKET}?list-type=2", key=key)
        assert status == 403
        assert f"<Code>{code}</Code>" in text
    presigned = f"{BUCKET}?list-type=2&X-Amz-Signature=0&X-Amz-Credential="
    assert ask(neighbour, "GET", f"{presigned}{Storage.ACCESS_KEY}%2F20250101", key="")[0] == 200
    assert ask(neighbour, "GET", f"{presigned}AKIASOMEBODYELSE0000%2F20250101", key="")[0] == 403


def test_it_refuses_everything(storage: Storage, neighbour: Machine) -> None:
    storage.mode("refuse")
    for method in ("GET", "PUT", "DELETE"):
        status, text = ask(neighbour, method, f"{BUCKET}/some", "content" if method == "PUT" else "")
        assert status == 403
        assert "<Code>AccessDenied</Code>" in text
    assert storage.objects(BUCKET) == {}


def test_it_is_slow(storage: Storage, neighbour: Machine) -> None:
    storage.mode("slow", seconds=2)
    url = f"{Storage.ENDPOINT}/{BUCKET}"
    assert neighbour.run(["python3", "-c", ASK, "GET", url, Storage.ACCESS_KEY], stdin="").seconds >= 2


@pytest.mark.parametrize(("status", "code"), [(507, "InsufficientStorage"), (503, "ServiceUnavailable")])
def test_it_is_full(storage: Storage, neighbour: Machine, status: int, code: str) -> None:
    for key in ("kept", "second"):
        ask(neighbour, "PUT", f"{BUCKET}/{key}", "content")
    storage.mode("full", status=status)
    # Larger than what waits between the two: the answer is heard only when all of it was read.
    refused = ask(neighbour, "PUT", f"{BUCKET}/large", b"x" * 8_000_000)
    assert refused[0] == status
    assert f"<Code>{code}</Code>" in refused[1]
    assert ask(neighbour, "POST", f"{BUCKET}/parts?uploads")[0] == status
    assert ask(neighbour, "GET", f"{BUCKET}/kept") == (200, "content")
    # Room is made: one by one, and several at once.
    assert ask(neighbour, "DELETE", f"{BUCKET}/second")[0] == 204
    several = "<Delete><Object><Key>kept</Key></Object></Delete>"
    assert ask(neighbour, "POST", f"{BUCKET}?delete", several)[0] == 200
    assert storage.objects(BUCKET) == {}


def test_it_is_out_of_reach_and_comes_back_as_it_was(
    storage: Storage, site: Site, neighbour: Machine
) -> None:
    ask(neighbour, "PUT", f"{BUCKET}/kept", "content")
    storage.stop()
    storage.stop()
    url = f"{Storage.ENDPOINT}/{BUCKET}/kept"
    lost = neighbour.run(["python3", "-c", ASK, "GET", url, Storage.ACCESS_KEY], stdin="", check=False)
    assert "out of reach" in lost.stderr
    with pytest.raises(DropletError, match="out of reach: start"):
        storage.objects(BUCKET)
    storage.start()
    assert ask(neighbour, "GET", f"{BUCKET}/kept") == (200, "content")
    storage.stop()
    assert site.storage().objects(BUCKET) == {"kept": 7}


def test_its_secret_stays(storage: Storage, site: Site) -> None:
    assert len(storage.secret) == 40
    assert site.storage().secret == storage.secret


def test_a_mode_that_there_is_not_is_refused(storage: Storage) -> None:
    for name, options in (
        ("odd", {}),
        ("slow", {"seconds": -1}),
        ("full", {"status": 200}),
        ("ok", {"x": 1}),
    ):
        with pytest.raises(DropletError, match="with 400"):
            storage.mode(name, **options)
