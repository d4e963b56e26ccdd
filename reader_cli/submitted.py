"""What was submitted as one job, met by its results: whose record is whose, in which order, and what is missing."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from reader_cli.errors import NotFoundLocally
from reader_cli.inputs.urls import clean_url

if TYPE_CHECKING:
    from reader_cli.session import Session

Record = dict[str, Any] | None
_NONE: deque[int] = deque()


class Submitted:
    """At most 1,000 URLs, in the order of the input, numbered from 0."""

    def __init__(self, inputs: Iterable[tuple[str, Record]]) -> None:
        self._inputs = list(inputs)
        self._open = set(range(len(self._inputs)))
        self._by_url: defaultdict[str, deque[int]] = defaultdict(deque)
        for number, (url, _) in enumerate(self._inputs):
            for spelling in dict.fromkeys((url, _identity(url))):
                self._by_url[spelling].append(number)

    def meet(self, url: str) -> int | None:
        """The number of the first input with this URL that has not met a result, be it in another spelling of the
        same URL; None where there is no such input, as for what a crawl discovered."""
        for spelling in (url, _identity(url)):
            numbers = self._by_url.get(spelling, _NONE)
            while numbers:
                if (number := numbers.popleft()) in self._open:
                    self._open.remove(number)
                    return number
        return None

    def record(self, number: int | None) -> Record:
        return None if number is None else self._inputs[number][1]

    def missing(self) -> Iterator[tuple[int, str]]:
        """Those that have met no result, in order."""
        return ((number, self._inputs[number][0]) for number in sorted(self._open))


def find_submitted(session: Session, job_id: str) -> Submitted:
    """Raises NotFoundLocally for a job that was not submitted from here."""
    inputs = list(session.history.input_records(session.server, job_id))
    if not inputs:
        raise _unknown(job_id)
    return Submitted(inputs)


def check_submitted(session: Session, job_ids: Iterable[str]) -> None:
    """Raises NotFoundLocally for a job that was not submitted from here."""
    for job_id in job_ids:
        if session.history.find_job(session.server, job_id) is None:
            raise _unknown(job_id)


def record_keys(session: Session, job_ids: Iterable[str]) -> list[str]:
    """The keys of all records of these jobs, in the order in which they first appear."""
    inputs = (pair for job_id in job_ids for pair in session.history.input_records(session.server, job_id))
    return list(dict.fromkeys(key for _, record in inputs for key in record or ()))


def _identity(url: str) -> str:
    try:
        return clean_url(url)[1]
    except ValueError:
        return url


def _unknown(job_id: str) -> NotFoundLocally:
    return NotFoundLocally(f"the history does not know what was submitted as {job_id}", hint="reader jobs")
