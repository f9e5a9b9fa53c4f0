"""Feedback in the shapes that other services already send. A connector is a file and a line here.

Connectors that need a deployment's own declaration come from a file; see ingest.connectors.webhook.
"""

from __future__ import annotations

from collections.abc import Mapping

from ingest.connectors import adaptive, langfuse, librechat, open_webui, openai_chat, tensorzero
from ingest.connectors.items import Connector

CONNECTORS: Mapping[str, Connector] = {
    "langfuse": langfuse.read,
    "openai": openai_chat.read,
    "librechat": librechat.read,
    "open-webui": open_webui.read,
    "tensorzero": tensorzero.read,
    "adaptive": adaptive.read,
}
