"""The people of the simulation: owners who call the application from inside, and followers with the real client."""

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from shelfwire.client import Client, ConnectionLostError, JobHandle, RefusedError
from shelfwire.client.following import Following
from shelfwire.errors import ShelfwireError
from shelfwire.jobs.service import JobService, Token
from shelfwire.jobs.store import Committed
from shelfwire.protocol.messages import Metadata
from shelfwire.protocol.reconnect import Transport
from shelfwire.protocol.tokens import ALL_SCOPES, Scope, digest
from tests.simulation.loop import Process
from tests.simulation.network import SimulatedHttp
from tests.simulation.node import Node, NodeClock
from tests.simulation.oracles import Story
from tests.simulation.plans import RETRIES, Act, FollowerPlan

if TYPE_CHECKING:
    from tests.simulation.world import World

AGAIN: Final = 3.0
"""Seconds after which a client that gave up tries again."""


class Owned:
    """A job, as its owner knows it: the tokens, the first one first."""

    def __init__(self) -> None:
        self.tokens: list[JobHandle] = []


class Owners:
    """All owners, who call the service as an application does that embeds the server.

    Attributes:
        jobs: what each has, by the number of the job in the plan.
    """

    def __init__(self, world: "World") -> None:
        self.jobs: dict[int, Owned] = {}
        self._world = world
        self._dice = world.stream("owners")

    def ask(self, act: Act) -> None:
        node = self._world.serving(act.node, self._dice)
        if node is not None:
            node.spawn(self._owner(act, node))
        elif act.do in {"create", "resume"}:
            self._world.loop.outside(1.0, self.ask, act)

    async def _owner(self, act: Act, node: Node) -> None:
        try:
            async with asyncio.timeout(act.cut_off):
                await self._call(act, node)
            self._world.oracles.saw(f"owner: {act.do}")
        except TimeoutError:
            self._world.oracles.saw(f"owner: {act.do} was cut off")
        except ShelfwireError as error:
            self._world.trace(f"owner: {act.do} refused: {error}")
            self._world.oracles.saw(f"owner: {act.do} was refused")
            if act.do in {"create", "resume"} and error.retryable:
                self._world.loop.outside(1.0, self.ask, act)

    async def _call(self, act: Act, node: Node) -> None:
        service = node.app.service
        owned = self.jobs.setdefault(act.job, Owned())
        if act.do == "create":
            await self._create(act, service, owned)
            return
        if not owned.tokens:
            return
        handle = owned.tokens[0]
        if act.do == "revoke":
            handle = owned.tokens[int(act.which * len(owned.tokens))]
            grant = await service.authorize(handle.job_id, handle.token, Scope.WATCH)
            await service.revoke(grant)
            self._world.trace("a token is revoked")
            self._world.oracles.revoked.setdefault(grant.digest, (self._world.loop.now, node.number))
            return
        grant = await service.authorize(handle.job_id, handle.token, Scope.CONTROL)
        match act.do:
            case "cancel" | "pause" | "resume":
                committed: Committed = await getattr(service, act.do)(grant.job_id)
                document = {"seq": committed.state.seq, "status": str(committed.state.status)}
                self._world.oracles.answered({**document, "processedCount": committed.state.processed}, grant.digest)
            case "delete":
                await service.delete(grant.job_id)
            case "retry":
                retry = self.jobs.setdefault(act.job + RETRIES, Owned())
                retry.tokens.insert(0, _handle(await service.retry(grant.job_id, grant)))
            case "token":
                scopes = frozenset({Scope.WATCH}) if act.which < 0.5 else ALL_SCOPES
                owned.tokens.append(_handle(await service.derive_token(grant, scopes=scopes)))
            case "results":
                page = await service.results(grant.job_id, after=-1, limit=1000, ok=None)
                if page.next is not None and [item.index for item in page.items] != list(range(len(page.items))):
                    self._world.oracles.violated("7 page", f"{[item.index for item in page.items]}")

    async def _create(self, act: Act, service: JobService, owned: Owned) -> None:
        job_id = str(self._world.stream("id", act.job).getrandbits(100)) if act.own_id else None
        async with service.upload() as upload:
            await upload.write("file", msgspec.json.encode(act.work))
            token = await service.create(upload, act.kind, Metadata(file_name="a.csv"), job_id=job_id)
        owned.tokens.insert(0, _handle(token))


class Follower:
    """Somebody who follows a job until its ending, whatever happens.

    Attributes:
        state: `waits` for a token, `follows`, `away`, `ended`, `refused` or `lost`.
        handle: the token it uses.
    """

    def __init__(self, world: "World", number: int, plan: FollowerPlan) -> None:
        self.plan = plan
        self.state = "waits"
        self.handle: JobHandle | None = None
        self._world = world
        self._number = number
        self._visits = 0
        self._following: Following | None = None
        self._process = Process(f"follower {number}")
        dice = world.stream("follower", number)
        self._dice = dice
        transports = tuple(Transport) if plan.by == "all" else (Transport(plan.by),)
        http = SimulatedHttp(
            world, plan.window, lambda connection: world.stream("connection", number, connection), plan.node
        )
        self._client = Client(
            "http://simulated", http=http, clock=NodeClock(world), transports=transports, random_fraction=dice.random
        )

    def begin(self) -> None:
        owned = self._world.owners.jobs.get(self.plan.job)
        if owned is None or not owned.tokens:
            self._world.loop.outside(0.5, self.begin)
            return
        if self.state in {"waits", "lost"}:
            self.handle = owned.tokens[self.plan.token % len(owned.tokens)]
        self.state = "follows"
        self._world.loop.spawn(self._process, self._follow())

    def network(self, *, lost: bool) -> None:
        """The device says that its network is gone, or back."""
        if self._following is not None and self.state == "follows":
            change = self._following.network_lost if lost else self._following.network_restored
            self._world.loop.within(self._process, change)

    async def _follow(self) -> None:
        world, handle = self._world, self.handle
        assert handle is not None
        self._visits += 1
        story = Story(world.oracles, digest(handle.token), fresh=True, interval=None)
        shown = 0
        try:
            async with self._client.follow(handle, on_token=self._replace) as following:
                self._following = following
                async for message in following:
                    story.hear(message)
                    shown += 1
                    if self.plan.slow:
                        await asyncio.sleep(self._dice.random() * self.plan.slow)
                    if self._leaves(shown):
                        return
            self.state = "ended" if story.ending else "broken"
        except RefusedError as error:
            self.state = "refused"
            world.trace(f"follower {self._number} was refused: {error}")
        except ConnectionLostError:
            self.state = "lost"
            world.oracles.saw("a client gave up")
            world.loop.outside(AGAIN, self.begin)

    def _replace(self, handle: JobHandle) -> None:
        self.handle = handle
        self._world.oracles.saw("a client replaced its token")

    def _leaves(self, shown: int) -> bool:
        plan = self.plan
        flickers = self._visits <= plan.flickers
        if not flickers and not (shown == plan.leaves and self._visits == plan.flickers + 1):
            return False
        self.state = "away"
        self._world.oracles.saw("a follower left and came back")
        self._world.loop.outside(0.02 + self._dice.random() * (0.3 if flickers else 5), self.begin)
        return True


def _handle(token: Token) -> JobHandle:
    return JobHandle(token.job_id, token.token, token.expires_at)
