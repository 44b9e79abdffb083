"""A person clicks around in the example site; the trail has what they did.

The session is the product page's: create three tasks, complete one, delete one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest

from deploy.local.paths import REPOSITORY
from deploy.local.ports import LOOPBACK, free_port
from tests.fixtures.browser import USER, Browser
from tests.fixtures.pipeline import Pipeline
from tests.fixtures.stages import StartStage

MANAGE = str(REPOSITORY / "example" / "manage.py")
TABLE = "todo_task"


@pytest.fixture
def site(pipeline: Pipeline, start_stage: StartStage) -> Iterator[Browser]:
    migrate = start_stage("migrate", ["python", MANAGE, "migrate", "--no-input"], pipeline.environ)
    assert migrate.wait(120) == 0, migrate.output()
    pipeline.start()
    address = f"{LOOPBACK}:{free_port()}"
    start_stage("site", ["python", MANAGE, "runserver", address, "--noreload"], pipeline.environ)
    browser = Browser(f"http://{address}")

    browser.wait_until_it_answers()
    yield browser
    browser.close()


def test_each_click_is_in_the_trail_with_who_where_and_which_sql(
    pipeline: Pipeline, site: Browser
) -> None:
    site.play_session()
    changes = pipeline.wait_for(TABLE, 5)
    assert [c["operation"] for c in changes] == ["CREATE", "CREATE", "CREATE", "UPDATE", "DELETE"]
    first, second, third = (change["primary_key"] for change in changes[:3])
    assert [c["primary_key"] for c in changes[3:]] == [first, second]
    assert len({first, second, third}) == 3
    assert {c["table"] for c in changes} == {TABLE}
    titles = [c["after"].get("title") for c in changes]
    assert titles == ["Sleep", "Eat", "Code", "Sleep", None]
    update, delete = changes[3:]
    assert (update["before"]["is_completed"], update["after"]["is_completed"]) == (False, True)
    assert update["before"]["title"] == "Sleep"
    assert delete["before"]["title"] == "Eat"
    user_ids = {c["context"]["user_id"] for c in changes}
    assert len(user_ids) == 1
    assert isinstance(user_ids.pop(), int)
    assert {c["context"]["method"] for c in changes} == {"POST"}
    assert [c["context"]["endpoint"] for c in changes] == [
        "/tasks/add/",
        "/tasks/add/",
        "/tasks/add/",
        f"/tasks/{first}/complete/",
        f"/tasks/{second}/delete/",
    ]
    verbs = [c["context"]["SQL"].split()[0] for c in changes]
    assert verbs == ["INSERT", "INSERT", "INSERT", "UPDATE", "DELETE"]
    assert all(TABLE in c["context"]["SQL"] for c in changes)
    now = datetime.now(timezone.utc)
    assert all(now - timedelta(minutes=5) < c["committed_at"] <= now for c in changes)


def test_a_change_by_plain_sql_is_in_the_trail_without_context(
    pipeline: Pipeline, site: Browser
) -> None:
    site.play_session()
    pipeline.wait_for(TABLE, 5)
    pipeline.execute("UPDATE todo_task SET title = 'Changed by hand' WHERE title = 'Code'")
    change = pipeline.wait_for(TABLE, 6)[-1]
    assert (change["operation"], change["context"]) == ("UPDATE", {})
    assert change["after"]["title"] == "Changed by hand"


def test_the_audit_page_shows_the_trail(pipeline: Pipeline, site: Browser) -> None:
    site.play_session()
    pipeline.wait_for(TABLE, 5)
    page = site.get("/audit/")
    for shown in ("Sleep", "/tasks/add/", "DELETE", USER):
        assert shown in page
