"""Doing the nodes of a graph: in this process one after another, in several, on a cluster, or on all ranks together."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from os import getpid
from pathlib import Path
from time import sleep
from typing import Any, Protocol

from frbias.core.foundation.devices import World, usable_cores
from frbias.core.foundation.errors import UsageError, reason_of
from frbias.core.foundation.group import agreed_on
from frbias.core.foundation.machine import Machine, Resources
from frbias.core.foundation.spawning import without_main
from frbias.experiment.doing import Outcome, attempt_elsewhere, attempt_node, end_with_parent
from frbias.experiment.graph import Node

Told = Callable[[Node, Outcome], None]
_POLL = 0.5


class Workers(Protocol):
    """Where nodes are done beside this process."""

    def start(self, node: Node) -> Any:
        """Begin a node; what :meth:`finished` takes."""
        ...

    def finished(self, running: Sequence[Any]) -> dict[int, Outcome]:
        """Outcomes of those that are done, by position; waits until there is one, or a moment."""
        ...


def do_here(nodes: Mapping[str, Node], machine: Machine, world: World, told: Told) -> dict[str, Outcome]:
    """Do the nodes one after another, on every rank of a torchrun launch; a failure skips what depends on it alone."""
    found: dict[str, Outcome] = {}
    for key, node in nodes.items():
        if (hindered := _hindered(node, found)) is not None:
            found[key] = hindered
        else:
            outcome = attempt_node(node, machine)
            found[key] = agreed_on(outcome, lambda one: not one.good, world)
        if world.leader:
            told(node, found[key])
    return found


def do_elsewhere(nodes: Mapping[str, Node], workers: Workers, jobs: int, told: Told) -> dict[str, Outcome]:
    """Do the nodes with ``workers``, at most ``jobs`` at a time, each as soon as what it needs is there."""
    found: dict[str, Outcome] = {}
    waiting, running = dict(nodes), dict[str, Any]()
    while waiting or running:
        for key, node in list(waiting.items()):
            if (hindered := _hindered(node, found)) is not None:
                found[key] = hindered
                del waiting[key]
                told(node, hindered)
            elif len(running) < jobs and all(need in found for need in node.needs):
                running[key] = workers.start(node)
                del waiting[key]
        keys = list(running)
        for position, outcome in workers.finished(list(running.values())).items() if running else ():
            found[keys[position]] = outcome
            del running[keys[position]]
            told(nodes[keys[position]], outcome)
    return found


def _hindered(node: Node, found: Mapping[str, Outcome]) -> Outcome | None:
    for need in node.needs:
        if need in found and not found[need].good:
            return Outcome("skipped", problem=found[need].problem)
    return None


def shared_among(resources: Resources, jobs: int) -> Resources:
    """What each of several processes on this machine may use, when the user did not say."""
    each = max(1, usable_cores() // jobs)
    return Resources(
        device=resources.device,
        workers=resources.workers or each,
        threads=resources.threads or each,
        batch_size=resources.batch_size,
    )


@dataclass
class Processes:
    """Processes of this machine; one that is killed (for memory, as a rule) costs its node and no other."""

    resources: Resources
    jobs: int
    _pool: ProcessPoolExecutor | None = None
    _tries: dict[str, int] = field(default_factory=dict)

    def start(self, node: Node) -> tuple[Node, "Future[Outcome]"]:
        """Begin a node."""
        self._tries[node.key] = self._tries.get(node.key, 0) + 1
        try:
            return node, self._submit(node)
        except BrokenProcessPool:
            self._pool = None
            return node, self._submit(node)

    def finished(self, running: Sequence[Any]) -> dict[int, Outcome]:
        """Outcomes of those that are done; when the pool broke, every node that was in it is tried once more, alone."""
        wait([future for _, future in running], return_when=FIRST_COMPLETED)
        found: dict[int, Outcome] = {}
        for position, (node, future) in enumerate(running):
            if not future.done():
                continue
            try:
                found[position] = future.result()
            except BrokenProcessPool:
                self._pool = None
                found[position] = self._alone(node)
        return found

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _submit(self, node: Node) -> "Future[Outcome]":
        with without_main():
            if self._pool is None:
                self._pool = self._started(self.jobs)
            return self._pool.submit(attempt_elsewhere, node, self.resources)

    def _alone(self, node: Node) -> Outcome:
        with without_main(), self._started(1) as pool:
            try:
                return pool.submit(attempt_elsewhere, node, self.resources).result()
            except BrokenProcessPool:
                return Outcome("failed", problem="The process was killed; the machine may not have had enough memory.")

    def _started(self, count: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            count, mp_context=get_context("spawn"), initializer=end_with_parent, initargs=(getpid(),)
        )


@contextmanager
def processes(resources: Resources, jobs: int) -> Iterator[Processes]:
    """Worker processes that end with the block."""
    workers = Processes(shared_among(resources, jobs), jobs)
    try:
        yield workers
    finally:
        workers.close()


@dataclass
class Cluster:
    """Jobs of submitit: ``slurm``, or ``local`` for processes that look the same."""

    executor: Any
    resources: Resources

    def start(self, node: Node) -> Any:
        """Submit a node."""
        return self.executor.submit(attempt_elsewhere, node, self.resources)

    def finished(self, running: Sequence[Any]) -> dict[int, Outcome]:
        """Outcomes of the jobs that have ended."""
        sleep(_POLL)
        return {k: self._outcome(job) for k, job in enumerate(running) if job.done()}

    def _outcome(self, job: Any) -> Outcome:
        failure = job.exception()
        if failure is not None:
            text = (str(failure).strip().splitlines() or [type(failure).__name__])[-1]
            return Outcome("failed", problem=f"Job {job.job_id} of the cluster failed: {text}", trace=str(failure))
        found: Outcome = job.result()
        return found


def cluster(kind: str, options: Sequence[str], logs: Path, resources: Resources) -> Cluster:
    """A cluster to submit to.

    Args:
        kind: ``slurm`` or ``local``.
        options: ``name=value``: parameters of submitit's ``update_parameters``, such as ``slurm_partition=gpu``.
        logs: Folder for what jobs write.
        resources: What each job may use.

    Raises:
        UsageError: submitit is not installed, or does not know an option.
    """
    try:
        import submitit
    except ImportError:
        raise UsageError("--cluster needs submitit; install it with: pip install 'frbias[slurm]'") from None
    try:
        executor = submitit.AutoExecutor(folder=str(logs), cluster=kind)
        executor.update_parameters(**{"timeout_min": 24 * 60, **_parameters(options)})
    except (RuntimeError, NameError, ValueError, TypeError, FileNotFoundError) as error:
        raise UsageError(f"--cluster {kind}: {reason_of(error)}") from error
    return Cluster(executor, resources)


def _parameters(options: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in options:
        name, equals, value = text.partition("=")
        if not (equals and name.strip() and value.strip()):
            raise UsageError(f"--cluster-option {text!r}: write name=value, e.g. slurm_partition=gpu.")
        value = value.strip()
        found[name.strip()] = int(value) if value.lstrip("-").isdigit() else value
    return found
