"""Every metric has a name that says what it is, no label that tells of people, and a panel."""

from __future__ import annotations

import json
import re
from pathlib import Path

from pipelines.metrics import describe

DASHBOARD = Path(__file__).resolve().parents[2] / "deploy/grafana/greffier.json"


def test_every_metric_follows_the_conventions_and_explains_itself() -> None:
    for one in describe():
        assert re.fullmatch(r"greffier_[a-z]+(_[a-z]+)*", one.name)
        assert one.name.endswith("_total") == (one.kind == "counter"), one.name
        assert one.kind != "histogram" or one.name.endswith("_seconds"), one.name
        assert not re.search(r"_(ms|millis|minutes|kb|count)(_|$)", one.name), one.name
        assert one.help.endswith("."), one.name


def test_no_label_could_carry_a_meeting_a_person_or_text() -> None:
    labels = {label for one in describe() for label in one.labels}
    assert labels == {"cause", "engine", "format", "kind", "outcome", "step", "store"}


def test_the_dashboard_shows_every_metric_and_none_that_does_not_exist() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    series = {
        one.name + suffix: one.name
        for one in describe()
        for suffix in (("_bucket", "_sum", "_count") if one.kind == "histogram" else ("",))
    }
    used = {
        name
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
        for name in re.findall(r"[a-z]+_[a-z_]+(?=\{)", target["expr"])
    }
    assert used - set(series) == set()
    shown = {series[name] for name in used}
    assert {one.name for one in describe()} - shown == set()


def test_the_dashboards_data_source_is_the_viewers_choice() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    variables = {one["name"]: one for one in dashboard["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    sources = {
        item["datasource"]["uid"]
        for panel in dashboard["panels"]
        for item in (panel, *panel.get("targets", ()))
        if "datasource" in item
    }
    assert sources == {"${datasource}"}


def test_the_dashboard_asks_for_existing_labels_only() -> None:
    labels = {one.name: {*one.labels, "job", "instance", "le"} for one in describe()}
    wrong = []
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            (name,) = re.findall(r"greffier_[a-z_]+?(?=(?:_bucket)?\{)", target["expr"])
            grouped = re.search(r"by \((.*?)\)", target["expr"])
            asked = set(re.findall(r"\w+", grouped[1] if grouped else ""))
            asked |= set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            if not asked <= labels[name]:
                wrong.append((name, asked - labels[name]))
    assert wrong == []
