"""Results computed ahead by threads."""

import contextlib
import threading

import pytest

from jdnet_jax.ahead import computed_ahead


@pytest.mark.parametrize("at_once", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 20])
def test_results_come_in_order(at_once, count):
    results = computed_ahead(lambda x: x * x, iter(range(count)), at_once=at_once)
    assert [(x, y.result()) for x, y in results] == [(x, x * x) for x in range(count)]


def test_one_at_a_time_is_computed_by_the_thread_that_asks():
    taken, computed = [], []

    def inputs():
        for x in range(3):
            taken.append(x)
            yield x

    def function(x):
        computed.append(threading.current_thread())
        return x

    for number, (x, result) in enumerate(computed_ahead(function, inputs(), at_once=1)):
        assert result.result() == x == number
        assert len(taken) == len(computed) == number + 1
    assert set(computed) == {threading.current_thread()}


@pytest.mark.parametrize("at_once", [2, 3])
def test_so_many_are_computed_at_once_and_no_more(at_once):
    """Each call waits for all that may run beside it; one more would break the barrier."""
    running, most, lock = 0, 0, threading.Lock()
    barrier = threading.Barrier(at_once)

    def function(x):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        barrier.wait(timeout=60)
        with lock:
            running -= 1
        return x

    results = computed_ahead(function, range(4 * at_once), at_once=at_once)
    assert [y.result() for _, y in results] == list(range(4 * at_once))
    assert most == at_once


def test_inputs_are_taken_one_ahead_of_the_threads():
    taken = []

    def inputs():
        for x in range(9):
            taken.append(x)
            yield x

    results = computed_ahead(abs, inputs(), at_once=2)
    assert taken == []
    for number, _ in enumerate(results):
        assert len(taken) == min(number + 3, 9)


@pytest.mark.parametrize("at_once", [1, 2])
def test_an_error_is_that_inputs_alone(at_once):
    results = computed_ahead(lambda x: 6 // x, [2, 0, 3], at_once=at_once)
    (_, first), (_, second), (_, third) = results
    assert (first.result(), third.result()) == (3, 2)
    with pytest.raises(ZeroDivisionError):
        second.result()


def test_nothing_is_begun_after_it_was_closed():
    begun, started, go_on = [], threading.Semaphore(0), threading.Event()

    def function(x):
        begun.append(x)
        started.release()
        go_on.wait(timeout=60)

    with contextlib.closing(computed_ahead(function, range(9), at_once=2)) as results:
        next(results)
        for _ in range(2):
            assert started.acquire(timeout=60)
    go_on.set()  # closing did not wait for it
    for thread in threading.enumerate():
        if thread.name.startswith("ThreadPoolExecutor"):
            thread.join(timeout=60)
    assert sorted(begun) == [0, 1]
