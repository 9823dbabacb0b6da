"""What a plug-in needs for routes below a job, `/api/jobs/{job_id}/…`: who asks, what for, and how to answer.

Describe each with `shelfwire.web.route.job_route`. Its handler calls `visitor_of`, then `Visitor.authorize`, before it
reads or changes anything of the job.
"""

from shelfwire.protocol.tokens import Scope
from shelfwire.web.compression import ETAG, compressed, matching_tag
from shelfwire.web.parameters import query_of
from shelfwire.web.responses import (
    CACHE_CONTROL,
    JSON_TYPE,
    NO_STORE,
    REVALIDATE,
    Success,
    json_response,
    success_response,
)
from shelfwire.web.uploads import Body, Pace, parsed
from shelfwire.web.visitors import Visitor, visitor_of

__all__ = [
    "CACHE_CONTROL",
    "ETAG",
    "JSON_TYPE",
    "NO_STORE",
    "REVALIDATE",
    "Body",
    "Pace",
    "Scope",
    "Success",
    "Visitor",
    "compressed",
    "json_response",
    "matching_tag",
    "parsed",
    "query_of",
    "success_response",
    "visitor_of",
]
