"""Cells side by side: processes of one thread each, so that their number changes no byte."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from isthmus.errors import IsthmusError, StorageError
from isthmus.sweeping.cells import Ground, Task, measured
from isthmus.training.distributed import take_gpu

__all__ = ["finished"]

_ENDED = (
    "a worker ended before its work did; perhaps the memory does not suffice, or a script that "
    "calls sweep lacks its `if __name__ == '__main__':`"
)

_grounds: list[Ground] = []  # of a worker: handed over once, not with every task


def finished(
    ground: Ground, tasks: Sequence[Task], jobs: int
) -> Iterator[tuple[Task, dict[str, Any], float]]:
    """Measure every task in one of ``jobs`` processes; each as it is done, with its seconds.

    Where the caller leaves early, by an error or Ctrl-C, the processes are ended.

    Raises:
        IsthmusError: a task failed; the message names it.
        StorageError: a process was ended from outside.
    """
    if not tasks:
        return
    with _pool(ground, min(jobs, len(tasks))) as pool:
        pending = {pool.submit(_timed, task): task for task in tasks}
        for done in as_completed(pending):
            task = pending.pop(done)
            yield task, *_result(done, task)


@contextmanager
def _pool(ground: Ground, jobs: int) -> Iterator[ProcessPoolExecutor]:
    others = set(multiprocessing.active_children())
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, spawn, _begin, (ground,))
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    finally:
        pool.shutdown()


def _result(
    done: Future[tuple[dict[str, Any], float]], task: Task
) -> tuple[dict[str, Any], float]:
    try:
        return done.result()
    except IsthmusError as error:
        raise type(error)(str(error), where=str(task)) from error
    except BrokenProcessPool as error:
        remedy = "try fewer jobs; what is done stays done"
        raise StorageError(_ENDED, where=str(task), remedy=remedy) from error
    except Exception as error:
        error.add_note(f"in the cell {task}")
        raise


def _begin(ground: Ground) -> None:
    """In a worker: Ctrl-C is the parent's business, and so is a parent that is no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["OMP_NUM_THREADS"] = "1"
    threadpool_limits(1)
    torch.set_num_threads(1)
    take_gpu()
    _grounds[:] = [ground]


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _timed(task: Task) -> tuple[dict[str, Any], float]:
    start = time.perf_counter()
    return measured(_grounds[0], task), time.perf_counter() - start
