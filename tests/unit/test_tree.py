"""Which commit of the tree is at work, when it was made, and which of two is the older one."""

import subprocess
from pathlib import Path

import pytest
from marketplace_tree import checked_out, committed, older, revision

APPLIED = {"revision": "a" * 40, "committed": 1_700_000_000}


@pytest.fixture
def checkout(tmp_path):
    def git(*words):
        identity = ("-c", "user.name=ann", "-c", "user.email=ann@test")
        done = subprocess.run(
            ["git", "-C", str(tmp_path), *identity, *words],
            check=True,
            capture_output=True,
            text=True,
            env={"GIT_COMMITTER_DATE": "1700000000 +0000", "PATH": "/usr/bin:/bin"},
        )
        return done.stdout.strip()

    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "--message=first")
    return tmp_path, git("rev-parse", "HEAD")


def test_a_checkout_says_its_commit_and_when_that_was_made(checkout):
    tree, commit = checkout
    assert (revision(tree), committed(tree)) == (commit, 1_700_000_000)


def test_a_worktree_says_the_same_of_itself(tmp_path, checkout):
    tree, commit = checkout
    for branch, packed in (("one", False), ("two", True)):
        other = tmp_path / "worktrees" / branch
        git = ["git", "-C", str(tree)]
        subprocess.run([*git, "worktree", "add", "--quiet", "-b", branch, str(other)], check=True)
        if packed:
            subprocess.run([*git, "pack-refs", "--all"], check=True)
        assert (other / ".git").is_file()
        assert (checked_out(other), committed(other)) == (commit, 1_700_000_000)


def test_a_copy_over_a_checkout_is_what_works_there_but_not_what_compiles_the_pillar(checkout):
    tree, commit = checkout
    (tree / "REVISION").write_text(f"{'c' * 40}\n")
    assert (revision(tree), checked_out(tree)) == ("c" * 40, commit)


def test_what_is_no_checkout_does_not_say(tmp_path, checkout):
    inner = checkout[0] / "copied"
    inner.mkdir()
    assert (revision(inner), checked_out(inner), committed(inner)) == ("unknown", None, None)
    (inner / ".git").mkdir()
    assert (revision(inner), committed(inner)) == ("unknown", None)


@pytest.mark.parametrize("made", [1_700_000_000, 1_700_000_001, None])
def test_what_is_no_older_may_be_applied(made):
    assert older(APPLIED, "b" * 40, made) is None
    assert older(None, "b" * 40, made) is None


def test_an_older_one_is_named_with_both_and_the_way_out():
    why = older(APPLIED, "b" * 40, 1_600_000_000)
    assert "bbbbbbbbbb of 2020-09-13 12:26 UTC" in why
    assert "aaaaaaaaaa of 2023-11-14 22:13 UTC" in why
    assert "allow_older_tree" in why


def test_revision_of_checkouts_and_copies(tmp_path: Path) -> None:
    assert revision(tmp_path) == "unknown"
    git = tmp_path / ".git"
    git.mkdir()
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text("# pack-refs\naaaa refs/heads/main\n")
    assert revision(tmp_path) == "aaaa"
    (git / "refs/heads").mkdir(parents=True)
    (git / "refs/heads/main").write_text("bbbb\n")
    assert revision(tmp_path) == "bbbb"
    (tmp_path / "REVISION").write_text("cccc\n")
    assert revision(tmp_path) == "cccc"
