"""Golden messages, and strategies for all that can be sent."""

from pathlib import Path

from hypothesis import strategies as st

from shelfwire.protocol.messages import (
    CurrentItem,
    JobComplete,
    JobError,
    JobProgress,
    JobStarted,
    Message,
    Metadata,
    Payload,
    Ping,
    Pong,
    SyncRequest,
)

VECTORS = sorted((Path(__file__).parent / "vectors").glob("*.json"))

counts = st.integers(0, 2**53)
texts = st.text(st.characters(codec="utf-8"), max_size=50)
maybe_text = st.none() | texts
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
payloads: st.SearchStrategy[Payload] = st.one_of(
    st.builds(
        JobStarted,
        total_count=counts,
        estimated_duration=st.none() | counts,
        metadata=st.none() | st.builds(Metadata, file_name=maybe_text, file_size=st.none() | counts),
    ),
    st.builds(
        JobProgress,
        processed_count=counts,
        total_count=st.none() | counts,
        current_title=maybe_text,
        current_item=st.none() | st.builds(CurrentItem, isbn=maybe_text, author=maybe_text),
        user_message=maybe_text,
        state=maybe_text,
        eta_seconds=st.none() | counts,
    ),
    st.builds(
        JobComplete,
        success_count=counts,
        failure_count=counts,
        duration=counts,
        results=json_values,
        summary=maybe_text,
        truncated=st.none() | st.booleans(),
    ),
    st.builds(
        JobError,
        code=texts,
        message=texts,
        user_message=texts,
        retryable=st.booleans(),
        affected_items=st.none() | st.lists(texts, max_size=3),
        details=json_values,
    ),
    st.builds(Ping, client_time=st.none() | counts),
    st.builds(Pong, client_time=st.none() | counts),
    st.builds(SyncRequest),
)
messages = st.builds(Message, job_id=texts, pipeline=texts, timestamp=counts, payload=payloads, seq=st.none() | counts)
