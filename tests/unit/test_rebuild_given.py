"""What a rebuild is given: where the copy is, and the secrets that open it."""

import pytest
from marketplace_arguments import Unusable
from marketplace_rebuild_given import given, storage

S3 = {"target": "s3:bucket/x", "endpoint": "https://s3.test", "region": "", "access_key": "AKIAX"}


def test_a_place_is_read_as_pillar_would_be():
    assert storage(**S3) == S3
    assert storage("/mnt/copies", "", "", "")["target"] == "/mnt/copies"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"target": ""}, "target is not given"),
        ({"target": "ftp://x"}, "target"),
        ({"endpoint": ""}, "endpoint is not given, but target is s3:bucket/x"),
        ({"access_key": ""}, "access_key is not given"),
        ({"endpoint": "nonsense"}, "endpoint"),
        ({"target": "ftp://x", "access_key": "a b"}, "access_key"),
    ],
)
def test_a_place_that_is_none_is_refused_by_name(change, says):
    with pytest.raises(Unusable, match=says):
        storage(**(S3 | change))


def test_secrets_come_from_files_and_are_in_no_repr(tmp_path):
    (tmp_path / "key").write_text("the-key\n")
    (tmp_path / "secret").write_text("the-secret")
    found = given(str(tmp_path / "key"), str(tmp_path / "secret"))
    assert (found.read("backup_key"), found.read("backup_storage_secret")) == ("the-key", "the-secret")
    assert "the-" not in repr(found)
    assert "backup_storage_secret" not in given(str(tmp_path / "key"), "").values


@pytest.mark.parametrize("text", ["", "two words", "\n"])
def test_a_file_without_one_secret_is_refused(tmp_path, text):
    (tmp_path / "key").write_text(text)
    with pytest.raises(Unusable, match=r"key_file is .*expected the secret and nothing else"):
        given(str(tmp_path / "key"), "")
    with pytest.raises(Unusable, match="can't be read"):
        given(str(tmp_path / "nowhere"), "")
