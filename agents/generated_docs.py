"""The parts of the documentation that come from the code; ``python -m agents.generated_docs``.

A generated part of a Markdown file stands between two comments::

    <!-- generated: settings -->
    <!-- end of generated -->

A test compares every file with what the code says now.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from agents.plugin import AgentSpec
from agents.registry import GROUP, load_specs
from agents.room_metadata_schema import room_metadata_schema
from agents.rpc.schema import rpc_reference, rpc_schema
from pipelines.metrics import describe
from pipelines.settings import Settings

_MARKED: Final = (
    "README.md",
    "docs/settings.md",
    "docs/room-metadata.md",
    "docs/metrics.md",
    "docs/rpc.md",
)
_BLOCK: Final = re.compile(
    r"(<!-- generated: (?P<name>[a-z-]+) -->\n).*?(<!-- end of generated -->)", re.DOTALL
)


def generated_files(root: Path) -> dict[Path, str]:
    """Return each file with generated parts, and what it should hold now.

    Args:
        root: The project's directory.
    """
    specs = _built_in_specs(root)
    blocks: Mapping[str, Callable[[], str]] = {
        "settings": settings_table,
        "agents": lambda: agents_tables(specs),
        "metrics": metrics_table,
        "rpc": lambda: "\n" + rpc_reference() + "\n",
    }
    files = {
        root / name: _BLOCK.sub(
            lambda found: found[1] + blocks[found["name"]]() + found[3],
            (root / name).read_text(encoding="utf-8"),
        )
        for name in _MARKED
    }
    schemas = {"room-metadata": room_metadata_schema(specs), "rpc": rpc_schema()}
    for name, schema in schemas.items():
        text = json.dumps(schema, indent=2, ensure_ascii=False)
        files[root / f"docs/{name}.schema.json"] = text + "\n"
    return files


def settings_table() -> str:
    """Return the process's settings as a Markdown table."""
    rows = [
        (f"`{Settings.variable(name)}`", _default(field), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    return _table(("Variable", "Default", "Meaning"), rows)


def metrics_table() -> str:
    """Return the metrics as a Markdown table, in the order of the path."""
    rows = [
        (f"`{one.name}`", ", ".join(f"`{label}`" for label in one.labels), one.help)
        for one in describe()
    ]
    return _table(("Metric", "Labels", "Meaning"), rows)


def agents_tables(specs: Mapping[str, AgentSpec]) -> str:
    """Return a section for each agent: what room metadata may say under its name."""
    return "".join(
        f"\n### `agents.{name}`\n\n{spec.description}\n\n"
        + _table(("Key", "Default", "Meaning"), list(_keys(spec.settings)))
        for name, spec in specs.items()
    )


def _keys(model: type[BaseModel]) -> Iterator[tuple[str, str, str]]:
    for name, field in model.model_fields.items():
        yield f"`{field.alias or name}`", _default(field), field.description or ""


def _default(field: FieldInfo) -> str:
    if field.annotation is SecretStr:
        return "*secret*"
    if field.is_required():
        return "*required*"
    value: Any = field.get_default(call_default_factory=True)
    match value:
        case bool():
            text = str(value).lower()
        case tuple() | list():
            text = ",".join(map(str, value))
        case None:
            text = ""
        case _:
            text = str(value)
    return f"`{text}`" if text else ""


def _table(head: tuple[str, str, str], rows: list[tuple[str, str, str]]) -> str:
    escaped = [tuple(cell.replace("|", "\\|") for cell in row) for row in rows]
    lines = [head, ("---", "---", "---"), *escaped]
    return "".join(f"| {' | '.join(line)} |\n".replace("|  |", "| |") for line in lines)


def _built_in_specs(root: Path) -> dict[str, AgentSpec]:
    # Not the installed ones: a plugin in this environment is no part of our documentation.
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = project["entry-points"][GROUP].items()
    return load_specs(EntryPoint(name, value, GROUP) for name, value in declared)


def main() -> None:
    """Write every generated part anew, in the current directory."""
    for path, text in generated_files(Path.cwd()).items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
