"""The request of the stage behind ``frbias data export``."""

from dataclasses import dataclass

from frbias.core.foundation.requests import Request, option


@dataclass(frozen=True, kw_only=True)
class PublishRequest(Request):
    """Write a synthetic image set as a folder that can be uploaded.

    Attributes:
        data: The image set: a folder or a registered name.
    """

    title = "data export"
    data: str = option(
        help="Synthetic image set: a folder or a registered name.", positional=True, completes="data", decides=False
    )
