"""From picture to picture, from Python."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
import pytest

import jdnet_jax
from jdnet_jax import Restorer, create_model
from jdnet_jax.memory import bytes_per_pixel
from jdnet_jax.models import JDNet, attention_rows, split_variables
from jdnet_jax.pretrained import DEFAULT_WEIGHTS, load_trained
from jdnet_jax.weights import (
    WeightsError,
    bundled_names,
    export_weights,
    read_weights,
    write_safetensors,
)


@pytest.fixture(scope="module")
def restore():
    return Restorer(create_model(channels=16, units=1, footprint=3, scales=1, pooling=2))


def test_restorer_keeps_type_and_scale(restore):
    picture = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
    eight = restore(picture)
    sixteen = restore(picture.astype(np.uint16) * 257)
    single = restore(picture.astype(np.float32) / 255)
    half = restore((picture / 255).astype(np.float16))
    assert [a.dtype for a in (eight, sixteen, single, half)] == [
        np.uint8,
        np.uint16,
        np.float32,
        np.float16,
    ]
    assert all(a.flags.writeable for a in (eight, sixteen, single, half))
    clipped = np.clip(single, 0, 1)
    np.testing.assert_allclose(eight / 255, clipped, atol=0.5 / 255 + 1e-6)  # rounded to 8 bits
    np.testing.assert_allclose(sixteen / 65535, clipped, atol=0.5 / 65535 + 1e-6)
    np.testing.assert_allclose(half, single, atol=2e-3)  # half floats in, half floats out


def test_restorer_runs_the_model(restore):
    model = create_model(channels=16, units=1, footprint=3, scales=1, pooling=2)
    picture = np.random.default_rng(1).random((9, 12, 3), np.float32)
    np.testing.assert_allclose(restore(picture), model(picture[None])[0], atol=1e-6)


@pytest.mark.parametrize(
    ("picture", "error", "message"),
    [
        (np.zeros((8, 8), np.uint8), ValueError, "RGB"),
        (np.zeros((8, 8, 4), np.uint8), ValueError, "RGB"),
        (np.zeros((1, 8, 3), np.uint8), ValueError, "at least 2x2"),
        (np.zeros((8, 8, 3), np.int32), TypeError, "int32"),
        (np.full((8, 8, 3), 255.0), ValueError, "divide by 255"),
        (np.full((8, 8, 3), np.nan), ValueError, "NaN"),
        (np.zeros((0, 8, 3), np.float32), ValueError, "at least 2x2"),
    ],
)
def test_restorer_refuses(restore, picture, error, message):
    with pytest.raises(error, match=message):
        restore(picture)


def test_restorer_refuses_a_network_in_training():
    model = create_model(channels=16, units=1, footprint=3, scales=1, pooling=2)
    model.train()
    with pytest.raises(ValueError, match="eval"):
        Restorer(model)


def test_from_pretrained_takes_the_bundled_weights():
    assert DEFAULT_WEIGHTS in bundled_names()
    restore = Restorer.from_pretrained()
    clean = np.full((32, 32, 3), 100, np.uint8)
    rainy = clean.copy()
    rainy[:, 10:12] = 220  # a streak
    before, after = (np.abs(p[:, 10:12].astype(int) - 100).mean() for p in (rainy, restore(rainy)))
    assert after < before / 2


def test_derain_is_the_bundled_network():
    picture = np.random.default_rng(5).integers(0, 256, (20, 24, 3), np.uint8)
    derained = jdnet_jax.derain(picture)
    np.testing.assert_array_equal(derained, Restorer.from_pretrained()(picture))
    np.testing.assert_array_equal(jdnet_jax.derain(picture, weights=DEFAULT_WEIGHTS), derained)
    for weights in ("no such", Path(DEFAULT_WEIGHTS)):
        with pytest.raises(WeightsError, match=DEFAULT_WEIGHTS):
            jdnet_jax.derain(picture, weights=weights)


def test_bundled_weights_come_before_folders_of_their_name(tmp_path, monkeypatch):
    bundled = load_trained(DEFAULT_WEIGHTS)
    (tmp_path / DEFAULT_WEIGHTS / "checkpoints").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert load_trained(DEFAULT_WEIGHTS).description == bundled.description
    with pytest.raises(WeightsError, match="no checkpoint here has been validated"):
        load_trained(f"./{DEFAULT_WEIGHTS}")


def test_a_path_to_an_export_of_a_bundled_name_is_that_export(tmp_path, monkeypatch):
    model = create_model(units=1, channels=16)
    _, params, statistics = split_variables(model)
    export_weights(tmp_path / DEFAULT_WEIGHTS, model.description, params | statistics)
    monkeypatch.chdir(tmp_path)
    for path in (f"./{DEFAULT_WEIGHTS}", Path(DEFAULT_WEIGHTS)):
        assert load_trained(path).description == model.description
    assert read_weights(Path(DEFAULT_WEIGHTS))[0] == model.description


def test_from_pretrained_keeps_the_trained_step_where_it_is_told_to():
    picture = np.random.default_rng(2).random((96, 80, 3), np.float32)
    own, same, trained = (
        Restorer.from_pretrained(position_size=size)(picture) for size in (None, 0, 64)
    )
    np.testing.assert_array_equal(own, same)
    assert 1e-6 < np.abs(own - trained).max() < 0.1


def test_from_pretrained_names_what_there_is():
    with pytest.raises(WeightsError, match=DEFAULT_WEIGHTS):
        Restorer.from_pretrained("no such")


def test_restorer_shares_programs_and_stays_exact():
    """50 pictures, all of another size."""
    model = create_model(channels=16, units=1, footprint=3, scales=1, pooling=2)
    shared = Restorer(model)
    rng = np.random.default_rng(2)
    sizes = {(int(h), int(w)) for h, w in rng.integers((20, 8), (33, 60), (60, 2))}
    pictures = [rng.random((*size, 3), np.float32) for size in sorted(sizes)][:50]
    derained = [shared(picture) for picture in pictures]
    assert len(derained) == 50
    canvases = {shared._canvas(picture.shape[:2]) for picture in pictures[2:]}
    assert len(shared._run) == 2 + len(canvases) < 20
    for picture, result in list(zip(pictures, derained, strict=True))[::7]:
        np.testing.assert_allclose(result, Restorer(model)(picture), rtol=0, atol=2e-6)


def test_several_threads_derain_as_one_does():
    """Sizes that share programs, and a picture in tiles; each program is compiled once."""
    model = create_model(channels=16, units=1, footprint=3, scales=1, pooling=2)
    rng = np.random.default_rng(5)
    sizes = [(20, 24), (24, 20), (33, 30), (21, 26), (64, 70), (30, 33)]
    pictures = [rng.integers(0, 256, (*size, 3), np.uint8) for size in 4 * sizes]
    alone, shared = (Restorer(model, tile=48, overlap=16, at_once=n) for n in (1, 4))
    # Which sizes come first decides which have programs of their own.
    expected = [alone(picture) for picture in pictures]
    for picture in pictures[:2]:
        shared(picture)
    with ThreadPoolExecutor(4) as threads:
        for result, derained in zip(expected, threads.map(shared, pictures), strict=True):
            np.testing.assert_array_equal(derained, result)
    assert len(shared._run) == len(alone._run)


def test_threads_share_the_memory(monkeypatch):
    """What is whole has a thread's share; what is cut has all, and is cut alone."""
    alone, two = (Restorer.from_pretrained(overlap=16, at_once=n) for n in (1, 2))
    room = 2 * 200 * 200 * bytes_per_pixel(two.description)
    monkeypatch.setattr("jdnet_jax.restore.available_bytes", lambda: room)
    assert alone._tiles((200, 200)) is None
    assert two._tiles((200, 100)) is None
    assert two._tiles((200, 101)) is not None
    assert alone._tiles((300, 400)) == two._tiles((300, 400))
    cutting = []

    def cut(picture, tiles):
        cutting.append(two._cutting.locked())
        return picture

    monkeypatch.setattr(two, "_derain_tiles", cut)
    two(np.zeros((300, 400, 3), np.uint8))
    assert cutting == [True]


def test_memory_is_what_was_free_before_others_ran(monkeypatch):
    """What a picture has taken is not missing to the next: it was counted on."""
    two = Restorer.from_pretrained(overlap=16, at_once=2)
    pixel = bytes_per_pixel(two.description)
    free = [4 * 200 * 200 * pixel]
    monkeypatch.setattr("jdnet_jax.restore.available_bytes", lambda: free[0])
    seen = []

    def compute(numbers, part, size):
        free[0] = 0
        seen.append((two._tiles((200, 200)), two._canvas((195, 195))))
        if len(seen) == 1:
            two(np.zeros((200, 200, 3), np.uint8))
        return np.zeros((*size, 3), np.uint8)

    monkeypatch.setattr(two, "_compute", compute)
    two(np.zeros((200, 200, 3), np.uint8))
    assert seen == 2 * [(None, (208, 208))]  # no canvas of 256x256, which is beyond a share
    with pytest.raises(ValueError, match="There is memory for 0 pixels"):
        two(np.zeros((200, 200, 3), np.uint8))


def test_numbers_of_the_other_byte_order_are_numbers(restore):
    picture = np.random.default_rng(6).integers(0, 65536, (9, 12, 3), np.uint16)
    for kind in (">u2", "<u2"):
        derained = restore(picture.astype(kind))
        assert derained.dtype == np.dtype(kind)
        np.testing.assert_array_equal(derained, restore(picture))


@pytest.mark.parametrize("changes", [{"scales": 5}, {"pooling": 3}])
def test_networks_of_other_scales_have_an_overlap_that_fits(changes):
    restore = Restorer(create_model(**{"channels": 16, "units": 1, "footprint": 3} | changes))
    assert restore._overlap == 96
    with pytest.raises(ValueError, match="overlap must be a multiple of"):
        Restorer(create_model(channels=16, units=1, **changes), overlap=80)


@pytest.mark.parametrize(
    ("tile", "pixels", "canvas"),
    [
        (None, 10**6, (768, 1024)),
        (0, 10**6, (768, 1024)),
        (None, 768 * 1024 - 1, (528, 784)),
        (0, 768 * 1024 - 1, (528, 784)),
        (800, 10**6, (528, 784)),
    ],
)
def test_restorer_takes_no_canvas_beyond_the_memory_or_the_tile(monkeypatch, tile, pixels, canvas):
    restore = Restorer.from_pretrained(tile=tile)
    room = 2 * pixels * bytes_per_pixel(restore.description)
    monkeypatch.setattr("jdnet_jax.restore.available_bytes", lambda: room)
    assert restore._tiles((520, 780)) is None
    assert restore._canvas((520, 780)) == canvas


def test_restorer_in_tiles_is_close_to_the_whole():
    picture = np.random.default_rng(3).random((150, 90, 3), np.float32)
    whole = Restorer.from_pretrained(tile=0)(picture)
    far, near = (
        np.abs(Restorer.from_pretrained(tile=96, overlap=overlap)(picture) - whole)
        for overlap in (32, 0)
    )
    assert 0 < far.max() < near.max()
    assert far.mean() < near.mean() / 2


@pytest.mark.parametrize(
    ("options", "message"), [({"overlap": 10}, "multiple of 16"), ({"tile": 100}, "at least 176")]
)
def test_restorer_refuses_tiles_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        Restorer.from_pretrained(**options)


def test_restorer_cuts_what_does_not_fit(monkeypatch):
    """The memory that there is decides; little of it is pretended."""
    cut = Restorer.from_pretrained(overlap=16)
    room = 2 * 112 * 128 * bytes_per_pixel(cut.description)
    monkeypatch.setattr("jdnet_jax.restore.available_bytes", lambda: room)
    picture = np.random.default_rng(4).integers(0, 256, (150, 300, 3), np.uint8)
    assert cut(picture).shape == picture.shape
    assert cut._tiles((150, 300)) is not None
    assert cut._tiles((112, 120)) is None


@pytest.mark.parametrize("tile", [0, 32])
def test_whole_numbers_come_back_rounded_from_canvases_and_tiles(tile):
    model = create_model(channels=16, units=1, footprint=3, scales=1, pooling=2)
    restore = Restorer(model, tile=tile, overlap=4)
    rng = np.random.default_rng(6)
    for height in (30, 31, 41):  # the third has no program of its own
        picture = rng.integers(0, 256, (height, 45, 3), np.uint8)
        derained = restore(picture)
        unrounded = restore(picture / np.float32(255))
        assert derained.flags.writeable
        assert derained.flags.c_contiguous
        np.testing.assert_allclose(derained, 255 * unrounded.clip(0, 1), rtol=0, atol=0.5 + 1e-3)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.skipif(jax.default_backend() != "cpu", reason="GPUs divide less exactly")
def test_whole_numbers_are_divided_not_multiplied(kind):
    """A constant's reciprocal rounds otherwise than the division that training pictures go by."""
    top = np.iinfo(kind).max
    picture = np.arange(top + 1, dtype=kind).reshape(16, -1, 1).repeat(3, axis=2)
    divided = picture.astype(np.float32) / np.float32(top)

    class WhereEqual(JDNet):
        def derain_in(self, room, x, _):
            return (x == divided).astype(np.float32), room

    model = create_model(channels=16, units=1, footprint=3, scales=1, pooling=2)
    model.__class__ = WhereEqual
    restore = Restorer(model)
    assert (restore(picture) == top).all()


def test_only_a_restorer_reads_rows_where_they_lie(monkeypatch):
    """Its compiler's options vectorise that; others' take a third more time for it."""
    seen, forward = [], attention_rows._forward

    def recorded(*operands, ahead):
        seen.append(ahead)
        return forward(*operands, ahead=ahead)

    monkeypatch.setattr(attention_rows, "_forward", recorded)
    model = create_model(channels=16, units=1, footprint=3, scales=1, pooling=2)
    picture = np.zeros((9, 12, 3), np.float32)
    Restorer(model)(picture)
    assert set(seen) == {False}
    seen.clear()
    model(picture[None])
    assert set(seen) == {True}


@pytest.mark.parametrize("at_once", [0, -1, 1.5])
def test_restorer_refuses_a_number_of_threads_that_is_none(at_once):
    with pytest.raises(ValueError, match="at_once must be a whole number from 1 on"):
        Restorer(create_model(units=1), at_once=at_once)


def test_derain_looks_for_weights_where_it_is_called(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    picture = rng.random((16, 16, 3), np.float32)
    results = []
    for seed in (1, 2):
        folder = tmp_path / str(seed)
        folder.mkdir()
        model = create_model(seed=seed, units=1)
        _, params, statistics = split_variables(model)
        values = {name: np.asarray(value) for name, value in (params | statistics).items()}
        write_safetensors(folder / "w.safetensors", model.description, values)
        monkeypatch.chdir(folder)
        results.append(jdnet_jax.derain(picture, weights="w.safetensors"))
        np.testing.assert_array_equal(results[-1], Restorer(model)(picture))
    assert np.abs(results[0] - results[1]).max() > 1e-3
