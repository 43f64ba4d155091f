"""The result card: what it says, that it comes back the same, and what is refused as none."""

import json
import math

import numpy as np
import pytest
from flat_pairs import Pairs, brighter_by, pair
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_cards import make_card, quickstart_config, write_pairs

from jdnet_jax import create_model
from jdnet_jax.evaluation import CardError, evaluate_pairs, read_card
from jdnet_jax.evaluation.command import evaluate
from jdnet_jax.evaluation.output_folder import FILES
from jdnet_jax.memory import bytes_per_pixel
from jdnet_jax.models import split_variables
from jdnet_jax.pretrained import DEFAULT_WEIGHTS, load_variables
from jdnet_jax.weights import export_weights, weights_sha256, write_safetensors

TINY = {"channels": 16, "units": 1, "footprint": 3, "scales": 1, "pooling": 2}


def strict_json(path):
    def refuse(constant):
        raise AssertionError(constant)

    return json.loads(path.read_text(), parse_constant=refuse)


CARD = make_card()


def test_card_is_strict_json_and_says_inf(tmp_path):
    CARD.write(tmp_path / "scores.json")
    content = strict_json(tmp_path / "scores.json")
    assert content["data"]["edition"] == "test, flat pictures"
    assert content["data"]["count"] == 3
    assert content["data"]["sha256"] == CARD.evaluation.data.sha256
    assert list(content["protocols"]) == ["paper", "rgb", "y"]
    assert content["protocols"]["rgb"].startswith("RGB, rounded")
    assert [p["name"] for p in content["pictures"]] == ["001", "002", "b/003"]
    first, second, _ = content["pictures"]
    assert first["prediction"]["rgb"]["psnr"] == "inf"
    assert float(first["prediction"]["rgb"]["psnr"]) == math.inf
    assert second["prediction"]["rgb"]["psnr"] == pytest.approx(20 * math.log10(25.5), abs=1e-4)
    mean = content["mean"]["prediction"]["rgb"]
    assert (mean["psnr"], mean["identical"], mean["count"]) == ("inf", 2, 3)
    assert mean["psnr_standard_error"] is None
    assert mean["ssim_standard_error"] > 0
    assert content["mean"]["rainy"]["rgb"]["psnr_standard_error"] > 0
    assert content["seconds_per_picture"] == {
        "first_with_compilation": 1,
        "median_of_sizes_seen_before": 1,
    }
    assert content["command"] == ["eval.py", "--checkpoint", "here"]
    assert content["weights"]["network"] == {"units": 4, "attention": True}
    assert content["environment"]["versions"]["jax"] == "1"


def test_card_has_null_for_what_was_not_measured():
    content = make_card(None, weights=None, predictions="there").to_dict()
    assert content["pictures"][0]["seconds"] is None
    assert set(content["seconds_per_picture"].values()) == {None}
    assert (content["weights"], content["predictions"]) == (None, "there")


@pytest.mark.parametrize(
    "card", [CARD, make_card(None, weights=None, predictions="there", command=())]
)
def test_read_card_gives_back_what_was_written(card, tmp_path):
    card.write(tmp_path / "scores.json")
    for path in (tmp_path, tmp_path / "scores.json"):
        again = read_card(path)
        assert again.evaluation == card.evaluation
        assert again.to_dict() == card.to_dict()
        assert again.weights == card.weights


def test_read_card_keeps_names_that_are_no_utf8(tmp_path):
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    evaluation = evaluate_pairs(brighter_by(0), Pairs([pair(name, 2, 1)]), progress=False)
    make_card(evaluation=evaluation).write(tmp_path / "scores.json")
    assert read_card(tmp_path).evaluation == evaluation


def test_read_card_refuses_what_is_none(tmp_path):
    file = tmp_path / "scores.json"
    with pytest.raises(CardError, match=r"scores\.json: a result card is .* No such file"):
        read_card(tmp_path)
    for content in (b"", b"{", b"\xff\xfe", b'{"format": NaN}', b"[" * 100_000):
        file.write_bytes(content)
        with pytest.raises(CardError, match=r"scores\.json: a result card is"):
            read_card(file)
    for content in ("[]", "3", "{}", '{"format": "jdnet_jax result card 0"}', '{"edition": "x"}'):
        file.write_text(content)
        with pytest.raises(CardError, match=r"scores\.json: this is no result card of this"):
            read_card(file)


def changed(*path, to):
    content = json.loads(json.dumps(CARD.to_dict()))
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = to
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (changed("mean", "prediction", "y", "ssim", to=0.99), "'ssim' of 'y' of 'prediction' of"),
        (changed("pictures", 1, "rainy", "rgb", "psnr", to=30.5), "agrees with itself"),
        (changed("pictures", 1, "rainy", "rgb", "psnr", to="30.5"), "'psnr' is missing or of"),
        (changed("pictures", 1, "first_of_size", to=1), "'first_of_size' is missing or of another"),
        (changed("pictures", 1, "seconds", to=True), "'seconds' is missing or of another"),
        (changed("pictures", 1, "rainy", to=None), "'rainy' is missing or of another type"),
        (changed("pictures", 1, "name", to="001"), "one name"),
        (changed("pictures", to=[]), "0 pictures, and 3 pairs"),
        (changed("data", "count", to=4), "3 pictures, and 4 pairs"),
        (
            changed("protocols", "y", to="another luma"),
            "protocol 'y' is missing, is none of this version",
        ),
        (changed("protocols", "z", to="unheard of"), "protocol 'z'"),
        (changed("protocols", to={}), "protocol 'paper' is missing"),
        (changed("command", to=[1]), "no list of words"),
        (changed("notes", to="mine"), "'notes' of the card is unknown"),
    ],
)
def test_read_card_refuses_a_card_that_was_changed(content, message, tmp_path):
    (tmp_path / "scores.json").write_text(json.dumps(content))
    with pytest.raises(CardError, match=message):
        read_card(tmp_path)


def places(content, path=()):
    """The path to every value inside a JSON value."""
    if isinstance(content, dict | list):
        for key in content if isinstance(content, dict) else range(len(content)):
            yield (*path, key)
            yield from places(content[key], (*path, key))


# All but what a card says in free form, names and sizes of pictures, and single times.
CHECKED = [
    p
    for p in places(CARD.to_dict())
    if p[0] not in ("config", "environment", "command")
    and p[:2] not in (("data", "edition"), ("data", "sha256"))
    and p[0] != "weights"
    and p != ("predictions",)
    and p[-1] not in ("name", "height", "width", "seconds")
]


STRANGE = st.sampled_from([None, True, "", "inf", "x", [], {}, -1, 0.5, 10**400, 1e308])


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(CHECKED), STRANGE)
def test_read_card_refuses_any_other_value_in_any_place(tmp_path, place, value):
    content = changed(*place, to=value)
    if content == CARD.to_dict() and json.dumps(content) == json.dumps(CARD.to_dict()):
        return
    (tmp_path / "scores.json").write_text(json.dumps(content))
    with pytest.raises(CardError):
        read_card(tmp_path)


@pytest.fixture(scope="module")
def network():
    model = create_model(seed=5, **TINY)
    _, parameters, statistics = split_variables(model)
    variables = {name: np.asarray(value) for name, value in (parameters | statistics).items()}
    return model.description, variables


def test_weights_sha256_is_the_same_in_every_form(network, tmp_path):
    description, variables = network
    export_weights(tmp_path / "export", description, variables)
    backwards = dict(reversed(variables.items()))
    write_safetensors(tmp_path / "w.safetensors", description, backwards)
    expected = weights_sha256(variables)
    for path in (tmp_path / "export", tmp_path / "w.safetensors"):
        assert weights_sha256(load_variables(path)[1]) == expected
    assert len(expected) == 64


def test_weights_sha256_depends_on_names_shapes_and_values():
    kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
    base = weights_sha256({"a": kernel, "b": kernel})
    assert weights_sha256({"a": kernel, "b": np.asfortranarray(kernel)}) == base
    assert weights_sha256({"a": kernel.astype(">f4"), "b": kernel}) == base
    others = [
        {"a": kernel, "c": kernel},
        {"a": kernel, "b": kernel.reshape(3, 2)},
        {"a": kernel, "b": np.nextafter(kernel, 9)},
        {"a": kernel},
    ]
    assert len({base, *map(weights_sha256, others)}) == 5


def test_evaluate_writes_a_card_of_the_network_that_it_scored(network, tmp_path):
    write_safetensors(tmp_path / "w.safetensors", *network)
    config = quickstart_config(test_pairs=str(write_pairs(tmp_path / "pairs")))
    table = evaluate(
        config,
        weights=str(tmp_path / "w.safetensors"),
        predictions=None,
        output=str(tmp_path / "out" / "deep"),
        pictures=True,
        command=["eval.py", "--these=words"],
        progress=False,
    )
    out = tmp_path / "out" / "deep"
    assert {p.name for p in out.iterdir()} == {*FILES, "pictures"}
    card = read_card(out)
    assert card.weights.sha256 == weights_sha256(network[1])
    assert card.weights.network == network[0].to_dict()
    assert card.weights.path == str(tmp_path / "w.safetensors")
    assert card.command == ["eval.py", "--these=words"]
    # What it read, and nothing about a training that these weights do not come from.
    assert card.config == {
        "test_pairs": config.test_pairs,
        "dtype": config.dtype,
        "seed": config.seed,
        "data": {
            name: config.data[name]
            for name in ("rain_style", "data_dir", "manual_dir", "additive_rain")
        },
    }
    assert card.weights.training is None
    assert {"jdnet_jax", "jax", "dm-pix", "pillow"} <= card.environment["versions"].keys()
    assert card.evaluation.table(label=str(tmp_path / "w.safetensors")) == table
    assert (out / "table.md").read_text() == table
    assert card.evaluation.first_seconds() > 0

    # What it saved, scored as another method's, is of the same pairs.
    evaluate(
        config,
        weights=None,
        predictions=str(out / "pictures"),
        output=str(tmp_path / "again"),
        progress=False,
    )
    again = read_card(tmp_path / "again")
    assert (again.weights, again.predictions) == (None, str(out / "pictures"))
    assert again.evaluation.data == card.evaluation.data
    assert again.evaluation.means()["rgb"] == card.evaluation.means()["rgb"]


def test_evaluate_scores_the_bundled_weights_without_any_named(tmp_path):
    config = quickstart_config(test_pairs=str(write_pairs(tmp_path / "pairs")))
    evaluate(config, output=str(tmp_path / "out"), progress=False)
    card = read_card(tmp_path / "out")
    assert card.weights.path == DEFAULT_WEIGHTS
    assert card.weights.sha256 == weights_sha256(load_variables(DEFAULT_WEIGHTS)[1])


def test_pictures_are_scored_whole_or_not_at_all(network, tmp_path, monkeypatch):
    write_safetensors(tmp_path / "w.safetensors", *network)
    pairs = write_pairs(tmp_path / "pairs")
    settings = {"weights": str(tmp_path / "w.safetensors"), "progress": False}
    needed = 20 * 24 * bytes_per_pixel(network[0])
    free = [needed]
    monkeypatch.setattr("jdnet_jax.restore.available_bytes", lambda: free[0])
    # What earlier pictures' maps are kept in would count as free.
    monkeypatch.setattr("jdnet_jax.restore.KEPT_BYTES", 0)
    config = quickstart_config(test_pairs=str(pairs))
    # Deraining would cut pictures that take more than half of the free memory.
    evaluate(config, output=str(tmp_path / "tight"), **settings)
    free[0] = 2**40
    evaluate(config, output=str(tmp_path / "free"), **settings)
    tight, roomy = (read_card(tmp_path / name).evaluation for name in ("tight", "free"))
    assert tight.means() == roomy.means()
    free[0] = needed - 1
    with pytest.raises(ValueError, match=r"could not be restored: .*pixels take about .* GB"):
        evaluate(config, **settings)


def test_evaluate_keeps_the_trained_step_where_the_config_says_so(tmp_path):
    config = quickstart_config(test_pairs=str(write_pairs(tmp_path / "pairs")))
    config.model.position_size = 64
    evaluate(config, output=str(tmp_path / "out"), progress=False)
    assert read_card(tmp_path / "out").weights.network["position_size"] == 64


@pytest.mark.parametrize("name", [*FILES, "pictures"])
def test_evaluate_refuses_to_write_over_anything(network, name, tmp_path):
    write_safetensors(tmp_path / "w.safetensors", *network)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).touch()
    config = quickstart_config(test_pairs=str(write_pairs(tmp_path / "pairs")))
    with pytest.raises(FileExistsError, match=f"{name} exists; .*--overwrite"):
        evaluate(
            config,
            weights=str(tmp_path / "w.safetensors"),
            predictions=None,
            output=str(tmp_path / "out"),
            pictures=True,
            progress=False,
        )
