"""The commit that results are of."""

import os
import subprocess

import pytest

from jdnet_jax.environment import environment, revision


def git(folder, *arguments):
    # Settings of whoever runs the tests, and what a hook sets, are none of theirs.
    clean = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    clean |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    done = subprocess.run(
        ["git", *who, *arguments], cwd=folder, env=clean, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def clone(tmp_path):
    git(tmp_path, "init")
    (tmp_path / "program.py").write_text("1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    return tmp_path


def test_revision_is_the_commit_and_says_what_was_changed_since(clone):
    commit = git(clone, "rev-parse", "HEAD")
    git(clone, "tag", "-m", "a release", "v1")
    assert revision(clone) == commit
    (clone / "scores.json").write_text("an output")
    assert revision(clone) == commit
    (clone / "program.py").write_text("2\n")
    assert revision(clone) == f"{commit}-dirty"


def test_revision_is_of_the_folder_itself(clone, monkeypatch):
    (clone / "site-packages").mkdir()
    assert revision(clone / "site-packages") is None
    monkeypatch.setenv("GIT_DIR", str(clone / "elsewhere"))
    assert revision(clone) == git(clone, "rev-parse", "HEAD")


def test_revision_is_none_where_git_cannot_tell(clone, monkeypatch):
    (clone / ".git" / "HEAD").write_text("damaged")
    assert revision(clone) is None
    monkeypatch.setenv("PATH", "")
    assert revision(clone) is None


def test_environment_names_the_revision():
    assert environment().get("revision") == revision()
