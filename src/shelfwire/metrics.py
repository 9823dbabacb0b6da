"""The engine's figures for Prometheus. Labels are names that the code knows: never an id, a token or anybody's text."""

from collections import Counter as Counts
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from shelfwire.errors import find_code
from shelfwire.jobs.figures import BUCKETS, Snapshot
from shelfwire.jobs.operator_store import Tally
from shelfwire.jobs.telemetry import Figure, Stats
from shelfwire.plugins import Counter as PluginCounter
from shelfwire.plugins import Plugin, PluginError
from shelfwire.protocol.job import JobState, Status

SCOPE: Final = "cluster"
"""The label of figures of the whole store: every node that shares it exports the same, so they are not summed up."""
OTHERS: Final = "other"
"""The label of pipelines and error codes that this application does not know."""


class Metrics(Collector):
    """A `Telemetry` with a registry of its own, so that several applications can live in one process.

    Args:
        pipelines: the names of what this application runs; these have a figure for every status. Others, of which a
            store may hold jobs, are counted together, so that nobody can make more labels than there are names.
        plugins: what counts beside the engine.

    Raises:
        PluginError: a counter has the name of another figure.
    """

    def __init__(self, pipelines: Iterable[str], plugins: Iterable[Plugin] = ()) -> None:
        self._pipelines = sorted(pipelines)
        self._stats: Stats | None = None
        self._registry = registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=registry)
        self._commits = Histogram(
            "shelfwire_commit_seconds",
            "How long a commit of progress took.",
            buckets=BUCKETS,
            registry=registry,
        )
        self._waits = Histogram(
            "shelfwire_queue_wait_seconds",
            "How long jobs waited until they were claimed first, by pipeline.",
            ["pipeline"],
            buckets=BUCKETS,
            registry=registry,
        )
        self._durations = Histogram(
            "shelfwire_job_duration_seconds",
            "How long complete jobs took from their start to their end, by pipeline.",
            ["pipeline"],
            buckets=BUCKETS,
            registry=registry,
        )
        self._deliveries = Histogram(
            "shelfwire_commit_to_receipt_seconds",
            "How long after their commit news were handed to followers' connections.",
            buckets=BUCKETS,
            registry=registry,
        )
        self._reports = Histogram(
            "shelfwire_report_seconds",
            "How long reports of workers elsewhere took.",
            buckets=BUCKETS,
            registry=registry,
        )
        self._responses = Histogram(
            "shelfwire_http_seconds",
            "How long requests took until their answer began, by route.",
            ["route"],
            buckets=BUCKETS,
            registry=registry,
        )
        self._outcomes = Counter(
            "shelfwire_outcomes",
            "How often what ought to go well did, by figure and outcome.",
            ["figure", "outcome"],
            registry=registry,
        )
        self._tallies: dict[str, Tally] = {}
        self._totals: dict[str, Tally] = {}
        self._interrupted: set[str] = set()
        self._items = Counter(
            "shelfwire_items", "Items recorded, by pipeline and outcome.", ["pipeline", "outcome"], registry=registry
        )
        self._errors = Counter(
            "shelfwire_errors",
            "Requests and handshakes that were answered, and jobs that ended, with an error, by code.",
            ["where", "code"],
            registry=registry,
        )
        self._received = Counter(
            "shelfwire_received_bytes", "Bytes of request bodies that were read.", registry=registry
        )
        self._webhooks = Histogram(
            "shelfwire_webhook_seconds",
            "How long a try of a webhook took, by result.",
            ["result"],
            buckets=BUCKETS,
            registry=registry,
        )
        registry.register(self)
        self._counters = {own.name: self._counter(plugin, own) for plugin in plugins for own in plugin.counters}

    def _counter(self, plugin: Plugin, own: PluginCounter) -> Counter:
        try:
            return Counter(f"shelfwire_{own.name}", own.description, own.labels, registry=self._registry)
        except ValueError:
            raise PluginError(
                f"The plug-in {plugin.name!r} has the counter {own.name!r}, and there is another figure of that name, "
                "or Prometheus reserves one of its labels. Rename it"
            ) from None

    def committed(self, seconds: float) -> None:
        """See `Telemetry.committed`."""
        self._commits.observe(seconds)

    def recorded(self, pipeline: str, succeeded: int, failed: int) -> None:
        """See `Telemetry.recorded`."""
        for outcome, count in (("ok", succeeded), ("failed", failed)):
            if count:
                self._items.labels(self._pipeline(pipeline), outcome).inc(count)

    def ended(self, state: JobState) -> None:
        """See `Telemetry.ended`."""
        self._recovered(state)
        if state.error is not None:
            self._errors.labels("job", _code(state.error.code)).inc()
        elif state.started_at is not None and state.ended_at is not None:
            took = state.ended_at - state.started_at if state.took is None else state.took
            self._durations.labels(self._pipeline(state.pipeline)).observe(max(0, took) / 1000)

    def answered(self, code: str | None, received: int) -> None:
        """See `Telemetry.answered`."""
        if code is not None:
            self._errors.labels("answer", _code(code)).inc()
        if received:
            self._received.inc(received)

    def interrupted(self, job_ids: Collection[str]) -> None:
        """See `Telemetry.interrupted`."""
        self._interrupted = set(job_ids)
        if job_ids:
            self.noted(Figure.INTERRUPTED, 0, len(job_ids))

    def claimed(self, state: JobState, seconds: float) -> None:
        """See `Telemetry.claimed`."""
        self._recovered(state)
        if state.attempt == 1:
            self._waits.labels(self._pipeline(state.pipeline)).observe(max(0.0, seconds))

    def _recovered(self, state: JobState) -> None:
        if state.id in self._interrupted:
            self._interrupted.discard(state.id)
            self.noted(Figure.RECOVERED)

    def handed_over(self, seconds: float) -> None:
        """See `Telemetry.handed_over`."""
        self._deliveries.observe(seconds)

    def reported(self, seconds: float) -> None:
        """See `Telemetry.reported`."""
        self._reports.observe(seconds)

    def responded(self, route: str, seconds: float) -> None:
        """See `Telemetry.responded`."""
        self._responses.labels(route).observe(seconds)

    def noted(self, figure: Figure, bad: int = 0, total: int = 1) -> None:
        """See `Telemetry.noted`."""
        for tallies in (self._tallies, self._totals):
            tallies[figure] = tallies.get(figure, Tally()) + Tally(bad, total)
        for outcome, times in (("ok", total - bad), ("bad", bad)):
            if times > 0:
                self._outcomes.labels(figure, outcome).inc(times)

    def totals(self) -> Mapping[str, Tally]:
        """Return what was noted since the process began."""
        return self._totals

    def take_tallies(self) -> dict[str, Tally]:
        """Return what was noted since the last call."""
        taken, self._tallies = self._tallies, {}
        return taken

    def put_back(self, tallies: Mapping[str, Tally]) -> None:
        """Return again what could not be stored."""
        for figure, tally in tallies.items():
            self._tallies[figure] = self._tallies.get(figure, Tally()) + tally

    def snapshot(self) -> Snapshot:
        """Return how many durations were in each bucket, of all pipelines together."""
        histograms = {
            "queueWait": self._waits,
            "jobDuration": self._durations,
            "commit": self._commits,
            "commitToReceipt": self._deliveries,
        }
        return {name: _in_buckets(histogram) for name, histogram in histograms.items()}

    def errors(self) -> dict[str, int]:
        """Return how often each code was the end of a job or the answer to a request, since the process began."""
        found: Counts[str] = Counts()
        for sample in next(iter(self._errors.collect())).samples:
            if sample.name.endswith("_total"):
                found[sample.labels["code"]] += round(sample.value)
        return dict(found)

    def items(self) -> int:
        """Return how many items were recorded since the process began."""
        samples = next(iter(self._items.collect())).samples
        return round(sum(sample.value for sample in samples if sample.name.endswith("_total")))

    def delivered(self, result: str, seconds: float) -> None:
        """See `Telemetry.delivered`."""
        self._webhooks.labels(result).observe(seconds)

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """See `plugins.PluginContext.count`."""
        counter = self._counters[name]
        (counter.labels(**labels) if labels else counter).inc(amount)

    def render(self, stats: Stats, accept: str) -> tuple[bytes, str]:
        """Return all figures, and their content type.

        Args:
            stats: how things stand now.
            accept: the request's header `Accept`, which decides between the text formats.
        """
        encode, content_type = choose_encoder(accept)
        self._stats = stats
        try:
            return encode(self._registry), content_type
        finally:
            self._stats = None

    def describe(self) -> Iterator[Metric]:
        """Name what `collect` gives, for the registry."""
        yield from self._families()

    def collect(self) -> Iterator[Metric]:
        """Give the figures that are asked for and not counted, for the registry."""
        stats = self._stats
        if stats is None:
            return
        jobs, queue_age, followers, stalled, sent, webhooks = self._families()
        if stats.jobs is not None:
            figures = Counts({(pipeline, str(status)): 0 for pipeline in self._pipelines for status in Status})
            for (pipeline, status), count in stats.jobs.items():
                figures[self._pipeline(pipeline), status] += count
            for labels, count in sorted(figures.items()):
                jobs.add_metric((*labels, SCOPE), count)
            yield jobs
        if stats.deliveries is not None:
            for status, count in sorted(stats.deliveries.items()):
                webhooks.add_metric([status, SCOPE], count)
            yield webhooks
        for transport, count in sorted(stats.followers.items()):
            followers.add_metric([transport], count)
        queue_age.add_metric([SCOPE], stats.queue_age)
        stalled.add_metric([], stats.stalled)
        sent.add_metric([], stats.sent_bytes)
        yield from (queue_age, followers, stalled, sent)

    def _pipeline(self, name: str) -> str:
        return name if name in self._pipelines else OTHERS

    @staticmethod
    def _families() -> tuple[
        GaugeMetricFamily,
        GaugeMetricFamily,
        GaugeMetricFamily,
        GaugeMetricFamily,
        CounterMetricFamily,
        GaugeMetricFamily,
    ]:
        return (
            GaugeMetricFamily(
                "shelfwire_jobs", "Jobs in the store, by pipeline and status.", labels=["pipeline", "status", "scope"]
            ),
            GaugeMetricFamily(
                "shelfwire_queue_age_seconds",
                "How long the job has waited that is to be claimed next.",
                labels=["scope"],
            ),
            GaugeMetricFamily("shelfwire_followers", "Followers attached to this node.", labels=["transport"]),
            GaugeMetricFamily(
                "shelfwire_stalled_jobs", "Running jobs, elsewhere too, that have recorded nothing for long."
            ),
            CounterMetricFamily("shelfwire_sent_bytes", "Bytes of messages that were sent to followers of this node."),
            GaugeMetricFamily(
                "shelfwire_webhooks",
                "Webhooks in the store that are waiting or were given up.",
                labels=["status", "scope"],
            ),
        )


def _in_buckets(histogram: Histogram) -> list[float]:
    sums = [0.0] * (len(BUCKETS) + 1)
    places = {bound: place for place, bound in enumerate((*BUCKETS, float("inf")))}
    for sample in next(iter(histogram.collect())).samples:
        if sample.name.endswith("_bucket"):
            sums[places[float(sample.labels["le"])]] += sample.value
    return [sums[0], *(upper - lower for lower, upper in pairwise(sums))]


def _code(text: str) -> str:
    try:
        return find_code(text)
    except ValueError:
        return OTHERS
