"""Celery: tasks are sent by name, take names, and may be delivered twice.

Late acknowledgement: a worker killed in the middle gives the task back once the visibility timeout has passed; what
keeps two workers from running it at once is the claim on its row, not the broker.
"""

from __future__ import annotations

from collections.abc import Mapping

from celery import Celery
from kombu.exceptions import OperationalError

from matrix.errors import BrokerUnavailable

VISIBILITY_TIMEOUT_S = 120  # a task whose worker died comes back after this; live runs renew their own lease


def make_celery(redis_url: str) -> Celery:
    """A Celery application; tasks go to the queue named before the dot of their name."""
    app = Celery("plumbline", broker=redis_url)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        broker_transport_options={"visibility_timeout": VISIBILITY_TIMEOUT_S},
        task_routes=(route,),
    )
    return app


def route(name: str, *_: object, **__: object) -> dict[str, str]:
    """`trainer.train_adapter` goes to queue `trainer`."""
    return {"queue": name.split(".", 1)[0]}


class CelerySender:
    """Implements infra.outbox.CommandSender."""

    def __init__(self, redis_url: str) -> None:
        self._app = make_celery(redis_url)

    def send(self, task: str, arguments: Mapping[str, str]) -> None:
        """Raises BrokerUnavailable where Redis does not answer."""
        try:
            self._app.send_task(task, kwargs=dict(arguments), retry=False)
        except OperationalError as error:
            raise BrokerUnavailable(f"redis: {error}") from error
