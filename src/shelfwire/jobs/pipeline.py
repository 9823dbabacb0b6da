"""What a pipeline declares: the kind of job that it does."""

from typing import Protocol

from shelfwire.jobs.job import Job


class Pipeline(Protocol):
    """A kind of job.

    It may also have `results_name`, what the list of done items is called in the inline results, beside `errors`
    (`items` if not); or `fold`, which makes those results where they are more than a list (see `jobs.ending.Fold`); and
    `columns`, the members of an item's result that get a column each where results are asked for as CSV; `ready`, which
    raises `ShelfwireError` where its jobs cannot be done here, so that they are refused at the door; `check_request`,
    which does so for a body of JSON that a job is to be made of, and returns how many items it has; and `close`, a
    coroutine that is awaited when the server stops.
    """

    @property
    def name(self) -> str:
        """The pipeline's name on the wire: up to 64 of a-z, 0-9 and _, beginning with a letter."""
        ...

    async def run(self, job: Job) -> str:
        """Do the job, or what is left of it, and return a summary for a person.

        May be called again for the same job after a crash; `Job.pending` then passes over what is in the log. It may be
        cancelled at any `await`.

        Raises:
            ShelfwireError: the job as a whole cannot be done, and trying again would not help.
            Exception: anything else ends the attempt, and the job is tried again.
        """
        ...
