"""Configs and flags with mistakes in them: one line that says where."""

import json
from pathlib import Path

import pytest
from absl import flags
from hypothesis import given, settings
from hypothesis import strategies as st
from ml_collections import config_flags

from configs import default
from jdnet_jax.evaluation import CardError, read_card
from jdnet_jax.programs import parse_flags

# Of ml_collections, which reads configs so.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")

BEGINNING = """from configs import default

def get_config():
    config = default.get_config()
"""


def parsed(*arguments):
    values, argv = flags.FlagValues(), ["folder/train.py", *map(str, arguments)]
    config_flags.DEFINE_config_file("config", None, "", flag_values=values, sys_argv=argv)
    left = parse_flags(argv, defaults=default.get_config, flag_values=values)
    return values["config"].value, left


def mistake(*arguments):
    with pytest.raises(SystemExit) as caught:
        parsed(*arguments)
    told = str(caught.value)
    assert told.startswith("train.py: error: ")
    assert told.isprintable()
    assert len(told) < 600
    return told


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def get_config(:\n", ", line 1: SyntaxError: invalid syntax; a config is a Python file"),
        ("x = 1\n", "a config has a function get_config() that gives a ConfigDict"),
        ("", "a config has a function get_config()"),
        ("get_config = 7\n", "a config has a function get_config()"),
        ("def get_config(a):\n    pass\n", "a config has a function get_config()"),
        (
            "def get_config():\n    return 3\n",
            "what get_config() gives must be a ConfigDict, got 3",
        ),
        ("def get_config():\n    pass\n", "must be a ConfigDict, got None"),
        ("def get_config():\n    return 1 / 0\n", ", line 2: ZeroDivisionError: division by zero"),
        ("import no_such_module\n", ", line 1: ModuleNotFoundError: No module named 'no_such_mod"),
        ("open('no such file')\n", "No such file or directory: 'no such file'"),
        (BEGINNING + "    config.batch_size = 'x'\n    return config\n", ", line 5: TypeError"),
        (BEGINNING + "    config.no_such = 1\n    return config\n", ", line 5: AttributeError"),
        (
            BEGINNING + "    config.unlock()\n    config.a = 1\n    return config\n",
            "here a is unkn",
        ),
        (
            BEGINNING + "    config.unlock()\n    del config.data.pairs\n    return config\n",
            "here data.pairs is missing; begin with default.get_config()",
        ),
        (
            BEGINNING
            + "    fields = config.to_dict() | {'seed': '0'}\n    return type(config)(fields)\n",
            "seed must be of type int, got '0'",
        ),
        (
            BEGINNING + "    return type(config)(config.to_dict() | {'data': 3})\n",
            "its data must be a ConfigDict, got 3",
        ),
        (
            BEGINNING + "    return type(config)(config.to_dict() | {'seed': True})\n",
            "seed must be of type int, got True",
        ),
    ],
)
def test_a_mistake_in_a_config_is_one_line_with_its_place(tmp_path, text, words):
    file = tmp_path / "ein Wetter 雨.py"
    file.write_text(text, encoding="utf-8")
    for flag in ([f"--config={file}"], ["--config", file]):
        told = mistake(*flag)
        assert words in told
        assert str(file) in told


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=60))
def test_any_bytes_that_are_no_config_are_told_in_one_line(tmp_path_factory, data):
    file = tmp_path_factory.getbasetemp() / "bytes.py"
    file.write_bytes(b"!" + data)  # no Python begins so
    assert str(file) in mistake(f"--config={file}")


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--config.batch_size=abc", "--config.batch_size=abc"),
        ("--config.no_such=1", "configs/quickstart.py has no setting 'no_such'"),
        ("--config.model.no_such=1", "has no setting 'no_such'"),
        ("--config.data=3", "--config.data=3"),
        ("--config=no/such.py", "no/such.py: there is no such config; those of the clone are in"),
        ("--config=configs", "configs: there is no such config"),
        ("--no_such_flag=1", "no_such_flag"),
    ],
)
def test_a_mistake_in_a_flag_is_one_line(monkeypatch, flag, words):
    monkeypatch.chdir(Path(default.__file__).parent.parent)
    arguments = [flag] if flag.startswith("--config=") else ["--config=configs/quickstart.py", flag]
    assert words in mistake(*arguments)


def test_the_configs_of_the_clone_have_no_mistakes(monkeypatch):
    monkeypatch.chdir(Path(default.__file__).parent.parent)
    for file in sorted(Path("configs").glob("*.py")):
        config, left = parsed(f"--config={file}", "--config.learning_rate=1", "more")
        assert config.learning_rate == 1.0
        assert left == ["folder/train.py", "more"]


@settings(max_examples=100, deadline=None)
@given(
    data=st.binary(max_size=100)
    | st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=5,
    ).map(lambda value: json.dumps(value).encode())
)
def test_read_card_refuses_whatever_is_no_card(tmp_path_factory, data):
    file = tmp_path_factory.getbasetemp() / "scores.json"
    file.write_bytes(data)
    with pytest.raises(CardError, match=r"scores\.json"):
        read_card(file)
