"""The filters of ListExecutions and ListTasks against a reference in plain Python, over gRPC, on both databases."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from elevon_admin.store.execution_tables import execution_tags, executions
from elevon_admin.store.registry_tables import tasks
from elevon_kit.database import Database
from flyteidl.admin import common_pb2
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select

from tests.integration.admin_executions.harness import DOMAIN, EPOCH, PROJECT, Admin, serving
from tests.integration.admin_queries.filled import database_of
from tests.integration.admin_queries.reference import FUNCTIONS, MANY, Malformed, Row, read, selected, split

SECOND = 10**9
PHASES = {"QUEUED": 1, "RUNNING": 2, "SUCCEEDED": 4, "FAILED": 6, "ABORTED": 7}
USERS = ["ann", "Ann", "a_n", "a%n", "b\\", "é", "a+b", "a,b", "a (b)", "a 'b\" --"]
TAGS = [("nightly", ""), ("team", "x"), ("team", "y"), ("tier", "x")]
EXECUTION_KINDS = {
    **dict.fromkeys(("name", "user", "error_kind", "error_code"), "text"),
    "phase": "name",
    **dict.fromkeys(("mode", "state"), "integer"),
    **dict.fromkeys(("created_at", "started_at"), "time"),
    "duration": "duration",
    **dict.fromkeys(("workflow.name", "launch_plan.name", "execution_tag.key", "execution_tag.value"), "text"),
    **dict.fromkeys(("execution_tag.execution_project", "execution_tag.execution_name"), "text"),
    "admin_tag.name": "text",
}
TASK_KINDS = dict.fromkeys(("name", "version", "type", "short_description"), "text") | {"created_at": "time"}


def execution_rows() -> list[dict[str, Any]]:
    """Sixty executions whose columns differ in every way that filters tell apart; some columns are NULL."""
    rows = []
    for number in range(60):
        phase = list(PHASES)[number % 5]
        tags = [tag for place, tag in enumerate(TAGS) if number >> place & 1]
        workflow = f"w{number % 3 % 2 + 1}"
        rows.append(
            {
                "name": f"x{number:02}",
                "user": USERS[number % len(USERS)],
                "phase": phase,
                "error_kind": ("USER" if number % 2 else "SYSTEM") if phase == "FAILED" else None,
                "error_code": "Boom" if phase == "FAILED" and number % 3 else None,
                "mode": number % 3,
                "state": int(number % 7 == 0),
                "created_at": (EPOCH + number // 2) * SECOND,
                "started_at": None if phase == "QUEUED" else (EPOCH + number) * SECOND + 500_000_000,
                "duration": number * SECOND if phase in ("SUCCEEDED", "FAILED") else None,
                "workflow": [{"name": workflow}],
                "launch_plan": [{"name": workflow}],
                "execution_tag": [
                    {"key": key, "value": value, "execution_project": PROJECT, "execution_name": f"x{number:02}"}
                    for key, value in tags
                ],
                "admin_tag": [{"name": key} for key, _ in tags],
            }
        )
    return rows


def task_rows() -> list[dict[str, Any]]:
    """Forty versions of tasks."""
    return [
        {
            "name": USERS[number % len(USERS)],
            "version": f"v{number // len(USERS)}",
            "type": ("python-task", "spark")[number % 2],
            "short_description": "" if number % 3 else f"says {number}",
            "created_at": (EPOCH + number) * SECOND,
        }
        for number in range(40)
    ]


class Asked:
    """A served admin with these rows, asked from code that is not asynchronous."""

    def __init__(self, url: str, folder: Path) -> None:
        self._runner = asyncio.Runner()
        self._stack = contextlib.AsyncExitStack()
        self.executions, self.tasks = execution_rows(), task_rows()
        self._runner.run(self._start(url, folder))

    async def _start(self, url: str, folder: Path) -> None:
        self._admin = await self._stack.enter_async_context(serving(url, folder))
        for name in ("w1", "w2"):
            await self._admin.launch(await self._admin.register(name), name)
        await _store(self._admin, self.executions, self.tasks)

    def ask(self, call: str, filters: str) -> list[tuple[str, str]]:
        """Name and version of what a list call finds, in the order of creation; raises AioRpcError."""
        request = common_pb2.ResourceListRequest(
            id=common_pb2.NamedEntityIdentifier(project=PROJECT, domain=DOMAIN),
            limit=1_000,
            filters=filters,
            sort_by=common_pb2.Sort(key="created_at", direction=common_pb2.Sort.ASCENDING),
        )

        async def run() -> list[tuple[str, str]]:
            answer = await getattr(self._admin.stub, call)(request)
            found = answer.executions if call == "ListExecutions" else answer.tasks
            return [(row.id.name, getattr(row.id, "version", "")) for row in found]

        return self._runner.run(run())

    def close(self) -> None:
        """Stop serving."""
        self._runner.run(self._stack.aclose())
        self._runner.close()


async def _store(admin: Admin, execution_rows: Sequence[Row], task_rows: Sequence[Row]) -> None:
    """Replace what was launched and registered by the rows; what filters do not speak of is copied."""
    database: Database = database_of(admin)
    async with database.reading() as connection:
        launched = {row.name: dict(row._mapping) for row in await connection.execute(select(executions))}
        task = dict((await connection.execute(select(tasks))).mappings().one())

    async def work(connection: Any) -> None:
        for number, row in enumerate(execution_rows):
            own = {name: value for name, value in row.items() if not isinstance(value, list)}
            values = {**launched[row["workflow"][0]["name"]], **own, "phase": PHASES[row["phase"]], "id": 100 + number}
            await connection.execute(insert(executions), [values])
            placed = {"execution_id": values["id"], "project": PROJECT, "domain": DOMAIN}
            for tag in row["execution_tag"]:
                kept = {"key": tag["key"], "value": tag["value"], "created_at": values["created_at"]}
                await connection.execute(insert(execution_tags), [{**placed, **kept}])
        for number, row in enumerate(task_rows):
            await connection.execute(insert(tasks), [{**task, **row, "id": 100 + number}])

    await database.write(work)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def asked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    folder = tmp_path_factory.mktemp("filters")
    if request.param == "sqlite":
        url = f"sqlite+aiosqlite:///{folder}/admin.db"
    else:
        url = request.getfixturevalue("fresh_postgres_database")()
    running = Asked(url, folder / "blobs")
    yield running
    running.close()


texts = st.text("aAbnN%_\\+, ('é-", min_size=1, max_size=4).filter(lambda text: not text.startswith(" "))
numbers = st.integers(-1, 3).map(str) | st.sampled_from(["x", "1.5", "true", "32768", "-70000", "2147483648", "9" * 18])
times = st.one_of(
    st.integers(-1, 61).map(lambda n: f"2023-11-14T22:{13 + (20 + n) // 60}:{(20 + n) % 60:02}Z"),
    st.integers(0, 40).map(lambda n: f"2023-11-14T23:13:{20 + n % 40:02}.500+01:00"),
    st.sampled_from(["yesterday", "2023-13-01T00:00:00Z"]),
)
durations = st.integers(0, 60).map(str) | st.sampled_from(["1m", "30s", "1500ms", "0h1m", "soon", "1x"])
VALUES: dict[str, st.SearchStrategy[str]] = {
    "user": st.sampled_from(USERS) | texts,
    "name": st.sampled_from(["x07", "x31", "x%", "%1", "_0", *USERS]) | texts,
    "phase": st.sampled_from([*PHASES, "UNDEFINED", "NOTHING", "%ED", "E"]),
    "error_kind": st.sampled_from(["USER", "SYSTEM", "S%", "E", "R"]),
    "error_code": st.sampled_from(["Boom", "oo", "b%"]),
    "mode": numbers,
    "state": numbers,
    "created_at": times,
    "started_at": times,
    "duration": durations,
    "workflow.name": st.sampled_from(["w1", "w2", "w%", "w"]),
    "launch_plan.name": st.sampled_from(["w1", "w2", "w%", "w"]),
    "execution_tag.key": st.sampled_from(["nightly", "team", "tier", "t", "t%", "none"]),
    "execution_tag.value": st.sampled_from(["x", "y", "z", "_"]),
    "execution_tag.execution_project": st.sampled_from([PROJECT, "flyte%", "nowhere"]),
    "execution_tag.execution_name": st.sampled_from(["x07", "x31", "x0_", "7"]),
    "admin_tag.name": st.sampled_from(["nightly", "team", "tier", "none"]),
    "version": st.sampled_from(["v0", "v1", "v3", "v%", "v"]),
    "type": st.sampled_from(["python-task", "spark", "p%", "-"]),
    "short_description": st.sampled_from(["says 3", "says", "says _", "says 2%"]),
    "nothing": texts,
    "execution_tag.nothing": texts,
    "node_execution.phase": st.just("RUNNING"),
}


def expressions(fields: Sequence[str]) -> st.SearchStrategy[str]:
    """One expression about one of these columns, or about none there is; now and then of the wrong form."""

    @st.composite
    def build(draw: st.DrawFn) -> str:
        field = draw(st.sampled_from(fields))
        function = draw(st.sampled_from(FUNCTIONS))
        most = 3 if function in MANY or draw(st.integers(0, 19)) == 0 else 1
        values = draw(st.lists(VALUES[field], min_size=1, max_size=most))
        text = f"{function}({field},{draw(st.sampled_from(['', ' ']))}{';'.join(values)})"
        if draw(st.integers(0, 29)) == 0:
            text = draw(
                st.sampled_from([text[:-1], text.replace(",", "", 1), text.replace("(", "[", 1), f"like{text}"])
            )
        return text

    return build()


def filter_texts(kinds: dict[str, str], *wrong: str) -> st.SearchStrategy[str]:
    """Some expressions joined; those about columns that do not exist are rare."""
    rare = st.one_of(*(st.just(kind) for kind in wrong)).flatmap(lambda field: expressions([field]))
    usual = expressions(list(kinds))
    some = st.lists(st.integers(0, 24).flatmap(lambda n: usual if n else rare), max_size=3)
    return st.builds(
        lambda joint, parts: joint.join(parts), st.sampled_from(["+", " + ", "+", "+", "+", "+", " ", ",", "++"]), some
    )


relaxed = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
EXECUTION_FILTERS = filter_texts(EXECUTION_KINDS, "nothing", "execution_tag.nothing", "node_execution.phase")
TASK_FILTERS = filter_texts(TASK_KINDS, "nothing", "workflow.name")


def agree(asked: Asked, call: str, text: str, kinds: dict[str, str], rows: Sequence[Row]) -> None:
    try:
        expected = [(row["name"], row.get("version", "")) for row in selected(text, kinds, rows)]
    except Malformed:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            asked.ask(call, text)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT, caught.value.details()
    else:
        found = asked.ask(call, text)
        assert [each for each in found if each[0] not in ("w1", "w2", "t")] == expected


@relaxed
@given(text=EXECUTION_FILTERS)
@example(text="ne(error_kind,USER)")
@example(text="value_not_in(error_code,Boom)")
@example(text="eq(execution_tag.key,team)+eq(execution_tag.value,x)")
@example(text="value_in(execution_tag.key,team;tier)+eq(execution_tag.value,x)")
@example(text="value_in(admin_tag.name,team;nightly)+ne(phase,RUNNING)")
@example(text="eq(workflow.name,w1)+value_in(phase,QUEUED;RUNNING)")
@example(text="eq(user,a+b)+lte(duration,1m)")
@example(text="ne(error_kind,USER+eq(state,0)")
@example(text="ne(error_kind,USER)+eq(state,1)")
@example(text="eq(user,ann) eq(mode,1)")
@example(text="eq(user,ann),eq(mode,1)")
@example(text="eq(user,a (b))")
@example(text="eq(user,a (b)))")
@example(text="eq(state,70000)")
@example(text="lt(mode,70000)")
@example(text="value_in(mode,1;-70000;9999999999)")
@example(text="value_not_in(mode,1;9999999999)")
def test_executions_are_those_of_the_reference(asked: Asked, text: str) -> None:
    shown = [row for row in asked.executions if is_about("state", text) or not row["state"]]
    agree(asked, "ListExecutions", text, EXECUTION_KINDS, shown)


def is_about(field: str, text: str) -> bool:
    """Whether an expression of the text is about this column."""
    with contextlib.suppress(Malformed):
        return any(read(expression)[1:3] == ("", field) for expression in split(text))
    return False


@relaxed
@given(text=TASK_FILTERS)
@example(text="contains(short_description,_)+not_like(name,a\\%n)")
@example(text="gte(created_at,2023-11-14T22:13:30Z)+lt(created_at,2023-11-14T22:13:40.5Z)")
def test_tasks_are_those_of_the_reference(asked: Asked, text: str) -> None:
    agree(asked, "ListTasks", text, TASK_KINDS, asked.tasks)
