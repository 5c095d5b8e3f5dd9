"""A JetStream stream whose messages are work: gone once acknowledged, refused when too many."""

import nats.js.errors
from nats.js import api as jetstream
from nats.js.client import JetStreamContext

from contracts.signing import MAX_MESSAGE


async def ensure_work_queue(
    stream: JetStreamContext, name: str, subjects: str, *, per_subject: int, age_s: int
) -> None:
    """It exists with these settings, on disk; a full subject refuses the next message.

    Raises: nats.errors.Error when JetStream does not answer.
    """
    config = jetstream.StreamConfig(
        name=name,
        subjects=[subjects],
        retention=jetstream.RetentionPolicy.WORK_QUEUE,
        storage=jetstream.StorageType.FILE,
        discard=jetstream.DiscardPolicy.NEW,
        discard_new_per_subject=True,
        max_msgs_per_subject=per_subject,
        max_msg_size=2 * MAX_MESSAGE,
        max_age=age_s,
    )
    try:
        await stream.add_stream(config)
    except nats.js.errors.BadRequestError:
        # It exists with other settings: an older version's. Ours are the right ones.
        await stream.update_stream(config)
