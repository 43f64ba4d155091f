"""Memory for feature maps that a Restorer keeps from picture to picture."""

from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jdnet_jax import Restorer, create_model, restore
from jdnet_jax.kept_room import KeptRoom


def test_kept_room_hands_out_what_came_back():
    made = []

    def make(pixels):
        made.append(np.zeros(pixels, np.float32))
        return (made[-1],)

    kept = KeptRoom(make)
    first, second = kept.take(5), kept.take(5)
    assert len(made) == 2
    assert kept.nbytes == 0
    kept.keep(5, first)
    kept.keep(5, second)
    assert kept.nbytes == 40
    assert kept.take(5) is second
    assert kept.take(5) is first
    kept.keep(5, first)
    assert kept.take(6)[0].size == 6
    assert kept.nbytes == 0  # of those for 5 pixels
    kept.keep(5, second)  # a thread that is late
    assert kept.nbytes == 0
    kept.keep(6, (made[-1],))
    kept.keep(6, (np.zeros(6, np.float32),))
    kept.give_up(beyond=24)
    assert kept.nbytes == 24
    kept.give_up(beyond=23)
    assert kept.nbytes == 0


@pytest.fixture(scope="module")
def model():
    return create_model(channels=16, units=2, footprint=3, scales=1, pooling=2)


PIXEL = 3 * 16 * 4
"""Bytes of a pixel's maps: three of 16 channels."""


def test_pictures_are_derained_over_what_the_last_one_left(model):
    """The same as with new memory, even over numbers that are none, and at one place."""
    rng = np.random.default_rng(0)
    pictures = rng.random((3, 20, 24, 3), np.float32)
    expected = [Restorer(model)(picture) for picture in pictures]
    restorer = Restorer(model)
    restorer(pictures[0])
    room = restorer._room_for_maps.take(480)
    restorer._room_for_maps.keep(480, jax.tree.map(lambda a: jnp.full_like(a, jnp.nan), room))
    places = set()
    for picture, result in zip(pictures, expected, strict=True):
        np.testing.assert_array_equal(restorer(picture), result)
        (strip,) = restorer._room_for_maps._kept[0]
        places.add(strip.unsafe_buffer_pointer())
    assert len(places) == 1
    assert restorer._room_for_maps.nbytes == 480 * PIXEL


def test_a_picture_of_another_size_has_the_memory(model):
    restorer = Restorer(model)
    restorer(np.zeros((20, 24, 3), np.uint8))
    restorer(np.zeros((24, 20, 3), np.uint8))  # as many pixels
    assert restorer._room_for_maps.nbytes == 480 * PIXEL
    restorer(np.zeros((8, 8, 3), np.uint8))
    assert restorer._room_for_maps.nbytes == 64 * PIXEL


def test_much_memory_is_kept_from_tile_to_tile_but_not_beyond(model, monkeypatch):
    monkeypatch.setattr(restore, "KEPT_BYTES", 48 * 48 * PIXEL - 1)
    restorer = Restorer(model, tile=48, overlap=16)
    made, seen = [], []
    make = restorer._room_for_maps._make
    monkeypatch.setattr(
        restorer._room_for_maps, "_make", lambda pixels: made.append(pixels) or make(pixels)
    )
    derain = restorer._derain_part

    def counted(*arguments):
        result = derain(*arguments)
        seen.append(restorer._room_for_maps.nbytes)
        return result

    monkeypatch.setattr(restorer, "_derain_part", counted)
    restorer(np.zeros((80, 80, 3), np.uint8))
    assert len(seen) > 1
    assert set(seen) == {made[0] * PIXEL}
    assert made == [48 * 48]
    assert restorer._room_for_maps.nbytes == 0


def test_what_is_kept_counts_as_free(model, monkeypatch):
    monkeypatch.setattr(restore, "available_bytes", lambda: 1000)
    restorer = Restorer(model, tile=0)
    assert restorer.available_bytes() == 1000
    restorer(np.zeros((20, 24, 3), np.uint8))
    assert restorer.available_bytes() == 1000 + 480 * PIXEL


def test_memory_of_a_call_that_failed_is_not_used_again(model, monkeypatch):
    """JAX tells of a failure only where a result is read."""
    restorer = Restorer(model)
    picture = np.random.default_rng(1).random((20, 24, 3), np.float32)
    expected, run = restorer(picture), restorer._run

    class Failed:
        def __array__(self, *_, **__):
            raise RuntimeError("out of memory")

    monkeypatch.setattr(restorer, "_run", lambda *given: (Failed(), run(*given)[1]))
    with pytest.raises(RuntimeError, match="out of memory"):
        restorer(picture)
    assert restorer._room_for_maps.nbytes == 0
    monkeypatch.setattr(restorer, "_run", run)
    np.testing.assert_array_equal(restorer(picture), expected)


def test_threads_have_memory_each_that_nothing_writes_into(model, monkeypatch):
    restorer = Restorer(model, at_once=3)
    pictures = np.random.default_rng(2).random((3, 40, 48, 3), np.float32)
    expected = [Restorer(model)(picture) for picture in pictures]
    kept = restorer._room_for_maps
    take, keep = kept.take, kept.keep
    taken, ready = set(), []

    def places(room):
        return {strip.unsafe_buffer_pointer() for strip in room}

    def watched_take(pixels):
        room = take(pixels)
        assert not places(room) & taken
        taken.update(places(room))
        return room

    def watched_keep(pixels, room):
        ready.extend(strip.is_ready() for strip in room)
        taken.difference_update(places(room))
        keep(pixels, room)

    monkeypatch.setattr(kept, "take", watched_take)
    monkeypatch.setattr(kept, "keep", watched_keep)
    with ThreadPoolExecutor(3) as threads:
        results = list(threads.map(restorer, [*pictures] * 8))
    np.testing.assert_array_equal(results, expected * 8)
    assert len(ready) == 24
    assert all(ready)
    assert len(kept._kept) == 1  # of up to three
