"""The client: `Client` with a method for the route of the plug-in, and the same for scripts."""

from pathlib import Path

from shelfwire import BlockingClient, Client, JobHandle, Upload
from shelfwire.client.blocking import blocking


class GlossaryClient(Client):
    """A connection to a server that has the plug-in."""

    async def check(
        self, file: Path | str | Upload, *, strict: bool = False, only: str = "", idempotency_key: str | None = None
    ) -> JobHandle:
        """Send a text and start to check it. Errors: see `Client.create`.

        Args:
            file: the text.
            strict: whether lines fail that have a term of the glossary.
            only: the only term to look for; all unless given.
            idempotency_key: see `Client.create`.
        """
        given = {"strict": "true" if strict else "", "only": only}
        params = {name: value for name, value in given.items() if value}
        return await self.create(
            "/api/glossary/checks", files=[("file", file)], params=params, idempotency_key=idempotency_key
        )


class BlockingGlossaryClient(BlockingClient[GlossaryClient]):
    """`GlossaryClient` for scripts."""

    client_class = GlossaryClient
    check = blocking(GlossaryClient.check)
